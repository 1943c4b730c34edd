/**
 * Owns the time that a reader asks for, and which segments may hold lines of it.
 * Invariant: a segment that holds a line of the range is among those of `secondsOf`, as long as it is no longer than the slack.
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

/** Which segments to list, as `listSegments` takes it. */
export function secondsOf({ since, until }: TimeRange): { fromSecond?: string; toSecond?: string } {
  return {
    ...(since === null ? {} : { fromSecond: secondOf(parseMicros(since) / 1_000 - SEGMENT_SLACK_MS) }),
    ...(until === null ? {} : { toSecond: secondOf(parseMicros(until) / 1_000) }),
  };
}

/** Whether a line's time is in the range. */
export function isWithin(time: string, { since, until }: TimeRange): boolean {
  return (since === null || time >= since) && (until === null || time < until);
}

/** The second as it stands in keys. */
export function secondOf(epochMs: number): string {
  return new Date(Math.max(0, epochMs)).toISOString().replaceAll(/[-:]|\.\d+/g, '');
}
