import { execFileSync } from 'node:child_process';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeObjectStore, keysOf, put } from './object-store-contract.ts';

async function temporaryRoot(): Promise<string> {
  return await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-store-'));
}

describeObjectStore('the directory store', async () => {
  const root = await temporaryRoot();
  return { store: createDirectoryStore(root), dispose: () => fs.rm(root, { recursive: true }) };
});

describe('the directory store', () => {
  let root: string;
  beforeEach(async () => {
    root = await temporaryRoot();
  });
  afterEach(() => fs.rm(root, { recursive: true }));

  const bytes = Buffer.from('bytes');

  it('makes a root that is not there yet, and its parents', async () => {
    const store = createDirectoryStore(path.join(root, 'new/deep'));
    expect(await put(store, 'a/b', bytes)).toEqual({ outcome: 'created' });
    expect(await fs.readFile(path.join(root, 'new/deep/a/b'), 'utf8')).toBe('bytes');
  });

  it('says that the path is wrong when a store that is not there is listed', async () => {
    const store = createDirectoryStore(path.join(root, 'mistyped'));
    await expect(keysOf(store.list(''))).rejects.toMatchObject({
      code: 'not_found',
      operation: 'list',
      hint: expect.stringContaining('Check the path'),
    });
  });

  it('leaves no temporary file behind, and lists none that another left', async () => {
    const store = createDirectoryStore(root);
    await put(store, 'day/one', bytes);
    expect(await fs.readdir(path.join(root, 'day'))).toEqual(['one']);
    await fs.writeFile(path.join(root, 'day/.put-of-a-dead-process'), 'half');
    expect(await keysOf(store.list(''))).toEqual(['day/one']);
  });

  it('removes temporary files older than an hour, and no younger ones', async () => {
    await fs.mkdir(path.join(root, 'day'));
    for (const [name, ageMs] of [
      ['.put-old', 3_700_000],
      ['.put-young', 60_000],
      ['.not-ours', 3_700_000],
    ] as const) {
      await fs.writeFile(path.join(root, 'day', name), 'half');
      const time = new Date(Date.now() - ageMs);
      await fs.utimes(path.join(root, 'day', name), time, time);
    }
    await put(createDirectoryStore(root), 'day/one', bytes);
    expect((await fs.readdir(path.join(root, 'day'))).toSorted()).toEqual(['.not-ours', '.put-young', 'one']);
  });

  it('goes on when a directory that it had made is removed', async () => {
    const store = createDirectoryStore(root);
    await put(store, 'a/b/one', bytes);
    await fs.rm(path.join(root, 'a'), { recursive: true });
    expect(await put(store, 'a/b/two', bytes)).toEqual({ outcome: 'created' });
    expect(await keysOf(store.list(''))).toEqual(['a/b/two']);
  });

  it('takes neither links nor pipes nor directories for objects', async () => {
    const store = createDirectoryStore(root);
    await put(store, 'real', bytes);
    await fs.symlink('real', path.join(root, 'link'));
    await fs.symlink('.', path.join(root, 'loop'));
    execFileSync('mkfifo', [path.join(root, 'pipe')]);
    await fs.mkdir(path.join(root, 'directory'));
    expect(await keysOf(store.list(''))).toEqual(['real']);
    for (const key of ['link', 'pipe', 'directory']) {
      expect(await store.head(key)).toBeNull();
      await expect(store.get(key)).rejects.toMatchObject({ code: 'not_found' });
      await expect(put(store, key, bytes)).rejects.toMatchObject({ code: 'invalid' });
    }
  });

  it('answers with a code and a hint when a file stands where a directory is needed', async () => {
    const store = createDirectoryStore(root);
    await put(store, 'a', bytes);
    await expect(put(store, 'a/b', bytes)).rejects.toMatchObject({
      code: 'invalid',
      hint: expect.stringContaining('A file stands where the key needs a directory'),
    });
  });

  it('is shared by several writers at once, first directories included', async () => {
    const stores = Array.from({ length: 6 }, () => createDirectoryStore(path.join(root, 'shared')));
    const answers = await Promise.all(stores.map((store, n) => put(store, `x/y/z/${n}`, bytes)));
    expect(answers).toEqual(stores.map(() => ({ outcome: 'created' })));
    expect(await keysOf((stores[0] as (typeof stores)[0]).list(''))).toHaveLength(6);
  });
});
