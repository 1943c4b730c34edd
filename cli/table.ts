/**
 * Owns how rows are laid out for people. Cells are made printable here, so that no command can forget it.
 */
import { printableLine, shorten } from './printable.ts';

const MAX_CELL = 60;

/** Lines of a table with aligned columns, heading first; no line ends in spaces. */
export function renderTable(headings: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const cells = [headings, ...rows].map((row) => row.map((cell) => shorten(printableLine(cell), MAX_CELL)));
  const widths = headings.map((_, column) =>
    Math.max(...cells.map((row) => [...(row[column] ?? '')].length)),
  );
  return cells.map((row) =>
    row
      .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - [...cell].length))
      .join('  ')
      .trimEnd(),
  );
}

/** `850 µs`, `12.3 ms`, `4.2 s`, `3 min 5 s`; a dash when it is not known. */
export function formatDuration(durationUs: number | null): string {
  if (durationUs === null) return '-';
  if (durationUs < 1_000) return `${durationUs} µs`;
  if (durationUs < 1_000_000) return `${(durationUs / 1_000).toFixed(1)} ms`;
  if (durationUs < 60_000_000) return `${(durationUs / 1_000_000).toFixed(1)} s`;
  const seconds = Math.round(durationUs / 1_000_000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** `1 segment`, `3 segments`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
