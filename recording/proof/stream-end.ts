/**
 * Owns how a stream ends: by its own last seal, by the word of a stream that found it dead, or not yet.
 * Invariant: a recovered seal and a naming are believed only when they agree and the recovering stream's key signed.
 */
import type { Naming, Namings } from './namings.ts';
import type { FindAt } from './stream-chain.ts';
import type { StreamSegments } from './stream-segments.ts';

export interface StreamEnd {
  state: 'complete' | 'live' | 'recovered';
  /** The highest segment that somebody signed to exist. */
  upTo: number;
  /** Nothing of the stream can still be on its way to the store. */
  settled: boolean;
  /** The streams that say so. */
  by: string[];
}

/** How the stream ends: by its own last seal, by another stream's word, or not (yet). */
export function findEnd(
  segments: StreamSegments,
  namedBy: readonly Naming[],
  namings: Namings,
  find: FindAt,
): StreamEnd {
  checkNamings(segments, namedBy, namings, find);
  const last = segments.ends()?.highest;
  const upTo = Math.max(last?.segment ?? -1, ...namedBy.map((n) => n.segment));
  if (last?.sealed?.last === true && upTo === last.segment) {
    return { state: 'complete', upTo, settled: true, by: [] };
  }
  const by = [...new Set(namedBy.map((n) => n.by))];
  if (by.length > 0) {
    return { state: 'recovered', upTo, settled: by.some((r) => namings.isSettled(r)), by };
  }
  const recoveredBy = segments.recovered().get(upTo)?.recoveredBy;
  return { state: 'live', upTo, settled: false, by: recoveredBy === undefined ? [] : [recoveredBy] };
}

/** Checks what others say of the stream against its segments, and its recovered seals against what others say. */
function checkNamings(
  segments: StreamSegments,
  namedBy: readonly Naming[],
  namings: Namings,
  find: FindAt,
): void {
  for (const [segment, sealToCheck] of segments.recovered()) {
    const wrong = namings.checkRecoveredSeal(sealToCheck);
    if (wrong !== null) find(wrong.code, segment, wrong.message);
  }
  const roots = new Map<number, Naming>();
  for (const naming of namedBy) {
    if (naming.root === null) continue;
    const root = segments.rootOf(naming.segment);
    if (root !== null && root !== naming.root) {
      find('recovery', naming.segment, `stream ${naming.by} names another root for it than its seal`);
    }
    const other = roots.get(naming.segment) ?? naming;
    if (other.root !== naming.root) {
      find('recovery', naming.segment, `streams ${other.by} and ${naming.by} name different roots for it`);
    }
    roots.set(naming.segment, other);
  }
  const last = segments.ends()?.highest;
  // Only a named root says where the stream ended: behind a segment that could not be read there may be more.
  if (last !== undefined && roots.size > 0 && namedBy.every((n) => n.segment < last.segment)) {
    find('after_end', last.segment, `stream ${namedBy[0]?.by} found it dead and knew of no such segment`);
  }
}
