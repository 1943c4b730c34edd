/**
 * With `commit: ObjectStorage` an append is answered when the object store has confirmed its lines and all before them.
 */
import { verifyStore } from '@mcp-recorder/recording/read/verify-store';
import { describe, expect, test } from 'vitest';
import { eventually } from '../support/poll.ts';
import { createCrashDisk } from './crash-disk.ts';
import { createHeldFiles } from './held-files.ts';
import { createHeldStore } from './held-store.ts';
import { type ProcessOptions, startProcess, tail } from './spool-process.ts';
import { namesOf, storedLines } from './stored-lines.ts';

async function begin(options: Partial<ProcessOptions> = {}) {
  const disk = createCrashDisk();
  const held = createHeldFiles(disk.start({ kind: 'none' }).files);
  const store = createHeldStore();
  const running = await startProcess({
    directory: '/spool',
    files: held.files,
    store: store.store,
    commit: 'ObjectStorage',
    ...options,
  });
  return { disk, files: held, store, ...running };
}

describe('a spool that commits to the object store', () => {
  test('answers no append before the store has confirmed it, though it is on disk', async () => {
    const { spool, store, append } = await begin();
    let answered = false;
    const answer = append([tail('a')]).then((error) => {
      answered = true;
      return error;
    });
    await eventually(() => store.waiting.length === 1, { withinMs: 2_000 });
    expect(spool.status().watermarks).toMatchObject({ synced: 3, acked: 0 });
    expect(answered).toBe(false);
    store.release(0);
    expect(await answer).toBeNull();
    expect(spool.status().watermarks).toMatchObject({ synced: 3, acked: 3 });
  });

  test('has four segments on their way, and collects what comes meanwhile in the next', async () => {
    const { spool, store } = await begin();
    for (let n = 0; n < 4; n += 1) {
      spool.append([tail(`n${n}`)], () => {});
      await eventually(() => store.waiting.length === n + 1, { withinMs: 2_000 });
    }
    const before = spool.status().watermarks.synced;
    const answers: string[] = [];
    for (const name of ['x', 'y']) {
      spool.append([tail(name)], () => answers.push(name));
      // Each comes to the disk by itself, in the one segment that is open.
      const { synced } = spool.status().watermarks;
      await eventually(() => spool.status().watermarks.synced > synced, { withinMs: 2_000 });
    }
    expect(spool.status().watermarks.synced).toBe(before + 3);
    expect(store.waiting).toHaveLength(4);
    store.release(0);
    await eventually(() => store.waiting.length === 4, { withinMs: 2_000 });
    expect(answers).toEqual([]);
    store.open();
    await eventually(() => answers.length === 2, { withinMs: 2_000 });
    expect(await spool.drain(AbortSignal.timeout(5_000))).toEqual({ uploaded: true, left: 0 });
    const report = await verifyStore(store.store, { expectClosed: true });
    expect(report.explained).toBe(true);
    expect(namesOf(await storedLines(store))).toEqual(['n0', 'n1', 'n2', 'n3', 'x', 'y']);
  });

  test('answers on the contiguous prefix only, in the order of the appends', async () => {
    const { spool, store } = await begin();
    const answers: number[] = [];
    for (let n = 0; n < 3; n += 1) {
      spool.append([tail(`n${n}`)], () => answers.push(n));
      await eventually(() => store.waiting.length === n + 1, { withinMs: 2_000 });
    }
    store.release(2);
    await eventually(() => spool.status().sealedWaiting === 2, { withinMs: 2_000 });
    expect(answers).toEqual([]);
    store.release(0);
    await eventually(() => answers.length === 1, { withinMs: 2_000 });
    expect(spool.status().sealedWaiting).toBe(1);
    store.release(0);
    await eventually(() => answers.length === 3, { withinMs: 2_000 });
    expect(answers).toEqual([0, 1, 2]);
  });

  test('answers what closes as soon as it is on disk: nobody is let go by it', async () => {
    const { append, store } = await begin();
    expect(await append([tail('end')], true)).toBeNull();
    expect(store.objects.size).toBe(0);
  });

  test('refuses those who wait when the store is given up, and says that their lines are recorded', async () => {
    const { spool, store, append } = await begin();
    const waiting = append([tail('a'), tail('b')]);
    await eventually(() => store.waiting.length === 1, { withinMs: 2_000 });
    spool.setAckPolicy({ kind: 'refuse', message: 'the store does not answer' });
    expect(await waiting).toMatchObject({
      code: 'not_stored',
      message: 'the store does not answer',
      durableLines: 2,
    });
    expect(await append([tail('c')])).toMatchObject({ code: 'not_stored', durableLines: 0 });
    spool.setAckPolicy({ kind: 'wait' });
    store.open();
    expect(await append([tail('d')])).toBeNull();
    await spool.drain(AbortSignal.timeout(5_000));
    expect(namesOf(await storedLines(store))).toEqual(['a', 'b', 'd']);
  });

  test('refuses in the order of the appends, also behind one that is on its way to the disk', async () => {
    const { spool, files } = await begin();
    const answers: string[] = [];
    files.hold();
    spool.append([tail('a')], (error) => answers.push(`a ${error?.code} ${error?.durableLines}`));
    await eventually(() => files.held === 1, { withinMs: 2_000 });
    spool.setAckPolicy({ kind: 'refuse', message: 'the store does not answer' });
    spool.append([tail('b')], (error) => answers.push(`b ${error?.code} ${error?.durableLines}`));
    await new Promise((resolve) => setImmediate(resolve));
    expect(answers).toEqual([]);
    files.release();
    await eventually(() => answers.length === 2, { withinMs: 2_000 });
    expect(answers).toEqual(['a not_stored 1', 'b not_stored 0']);
  });

  test('lets go with what the disk has when that was chosen', async () => {
    const { spool, store, append } = await begin();
    const waiting = append([tail('a')]);
    await eventually(() => store.waiting.length === 1, { withinMs: 2_000 });
    spool.setAckPolicy({ kind: 'pass' });
    expect(await waiting).toBeNull();
    expect(await append([tail('b')])).toBeNull();
  });

  test('keeps the order when an append is lost behind one that waits for the store', async () => {
    const { spool, store, files } = await begin();
    const answers: string[] = [];
    spool.append([tail('a')], (error) => answers.push(`a ${error?.code ?? 'ok'}`));
    await eventually(() => store.waiting.length === 1, { withinMs: 2_000 });
    files.failNext('syncData', 'EIO');
    spool.append([tail('b')], (error) => answers.push(`b ${error?.code ?? 'ok'}`));
    await eventually(() => spool.status().lastProblem !== null, { withinMs: 2_000 });
    expect(answers).toEqual([]);
    store.open();
    await eventually(() => answers.length === 2, { withinMs: 3_000 });
    expect(answers).toEqual(['a ok', 'b sync_failed']);
  });

  test('tells for how long the oldest line waits for the store', async () => {
    const { spool, store } = await begin();
    expect(spool.status().lagMs).toBe(0);
    spool.append([tail('a')], () => {});
    await eventually(() => store.waiting.length === 1, { withinMs: 2_000 });
    await eventually(() => spool.status().lagMs > 150, { withinMs: 2_000 });
    store.open();
    await eventually(() => spool.status().lagMs === 0, { withinMs: 2_000 });
  });

  test('leaves in the spool what the store did not take, and the next process stores it', async () => {
    const { spool, store, disk } = await begin();
    let answer: unknown = null;
    spool.append([tail('a')], (error) => {
      answer = error;
    });
    await eventually(() => store.waiting.length === 1, { withinMs: 2_000 });
    expect(await spool.drain(AbortSignal.timeout(50))).toMatchObject({ uploaded: false });
    await eventually(() => answer !== null, { withinMs: 2_000 });
    expect(answer).toMatchObject({ code: 'not_stored', durableLines: 1 });
    store.open();
    const next = await startProcess({
      directory: '/spool',
      files: disk.start({ kind: 'none' }).files,
      store: store.store,
    });
    await next.spool.drain(AbortSignal.timeout(5_000));
    expect(namesOf(await storedLines(store))).toEqual(['a']);
    expect((await verifyStore(store.store, { expectClosed: true })).explained).toBe(true);
  });
});
