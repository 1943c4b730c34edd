import { hash } from 'node:crypto';
import { segmentKey } from '@mcp-recorder/recording/format/keys';
import { type ObjectStore, StoreError } from '@mcp-recorder/recording/store/object-store';
import { describe, expect, test } from 'vitest';
import type { SealedObject } from '../../sidecar/spool/spool.ts';
import type { StoreWatch } from '../../sidecar/store-watch.ts';
import { createUploader } from '../../sidecar/upload.ts';
import { describeObjectStore } from '../recording/object-store-contract.ts';
import { createMoodyStore } from '../support/moody-store.ts';
import { eventually } from '../support/poll.ts';
import { createMemoryStore } from './memory-store.ts';
import { UNWATCHED } from './spool-process.ts';

const STREAM = '01KAH3M8ZK4T9V2B6XN5R0WCEA';
const bytesOf = (segment: number) => Buffer.from(`object ${segment}`);

function objectOf(segment: number, copy = 0): SealedObject {
  const bytes = bytesOf(segment);
  const place = { cluster: 'c', namespace: 'n', server: 's', time: '2026-11-21T08:40:00.000000Z' };
  return {
    stream: STREAM,
    segment,
    firstSeq: 0,
    lines: 1,
    how: 'size',
    key: segmentKey({ ...place, stream: STREAM, segment, copy }),
    path: '',
    inMemory: null,
    size: bytes.length,
    sha256: hash('sha256', bytes, 'hex'),
  };
}

/** A store that keeps no SHA-256. */
function forgetful(store: ObjectStore): ObjectStore {
  return {
    ...store,
    async putIfAbsent(...args) {
      const answer = await store.putIfAbsent(...args);
      return answer.outcome === 'exists' ? { ...answer, sha256: null } : answer;
    },
    async head(key) {
      const info = await store.head(key);
      return info === null ? null : { ...info, sha256: null };
    },
  };
}

function upload(
  store: ObjectStore,
  watch: Pick<StoreWatch, 'begin'> = UNWATCHED,
  nowMs = () => performance.now(),
) {
  const confirmed: number[] = [];
  const failures: string[] = [];
  const uploader = createUploader({
    store,
    watch,
    nowMs,
    read: async ({ segment }) => bytesOf(segment),
    confirmed: ({ segment }) => confirmed.push(segment),
    onFailure: (message, hint) => failures.push(`${message} | ${hint}`),
  });
  return { uploader, confirmed, failures };
}

describe('the uploader', () => {
  test('confirms an object when the store has created it, at most four on their way at once', async () => {
    const store = createMemoryStore();
    const puts: (() => void)[] = [];
    const slow: ObjectStore = {
      ...store,
      async putIfAbsent(...args) {
        await new Promise<void>((resolve) => puts.push(resolve));
        return await store.putIfAbsent(...args);
      },
    };
    const { uploader, confirmed } = upload(slow);
    for (let segment = 0; segment < 6; segment += 1) uploader.add(objectOf(segment));
    await eventually(() => puts.length === 4, { withinMs: 1000 });
    await new Promise((resolve) => setImmediate(resolve));
    expect([puts.length, uploader.waiting, confirmed]).toEqual([4, 6, []]);
    for (let i = 0; i < 6; i += 1)
      await eventually(() => puts.splice(0).map((go) => go()).length > 0 || confirmed.length === 6, {
        withinMs: 1000,
      });
    await eventually(() => confirmed.length === 6, { withinMs: 1000 });
    expect(store.objects.size).toBe(6);
    expect(uploader.waiting).toBe(0);
  });

  test('confirms an object that is there already with the same bytes, also when the store does not know its SHA-256', async () => {
    for (const knows of [true, false]) {
      const store = createMemoryStore();
      await store.putIfAbsent(objectOf(0).key, bytesOf(0), objectOf(0).sha256);
      const { uploader, confirmed, failures } = upload(knows ? store : forgetful(store));
      uploader.add(objectOf(0));
      await eventually(() => confirmed.length === 1, { withinMs: 1000 });
      expect(failures).toEqual([]);
      expect(store.objects.size).toBe(1);
    }
  });

  test('never overwrites a foreign object: stores beside it, and says so', async () => {
    for (const knows of [true, false]) {
      const store = createMemoryStore();
      const { key } = objectOf(0);
      const foreign = Buffer.from('foreign');
      await store.putIfAbsent(key, foreign, hash('sha256', foreign, 'hex'));
      const { uploader, confirmed, failures } = upload(knows ? store : forgetful(store));
      uploader.add(objectOf(0));
      await eventually(() => confirmed.length === 1, { withinMs: 1000 });
      expect(failures).toHaveLength(1);
      expect(failures[0]).toContain(key);
      expect(Buffer.from(store.objects.get(key) as Uint8Array)).toEqual(foreign);
      expect(Buffer.from(store.objects.get(objectOf(0, 1).key) as Uint8Array)).toEqual(bytesOf(0));
    }
  });

  test('tries again after a failure, tells it with its hint, and confirms only then', async () => {
    const store = createMemoryStore();
    let failing = 2;
    const flaky: ObjectStore = {
      ...store,
      async putIfAbsent(...args) {
        failing -= 1;
        if (failing >= 0) throw new StoreError('unreachable', 'put', args[0], 'Look at the network.');
        return await store.putIfAbsent(...args);
      },
    };
    const { uploader, confirmed, failures } = upload(flaky);
    uploader.add(objectOf(0));
    await eventually(() => confirmed.length === 1, { withinMs: 5000 });
    expect(failures).toHaveLength(2);
    expect(failures[0]).toContain('Look at the network.');
  });

  test('confirms nothing after it was closed', async () => {
    const store: ObjectStore = {
      ...createMemoryStore(),
      putIfAbsent: async (_key, _bytes, _sha256, signal) => {
        await new Promise((_, reject) =>
          signal?.addEventListener('abort', () => reject(new Error('aborted'))),
        );
        throw new Error('unreachable');
      },
    };
    const { uploader, confirmed, failures } = upload(store);
    uploader.add(objectOf(0));
    await new Promise((resolve) => setImmediate(resolve));
    await uploader.close();
    expect([confirmed, failures]).toEqual([[], []]);
  });
});

