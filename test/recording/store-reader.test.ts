import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { LineDraft } from '@mcp-recorder/recording/format/line';
import { createUlidFactory } from '@mcp-recorder/recording/format/ulid';
import { findLastExchange, readExchange } from '@mcp-recorder/recording/read/exchange-reader';
import { listSessions } from '@mcp-recorder/recording/read/session-list';
import {
  listSegments,
  listSegmentsBackwards,
  readSegments,
  type Unreadable,
} from '@mcp-recorder/recording/read/store-reader';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toolCall } from './drafts.ts';
import { put } from './object-store-contract.ts';
import { ANONYMOUS, type BuiltSegment, createStreamBuilder, store } from './stream-builder.ts';

const FIRST = '01KAH3M8ZK4T9V2B6XN5R0WCEA';
const SECOND = '01KAH3M8ZK4T9V2B6XN5R0WCEB';
const START_MS = Date.UTC(2026, 10, 21, 8, 40);
const SESSION = { id: 'h:11', how: 'mcp-session-id' } as const;
const INFERRED = { id: 'h:00', how: 'address' } as const;

let root: string;
let target: ObjectStore;
let unreadable: Unreadable[];
let newId: () => string;
const onUnreadable = (problem: Unreadable) => void unreadable.push(problem);
beforeEach(async () => {
  root = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-reader-'));
  target = createDirectoryStore(root);
  unreadable = [];
  newId = createUlidFactory(() => START_MS);
});
afterEach(() => fs.rm(root, { recursive: true }));

async function textOf(options = {}): Promise<string[]> {
  const text: string[] = [];
  for await (const { lines } of readSegments(target, { onUnreadable, ...options })) {
    for (const { bytes } of lines()) text.push(bytes.toString());
  }
  return text;
}

describe('reading segments', () => {
  let segments: [BuiltSegment, BuiltSegment];
  beforeEach(async () => {
    const builder = createStreamBuilder({ stream: FIRST, startMs: START_MS });
    segments = [builder.segment(toolCall({ exchange: newId() })), builder.segment([], { last: true })];
    await store(target, ...segments);
  });

  it('gives every line as it was recorded, in order', async () => {
    expect(await textOf()).toEqual([...segments[0].lines, ...segments[1].lines]);
    expect(unreadable).toEqual([]);
  });

  it('gives one stream of many, or what began later', async () => {
    const later = createStreamBuilder({ stream: SECOND, startMs: START_MS + 60_000 }).segment([]);
    await store(target, later);
    expect(await textOf({ stream: SECOND })).toEqual(later.lines);
    expect(await textOf({ fromSecond: '20261121T084100Z' })).toEqual(later.lines);
    const keys = await Array.fromAsync(listSegments(target), ({ key }) => key);
    expect(keys).toEqual([...segments, later].map(({ key }) => key).toSorted());
  });

  it('gives only lines that contain a text, without reading the others', async () => {
    const found: number[] = [];
    for await (const { lines } of readSegments(target, { onUnreadable })) {
      for (const { index } of lines('"part":')) found.push(index);
    }
    expect(found).toEqual([1, 2, 3, 4]);
  });

  it('reports a damaged object and reads the others', async () => {
    await fs.truncate(path.join(root, segments[0].key), 50);
    expect(await textOf()).toEqual(segments[1].lines);
    expect(unreadable).toMatchObject([
      {
        key: segments[0].key,
        line: null,
        message: expect.stringContaining('is damaged: its frame is cut off'),
      },
    ]);
  });

  it('reports lines that are none and reads the others', async () => {
    const other = createStreamBuilder({ stream: SECOND, startMs: START_MS }).segment([]);
    const alien = ['', '[]', 'null', '{"v":2}', `{"v":1,"type":"request","stream":"${SECOND}"}`];
    await store(target, { ...other, lines: [...alien, ...other.lines] });
    expect(await textOf({ stream: SECOND })).toEqual(other.lines);
    expect(unreadable.map(({ line }) => line)).toEqual([0, 1, 2, 3, 4]);
  });

  it('reads a segment once that was stored twice, and the copy when the first is damaged', async () => {
    await store(target, { ...segments[0], key: segments[0].key.replace('.jsonl', '.r1.jsonl') });
    expect(await textOf()).toEqual([...segments[0].lines, ...segments[1].lines]);
    await fs.truncate(path.join(root, segments[0].key), 50);
    expect(await textOf()).toEqual([...segments[0].lines, ...segments[1].lines]);
    expect(unreadable).toHaveLength(1);
  });

  it('does not fetch an object that is larger than any segment', async () => {
    await fs.truncate(path.join(root, segments[0].key), 64 * 2 ** 20 + 1);
    const watched: ObjectStore = {
      ...target,
      get: (key, ...more) => {
        expect(key).not.toBe(segments[0].key);
        return target.get(key, ...more);
      },
    };
    const read = await Array.fromAsync(readSegments(watched, { onUnreadable }), ({ segment }) => segment.key);
    expect(read).toEqual([segments[1].key]);
    expect(unreadable[0]?.message).toMatch(/ is damaged: it has 67108865 bytes, more than any segment\.$/);
  });

  it('leaves out what is no segment and what was removed meanwhile', async () => {
    await fs.writeFile(path.join(root, 'v1/segments/cluster=local/README'), 'x');
    const vanishing: ObjectStore = {
      ...target,
      async get(key, signal) {
        await fs.rm(path.join(root, segments[0].key), { force: true });
        return await target.get(key, signal);
      },
    };
    const read = await Array.fromAsync(
      readSegments(vanishing, { onUnreadable }),
      ({ segment }) => segment.key,
    );
    expect(read).toEqual([segments[1].key]);
    expect(unreadable).toEqual([]);
  });
});

