import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createPatientStore } from '@mcp-recorder/recording/read/patient-store';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import {
  type ObjectStore,
  StoreError,
  type StoreErrorCode,
} from '@mcp-recorder/recording/store/object-store';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { historyOf, keysOf, put } from './object-store-contract.ts';

const KEYS = ['a', 'b', 'c', 'd', 'e'];

let root: string;
let real: ObjectStore;
let pauses: number[];
const pause = async (ms: number) => void pauses.push(ms);
beforeEach(async () => {
  root = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-patient-'));
  real = createDirectoryStore(root);
  for (const key of KEYS) await put(real, key, Buffer.from(key));
  pauses = [];
});
afterEach(() => fs.rm(root, { recursive: true }));

/** The store with each of these failures once before what is asked for succeeds; listings fail after `given` more keys. */
function failing(codes: StoreErrorCode[], given = 0) {
  const left = [...codes];
  let asked = 0;
  const fail = () => {
    asked += 1;
    const code = left.shift();
    return code === undefined ? null : new StoreError(code, 'get', 'any', 'As ordered.');
  };
  async function* cut<Item>(items: AsyncIterable<Item>): AsyncIterable<Item> {
    const failure = fail();
    let n = 0;
    for await (const item of items) {
      if (failure !== null && n === given) throw failure;
      n += 1;
      yield item;
    }
    if (failure !== null) throw failure;
  }
  const before = async <T>(answer: () => Promise<T>): Promise<T> => {
    const failure = fail();
    if (failure !== null) throw failure;
    return await answer();
  };
  const store: ObjectStore = {
    ...real,
    get: (...get) => before(() => real.get(...get)),
    head: (...head) => before(() => real.head(...head)),
    putIfAbsent: (...all) => before(() => real.putIfAbsent(...all)),
    list: (...list) => cut(real.list(...list)),
    history: (...history) => cut(real.history(...history)),
  };
  return { store: createPatientStore(store, pause), asked: () => asked };
}

const ALL_PASSING: StoreErrorCode[] = ['throttled', 'failed', 'timeout', 'unreachable'];

describe('a patient store', () => {
  it('asks again for what passes by itself, after ever longer pauses', async () => {
    expect(Buffer.from(await failing(ALL_PASSING).store.get('a')).toString()).toBe('a');
    const bounds = [200, 500, 1_250, 3_000];
    expect(pauses).toHaveLength(bounds.length);
    for (const [n, most] of bounds.entries()) {
      expect(pauses[n]).toBeLessThanOrEqual(most);
      expect(pauses[n]).toBeGreaterThanOrEqual(most / 2);
    }
    expect(await failing(['clock_skew']).store.head('a')).toMatchObject({ key: 'a', size: 1 });
  });

  it('gives up after five attempts, with the last failure', async () => {
    const { store, asked } = failing([...ALL_PASSING, 'unreachable', 'timeout']);
    await expect(store.get('a')).rejects.toMatchObject({ code: 'unreachable' });
    expect(asked()).toBe(5);
  });

  it.each(['not_found', 'denied', 'credentials', 'misconfigured', 'full', 'invalid'] as const)(
    'does not ask again what stays: %s',
    async (code) => {
      const { store, asked } = failing([code]);
      await expect(store.get('a')).rejects.toMatchObject({ code });
      await expect(keysOf(failing([code]).store.list(''))).rejects.toMatchObject({ code });
      expect([asked(), pauses]).toEqual([1, []]);
    },
  );

  it('goes on with a listing after the last key that it gave, as long as it gets on', async () => {
    // Each attempt gives one key more: more failures than one thing may have.
    const cuts: StoreErrorCode[] = ['throttled', 'timeout', 'failed', 'unreachable', 'throttled'];
    expect(await keysOf(failing(cuts, 1).store.list(''))).toEqual(KEYS);
    expect((await historyOf(failing(cuts, 1).store.history(''))).map(({ key }) => key)).toEqual(KEYS);
    expect(await keysOf(failing(cuts.slice(1), 0).store.list('', { startAfter: 'b' }))).toEqual([
      'c',
      'd',
      'e',
    ]);
    await expect(keysOf(failing(cuts, 0).store.list(''))).rejects.toMatchObject({ code: 'throttled' });
  });

  it('stops for an aborted signal, with its reason', async () => {
    const stop = new AbortController();
    const store = createPatientStore(
      { ...real, get: () => Promise.reject(new StoreError('timeout', 'get', 'a', 'Wait.')) },
      async (_, signal) => {
        stop.abort(new Error('enough'));
        signal?.throwIfAborted();
      },
    );
    await expect(store.get('a', stop.signal)).rejects.toThrow('enough');
  });

  it('puts once', async () => {
    const { store, asked } = failing(['throttled']);
    await expect(put(store, 'new', Buffer.from('x'))).rejects.toMatchObject({ code: 'throttled' });
    expect(asked()).toBe(1);
  });
});
