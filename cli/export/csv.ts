/**
 * Owns rows as CSV (RFC 4180), with a heading.
 * Invariant: no cell is a formula for a program that opens it: one that would be begins with an apostrophe.
 */
import { stringify } from 'csv-stringify/sync';
import { cellsOf, COLUMNS } from './columns.ts';
import type { Selection } from '../selection.ts';

/** What spreadsheets take for the beginning of a formula. */
const FORMULA = /^[=+\-@\t\r]/;

export async function* exportCsv({ rows }: Selection): AsyncIterable<string> {
  yield line(COLUMNS.map(({ name }) => name));
  for await (const row of rows()) yield line(cellsOf(row));
}

function line(cells: readonly (string | number | null)[]): string {
  const safe = cells.map((cell) => (typeof cell === 'string' && FORMULA.test(cell) ? `'${cell}` : cell));
  return stringify([safe], { record_delimiter: 'windows' });
}
