/**
 * Owns the part of docs/masking.md that is measured: how good each detector is on the corpus of the tests.
 * Invariant: the prose around it is left as it is.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { figuresTable } from '../test/support/masking-figures.ts';

const page = path.join(import.meta.dirname, '../docs/masking.md');

/** The page with the figures of today. */
export function maskingPage(): string {
  return readFileSync(page, 'utf8').replace(
    /(<!-- figures -->\n)[^]*?(<!-- end of figures -->)/,
    (_all, begin: string, end: string) => `${begin}\n${figuresTable()}\n\n${end}`,
  );
}
