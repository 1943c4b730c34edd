/**
 * Owns time for this folder: two readings and one timer, so that tests can hold it.
 */

export interface Clock {
  /** Monotonic. */
  nowMs(): number;
  /** Since the epoch. */
  wallMs(): number;
  /** Calls `action` once; the answer takes it back. */
  after(ms: number, action: () => void): () => void;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(ms, action) {
    const timer = setTimeout(action, ms);
    return () => clearTimeout(timer);
  },
};

/** Resolves after the time, or when the signal aborts. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    signal.addEventListener('abort', done);
  });
}

/** The wall clock as the API's MicroTime: it takes six digits, no fewer. */
export function microTime({ wallMs }: Clock): string {
  return new Date(wallMs()).toISOString().replace('Z', '000Z');
}
