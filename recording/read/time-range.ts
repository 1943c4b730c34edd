/**
 * Owns the time that a reader asks for, and which segments may hold lines of it.
 * Invariant: a segment that holds a line of the range is among those of `secondsOf`, as long as no line of it is further from its first
 * than the slack: because it is long, or because the clock was set, forward or back, while it was written.
 */
import { parseMicros } from '../format/time.ts';
import { SEGMENT_SLACK_MS } from './partitions.ts';

/** Times as lines have them, which sort as the times they mean; null = no bound. */
export interface TimeRange {
  /** Included. */
  since: string | null;
  /** Not included. */
  until: string | null;
}

export const ALL_TIME: TimeRange = { since: null, until: null };

/** The end of the times that keys can say. */
const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59);

/** Which segments to list, as `listSegments` takes it. */
export function secondsOf({ since, until }: TimeRange): { fromSecond?: string; toSecond?: string } {
  return {
    ...(since === null ? {} : { fromSecond: secondOf(parseMicros(since) / 1_000 - SEGMENT_SLACK_MS) }),
    ...(until === null ? {} : { toSecond: secondOf(parseMicros(until) / 1_000 + SEGMENT_SLACK_MS) }),
  };
}

/** Whether a line's time is in the range. */
export function isWithin(time: string, { since, until }: TimeRange): boolean {
  return (since === null || time >= since) && (until === null || time < until);
}

/** The second as it stands in keys. */
export function secondOf(epochMs: number): string {
  return new Date(Math.min(Math.max(0, epochMs), LAST_MS)).toISOString().replaceAll(/[-:]|\.\d+/g, '');
}