describeObjectStore('the store in memory', async () => ({
  store: createMemoryStore(),
  dispose: async () => {},
}));

describe('an uploader in trouble', () => {
  test('lets no object that fails hold up the others', async () => {
    const store = createMemoryStore();
    const { uploader, confirmed, failures } = upload({
      ...store,
      async putIfAbsent(key, ...rest) {
        if (Number(key.slice(-22, -10)) < 4)
          throw new StoreError('failed', 'put', key, 'a fault of this one');
        return await store.putIfAbsent(key, ...rest);
      },
    });
    for (let segment = 0; segment < 8; segment += 1) uploader.add(objectOf(segment));
    await eventually(() => confirmed.length === 4, { withinMs: 1_000 });
    expect(confirmed.toSorted()).toEqual([4, 5, 6, 7]);
    expect(failures.length).toBeGreaterThanOrEqual(4);
    expect(uploader.waiting).toBe(4);
    await uploader.close();
  });

  test('goes on at once, when the store is back, with what pauses', async () => {
    const moody = createMoodyStore(createMemoryStore());
    const { uploader, confirmed, failures } = upload(moody.store);
    moody.be('down');
    for (let segment = 0; segment < 40; segment += 1) uploader.add(objectOf(segment));
    // Some of them pause for seconds by now.
    await eventually(() => failures.length > 120, { withinMs: 10_000 });
    moody.be('well');
    const backMs = performance.now();
    uploader.resume(false);
    await eventually(() => confirmed.length === 40, { withinMs: 1_000 });
    expect(performance.now() - backMs).toBeLessThan(500);
    await uploader.close();
  }, 20_000);

  test('gives what hangs the time of a first attempt, when a store that was silent is back, and then begins it anew', async () => {
    const moody = createMoodyStore(createMemoryStore());
    let now = 0;
    const { uploader, confirmed } = upload(moody.store, UNWATCHED, () => now);
    moody.be('silent');
    uploader.add(objectOf(0));
    await eventually(() => moody.asked === 1, { withinMs: 1_000 });
    moody.be('held');
    now = 2_000;
    uploader.add(objectOf(1));
    await eventually(() => moody.asked === 2, { withinMs: 1_000 });
    now = 3_001;
    uploader.resume(false);
    await new Promise((resolve) => setImmediate(resolve));
    expect(moody.asked).toBe(2);
    uploader.resume(true);
    await eventually(() => moody.asked === 3, { withinMs: 1_000 });
    moody.be('well');
    await eventually(() => confirmed.length === 2, { withinMs: 1_000 });
    // The second was on its way for a second only: it was let be.
    expect(moody.asked).toBe(3);
    await uploader.close();
  });

  test('gives an attempt that has no answer up after three seconds, tells the watch, and tries again', async () => {
    const moody = createMoodyStore(createMemoryStore());
    const told: unknown[] = [];
    const watch = {
      begin: () => ({ ...UNWATCHED.begin(), failed: (error: unknown) => void told.push(error) }),
    };
    const { uploader, confirmed } = upload(moody.store, watch);
    moody.be('silent');
    uploader.add(objectOf(0));
    await eventually(() => told.length === 1, { withinMs: 6_000 });
    expect(told[0]).toMatchObject({ name: 'StoreError', code: 'timeout' });
    moody.be('well');
    await eventually(() => confirmed.length === 1, { withinMs: 1_000 });
    await uploader.close();
  });

  test('goes beside a key that is taken when it may not read by what', async () => {
    const store = createMemoryStore();
    await store.putIfAbsent(objectOf(0).key, bytesOf(0), objectOf(0).sha256);
    const denied = (key: string) => new StoreError('denied', 'head', key, 'no right to read');
    const { uploader, confirmed, failures } = upload({
      ...forgetful(store),
      head: (key) => Promise.reject(denied(key)),
      get: (key) => Promise.reject(denied(key)),
    });
    uploader.add(objectOf(0));
    await eventually(() => confirmed.length === 1, { withinMs: 1_000 });
    expect([...store.objects.keys()]).toEqual([objectOf(0).key, objectOf(0, 1).key]);
    expect(failures[0]).toContain('may not read by what');
  });
});
