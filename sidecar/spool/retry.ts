/**
 * Owns trying again what the disk refused, with growing pauses.
 * Invariant: pauses start at 100 ms and double up to 2 s, so that a disk with space again is in use again soon; nothing is tried after the signal.
 */
import { setTimeout as pause } from 'node:timers/promises';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2000;

/** The pause after this many failures (from 1), milliseconds. */
export function backoffMs(failures: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS);
}

/**
 * Runs `attempt` until it succeeds.
 * @param failed told of each failure before the pause
 * @returns what `attempt` gave, or null when the signal came first
 */
export async function untilDone<T>(
  attempt: () => Promise<T>,
  failed: (error: unknown) => void,
  signal: AbortSignal,
): Promise<T | null> {
  for (let failures = 1; !signal.aborted; failures += 1) {
    try {
      return await attempt();
    } catch (error) {
      failed(error);
      await pause(backoffMs(failures), undefined, { signal }).catch(() => {});
    }
  }
  return null;
}
