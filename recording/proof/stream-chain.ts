/**
 * Owns how the segments of one stream follow each other: numbers, roots, `seq`, time, key, and exchanges across them.
 * Invariant: no finding and no missing range = the segments are one unbroken chain from segment 0.
 */
import { createExchangeJoin } from './exchange-parts.ts';
import type { FindingCode } from './finding.ts';
import type { CheckedSegment } from './verify-segment.ts';

/** Notes a finding at a segment of the stream, or at the stream as a whole. */
export type FindAt = (code: FindingCode, segment: number | null, what: string) => void;

/** Segment numbers from one to another, both included. */
export interface SegmentRange {
  from: number;
  to: number;
}

/** The numbers from `from` to `to` without those in `except`, as ranges: a hostile number may be huge. */
export function rangesWithout(from: number, to: number, except: ReadonlySet<number>): SegmentRange[] {
  const ranges: SegmentRange[] = [];
  let next = from;
  for (const number of [...except].filter((n) => n >= from && n <= to).sort((a, b) => a - b)) {
    if (number > next) ranges.push({ from: next, to: number - 1 });
    next = number + 1;
  }
  if (next <= to) ranges.push({ from: next, to });
  return ranges;
}

/** Checks each segment against the one before; returns which are missing below the highest, apart from `excused`. */
export function checkChain(
  segments: readonly CheckedSegment[],
  excused: ReadonlySet<number>,
  find: FindAt,
): SegmentRange[] {
  const missing: SegmentRange[] = [];
  const exchanges = createExchangeJoin();
  let before: CheckedSegment | null = null;
  for (const segment of segments) {
    const n = segment.segment;
    const expected = (before?.segment ?? -1) + 1;
    if (n !== expected) {
      missing.push(...rangesWithout(expected, n - 1, excused));
      exchanges.lossBefore();
    }
    if (before?.segment === n - 1) checkBorder(before, segment, find);
    if (before?.sealed?.last === true || before?.sealed?.how === 'recovered') {
      find('after_end', n, `segment ${before.segment} was sealed as the last`);
    }
    if (before !== null && before.opened !== null && segment.opened !== null) {
      if (before.opened.publicKey !== segment.opened.publicKey) {
        find('open', n, 'its public key is not that of the segment before: a process has one key');
      }
      if (before.opened.place !== segment.opened.place) {
        find('open', n, `it is of ${segment.opened.place}, the segment before of ${before.opened.place}`);
      }
    }
    for (const wrong of exchanges.add(segment.exchanges)) find('exchange', n, wrong);
    if (segment.sealed?.how === 'sync_failed') exchanges.lossBefore();
    before = segment;
  }
  return missing;
}

function checkBorder(before: CheckedSegment, segment: CheckedSegment, find: FindAt): void {
  const n = segment.segment;
  if (before.sealed === null || segment.opened === null) return;
  if (segment.opened.previousRoot !== before.sealed.root) {
    find('open', n, `previous_root is not the root of segment ${before.segment}`);
  }
  if (segment.opened.firstSeq !== before.sealed.seq + 1) {
    find('sequence', n, `its first seq is ${segment.opened.firstSeq}, ${before.sealed.seq + 1} must follow`);
  }
  if (before.lastTime !== null && segment.firstTime !== null && segment.firstTime < before.lastTime) {
    find('time', n, `its first line is of ${segment.firstTime}, before the end of segment ${before.segment}`);
  }
}
