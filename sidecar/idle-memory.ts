/**
 * Owns that a recorder with nothing to do gives memory back: the room that its start, or the last burst of traffic, made the engine take.
 * Invariant: garbage is collected only after a time in which nothing was recorded, and once for each such time: nobody waits for it.
 */

/** How long nothing has been recorded by then (ms), at least. */
const IDLE_MS = 10_000;
/** Takes some 50 ms, and makes the engine shrink what it keeps for new objects, as other collections do only by chance. */
const ALL = { type: 'major', execution: 'sync', flavor: 'last-resort' } as const;

/**
 * Begins to look. Without node's flag `--expose-gc` nothing comes of it.
 * @param recorded counts what is recorded
 * @returns how to stop
 */
export function giveBackWhenIdle(recorded: () => number, collect = globalThis.gc): () => void {
  let seen = recorded();
  let isDue = true;
  const timer = setInterval(() => {
    const now = recorded();
    if (now !== seen) isDue = true;
    else if (isDue) {
      isDue = false;
      collect?.(ALL);
    }
    seen = now;
  }, IDLE_MS);
  timer.unref();
  return () => clearInterval(timer);
}
