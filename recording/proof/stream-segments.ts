/**
 * Owns what is kept of a stream's segments once they are checked: runs of neighbours, each folded into its two ends.
 * Invariant: memory grows by 48 bytes a segment (a million = 48 MB), by holes and by findings, by nothing else. Every segment was
 * checked against its neighbours, in whatever order they came. Exchanges across segments are joined in the order of arrival: behind a
 * segment that came late they are not reported, which hides nothing, because the chain of roots proves their lines.
 */
import { createExchangeJoin } from './exchange-parts.ts';
import { createMarks, type Marks } from './segment-marks.ts';
import {
  type Border,
  checkBorder,
  checkOrder,
  type FindAt,
  rangesWithout,
  type SegmentRange,
} from './stream-chain.ts';
import type { CheckedSegment } from './verify-segment.ts';

export interface StreamSegments {
  /** Takes a segment, in any order. `differs`: another object claimed to be it, with other lines. */
  add(segment: CheckedSegment): 'added' | 'same' | 'differs';
  has(segment: number): boolean;
  /** Base64 of the sealed root; null when the segment is not there or has no seal. */
  rootOf(segment: number): string | null;
  /** Null when segment 0 is not there. */
  first(): Word | null;
  /** The lowest and the highest segment. */
  ends(): { lowest: Border; highest: Border } | null;
  /** Seals that only another stream's key can check. */
  recovered(): ReadonlyMap<number, NonNullable<CheckedSegment['sealToCheck']>>;
  /** Whether some segment was sealed as the last. */
  isClosed(): boolean;
  totals(): { segments: number; lines: number; place: string | null };
  /** Checks across the holes; answers which segments are missing below the highest, apart from `excused`. */
  holes(excused: ReadonlySet<number>, find: FindAt): SegmentRange[];
}

/** What segment 0 says of its process and of streams before it; `clean`: it is right by itself. */
export interface Word {
  opened: CheckedSegment['opened'];
  clean: boolean;
}

/** Neighbours without a hole between them. */
interface Run {
  first: Border;
  last: Border;
  exchanges: ReturnType<typeof createExchangeJoin>;
  marks: Marks;
}

/** @param find told of what is wrong between neighbours, when the second of them comes */
export function createStreamSegments(find: FindAt): StreamSegments {
  const runs: Run[] = [];
  const recovered = new Map<number, NonNullable<CheckedSegment['sealToCheck']>>();
  let first: Word | null = null;
  let placed: { segment: number; place: string } | null = null;
  let closed = false;
  let segments = 0;
  let lines = 0;
  /** The one that came last, not folded in yet: a copy of it, which follows it in the store, may turn out to be the right one. */
  let latest: CheckedSegment | null = null;

  /** Index of the last run that begins at or before `segment`; -1 = none. */
  function runBefore(segment: number): number {
    const end = runs.length - 1;
    if (end >= 0 && (runs[end] as Run).first.segment <= segment) return end;
    let low = -1;
    let high = end;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((runs[middle] as Run).first.segment <= segment) low = middle;
      else high = middle;
    }
    return low;
  }

  function runOf(segment: number): Run | null {
    const run = runs[runBefore(segment)];
    return run !== undefined && segment <= run.last.segment ? run : null;
  }

  function settle(): void {
    const segment = latest;
    latest = null;
    if (segment === null) return;
    segments += 1;
    lines += segment.lines;
    closed ||= segment.sealed?.last === true;
    if (segment.sealToCheck !== null) recovered.set(segment.segment, segment.sealToCheck);
    first ??= wordOf(segment);
    if (segment.opened !== null && (placed === null || segment.segment < placed.segment)) {
      placed = { segment: segment.segment, place: segment.opened.place };
    }
    fold(segment);
  }

  function fold(segment: CheckedSegment): void {
    const n = segment.segment;
    const at = runBefore(n);
    const border = borderOf(segment);
    const before = runs[at];
    let run: Run;
    let index = at;
    if (before !== undefined && before.last.segment === n - 1) {
      checkNeighbours(before.last, border);
      before.last = border;
      run = before;
    } else {
      run = { first: border, last: border, exchanges: createExchangeJoin(), marks: createMarks() };
      if (n !== 0) run.exchanges.lossBefore();
      index = at + 1;
      runs.splice(index, 0, run);
    }
    run.marks.append(segment);
    for (const wrong of run.exchanges.add(segment.exchanges)) find('exchange', n, wrong);
    if (segment.sealed?.how === 'sync_failed') run.exchanges.lossBefore();
    const after = runs[index + 1];
    if (after === undefined || after.first.segment !== n + 1) return;
    checkNeighbours(border, after.first);
    run.marks.appendAll(after.marks);
    run.last = after.last;
    run.exchanges = after.exchanges;
    runs.splice(index + 1, 1);
  }

  function checkNeighbours(before: Border, segment: Border): void {
    checkBorder(before, segment, find);
    checkOrder(before, segment, find);
  }

  return {
    add(segment) {
      if (latest !== null && latest.segment === segment.segment) {
        if (latest.digest === segment.digest) return 'same';
        // The chain is followed through the one that is right by itself.
        if (latest.findings.length > 0 && segment.findings.length === 0) latest = segment;
        return 'differs';
      }
      const run = runOf(segment.segment);
      if (run !== null) {
        if (run.marks.isOf(segment.segment - run.first.segment, segment)) return 'same';
        // A wrong copy must not hide what the right one says of other streams.
        if (first !== null && !first.clean && wordOf(segment)?.clean === true) first = wordOf(segment);
        return 'differs';
      }
      settle();
      latest = segment;
      return 'added';
    },
    has(segment) {
      settle();
      return runOf(segment) !== null;
    },
    rootOf(segment) {
      settle();
      const run = runOf(segment);
      return run === null ? null : run.marks.rootAt(segment - run.first.segment);
    },
    first() {
      settle();
      return first;
    },
    ends() {
      settle();
      const lowest = runs[0]?.first;
      const highest = runs.at(-1)?.last;
      return lowest === undefined || highest === undefined ? null : { lowest, highest };
    },
    recovered() {
      settle();
      return recovered;
    },
    isClosed() {
      settle();
      return closed;
    },
    totals() {
      settle();
      return { segments, lines, place: placed === null ? null : placed.place };
    },
    holes(excused, report) {
      settle();
      const missing: SegmentRange[] = [];
      let before: Border | null = null;
      for (const run of runs) {
        missing.push(...rangesWithout((before?.segment ?? -1) + 1, run.first.segment - 1, excused));
        if (before !== null) checkOrder(before, run.first, report);
        before = run.last;
      }
      return missing;
    },
  };
}

function wordOf({ segment, opened, findings }: CheckedSegment): Word | null {
  return segment === 0 ? { opened, clean: findings.length === 0 } : null;
}

/** A copy of what is needed: the segment itself would keep its findings and exchanges. */
function borderOf({ segment, firstTime, lastTime, opened, sealed }: CheckedSegment): Border {
  if (opened === null) return { segment, firstTime, lastTime, opened, sealed };
  const { firstSeq, previousRoot, publicKey, place } = opened;
  return { segment, firstTime, lastTime, opened: { firstSeq, previousRoot, publicKey, place }, sealed };
}
