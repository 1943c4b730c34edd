/**
 * Owns the time of lines: fixed-width UTC text with microseconds, and the clock that writers take it from.
 * Invariant: a clock's times never decrease, except where it says `steppedFrom` (a `config` line of kind `clock` belongs there).
 */

/** Wall clock and monotonic clock may differ by this much before a step is stated. */
const STEP_MS = 1000;
/** Below a step but above this the clock follows the wall clock silently (it is being slewed). */
const DRIFT_MS = 10;

let cachedSecond = Number.NaN;
let cachedText = '';

/**
 * Microseconds since the epoch as `YYYY-MM-DDTHH:MM:SS.ffffffZ` (RFC 3339, always 27 characters).
 * @throws RangeError outside the years 0000 to 9999
 */
export function formatMicros(epochMicros: number | bigint): string {
  const micros = Number(epochMicros);
  const second = Math.floor(micros / 1e6);
  if (second !== cachedSecond) {
    const text = new Date(second * 1000).toISOString();
    if (text.length !== 24) throw new RangeError(`${epochMicros} us is outside the years 0000 to 9999`);
    cachedText = text.slice(0, 20);
    cachedSecond = second;
  }
  // A digit in front keeps the leading zeros; it is cut off again.
  return `${cachedText}${String(1_000_000 + Math.floor(micros - second * 1e6)).slice(1)}Z`;
}

const TIME = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z$/;

/** Whether the text is a line's time. Such texts sort as the times they mean. */
export function isTime(text: unknown): text is string {
  return typeof text === 'string' && TIME.test(text);
}

/** Microseconds since the epoch of a line's time. @throws RangeError when the text is no such time */
export function parseMicros(time: string): number {
  if (!isTime(time))
    throw new RangeError(`${JSON.stringify(time)} is no time of the form YYYY-MM-DDTHH:MM:SS.ffffffZ`);
  return Date.parse(`${time.slice(0, 19)}Z`) * 1000 + Number(time.slice(20, 26));
}

export interface Clock {
  /**
   * The time for the next line. `steppedFrom` is what the clock would have said when the wall clock was set
   * by more than a second since the last call, else null.
   */
  next(): { time: string; steppedFrom: string | null };
  /** Microseconds from an arbitrary start; for durations. */
  monotonicUs(): number;
}

/**
 * A clock for one stream: the wall clock, carried on by the monotonic one between its milliseconds.
 * @param wallMs milliseconds since the epoch
 * @param monotonicMs milliseconds from any start, never set
 */
export function createClock(
  wallMs: () => number = Date.now,
  monotonicMs: () => number = () => performance.now(),
): Clock {
  let anchorMs = wallMs() - monotonicMs();
  let lastUs = 0;
  return {
    next() {
      const monotonic = monotonicMs();
      const wall = wallMs();
      const difference = wall - (anchorMs + monotonic);
      let steppedFrom: string | null = null;
      if (difference > DRIFT_MS || difference < -DRIFT_MS) {
        // Steps back that are too small each may add up, as the last time is held meanwhile.
        if (difference > STEP_MS || difference < -STEP_MS || lastUs > (wall + STEP_MS) * 1000) {
          steppedFrom = formatMicros(Math.max(lastUs, Math.floor((anchorMs + monotonic) * 1000)));
          lastUs = 0;
        }
        anchorMs = wall - monotonic;
      }
      const us = Math.floor((anchorMs + monotonic) * 1000);
      if (us > lastUs) lastUs = us;
      return { time: formatMicros(lastUs), steppedFrom };
    },
    monotonicUs: () => Math.round(monotonicMs() * 1000),
  };
}
