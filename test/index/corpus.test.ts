/** Each filter, alone and together with others, gives exactly what a naive reading of all lines gives. */
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { EVERYTHING, type Filter } from '@mcp-recorder/recording/index/filter';
import { openReader, type Reader } from '@mcp-recorder/recording/index/reader';
import type { Row } from '@mcp-recorder/recording/index/row';
import { verifyStore } from '@mcp-recorder/recording/read/verify-store';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { store as put } from '../recording/stream-builder.ts';
import {
  generateCorpus,
  GROUPS,
  NAMESPACES,
  PEOPLE,
  SERVERS,
  TOOLS,
  WORDS,
} from '../support/corpus/generate.ts';
import { matchesNaively, type NaiveRow, readNaively } from '../support/corpus/naive.ts';

const CORPUS = { seed: 4711, sessions: 10_000, days: 30 };

let directory: string;
let all: NaiveRow[];
let warm: Reader;
const recording = () => createDirectoryStore(path.join(directory, 'recording'));
const open = (indexFile: string | null) =>
  openReader(recording(), { indexFile, onUnreadable: ({ message }) => expect.fail(message) });

beforeAll(async () => {
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-corpus-'));
  const target = recording();
  for (const segment of generateCorpus(CORPUS)) await put(target, segment);
  all = await readNaively(target);
  warm = open(path.join(directory, 'warm.db'));
}, 120_000);
afterAll(async () => {
  warm.close();
  await fs.rm(directory, { recursive: true });
});

/** One or more of what there is, some of it as a pattern, some of it nowhere. */
const some = (...values: readonly string[]) =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constant<string[]>([]) },
    {
      weight: 2,
      arbitrary: fc.array(
        fc.oneof(
          fc.constantFrom(...values),
          fc
            .tuple(fc.constantFrom(...values), fc.nat(6))
            .map(([value, length]) => `${value.slice(0, length)}*`),
          fc.constant('nowhere'),
        ),
        { minLength: 1, maxLength: 2 },
      ),
    },
  );
const names = PEOPLE.flatMap(({ name, subject, client_id }) => [name, subject, client_id]).filter(
  (name) => name !== null,
);
const moment = fc.oneof(
  { weight: 2, arbitrary: fc.constant(null) },
  {
    weight: 2,
    arbitrary: fc
      .integer({ min: 0, max: 31 * 24 * 60 })
      .map((minute) => new Date(Date.UTC(2026, 9, 1) + minute * 60_000).toISOString().replace('Z', '000Z')),
  },
);
const text = fc.oneof(
  { weight: 4, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fc.constantFrom(...WORDS) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constantFrom(...WORDS), fc.constantFrom(...WORDS)).map((two) => two.join(' ')),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(...WORDS), fc.constantFrom(...WORDS))
      .map((two) => `"${two.join(' ')}"`),
  },
  { weight: 1, arbitrary: fc.constantFrom('inv*', 'ZURICH', 'uber quart*', 'nothing', 'delete_r*') },
);
const filters = fc.record({
  between: fc.tuple(moment, moment).map(([one, other]) => {
    if (one === null || other === null || one === other)
      return { since: one, until: one === other ? null : other };
    return one < other ? { since: one, until: other } : { since: other, until: one };
  }),
  users: some(...names),
  groups: some(...GROUPS),
  tools: some(...TOOLS),
  methods: some('tools/call', 'initialize', 'sampling/createMessage', 'notifications/initialized', 'ping'),
  servers: some(...SERVERS),
  namespaces: some(...NAMESPACES),
  sessions: fc.oneof(
    { weight: 4, arbitrary: fc.constant<string[]>([]) },
    {
      weight: 1,
      arbitrary: fc.array(fc.stringMatching(/^h:[0-9a-f]{1,2}$/), { minLength: 1, maxLength: 2 }),
    },
  ),
  outcomes: fc.oneof(
    { weight: 3, arbitrary: fc.constant<Filter['outcomes']>([]) },
    {
      weight: 1,
      arbitrary: fc.subarray(['ok', 'error', 'denied', 'unknown', 'task'] as const, { minLength: 1 }),
    },
  ),
  text,
});
const searching = fc.record({
  limit: fc.oneof(fc.constant(null), fc.integer({ min: 1, max: 60 })),
  order: fc.constantFrom('newest' as const, 'oldest' as const),
});

