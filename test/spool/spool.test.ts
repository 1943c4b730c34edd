import type { Clock } from '@mcp-recorder/recording/format/time';
import { formatMicros } from '@mcp-recorder/recording/format/time';
import { verifyStore } from '@mcp-recorder/recording/read/verify-store';
import { describe, expect, test } from 'vitest';
import { eventually } from '../support/poll.ts';
import { createCrashDisk } from './crash-disk.ts';
import { createHeldFiles } from './held-files.ts';
import { createMemoryStore } from './memory-store.ts';
import { type ProcessOptions, SMALL, startProcess, tail } from './spool-process.ts';
import { namesOf, storedLines } from './stored-lines.ts';

async function begin(options: Partial<ProcessOptions> = {}) {
  const disk = createCrashDisk();
  const process = disk.start({ kind: 'none' });
  const held = createHeldFiles(process.files);
  const store = createMemoryStore();
  const running = await startProcess({ directory: '/spool', files: held.files, store, ...options });
  return { disk, process, held, store, ...running };
}

async function nextTurns(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe('a spool', () => {
  test('answers no append before the fdatasync of its lines, and lines that came meanwhile wait for the next', async () => {
    const { held, spool } = await begin();
    const answered: string[] = [];
    held.hold();
    spool.append([tail('a')], () => answered.push('a'));
    await eventually(() => held.held === 1, { withinMs: 1000 });
    spool.append([tail('b')], () => answered.push('b'));
    await nextTurns(20);
    expect(answered).toEqual([]);
    expect(spool.status().watermarks).toMatchObject({ synced: 0 });
    expect(held.syncs).toBe(1);
    held.release();
    await eventually(() => answered.length === 2, { withinMs: 1000 });
    expect(answered).toEqual(['a', 'b']);
    expect(held.syncs).toBe(2);
  });

  test('commits what came in one turn with one sync, and answers in the order of the appends', async () => {
    const { held, spool } = await begin();
    const answered: number[] = [];
    for (let i = 0; i < 10; i += 1) spool.append([tail(`n${i}`)], () => answered.push(i));
    expect(answered).toEqual([]);
    await eventually(() => answered.length === 10, { withinMs: 1000 });
    expect(answered).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(held.syncs).toBe(1);
    expect(spool.status().watermarks).toMatchObject({ appended: 11, synced: 11, acked: 0 });
  });

  test('answers an append that spans batches and segments after its last line', async () => {
    const { held, store, spool, append } = await begin();
    const lines = Array.from({ length: 60 }, (_, i) => tail(`s${i}`, 800));
    expect(await append(lines)).toBeNull();
    expect(held.syncs).toBeGreaterThan(5);
    expect(await spool.drain(AbortSignal.timeout(5000))).toEqual({ uploaded: true, left: 0 });
    expect(namesOf(await storedLines(store))).toEqual(lines.map((_, i) => `s${i}`));
  });

  test('seals a segment at its size, chains it to the one before, and keeps seq and order over all of them', async () => {
    const { store, stream, spool, append, disk } = await begin();
    const names = Array.from({ length: 120 }, (_, i) => `l${i}`);
    expect(await Promise.all(names.map((name) => append([tail(name, 500)])))).toEqual(names.map(() => null));
    await eventually(() => spool.status().watermarks.acked > 0, { withinMs: 1000 });
    await spool.drain(AbortSignal.timeout(5000));
    const lines = await storedLines(store);
    expect(lines.map(({ seq }) => seq)).toEqual(lines.map((_, i) => i));
    expect(namesOf(lines)).toEqual(names);
    const seals = lines.flatMap((line) => (line.type === 'seal' ? [line.seal] : []));
    expect(seals.map(({ how }) => how)).toEqual([...seals.slice(1).map(() => 'size'), 'shutdown']);
    expect(seals.map(({ last }) => last)).toEqual([...seals.slice(1).map(() => false), true]);
    expect(seals.length).toBeGreaterThan(4);
    expect(await verifyStore(store, { expectClosed: true })).toMatchObject({
      explained: true,
      streams: [{ stream, state: 'complete', findings: [] }],
    });
    expect(spool.status().watermarks).toEqual({
      appended: lines.length,
      synced: lines.length,
      acked: lines.length,
    });
    expect(disk.paths()).toEqual([]);
  });

  test('seals a segment at its age when it has traffic, and opens none while there is no traffic', async () => {
    const { store, append, handedOver, spool } = await begin({ limits: { sealAfterMs: 20 } });
    await append([tail('a')]);
    await eventually(() => spool.status().watermarks.acked === 3, { withinMs: 2000 });
    expect(handedOver.map(({ how, lines }) => ({ how, lines }))).toEqual([{ how: 'age', lines: 3 }]);
    await append([tail('b')]);
    await eventually(() => spool.status().watermarks.acked === 6, { withinMs: 2000 });
    expect((await storedLines(store)).map(({ type }) => type)).toEqual([
      'open',
      'gap',
      'seal',
      'open',
      'gap',
      'seal',
    ]);
  });

  test('writes nothing for a process that recorded nothing', async () => {
    const { store, spool, disk } = await begin();
    expect(await spool.drain(AbortSignal.timeout(5000))).toEqual({ uploaded: true, left: 0 });
    expect(store.objects.size).toBe(0);
    expect(disk.paths()).toEqual([]);
  });

  test('ends the stream with a segment that says so, also when the one before was sealed by age', async () => {
    const { store, append, spool } = await begin({ limits: { sealAfterMs: 10 } });
    await append([tail('a')]);
    await eventually(() => spool.status().watermarks.acked === 3, { withinMs: 2000 });
    await spool.drain(AbortSignal.timeout(5000));
    expect((await storedLines(store)).map(({ type }) => type)).toEqual([
      'open',
      'gap',
      'seal',
      'open',
      'seal',
    ]);
    expect(await verifyStore(store, { expectClosed: true })).toMatchObject({ explained: true });
  });

  test('takes what was appended before a drain and refuses what comes after', async () => {
    const { store, append, spool } = await begin();
    const before = append([tail('before')]);
    const drained = spool.drain(AbortSignal.timeout(5000));
    const after = append([tail('after')]);
    expect(await before).toBeNull();
    expect(await after).toMatchObject({ code: 'drained' });
    await drained;
    expect(namesOf(await storedLines(store))).toEqual(['before']);
  });

  test('asks for further lines before each seal, and seals them with the segment', async () => {
    let asked = 0;
    const { store, append, spool } = await begin({ beforeSeal: () => [tail(`asked${asked++}`)] });
    for (let i = 0; i < 8; i += 1) await append([tail(`a${i}`, 5000)]);
    await spool.drain(AbortSignal.timeout(5000));
    const lines = await storedLines(store);
    const beforeSeals = lines.flatMap(({ type }, i) =>
      type === 'seal' ? namesOf(lines.slice(i - 1, i)) : [],
    );
    expect(beforeSeals.length).toBeGreaterThan(2);
    expect(beforeSeals.filter((name) => !name.startsWith('asked'))).toEqual([]);
    expect(namesOf(lines).filter((name) => name.startsWith('asked'))).toHaveLength(asked);
    expect(await verifyStore(store, { expectClosed: true })).toMatchObject({ explained: true });
  });

  test('gives up a drain at its deadline and says what is left, which the next process uploads', async () => {
    const { disk, store, append, spool } = await begin({ withoutUpload: true });
    await append([tail('a')]);
    expect(await spool.drain(AbortSignal.timeout(100))).toEqual({ uploaded: false, left: 1 });
    const next = await startProcess({
      directory: '/spool',
      files: disk.start({ kind: 'none' }).files,
      store,
    });
    expect(await next.spool.drain(AbortSignal.timeout(5000))).toEqual({ uploaded: true, left: 0 });
    expect(namesOf(await storedLines(store))).toEqual(['a']);
    expect(await verifyStore(store, { expectClosed: true })).toMatchObject({ explained: true });
  });

  test('leaves what it could not seal by the deadline of a drain to the next process', async () => {
    const { disk, held, store, append, spool } = await begin();
    await append([tail('a')]);
    held.hold();
    const late = append([tail('late')]);
    await eventually(() => held.held === 1, { withinMs: 1000 });
    expect(await spool.drain(AbortSignal.timeout(50))).toEqual({ uploaded: false, left: 1 });
    expect(await late).toMatchObject({ code: 'drained' });
    held.release();
    await nextTurns(100);
    const { files } = disk.start({ kind: 'none' });
    const next = await startProcess({ directory: '/spool', files, store });
    expect(await next.spool.drain(AbortSignal.timeout(5000))).toEqual({ uploaded: true, left: 0 });
    expect(namesOf(await storedLines(store))).toEqual(['a', 'late']);
    expect(await verifyStore(store, { expectClosed: true })).toMatchObject({ explained: true });
  });

  test('keeps lines that are longer than a batch or a segment', async () => {
    const { store, append, spool } = await begin();
    expect(await append([tail('long', 1_500_000), tail('after')])).toBeNull();
    await spool.drain(AbortSignal.timeout(5000));
    expect(namesOf(await storedLines(store))).toEqual(['long', 'after']);
    expect(await verifyStore(store, { expectClosed: true })).toMatchObject({ explained: true });
  });

  test('states a step of the clock before the next line, also where a segment begins with it', async () => {
    let us = 1_700_000_000_000_000;
    let stepBy = 0;
    const clock: Clock = {
      next() {
        us += 10;
        const from = stepBy === 0 ? null : formatMicros(us);
        us += stepBy;
        stepBy = 0;
        return { time: formatMicros(us), steppedFrom: from };
      },
      monotonicUs: () => us,
    };
    const { store, append, spool } = await begin({ clock, limits: { sealAfterMs: 10 } });
    await append([tail('a')]);
    stepBy = -5_000_000;
    await append([tail('b')]);
    await eventually(() => spool.status().watermarks.acked > 0, { withinMs: 2000 });
    stepBy = -7_000_000;
    await append([tail('c')]);
    await spool.drain(AbortSignal.timeout(5000));
    const lines = await storedLines(store);
    const steps = lines.flatMap((line) => (line.type === 'config' ? [line.config.kind] : []));
    expect(steps).toEqual(['clock', 'clock']);
    expect(await verifyStore(store, { expectClosed: true })).toMatchObject({ explained: true, findings: [] });
  });

  test('uses the files of finished segments again and never shows what stood in them', async () => {
    const { disk, process, store, append, spool } = await begin();
    for (let i = 0; i < 40; i += 1) await append([tail(`old${i}`, 3000)]);
    await eventually(() => spool.status().watermarks.acked > 20, { withinMs: 5000 });
    await append([tail('new')]);
    // The file that was written to last still holds frames of its first use.
    process.kill();
    const next = await startProcess({
      directory: '/spool',
      files: disk.start({ kind: 'none' }).files,
      store,
    });
    await next.spool.drain(AbortSignal.timeout(5000));
    const names = namesOf(await storedLines(store));
    expect(names).toEqual([...Array.from({ length: 40 }, (_, i) => `old${i}`), 'new']);
  });
});

describe('a spool that can not write', () => {
  test('fails what waited for a sync that failed, seals what was on disk before, and goes on in a new file', async () => {
    const { held, store, stream, states, append, spool } = await begin();
    expect(await append([tail('kept')])).toBeNull();
    held.failNext('syncData', 'EIO');
    expect(await append([tail('lost')])).toMatchObject({ code: 'sync_failed', durableLines: 0 });
    expect(states).toEqual(['spool_failed']);
    expect(await append([tail('refused')])).toMatchObject({ code: 'closed' });
    await eventually(() => states.at(-1) === 'writable', { withinMs: 2000 });
    expect(await append([tail('again')])).toBeNull();
    await spool.drain(AbortSignal.timeout(5000));
    const lines = await storedLines(store);
    expect(namesOf(lines)).toEqual(['kept', 'again']);
    expect(lines.flatMap((line) => (line.type === 'seal' ? [line.seal.how] : []))).toEqual([
      'sync_failed',
      'shutdown',
    ]);
    expect(lines.map(({ seq }) => seq)).toEqual(lines.map((_, i) => i));
    expect(await verifyStore(store, { expectClosed: true })).toMatchObject({
      explained: true,
      streams: [{ stream, state: 'complete' }],
    });
  });

  test('never writes to or syncs a file again after a failure', async () => {
    const { held, states, append, spool } = await begin();
    await append([tail('a')]);
    const used: number[] = [];
    const { write, syncData } = held.files;
    held.files.write = (fd, ...rest) => {
      used.push(fd);
      write(fd, ...rest);
    };
    held.files.syncData = (fd, done) => {
      used.push(fd);
      syncData(fd, done);
    };
    held.failNext('write', 'EIO');
    await append([tail('b')]);
    const failed = used.at(-1);
    used.length = 0;
    await eventually(() => states.at(-1) === 'writable', { withinMs: 2000 });
    await append([tail('c')]);
    await spool.drain(AbortSignal.timeout(5000));
    expect(used.length).toBeGreaterThan(2);
    expect(used).not.toContain(failed);
  });

  test('tells how many lines of a long append are on disk all the same', async () => {
    const { held, store, append, spool } = await begin();
    const lines = Array.from({ length: 30 }, (_, i) => tail(`s${i}`, 800));
    const { syncData } = held.files;
    let syncs = 0;
    held.files.syncData = (fd, done) => {
      syncs += 1;
      if (syncs === 2) held.failNext('syncData', 'EIO');
      syncData(fd, done);
    };
    const error = await append(lines);
    expect(error).toMatchObject({ code: 'sync_failed' });
    expect(error?.durableLines).toBeGreaterThan(0);
    await spool.drain(AbortSignal.timeout(5000));
    expect(namesOf(await storedLines(store))).toEqual(
      lines.slice(0, error?.durableLines).map((_, i) => `s${i}`),
    );
  });

  test('keeps closing lines while it can not write, and writes them first when it can again', async () => {
    const { held, store, states, append, spool } = await begin();
    await append([tail('a')]);
    held.refuseSpace('EIO');
    held.failNext('syncData', 'EIO');
    await append([tail('lost')]);
    const closing = append([tail('closing')], true);
    expect(await append([tail('refused')])).toMatchObject({ code: 'closed' });
    expect(states).toEqual(['spool_failed']);
    held.refuseSpace(null);
    expect(await closing).toBeNull();
    expect(states).toEqual(['spool_failed', 'writable']);
    await spool.drain(AbortSignal.timeout(5000));
    expect(namesOf(await storedLines(store))).toEqual(['a', 'closing']);
  });

  test('refuses closing lines beyond what it can keep in memory', async () => {
    const { held, append, spool } = await begin();
    await append([tail('a')]);
    held.refuseSpace('EIO');
    held.failNext('syncData', 'EIO');
    await append([tail('lost')]);
    const kept = append([tail('kept', 600_000)], true);
    expect(await append([tail('too much', 600_000)], true)).toMatchObject({ code: 'closed' });
    held.refuseSpace(null);
    expect(await kept).toBeNull();
    await spool.drain(AbortSignal.timeout(5000));
  });

  test('is full when neither limit nor disk allow another file: calls are refused, closing lines use the reserve, and space reopens it', async () => {
    const { held, store, states, append, spool } = await begin();
    await append([tail('a')]);
    held.refuseSpace('ENOSPC');
    let error = null;
    for (let i = 0; i < 40 && error === null; i += 1) error = await append([tail(`n${i}`, 900)]);
    expect(error).toMatchObject({ code: 'full' });
    expect(states).toEqual(['spool_full']);
    expect(await append([tail('end')], true)).toBeNull();
    expect(await append([tail('refused')])).toMatchObject({ code: 'full' });
    held.refuseSpace(null);
    await eventually(() => states.at(-1) === 'writable', { withinMs: 7000 });
    expect(await append([tail('after')])).toBeNull();
    await spool.drain(AbortSignal.timeout(5000));
    const names = namesOf(await storedLines(store));
    expect(names.slice(-2)).toEqual(['end', 'after']);
    expect(await verifyStore(store, { expectClosed: true })).toMatchObject({ explained: true });
  });

  test('takes what is appended when there is room again, also while the full segment is being sealed', async () => {
    const { held, append } = await begin();
    held.refuseSpace('ENOSPC');
    for (let n = 0; (await append([tail(`n${n}`, 1_000)])) === null; n += 1) expect(n).toBeLessThan(100);
    held.hold();
    held.refuseSpace(null);
    await eventually(() => held.held === 1, { withinMs: 7_000 });
    const after = append([tail('after')]);
    held.release();
    expect(await after).toBeNull();
  });

  test('refuses what was appended behind a refused append before that one was answered, although there is room by then', async () => {
    const { held, process, stream, spool, append } = await begin();
    held.refuseSpace('ENOSPC');
    for (let n = 0; (await append([tail(`n${n}`, 1_000)])) === null; n += 1) expect(n).toBeLessThan(100);
    // Closing lines still fit: with one of them on its way to the disk, a call is refused and not yet told.
    held.hold();
    const answers: string[] = [];
    const note = (name: string) => (error: { code: string } | null) =>
      answers.push(`${name} ${error === null ? 'kept' : error.code}`);
    spool.append([tail('end')], note('end'), { closing: true });
    spool.append([tail('first')], note('first'));
    await eventually(() => held.held === 1, { withinMs: 1_000 });
    spool.append([tail('behind')], note('behind'));
    held.refuseSpace(null);
    const segmentFiles = async () =>
      (await process.files.list(`/spool/${stream}`)).filter((name) => name.endsWith('.spool'));
    await eventually(async () => (await segmentFiles()).length === 2, { withinMs: 7_000 });
    held.release();
    await eventually(() => answers.length === 3, { withinMs: 5_000 });
    expect(answers).toEqual(['end kept', 'first full', 'behind full']);
  });

  test('never holds more than its limit, and takes lines again as soon as uploads free space', async () => {
    const sizeLimit = 5 * (SMALL.segmentBytes + SMALL.reserveBytes);
    const { disk, store, states, append, spool, handedOver, uploader } = await begin({
      withoutUpload: true,
      limits: { sizeLimit },
    });
    let error = null;
    let name = 0;
    const random = () => Math.random().toString(36).slice(2).padEnd(12, '0').repeat(1);
    for (; name < 2000 && error === null; name += 1) {
      const noise = Array.from({ length: 150 }, random).join('');
      error = await append([tail(`n${name}`).replace(' "', ` ${noise}"`)]);
      expect(spool.status().bytes).toBeLessThanOrEqual(sizeLimit);
    }
    expect(error).toMatchObject({ code: 'full' });
    expect(disk.paths().length).toBeGreaterThan(0);
    await eventually(() => spool.status().sealedWaiting === handedOver.length, { withinMs: 2000 });
    for (const object of handedOver.splice(0)) uploader.add(object);
    await eventually(() => states.at(-1) === 'writable', { withinMs: 7000 });
    const writable = await append([tail('after')]);
    expect(writable).toBeNull();
    let drained = false;
    const drain = spool.drain(AbortSignal.timeout(8000)).finally(() => {
      drained = true;
    });
    await eventually(
      () => {
        for (const object of handedOver.splice(0)) uploader.add(object);
        return drained;
      },
      { withinMs: 9000 },
    );
    expect(await drain).toEqual({ uploaded: true, left: 0 });
    expect(namesOf(await storedLines(store)).length).toBe(name);
  });

  test('opens although the disk gives it no file, says so at once, and takes lines when the disk does', async () => {
    const disk = createCrashDisk();
    const held = createHeldFiles(disk.start({ kind: 'none' }).files);
    held.refuseSpace('ENOSPC');
    const store = createMemoryStore();
    const { states, append, spool } = await startProcess({ directory: '/spool', files: held.files, store });
    expect(states).toEqual(['spool_full']);
    expect(await append([tail('refused')])).toMatchObject({ code: 'full' });
    held.refuseSpace(null);
    await eventually(() => states.at(-1) === 'writable', { withinMs: 2000 });
    expect(await append([tail('a')])).toBeNull();
    await spool.drain(AbortSignal.timeout(5000));
  });
});
