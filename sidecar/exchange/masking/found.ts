/**
 * Owns what was found in a text: how pieces that overlap become one, and how they are replaced.
 * Invariant: nothing of a found piece is left; a marker that stands in the text already is not found again.
 */
import { count, type Run } from './compiled-rules.ts';

export interface Found {
  rule: string;
  start: number;
  end: number;
}

/** Replaces all that was found; null when nothing is left of it beside the markers that stand in the text. */
export function replaceFound(run: Run, text: string, found: readonly Found[]): string | null {
  const pieces = united(withoutMarkers(run, text, found));
  if (pieces.length === 0) return null;
  let masked = '';
  let done = 0;
  for (const { rule, start, end } of pieces) {
    masked += text.slice(done, start) + count(run, rule);
    done = end;
  }
  return masked + text.slice(done);
}

/** What overlaps is one piece, named for the first and longest. */
function united(found: readonly Found[]): Found[] {
  const sorted = [...found].sort((a, b) => a.start - b.start || b.end - a.end || (a.rule < b.rule ? -1 : 1));
  const pieces: Found[] = [];
  for (const one of sorted) {
    const last = pieces.at(-1);
    if (last !== undefined && one.start < last.end) last.end = Math.max(last.end, one.end);
    else pieces.push({ ...one });
  }
  return pieces;
}

/** Leaves out what lies within a marker; what reaches into one takes it along. */
function withoutMarkers(run: Run, text: string, found: readonly Found[]): Found[] {
  if (found.length === 0 || !text.includes('[masked:')) return [...found];
  const markers = [...text.matchAll(run.rules.marker)].map(({ index, 0: marker }) => ({
    start: index,
    end: index + marker.length,
  }));
  return found.flatMap((one) => {
    let { start, end } = one;
    for (let index = firstEndingBehind(markers, start); index < markers.length; index += 1) {
      const marker = markers[index] as Piece;
      if (marker.start >= end) break;
      if (start >= marker.start && end <= marker.end) return [];
      if (start < marker.end && end > marker.start) {
        start = Math.min(start, marker.start);
        end = Math.max(end, marker.end);
      }
    }
    return [{ ...one, start, end }];
  });
}

interface Piece {
  start: number;
  end: number;
}

/** Index of the first piece that ends behind a place; pieces are in order and do not overlap. */
function firstEndingBehind(pieces: readonly Piece[], place: number): number {
  let low = 0;
  let high = pieces.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((pieces[middle] as Piece).end > place) high = middle;
    else low = middle + 1;
  }
  return low;
}
