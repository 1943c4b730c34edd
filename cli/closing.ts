/**
 * Owns what must still be done when the process ends before its command does: a pipe that was closed, a signal.
 * Invariant: it is done once, and does not keep the process for longer than it takes.
 */

type Work = () => Promise<void>;

const open = new Set<Work>();
let closing: Promise<void> | null = null;

/** Has something done before the process is ended early. @returns takes it back: it is done, or not needed any more */
export function beforeClosing(work: Work): () => void {
  open.add(work);
  return () => void open.delete(work);
}

/** Ends the process, after what must be done before. What fails then is told. */
export function closeProcess(code?: number): Promise<void> {
  closing ??= (async () => {
    for (const work of open) {
      try {
        await work();
      } catch (error) {
        process.stderr.write(`mcp-recorder: ${error instanceof Error ? error.message : String(error)}\n`);
        process.exitCode = 2;
      }
    }
    process.exit(process.exitCode === 2 ? 2 : code);
  })();
  return closing;
}
