/**
 * Owns how two segments of one stream follow each other: numbers, roots, `seq`, time, key.
 * Invariant: no finding between any two neighbours and no missing range = the segments are one unbroken chain from segment 0.
 */
import type { FindingCode } from './finding.ts';
import type { CheckedSegment } from './verify-segment.ts';

/** Notes a finding at a segment of the stream, or at the stream as a whole. */
export type FindAt = (code: FindingCode, segment: number | null, what: string) => void;

/** What of a segment its neighbours are checked against. */
export interface Border {
  segment: number;
  firstTime: string | null;
  lastTime: string | null;
  opened: Pick<
    NonNullable<CheckedSegment['opened']>,
    'firstSeq' | 'previousRoot' | 'publicKey' | 'place'
  > | null;
  sealed: CheckedSegment['sealed'];
}

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

/** Checks a segment against the one before it that is there, whether others are missing between them or not. */
export function checkOrder(before: Border, segment: Border, find: FindAt): void {
  const n = segment.segment;
  if (before.sealed?.last === true || before.sealed?.how === 'recovered') {
    find('after_end', n, `segment ${before.segment} was sealed as the last`);
  }
  if (before.opened === null || segment.opened === null) return;
  if (before.opened.publicKey !== segment.opened.publicKey) {
    find('open', n, 'its public key is not that of the segment before: a process has one key');
  }
  if (before.opened.place !== segment.opened.place) {
    find('open', n, `it is of ${segment.opened.place}, the segment before of ${before.opened.place}`);
  }
}

/** Checks a segment against the one with the number before. */
export function checkBorder(before: Border, segment: Border, find: FindAt): void {
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
