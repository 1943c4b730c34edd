/**
 * Owns that the auth table of docs/access.md and its tests are the same table: no rule without a test, and no test that is no rule.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { AUTH_CASES } from '../identity/auth-cases.ts';

const page = await fs.readFile(path.join(import.meta.dirname, '../../docs/access.md'), 'utf8');

/** The rows below a heading, without those of the table's own head. */
function rowsBelow(heading: string): string[][] {
  const [, section = ''] = page.split(`#### ${heading}\n`);
  const [text = ''] = section.split(/^#/m);
  const rows = [...text.matchAll(/^\| (.*) \|$/gm)].map(([, cells = '']) => cells.split(' | '));
  return rows.slice(2);
}

describe('docs/access.md', () => {
  it('has the sections of the auth table', () => {
    const headings = [...page.matchAll(/^#### (.+)$/gm)].map(([, heading]) => heading);
    expect(headings).toEqual(Object.keys(AUTH_CASES));
  });

  it.each(Object.entries(AUTH_CASES))('has one test for each row of %s', (heading, cases) => {
    const rows = rowsBelow(heading);
    expect(rows.filter((row) => row.length !== 3)).toEqual([]);
    const named = rows.map(([, , test]) => test);
    const names = cases.map(({ name }) => name);
    expect(named.filter((name) => !names.includes(name ?? ''))).toEqual([]);
    expect(names.filter((name) => !named.includes(name))).toEqual([]);
    expect(new Set(names).size).toBe(names.length);
  });
});