describe('reading an exchange', () => {
  it('joins its lines over segments, and only its own', async () => {
    const [exchange, other] = [newId(), newId()];
    const [request, response, result, end] = toolCall({ exchange, responseBody: `it mentions ${other}` });
    const builder = createStreamBuilder({ stream: FIRST, startMs: START_MS });
    const decoy = toolCall({ exchange: other, requestBody: `{"exchange":"${exchange}"}` });
    const first = builder.segment([request, ...decoy, response]);
    await store(target, first, builder.segment([]), builder.segment([result, end], { last: true }));
    const read = await readExchange(target, exchange, { onUnreadable });
    expect(read).toMatchObject({ exchange, stream: FIRST, complete: true, resultsElsewhere: [] });
    expect(read?.segment.key).toBe(first.key);
    expect(read?.lines.map(({ type }) => type)).toEqual(['request', 'response', 'result', 'end']);
    expect(read?.lines.map((line) => line.exchange)).toEqual(Array(4).fill(exchange));
  });

  it('says when the end has not been recorded, or a part is missing', async () => {
    const [cut, holed] = [newId(), newId()];
    const builder = createStreamBuilder({ stream: FIRST, startMs: START_MS });
    await store(
      target,
      builder.segment([
        ...toolCall({ exchange: cut }).slice(0, 2),
        ...toolCall({ exchange: holed }).toSpliced(1, 1),
      ]),
    );
    expect(await readExchange(target, cut, { onUnreadable })).toMatchObject({ complete: false });
    expect(await readExchange(target, holed, { onUnreadable })).toMatchObject({ complete: false });
  });

  it('finds results of its operations that came later, elsewhere or without bytes', async () => {
    const [exchange, later] = [newId(), newId()];
    const [request, response, result, end] = toolCall({ exchange });
    if (end.type !== 'end' || result.type !== 'result') throw new Error('not as drafted');
    const open: LineDraft = {
      ...end,
      part: 2,
      ended: { ...end.ended, parts: 3, open_operations: [`${exchange}.0`] },
    };
    const unanswered: LineDraft = {
      ...result,
      exchange: null,
      part: null,
      outcome: 'unknown',
      cause: 'timeout',
    };
    const builder = createStreamBuilder({ stream: FIRST, startMs: START_MS });
    const segments = [
      builder.segment([request, response, open]),
      builder.segment(toolCall({ exchange: later })),
      builder.segment([unanswered]),
    ];
    await store(target, ...segments);
    const read = await readExchange(target, exchange, { onUnreadable });
    expect(read).toMatchObject({
      complete: true,
      resultsElsewhere: [{ outcome: 'unknown', cause: 'timeout' }],
    });
  });

  it('finds an exchange whose id was made by a clock that was days ahead', async () => {
    const exchange = createUlidFactory(() => START_MS + 9 * 86_400_000)();
    await store(
      target,
      createStreamBuilder({ stream: FIRST, startMs: START_MS }).segment(toolCall({ exchange })),
    );
    expect(await readExchange(target, exchange, { onUnreadable })).toMatchObject({ complete: true });
  });

  it('does not read what was stored long before it', async () => {
    const exchange = newId();
    const old = createStreamBuilder({ stream: SECOND, startMs: START_MS - 7_200_000 }).segment([]);
    await store(
      target,
      old,
      createStreamBuilder({ stream: FIRST, startMs: START_MS }).segment(toolCall({ exchange })),
    );
    const read: string[] = [];
    const watched: ObjectStore = {
      ...target,
      get(key, signal) {
        read.push(key);
        return target.get(key, signal);
      },
    };
    expect(await readExchange(watched, exchange, { onUnreadable })).toMatchObject({ complete: true });
    expect(read).not.toContain(old.key);
    expect(read).toHaveLength(1);
  });

  it('answers null for an id that is not there or is none', async () => {
    await store(target, createStreamBuilder({ stream: FIRST, startMs: START_MS }).segment([]));
    expect(await readExchange(target, newId(), { onUnreadable })).toBeNull();
    expect(await readExchange(target, '"', { onUnreadable })).toBeNull();
  });

  it('finds the exchange that began last, in the newest segment that holds one', async () => {
    expect(await createdLast()).toBeNull();
    const [first, second, third] = [newId(), newId(), newId()];
    const builder = createStreamBuilder({ stream: FIRST, startMs: START_MS, server: 'zzz' });
    await store(target, builder.segment(toolCall({ exchange: first })));
    const newer = createStreamBuilder({ stream: SECOND, startMs: START_MS + 60_000, server: 'aaa' });
    const [request] = toolCall({ exchange: third });
    await store(target, newer.segment([...toolCall({ exchange: second }), request]));
    await store(target, createStreamBuilder({ stream: newId(), startMs: START_MS + 90_000 }).segment([]));
    expect(await createdLast()).toBe(third);

    for (const date of ['0000-00-00', '2026-11-99', '9999-99-99']) {
      const key = newer
        .segment([])
        .key.replaceAll('2026-11-21', date)
        .replaceAll('20261121', date.replaceAll('-', ''));
      await put(target, key, Buffer.from('no segment, and no date'));
    }
    expect(await createdLast()).toBe(third);

    async function createdLast() {
      await fs.mkdir(path.join(root, 'v1/segments'), { recursive: true });
      return await findLastExchange(target, { onUnreadable });
    }
  });
});

