/**
 * Owns a set of whole numbers that come mostly one after the other: pure, and as large as it has holes.
 * Invariant: its ranges are ordered, and no two of them touch.
 */

export interface Ranges {
  has(number: number): boolean;
  /** Adds `from` up to and without `end`. */
  add(from: number, end: number): void;
  /** Whether all of `from` up to and without `end` are in it. */
  hasAll(from: number, end: number): boolean;
}

/** @param maxRanges with more of them the oldest hole is closed: its numbers count as there */
export function createRanges(maxRanges = 1_000): Ranges {
  const ranges: { from: number; end: number }[] = [];

  /** Index of the first range that ends at or behind the number. */
  function indexOf(number: number): number {
    let low = 0;
    for (let high = ranges.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((ranges[middle]?.end ?? 0) < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function hasAll(from: number, end: number): boolean {
    const range = ranges[indexOf(from + 1)];
    return range !== undefined && range.from <= from && range.end >= end;
  }

  return {
    hasAll,
    has: (number) => hasAll(number, number + 1),
    add(from, end) {
      if (from >= end) return;
      const first = indexOf(from);
      const merged = { from, end };
      let last = first;
      for (let range = ranges[last]; range !== undefined && range.from <= end; range = ranges[last]) {
        merged.from = Math.min(merged.from, range.from);
        merged.end = Math.max(merged.end, range.end);
        last += 1;
      }
      ranges.splice(first, last - first, merged);
      const [oldest, second] = ranges;
      if (ranges.length > maxRanges && oldest && second)
        ranges.splice(0, 2, { from: oldest.from, end: second.end });
    },
  };
}
