/**
 * Owns a clock that stands still until a test moves it.
 * Invariant: timers go off in the order of their time, with the clock at that time.
 */
import type { Clock } from '../../operator/kube/clock.ts';

export interface ManualClock extends Clock {
  advance(ms: number): void;
  /** Timers that have not gone off. */
  readonly pending: number;
}

export function createManualClock(startMs = 1_000_000): ManualClock {
  let nowMs = startMs;
  const timers = new Set<{ atMs: number; action: () => void }>();
  return {
    nowMs: () => nowMs,
    wallMs: () => nowMs + 1_700_000_000_000,
    after(ms, action) {
      const timer = { atMs: nowMs + ms, action };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    get pending() {
      return timers.size;
    },
    advance(ms) {
      const endMs = nowMs + ms;
      for (;;) {
        const [next] = [...timers].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs);
        if (next === undefined) break;
        timers.delete(next);
        nowMs = Math.max(nowMs, next.atMs);
        next.action();
      }
      nowMs = endMs;
    },
  };
}