describe('the exchange that began last', () => {
  it('is found behind any number of segments that hold none, as a flood of refused requests leaves them', async () => {
    const exchange = newId();
    const builder = createStreamBuilder({ stream: FIRST, startMs: START_MS });
    const segments = Array.from({ length: 130 }, () => builder.segment([]));
    const old = createStreamBuilder({ stream: SECOND, startMs: START_MS - 60_000 });
    await store(target, old.segment(toolCall({ exchange })), ...segments);
    expect(await findLastExchange(target, { onUnreadable })).toBe(exchange);
  });
});

describe('listing from the newest', () => {
  it('begins with few servers at a time, however many there are', async () => {
    const builders = Array.from({ length: 60 }, (_, n) =>
      createStreamBuilder({ stream: newId(), startMs: START_MS + n * 1_000, server: `server-${n}` }),
    );
    await store(target, ...builders.map((builder) => builder.segment([])));
    let asking = 0;
    let most = 0;
    const counted: ObjectStore = {
      ...target,
      async *history(...asked) {
        asking += 1;
        most = Math.max(most, asking);
        const objects = target.history(...asked)[Symbol.asyncIterator]();
        const first = await objects.next();
        asking -= 1;
        for (let next = first; next.done !== true; next = await objects.next()) yield next.value;
      },
    };
    const found = await Array.fromAsync(listSegmentsBackwards(counted), ({ place }) => place.second);
    expect(found).toHaveLength(60);
    expect(found).toEqual(found.toSorted().toReversed());
    expect(most).toBeGreaterThan(8);
    expect(most).toBeLessThanOrEqual(16);
  });
});

