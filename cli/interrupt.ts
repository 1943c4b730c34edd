/**
 * Owns what Ctrl-C does to a command that reads: the first one ends the reading, and what is known by then is printed; a second one ends
 * the process at once, as it does without this.
 */
import { EXIT } from './failure.ts';

export interface Interrupt {
  /** Aborted by the first Ctrl-C. */
  signal: AbortSignal;
  /** Ctrl-C is the system's again. */
  release(): void;
}

export function catchInterrupt(): Interrupt {
  const controller = new AbortController();
  const end = (): void => {
    process.exitCode = EXIT.interrupted;
    // On a terminal in place of what says how far it is.
    const begin = process.stderr.isTTY ? '\r\u001b[K' : '';
    process.stderr.write(
      `${begin}mcp-recorder: Interrupted; what was found follows. Ctrl-C again ends at once.\n`,
    );
    controller.abort();
  };
  process.once('SIGINT', end);
  return { signal: controller.signal, release: () => void process.off('SIGINT', end) };
}
