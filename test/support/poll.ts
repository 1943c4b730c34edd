/**
 * Owns waiting in tests: ask again until it holds, with a deadline, instead of sleeping and hoping.
 */
import { setTimeout as delay } from 'node:timers/promises';

export interface PollOptions {
  /** Deadline in milliseconds from the first try. */
  withinMs: number;
  /** Pause between two tries, milliseconds. */
  everyMs?: number;
}

/**
 * Calls `attempt` until it neither throws nor returns `false`, and gives what it returned.
 *
 * @throws what the last attempt threw (or that it returned false), with the time that was waited.
 */
export async function eventually<T>(
  attempt: () => T | Promise<T>,
  options: PollOptions,
): Promise<Exclude<T, false>> {
  const started = performance.now();
  for (;;) {
    let failure: unknown;
    try {
      const found = await attempt();
      if (found !== false) {
        return found as Exclude<T, false>;
      }
      failure = new Error('the condition was still false');
    } catch (error) {
      failure = error;
    }
    const waitedMs = performance.now() - started;
    if (waitedMs >= options.withinMs) {
      const last = failure instanceof Error ? failure.message : String(failure);
      throw new Error(`not within ${options.withinMs} ms: ${last}`, { cause: failure });
    }
    await delay(options.everyMs ?? 5);
  }
}
