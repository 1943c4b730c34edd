/**
 * Owns how rows are laid out for people. Cells are made printable here, so that no command can forget it.
 * Invariant: on a terminal no line is wider than it, as long as what may not be cut leaves room.
 */
import { styleText } from 'node:util';
import { printableLine, shorten, widthOf } from './printable.ts';

const MAX_CELL = 60;
const LEAST = 8;
const BETWEEN = 2;

type Style = Parameters<typeof styleText>[0];

/** A column, in full or as its heading only. */
export interface Column {
  heading: string;
  /** Narrowest that it becomes where there is little room: the more it is worth, the wider. */
  least?: number;
  /** Never cut: an id that people copy. */
  whole?: boolean;
  /** Left out where there is no room even for the least of all; those with 1 first. */
  spare?: number;
  /** What is left of a cell that is cut. */
  keep?: 'begin' | 'end';
  /** A shorter way to write a cell, taken where not all fits. */
  short?(cell: string): string;
  /** Of a cell as it was given. */
  style?(cell: string): Style | null;
}

/** Where a table is shown. */
export interface Screen {
  /** Characters in a line; null: as many as it takes. */
  columns: number | null;
  /** What decides whether there are colours. */
  stream: NodeJS.WriteStream;
}

export interface Table {
  heading: string;
  line(row: readonly string[]): string;
}

/** A time as `formatTime` writes it; where there is little room without its milliseconds. */
export function timeColumn(heading: string): Column {
  return { heading, least: 20, short: (time) => time.replace(/\.\d+ UTC$/, 'Z') };
}

/** Standard output: only a terminal has a width. */
export function ownScreen(stream: NodeJS.WriteStream = process.stdout): Screen {
  // Some terminals say that they have no columns.
  return { columns: stream.isTTY ? stream.columns || 80 : null, stream };
}

/** Lines of a table with aligned columns, heading first; no line ends in spaces. */
export function renderTable(
  columns: readonly (string | Column)[],
  rows: readonly (readonly string[])[],
  screen = ownScreen(),
): string[] {
  const table = createTable(columns, rows, screen);
  return [table.heading, ...rows.map(table.line)];
}

/** A table whose widths are those of some rows; others may follow. */
export function createTable(
  columns: readonly (string | Column)[],
  sample: readonly (readonly string[])[],
  { columns: width, stream }: Screen = ownScreen(),
): Table {
  const all = columns.map((column) => (typeof column === 'string' ? { heading: column } : column));
  const widest = (index: number, of: (cell: string) => string): number =>
    sample.reduce(
      (most, row) => Math.max(most, Math.min(MAX_CELL, widthOf(printableLine(of(row[index] ?? ''))))),
      widthOf(all[index]?.heading ?? ''),
    );
  const full = all.map((_, index) => widest(index, (cell) => cell));
  const isShort = width !== null && total(full) > width;
  const wanted = isShort ? all.map(({ short }, index) => widest(index, short ?? ((cell) => cell))) : full;
  const widths = width === null ? full : fitted(all, wanted, width);

  const line = (row: readonly string[], styleOf: (column: Column, cell: string) => Style | null): string => {
    const shown = all.flatMap((column, index) => {
      const columnWidth = widths[index] ?? 0;
      if (columnWidth === 0) return [];
      const given = row[index] ?? '';
      const text = printableLine(isShort ? (column.short?.(given) ?? given) : given);
      const cell =
        column.whole === true ? text : shorten(text, width === null ? MAX_CELL : columnWidth, column.keep);
      const style = styleOf(column, given);
      const styled = style === null || cell === '' ? cell : styleText(style, cell, { stream });
      return [{ styled, pad: Math.max(0, columnWidth - widthOf(cell)) }];
    });
    const last = shown.findLastIndex(({ styled }) => styled !== '');
    return shown
      .slice(0, last + 1)
      .map(({ styled, pad }, index) => (index === last ? styled : styled + ' '.repeat(pad + BETWEEN)))
      .join('');
  };
  return {
    heading: line(
      all.map(({ heading }) => heading),
      () => 'bold',
    ),
    line: (row) => line(row, ({ style }, cell) => style?.(cell) ?? null),
  };
}

function total(widths: readonly number[]): number {
  const shown = widths.filter((width) => width > 0);
  return shown.reduce((sum, width) => sum + width, 0) + BETWEEN * (shown.length - 1);
}

/** The widths that fit; 0 = the column is left out. */
function fitted(columns: readonly Column[], wanted: readonly number[], width: number): number[] {
  const spare = columns
    .map(({ spare: order }, index) => ({ order, index }))
    .filter((one): one is { order: number; index: number } => one.order !== undefined)
    .toSorted((a, b) => a.order - b.order);
  const leastOf = (index: number): number => {
    const { least = LEAST, whole = false } = columns[index] ?? {};
    return whole ? (wanted[index] ?? 0) : Math.min(least, wanted[index] ?? 0);
  };
  const out = new Set<number>();
  for (const { index } of spare) {
    if (total(wanted.map((_, at) => (out.has(at) ? 0 : leastOf(at)))) <= width) break;
    out.add(index);
  }
  const widths = wanted.map((one, index) => (out.has(index) ? 0 : one));
  shrink(widths, leastOf, width);
  // Where nothing else helps, what is worth most is cut too.
  shrink(widths, (index) => (columns[index]?.whole === true ? (widths[index] ?? 0) : 1), width);
  return widths;
}

/** Takes from the widest, one by one. */
function shrink(widths: number[], leastOf: (index: number) => number, width: number): void {
  for (let over = total(widths) - width; over > 0; over -= 1) {
    let widest = -1;
    for (const [index, one] of widths.entries()) {
      if (one > leastOf(index) && (widest < 0 || one > (widths[widest] ?? 0))) widest = index;
    }
    if (widest < 0) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
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
