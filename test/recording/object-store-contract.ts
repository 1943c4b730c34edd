/**
 * Owns what every adapter of the object store must do. Each adapter's test calls `describeObjectStore`.
 * Invariant: only the published contract is used here, so that a new adapter needs no change of this file.
 */
import { createHash, randomBytes } from 'node:crypto';
import { canaryKey } from '@mcp-recorder/recording/format/keys';
import type { ObjectHistory, ObjectInfo, ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

export interface StoreUnderTest {
  store: ObjectStore;
  dispose(): Promise<void>;
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function put(store: ObjectStore, key: string, bytes: Uint8Array, signal?: AbortSignal) {
  return store.putIfAbsent(key, bytes, sha256Of(bytes), signal);
}

export async function keysOf(objects: AsyncIterable<ObjectInfo>): Promise<string[]> {
  const keys: string[] = [];
  for await (const object of objects) keys.push(object.key);
  return keys;
}

export async function historyOf(objects: AsyncIterable<ObjectHistory>): Promise<ObjectHistory[]> {
  const found: ObjectHistory[] = [];
  for await (const object of objects) found.push(object);
  return found;
}

const text = (value: string) => Buffer.from(value);

/** @param makeStore an empty store that takes puts */
export function describeObjectStore(name: string, makeStore: () => Promise<StoreUnderTest>): void {
  describe(`${name} keeps the object store contract`, () => {
    let store: ObjectStore;
    let dispose: () => Promise<void>;
    beforeEach(async () => {
      ({ store, dispose } = await makeStore());
    });
    afterEach(() => dispose());

    it('gives back the bytes that were put, and their size', async () => {
      const bytes = randomBytes(100_000);
      expect(await put(store, 'v1/segments/cluster=a/one.jsonl.zst', bytes)).toEqual({ outcome: 'created' });
      expect(Buffer.from(await store.get('v1/segments/cluster=a/one.jsonl.zst')).equals(bytes)).toBe(true);
      const info = await store.head('v1/segments/cluster=a/one.jsonl.zst');
      expect(info).toMatchObject({ key: 'v1/segments/cluster=a/one.jsonl.zst', size: 100_000 });
      expect([null, sha256Of(bytes)]).toContain(info?.sha256);
    });

    it.each([0, 1, 5_000_000])('keeps an object of %d bytes', async (size) => {
      const bytes = randomBytes(size);
      await put(store, 'object', bytes);
      expect(Buffer.from(await store.get('object')).equals(bytes)).toBe(true);
      expect((await store.head('object'))?.size).toBe(size);
    });

    it('says that an absent object is absent', async () => {
      await put(store, 'a/b', text('x'));
      expect(await store.head('a/c')).toBeNull();
      await expect(store.get('a/c')).rejects.toMatchObject({
        name: 'StoreError',
        code: 'not_found',
        operation: 'get',
        key: 'a/c',
      });
      expect(await store.head('a')).toBeNull();
      await expect(store.get('a')).rejects.toMatchObject({ code: 'not_found' });
      expect(await store.head('a/b/c')).toBeNull();
      await expect(store.get('a/b/c')).rejects.toMatchObject({ code: 'not_found' });
    });

    it('never overwrites, and says whose bytes are there', async () => {
      const first = text('first');
      await put(store, 'k/object', first);
      for (const bytes of [first, text('second, and longer')]) {
        const answer = await put(store, 'k/object', bytes);
        expect(answer.outcome).toBe('exists');
        if (answer.outcome === 'exists') expect([null, sha256Of(first)]).toContain(answer.sha256);
      }
      expect(Buffer.from(await store.get('k/object')).toString()).toBe('first');
    });

    it('lets exactly one of many writers of a key win', async () => {
      const writers = Array.from({ length: 12 }, (_, n) => text(`writer ${n}`.repeat(1_000)));
      const answers = await Promise.all(writers.map((bytes) => put(store, 'race/object', bytes)));
      const winners = writers.filter((_, n) => answers[n]?.outcome === 'created');
      expect(winners).toHaveLength(1);
      expect(Buffer.from(await store.get('race/object')).equals(winners[0] as Buffer)).toBe(true);
    });

    it('refuses bytes that do not have the announced SHA-256', async () => {
      await expect(store.putIfAbsent('object', text('abd'), sha256Of(text('abc')))).rejects.toMatchObject({
        name: 'StoreError',
        code: 'invalid',
      });
      expect(await store.head('object')).toBeNull();
      expect(await keysOf(store.list(''))).toEqual([]);
    });

    it('shows a reader a whole object or none', async () => {
      const bytes = randomBytes(8_000_000);
      const writing = put(store, 'object', bytes).then(() => true);
      for (let done = false; !done; done = await Promise.race([writing, Promise.resolve(false)])) {
        const seen = await store.get('object').catch((error: unknown) => error);
        if (seen instanceof Uint8Array) expect(sha256Of(seen)).toBe(sha256Of(bytes));
        else expect(seen).toMatchObject({ code: 'not_found' });
        const info = await store.head('object');
        if (info !== null) expect(info.size).toBe(bytes.length);
      }
    });

    it.each([
      '',
      '/',
      '/absolute',
      'ends/',
      'two//slashes',
      '../up',
      'a/../../up',
      'a/./b',
      '.put-hidden',
      'a/.hidden',
      'nul\0',
      '\ud800',
      'x'.repeat(256),
      Array.from({ length: 11 }, () => 'y'.repeat(100)).join('/'),
    ])('refuses the key %j', async (key) => {
      await expect(put(store, key, text('x'))).rejects.toMatchObject({ name: 'StoreError', code: 'invalid' });
      await expect(store.get(key)).rejects.toMatchObject({ code: 'invalid', operation: 'get' });
      await expect(store.head(key)).rejects.toMatchObject({ code: 'invalid', operation: 'head' });
      expect(await keysOf(store.list(''))).toEqual([]);
    });

    it('lists in byte order of the keys, across the borders of directories', async () => {
      const keys = [
        'a b',
        'a%2Fb',
        'a-b/c',
        'a.b',
        'a/b',
        'a/b-c',
        'a/b.d/e',
        'a/c=1/d',
        'a0',
        'ab/c',
        'b',
        'é/x',
        '\ufffd/x',
        '😀/x',
      ];
      for (const key of keys.toReversed()) await put(store, key, text(key));
      const listed: ObjectInfo[] = [];
      for await (const object of store.list('')) listed.push(object);
      const sorted = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(listed.map((object) => object.key)).toEqual(sorted);
      for (const { key, size } of listed) expect(size).toBe(Buffer.byteLength(key));
      for (const [index, key] of sorted.entries()) {
        expect(await keysOf(store.list('', { startAfter: key }))).toEqual(sorted.slice(index + 1));
      }
      for (const startAfter of ['a/', 'a/b.', 'a/b.d/', 'a/zz', 'zz']) {
        const expected = sorted.filter(
          (key) => Buffer.compare(Buffer.from(key), Buffer.from(startAfter)) > 0,
        );
        expect(await keysOf(store.list('', { startAfter }))).toEqual(expected);
      }
    });

    it('lists only what begins with the prefix, wherever the prefix ends', async () => {
      for (const key of ['v1/canary', 'v1/seg', 'v1/segments/a', 'v1/segments/b/c', 'v10/x', 'w']) {
        await put(store, key, text('x'));
      }
      expect(await keysOf(store.list('v1/segments/'))).toEqual(['v1/segments/a', 'v1/segments/b/c']);
      expect(await keysOf(store.list('v1/seg'))).toEqual(['v1/seg', 'v1/segments/a', 'v1/segments/b/c']);
      expect(await keysOf(store.list('v1'))).toEqual([
        'v1/canary',
        'v1/seg',
        'v1/segments/a',
        'v1/segments/b/c',
        'v10/x',
      ]);
      expect(await keysOf(store.list('v1/segments/b/c'))).toEqual(['v1/segments/b/c']);
      expect(await keysOf(store.list('nothing'))).toEqual([]);
    });

    it('lists everything, or nothing, after a key that does not begin with the prefix', async () => {
      for (const key of ['v1/a', 'v1/b', 'v2/a']) await put(store, key, text('x'));
      expect(await keysOf(store.list('v1/', { startAfter: 'v0/z' }))).toEqual(['v1/a', 'v1/b']);
      expect(await keysOf(store.list('v1/', { startAfter: 'v1' }))).toEqual(['v1/a', 'v1/b']);
      expect(await keysOf(store.list('v1/', { startAfter: 'v1/a' }))).toEqual(['v1/b']);
      expect(await keysOf(store.list('v1/', { startAfter: 'v2/' }))).toEqual([]);
    });

    it('knows one version of each object that nobody overwrote, in the order of a listing', async () => {
      const keys = ['a b', 'a-b/c', 'a/b', 'a/b-c', 'a0', 'é/x', '\ufffd/x', '😀/x'];
      for (const key of keys) await put(store, key, text(key));
      const found = await historyOf(store.history(''));
      expect(found.map(({ key }) => key)).toEqual(await keysOf(store.list('')));
      expect(found.map(({ key }) => key).toSorted()).toEqual(keys.toSorted());
      for (const { key, versions } of found) {
        expect(versions).toEqual([expect.objectContaining({ kind: 'object', size: Buffer.byteLength(key) })]);
        const [version] = versions;
        expect(Buffer.from(await store.get(key, undefined, version?.version)).toString()).toBe(key);
        if (version?.time != null)
          expect(Math.abs(Date.parse(version.time) - Date.now())).toBeLessThan(60_000);
      }
      const keysAfter = async (prefix: string, startAfter: string) =>
        (await historyOf(store.history(prefix, { startAfter }))).map(({ key }) => key);
      expect(await keysAfter('', 'a/b')).toEqual(await keysOf(store.list('', { startAfter: 'a/b' })));
      expect(await keysAfter('a/', 'a/b')).toEqual(['a/b-c']);
      expect(await keysAfter('a/', '')).toEqual(['a/b', 'a/b-c']);
      expect(await keysAfter('a/', 'b')).toEqual([]);
    });

    it('finds out what the store does, as often as it is asked, with one object', async () => {
      const facts = await store.probe();
      expect(['Locked', 'Conditional', 'None']).toContain(facts.immutability);
      expect([true, false, null]).toContain(facts.versioned);
      for (const note of facts.notes) expect(note).toMatch(/^[A-Z].*\.$/);
      expect(await store.probe()).toEqual(facts);
      expect(await historyOf(store.history(''))).toEqual([
        { key: canaryKey(), versions: [expect.anything()] },
      ]);
    });

    it('lists more objects than one page holds, each once', async () => {
      const keys = Array.from({ length: 1_050 }, (_, n) => `many/${String(n).padStart(6, '0')}`);
      for (let n = 0; n < keys.length; n += 50) {
        await Promise.all(keys.slice(n, n + 50).map((key) => put(store, key, text(key))));
      }
      expect(await keysOf(store.list('many/'))).toEqual(keys);
      expect(await keysOf(store.list('many/', { startAfter: keys[999] as string }))).toEqual(
        keys.slice(1_000),
      );
      expect((await historyOf(store.history('many/'))).map(({ key }) => key)).toEqual(keys);
    }, 60_000);

    it('stops for an aborted signal and stores nothing', async () => {
      const reason = new Error('shutting down');
      const signal = AbortSignal.abort(reason);
      await expect(put(store, 'object', text('x'), signal)).rejects.toThrow('shutting down');
      await expect(store.get('object', signal)).rejects.toThrow('shutting down');
      await expect(store.head('object', signal)).rejects.toThrow('shutting down');
      await expect(keysOf(store.list('', { signal }))).rejects.toThrow('shutting down');
      await expect(historyOf(store.history('', { signal }))).rejects.toThrow('shutting down');
      await expect(store.probe(signal)).rejects.toThrow('shutting down');
      expect(await store.head('object')).toBeNull();
    });

    it('names itself for messages', () => {
      expect(store.location).not.toBe('');
    });
  });
}
