import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { nodeDirectoryFiles, type DirectoryFiles } from '@mcp-recorder/recording/store/directory-files';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import { StoreError, type ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFaultyFiles, type Fault } from './faulty-directory-files.ts';
import { put, sha256Of } from './object-store-contract.ts';
import { createVolatileDisk } from './volatile-disk.ts';

const OBJECTS = new Map(
  ['a/b/one', 'a/b/two', 'a/c/three'].map((key) => [key, Buffer.from(`contents of ${key} `.repeat(500))]),
);
const SHORT_WRITE_BYTES = 4_000;
const NO_FAULT: Fault = { kind: 'dies before' };

/** What an uploader does: each object until it is confirmed, one of them twice as after a lost answer. */
async function upload(store: ObjectStore, confirmed: Set<string>, retries: number): Promise<void> {
  for (const key of [...OBJECTS.keys(), 'a/b/one']) {
    const bytes = OBJECTS.get(key) as Buffer;
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await put(store, key, bytes);
        if (answer.outcome === 'exists') expect(answer.sha256).toBe(sha256Of(bytes));
        confirmed.add(key);
        break;
      } catch (error) {
        expect(error).toBeInstanceOf(StoreError);
        if (attempt >= retries) throw error;
      }
    }
  }
}

/** The oracle: what was confirmed is there, what is there is whole, and nothing else is there. */
async function expectConsistent(store: ObjectStore, confirmed: ReadonlySet<string>): Promise<void> {
  const found = new Set<string>();
  try {
    for await (const { key } of store.list('')) {
      found.add(key);
      expect(OBJECTS.has(key), `${key} was never put`).toBe(true);
      expect(sha256Of(await store.get(key)), `${key} is not whole`).toBe(
        sha256Of(OBJECTS.get(key) as Buffer),
      );
    }
  } catch (error) {
    // Not even the root had been made durable: then nothing may have been confirmed.
    if (!(error instanceof StoreError && error.operation === 'list' && error.code === 'not_found'))
      throw error;
  }
  expect(
    [...confirmed].filter((key) => !found.has(key)),
    'confirmed, but lost',
  ).toEqual([]);
}

async function countCalls(): Promise<number> {
  const faulty = createFaultyFiles(createVolatileDisk().files, Infinity, NO_FAULT, SHORT_WRITE_BYTES);
  await upload(createDirectoryStore('/new/store', faulty.files), new Set(), 0);
  return faulty.calls();
}

const calls = await countCalls();
const everyCall = Array.from({ length: calls }, (_, index) => index + 1);

describe('the directory store, with a fault at each of its primitives', () => {
  let root: string;
  beforeEach(async () => {
    root = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-faults-'));
  });
  afterEach(() => fs.rm(root, { recursive: true }));

  it('has enough calls to be worth it', () => {
    expect(calls).toBeGreaterThan(50);
  });

  describe.each(['EIO', 'ENOSPC', 'EACCES'] as const)('%s', (code) => {
    it.each(everyCall)('at call %d: says so, keeps what it confirmed, and a retry succeeds', async (at) => {
      const directory = path.join(root, 'new/store');
      const faulty = createFaultyFiles(nodeDirectoryFiles, at, { kind: 'fails', code }, SHORT_WRITE_BYTES);
      const store = createDirectoryStore(directory, faulty.files);
      const confirmed = new Set<string>();
      const error = await upload(store, confirmed, 0).catch((thrown: unknown) => thrown);
      if (error !== undefined) {
        const expected = { EIO: 'failed', ENOSPC: 'full', EACCES: 'denied' }[code];
        expect(error).toMatchObject({ name: 'StoreError', operation: 'put', code: expected });
        expect((error as StoreError).hint).not.toBe('');
      }
      await expectConsistent(createDirectoryStore(directory), confirmed);
      await upload(store, confirmed, 0);
      expect([...confirmed]).toEqual([...OBJECTS.keys()]);
      await expectConsistent(createDirectoryStore(directory), confirmed);
    });

    it.each(everyCall)('at call %d, then a power loss: what was confirmed is durable', async (at) => {
      const disk = createVolatileDisk();
      const faulty = createFaultyFiles(disk.files, at, { kind: 'fails', code }, SHORT_WRITE_BYTES);
      const confirmed = new Set<string>();
      await upload(createDirectoryStore('/new/store', faulty.files), confirmed, 1);
      const found = disk.afterPowerLoss('only what was synced');
      await expectConsistent(createDirectoryStore('/new/store', found.files), confirmed);
    });
  });

  describe.each(['dies before', 'dies after', 'dies half way'] as const)('a process that %s', (kind) => {
    /** Runs until the process is dead and answers what it had confirmed by then. */
    async function runUntilDead(files: DirectoryFiles, directory: string, at: number): Promise<Set<string>> {
      const faulty = createFaultyFiles(files, at, { kind }, SHORT_WRITE_BYTES);
      const confirmed = new Set<string>();
      const end = await Promise.race([
        faulty.dead,
        upload(createDirectoryStore(directory, faulty.files), confirmed, 0),
      ]);
      expect(end).toBe('dead');
      await faulty.bury();
      return confirmed;
    }

    it.each(everyCall)('call %d: the next process finds all that was confirmed and goes on', async (at) => {
      const directory = path.join(root, 'new/store');
      const confirmed = await runUntilDead(nodeDirectoryFiles, directory, at);
      const next = createDirectoryStore(directory);
      await expectConsistent(next, confirmed);
      await upload(next, confirmed, 0);
      await expectConsistent(next, confirmed);
    });

    it.each(everyCall)('call %d, restarts, and then the machine loses power', async (at) => {
      for (const spared of ['only what was synced', 'names but not contents'] as const) {
        const disk = createVolatileDisk();
        const confirmed = await runUntilDead(disk.files, '/store', at).catch(() => new Set<string>());
        const atOnce = disk.afterPowerLoss(spared);
        await expectConsistent(createDirectoryStore('/store', atOnce.files), confirmed);
        // The next process confirms what the dead one had linked but not synced: the answer `exists` must be durable too.
        await upload(createDirectoryStore('/store', disk.files), confirmed, 0);
        const later = disk.afterPowerLoss(spared);
        await expectConsistent(createDirectoryStore('/store', later.files), confirmed);
      }
    });
  });
});
