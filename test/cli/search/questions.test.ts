import fs from 'node:fs/promises';
import path from 'node:path';
import type { LineDraft, ResultLine } from '@mcp-recorder/recording/format/line';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Engine, openClickHouse, openDuckDb } from '../../schema/engines.ts';
import { runWith } from '../command.ts';
import { ADA, type ExchangeFacts, exchangeOf, type Recorded, recordIn } from '../recorded.ts';

const page = await fs.readFile(path.join(import.meta.dirname, '../../../docs/questions.md'), 'utf8');
const questions = page
  .split(/^## /m)
  .slice(1)
  .map((text) => {
    const [, line = ''] = /```sh\n(.*)\n```/.exec(text) ?? [];
    const [, sql = ''] = /```sql\n([^]*?);\n```/.exec(text) ?? [];
    return { title: text.split('\n')[0] ?? '', line, sql };
  });

const id = (n: number) => `01KAH3MBWD0G6R4Y1S8T2V5Z${n}C`;
const call = (n: number, facts: Partial<ExchangeFacts> = {}) =>
  exchangeOf({ exchange: id(n), answer: 'fine', ...facts });
const bob = { ...ADA, name: 'bob@example.com', subject: 'u-1' };

/** With the result changed. */
const withResult = (lines: LineDraft[], more: Partial<ResultLine>): LineDraft[] =>
  lines.map((line) => (line.type === 'result' ? { ...line, ...more } : line));

/** As a rule denies it. */
const denied = (lines: LineDraft[]): LineDraft[] =>
  lines.map((line) =>
    line.type === 'request'
      ? {
          ...line,
          calls: (line.calls ?? []).map((one) => ({
            ...one,
            decision: { action: 'deny', rule: 'no-deletes' } as const,
          })),
        }
      : line,
  );

const TIMES = { first_time: '2026-11-21T08:39:00.000000Z', last_time: '2026-11-21T08:39:30.000000Z' };
const REFUSED: LineDraft = {
  type: 'denied',
  denied: { reason: 'no_token', source: '192.0.2.77', principal: null, count: 412, ...TIMES },
};
const GAP: LineDraft = { type: 'gap', gap: { cause: 'fail_open', exchanges: 17, exact: true, ...TIMES } };

let recorded: Recorded;
let engines: Record<string, Engine>;
beforeAll(async () => {
  recorded = await recordIn([
    [
      ...call(1, { tool: 'delete_repo', answer: 'the payroll repository is gone' }),
      ...call(2, { principal: bob }),
      GAP,
    ],
    [...denied(call(3, { tool: 'delete_repo', principal: bob, outcome: 'denied' })), REFUSED],
    [
      ...call(4, { outcome: 'error' }),
      ...call(5, { outcome: 'tool_error', principal: bob }),
      ...call(6).slice(0, 1),
    ],
    withResult(call(7, { tool: 'slow' }), { duration_us: 7_000_000 }),
  ]);
  const { directory } = recorded;
  engines = {
    DuckDB: await openDuckDb(directory),
    ClickHouse: await openClickHouse(directory, path.join(directory, 'clickhouse')),
  };
});
afterAll(async () => {
  for (const engine of Object.values(engines)) engine.close();
  await recorded.remove();
});

interface Found {
  type: string;
  exchange: string | null;
}

/** The words of a line as a shell takes them; no question needs more of one. */
const words = (line: string) =>
  [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? '');

describe('docs/questions.md', () => {
  it('asks ten questions', () => {
    expect(questions.map(({ title }) => Number.parseInt(title, 10))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it.each(questions)('$title', async ({ title, line, sql }) => {
    const [program, ...more] = words(line);
    expect(program).toBe('mcp-recorder');
    const given = more.map((word) => (word === 'recordings' ? recorded.directory : word));
    const json = given.includes('--json') ? [] : ['--json'];
    const { code, stdout, stderr } = await runWith({}, ...given, ...json, '--no-index');
    expect([code, stderr]).toEqual([0, '']);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((text) => JSON.parse(text) as Found);
    const rows = lines.filter(({ type }) => type === (title.startsWith('9.') ? 'gap' : 'row'));
    expect(rows.length).toBeGreaterThan(0);
    for (const [name, engine] of Object.entries(engines)) {
      const answer = await engine.rows(sql);
      const [first = {}] = answer;
      if ('exchange' in first) {
        expect([name, answer.map(({ exchange }) => exchange)]).toEqual([
          name,
          rows.map(({ exchange }) => exchange),
        ]);
      } else if ('calls' in first) {
        expect([name, answer.reduce((sum, { calls }) => sum + Number(calls), 0)]).toEqual([
          name,
          rows.length,
        ]);
      } else {
        expect([name, answer.length]).toEqual([name, rows.length]);
      }
    }
  });
});