/** Says which rows differ only when some do: comparing for people takes most of the time. */
function expectSame(found: readonly Row[], wanted: readonly Row[]): void {
  if (!isDeepStrictEqual(found, wanted)) expect(found).toEqual(wanted);
}

function expected(
  rows: readonly NaiveRow[],
  filter: Filter,
  of: { limit: number | null; order: string },
): Row[] {
  const found = rows.filter((row) => matchesNaively(row, filter)).map(({ row }) => row);
  return (of.order === 'newest' ? found.toReversed() : found).slice(0, of.limit ?? undefined);
}

describe('a search', () => {
  it('has a corpus with all kinds of rows, which verifies', async () => {
    expect(new Set(all.map(({ row }) => row.kind)).size).toBe(4);
    expect(all.length).toBeGreaterThan(25_000);
    expect((await verifyStore(recording())).explained).toBe(true);
  });

  it('finds all rows, in both orders', async () => {
    for (const order of ['newest', 'oldest'] as const) {
      const found = await Array.fromAsync(warm.search(EVERYTHING, { limit: null, order }));
      expectSame(found, expected(all, EVERYTHING, { limit: null, order }));
    }
  });

  it('answers each filter, alone and with others, as a naive reading does', async () => {
    let found = 0;
    await fc.assert(
      fc.asyncProperty(filters, searching, async (filter, of) => {
        const rows = await Array.fromAsync(warm.search(filter, of));
        found += rows.length;
        expectSame(rows, expected(all, filter, of));
      }),
      { numRuns: 60, seed: 1 },
    );
    expect(found).toBeGreaterThan(5_000);
  });

  it('answers the same with an empty index, and with one that other searches began to fill', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(filters, searching), { minLength: 1, maxLength: 3 }),
        async (asked) => {
          const cold = open(null);
          for (const [filter, of] of asked) {
            // A day or two: a whole store is read above.
            const since = filter.between.since ?? '2026-10-11T00:00:00.000000Z';
            const until = new Date(Date.parse(since) + 86_400_000).toISOString().replace('Z', '000Z');
            const narrow = { ...filter, between: { since, until } };
            expectSame(await Array.fromAsync(cold.search(narrow, of)), expected(all, narrow, of));
          }
          cold.close();
        },
      ),
      { numRuns: 12, seed: 2 },
    );
  });

  it('reads for the newest rows no more than it takes', async () => {
    let segments = 0;
    const cold = openReader(recording(), {
      indexFile: null,
      onUnreadable: ({ message }) => expect.fail(message),
      onProgress: (progress) => (segments = progress.segments),
    });
    const of = { limit: 50, order: 'newest' } as const;
    expectSame(await Array.fromAsync(cold.search(EVERYTHING, of)), expected(all, EVERYTHING, of));
    expect(segments).toBeGreaterThan(0);
    expect(segments).toBeLessThan(100);
    cold.close();
  });

  it('follows a store from which segments are removed, and to which others come', async () => {
    const segments = path.join(directory, 'recording/v1/segments');
    const files = (await fs.readdir(segments, { recursive: true }))
      .filter((file) => file.endsWith('.zst'))
      .sort();
    const removed = files.filter((_, n) => n % 17 === 0);
    const aside = path.join(directory, 'aside');
    await fs.mkdir(aside);
    for (const [n, file] of removed.entries())
      await fs.rename(path.join(segments, file), path.join(aside, String(n)));
    const left = await readNaively(recording());
    const everything = { limit: null, order: 'oldest' } as const;
    expectSame(
      await Array.fromAsync(warm.search(EVERYTHING, everything)),
      expected(left, EVERYTHING, everything),
    );
    for (const [n, file] of removed.entries())
      await fs.rename(path.join(aside, String(n)), path.join(segments, file));
    expectSame(
      await Array.fromAsync(warm.search(EVERYTHING, everything)),
      expected(all, EVERYTHING, everything),
    );
  });
});