describe('listing sessions', () => {
  const ADA = { ...ANONYMOUS, how: 'oidc', issuer: 'https://idp.example.com', subject: 'ada' } as const;

  it('counts an exchange once, for the session that the protocol names', async () => {
    const builder = createStreamBuilder({ stream: FIRST, startMs: START_MS });
    await store(
      target,
      builder.segment([
        ...toolCall({ exchange: newId(), session: INFERRED, answeredSession: SESSION, tool: 'a' }),
        ...toolCall({ exchange: newId(), session: SESSION, tool: 'b' }),
        ...toolCall({ exchange: newId(), session: SESSION, tool: 'b' }).slice(0, 1),
      ]),
    );
    expect(await listSessions(target, { onUnreadable })).toEqual([
      {
        session: SESSION,
        principal: ANONYMOUS,
        cluster: 'local',
        namespace: 'local',
        server: 'github',
        client: null,
        first: '2026-11-21T08:40:00.001000Z',
        last: '2026-11-21T08:40:00.009000Z',
        exchanges: 3,
        openExchanges: 1,
        tools: [
          { name: 'b', calls: 2 },
          { name: 'a', calls: 1 },
        ],
        otherCalls: 0,
      },
    ]);
  });

  it('keeps callers, servers and unnamed sessions apart, and orders by their beginning', async () => {
    const one = createStreamBuilder({ stream: FIRST, startMs: START_MS + 1_000, server: 'aaa' });
    const two = createStreamBuilder({ stream: SECOND, startMs: START_MS, server: 'bbb' });
    await store(
      target,
      one.segment([
        ...toolCall({ exchange: newId(), session: SESSION }),
        ...toolCall({ exchange: newId(), session: SESSION, principal: ADA }),
      ]),
      two.segment([...toolCall({ exchange: newId(), session: SESSION }), ...toolCall({ exchange: newId() })]),
    );
    const found = await listSessions(target, { onUnreadable });
    expect(found.map(({ server, principal, session }) => [server, principal.subject, session?.id])).toEqual([
      ['bbb', null, 'h:11'],
      ['bbb', null, undefined],
      ['aaa', null, 'h:11'],
      ['aaa', 'ada', 'h:11'],
    ]);
  });

  it.each([
    ['back', '2026-11-21T07:45:00'],
    ['forward', '2026-11-21T09:35:00'],
  ])('finds what was recorded after the clock was set %s within a segment', async (_, then) => {
    const built = createStreamBuilder({ stream: FIRST, startMs: START_MS }).segment(
      toolCall({ exchange: newId(), session: SESSION }),
    );
    const lines = built.lines.map((line, n) => (n === 0 ? line : line.replace('2026-11-21T08:40:00', then)));
    await store(target, { ...built, lines });
    const between = { since: `${then}.000000Z`, until: `${then}.500000Z` };
    expect(await listSessions(target, { onUnreadable, between })).toMatchObject([{ exchanges: 1 }]);
    expect(await findLastExchange(target, { onUnreadable, between })).not.toBeNull();
  });

  it('takes an end at the end of all times', async () => {
    await store(target, createStreamBuilder({ stream: FIRST, startMs: START_MS }).segment([]));
    const between = { since: null, until: '9999-12-31T23:59:59.999999Z' };
    expect(await listSessions(target, { onUnreadable, between })).toEqual([]);
  });

  it('joins a session over streams, as after a restart', async () => {
    for (const [stream, startMs] of [
      [FIRST, START_MS],
      [SECOND, START_MS + 60_000],
    ] as const) {
      const builder = createStreamBuilder({ stream, startMs });
      await store(target, builder.segment(toolCall({ exchange: newId(), session: SESSION })));
    }
    expect(await listSessions(target, { onUnreadable })).toMatchObject([
      { exchanges: 2, first: '2026-11-21T08:40:00.001000Z', last: '2026-11-21T08:41:00.004000Z' },
    ]);
  });

  it('names a hundred tools and counts the calls of the others', async () => {
    const calls = Array.from({ length: 130 }, (_, n) =>
      toolCall({ exchange: newId(), session: SESSION, tool: `tool ${n % 110}` }),
    );
    await store(target, createStreamBuilder({ stream: FIRST, startMs: START_MS }).segment(calls.flat()));
    const [session] = await listSessions(target, { onUnreadable });
    expect(session?.tools).toHaveLength(100);
    expect(session?.tools[0]?.calls).toBe(2);
    expect(session?.otherCalls).toBe(10);
  });
});
