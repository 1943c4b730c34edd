import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { createUlidFactory } from '@mcp-recorder/recording/format/ulid';
import { findLastExchange, readExchange } from '@mcp-recorder/recording/read/exchange-reader';
import { listSessions } from '@mcp-recorder/recording/read/session-list';
import { listSegments, listSegmentsBackwards } from '@mcp-recorder/recording/read/store-reader';
import { describe, expect, it } from 'vitest';
import { toolCall } from './drafts.ts';
import { createStreamBuilder, objectOf } from './stream-builder.ts';
import { createVastStore, VAST_SEGMENTS } from './vast-store.ts';

const EXCHANGE = '01KAH3MBWD0G6R4Y1S8T2V5Z9C';
const STREAM = '01KAH3M8ZK4T9V2B6XN5R0WCEA';
const NOON_MS = Date.UTC(2026, 0, 5, 12);
const object = objectOf(
  createStreamBuilder({ stream: STREAM, startMs: NOON_MS }).segment(toolCall({ exchange: EXCHANGE })).lines,
);
const onUnreadable = () => {};

/** In a thread with so little memory that a million of anything is too much. */
async function inLittleMemory(work: string): Promise<unknown> {
  const worker = new Worker(new URL('./million-process.ts', import.meta.url), {
    workerData: work,
    resourceLimits: { maxOldGenerationSizeMb: 48, maxYoungGenerationSizeMb: 16 },
  });
  const [answer] = await Promise.race([
    once(worker, 'message'),
    once(worker, 'error').then(([error]) => Promise.reject(error as Error)),
  ]);
  await worker.terminate();
  return answer;
}

describe('a million segments', () => {
  it('are gone through in bounded memory', async () => {
    expect(await inLittleMemory('list')).toBe(VAST_SEGMENTS);
  });

  it('of one stream are judged in bounded memory, in whatever order they come, and hide no hole', async () => {
    expect(await inLittleMemory('judge')).toMatchObject({
      before: {
        explained: false,
        streams: [{ state: 'tampered', findings: [{ code: 'missing_segment', segment: 500_000 }] }],
      },
      after: {
        explained: true,
        streams: [{ state: 'complete', segments: 1_000_000, lines: 10_000_000, findings: [] }],
      },
    });
  });
});

describe('reading a part of a vast store', () => {
  it('lists the wanted time of each server and little else', async () => {
    const store = createVastStore(object);
    const found = await Array.fromAsync(
      listSegments(store, { fromSecond: '20260105T235950Z', toSecond: '20260106T000010Z' }),
      ({ key }) => key.replace(/^.*server=(.*)\/date=.*\/(\w+)-.*$/, '$1 $2'),
    );
    expect(found).toEqual(
      ['a', 'b-2', 'b', 'c', 'd'].flatMap((server) => [
        `${server} 20260106T000000Z`,
        `${server} 20260106T000008Z`,
      ]),
    );
    expect(store.asked.listings).toBeLessThanOrEqual(11);
    expect(store.asked.keys).toBeLessThanOrEqual(20);
  });

  it('finds the newest without listing what is older than their day', async () => {
    const store = createVastStore(object);
    expect(await findLastExchange(store, { onUnreadable })).toBe(EXCHANGE);
    expect(store.asked.keys).toBeLessThan(5 * 1_000);
    expect(store.asked.listings).toBeLessThan(80);
  });

  it('goes backwards over servers and dates in the order of time', async () => {
    const store = createVastStore(object);
    const seconds: string[] = [];
    const range = { fromSecond: '20260105T230000Z', toSecond: '20260106T010000Z' };
    for await (const { place } of listSegmentsBackwards(store, range)) seconds.push(place.second);
    // A day ends at 22:13:12 here.
    expect(seconds).toHaveLength(5 * 451);
    expect(seconds).toEqual(seconds.toSorted().toReversed());
    expect([seconds[0], seconds.at(-1)]).toEqual(['20260106T010000Z', '20260106T000000Z']);
  });

  it('finds an exchange by the time in its id, and stops when it has all of it', async () => {
    const near = createUlidFactory(() => NOON_MS)();
    const store = createVastStore(
      objectOf(
        createStreamBuilder({ stream: STREAM, startMs: NOON_MS }).segment(toolCall({ exchange: near })).lines,
      ),
    );
    expect(await readExchange(store, near, { onUnreadable })).toMatchObject({
      exchange: near,
      complete: true,
    });
    // The first that is read holds it; the rest of what is asked for is read ahead.
    expect(store.asked.keys).toBeLessThan(50);
    expect(store.asked.listings).toBeLessThan(10);
  });

  it('summarizes the sessions of a time', async () => {
    const store = createVastStore(object);
    const between = { since: '2026-01-05T12:00:00.000000Z', until: '2026-01-05T12:01:00.000000Z' };
    const [session] = await listSessions(store, { onUnreadable, between });
    expect(session).toMatchObject({ exchanges: expect.any(Number), first: '2026-01-05T12:00:00.001000Z' });
    const later = { since: '2026-01-05T12:30:00.000000Z', until: '2026-01-05T12:31:00.000000Z' };
    expect(await listSessions(store, { onUnreadable, between: later })).toEqual([]);
    // An hour before and an hour after, twice.
    expect(store.asked.keys).toBeLessThan(5 * 2_000);
  });
});
