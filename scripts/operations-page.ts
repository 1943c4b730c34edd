/**
 * Owns the part of docs/operations.md that the code itself says: every reason of every condition, and what to do about it.
 * Invariant: the prose around it is left as it is.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { reasonsTable } from '../operator/desired/reasons.ts';

const page = path.join(import.meta.dirname, '../docs/operations.md');

/** The page with the reasons of today. */
export function operationsPage(): string {
  return readFileSync(page, 'utf8').replace(
    /(<!-- reasons -->\n)[^]*?(<!-- end of reasons -->)/,
    (_all, begin: string, end: string) => `${begin}\n${reasonsTable()}\n${end}`,
  );
}
