import { verifyStore } from '@mcp-recorder/recording/read/verify-store';
import { describe, expect, test } from 'vitest';
import type { SpoolFiles } from '../../sidecar/spool/files.ts';
import { createCrashDisk } from './crash-disk.ts';
import { createMemoryStore } from './memory-store.ts';
import { SMALL, startProcess, tail } from './spool-process.ts';
import { namesOf, storedLines } from './stored-lines.ts';

/** Two processes that were killed, each with some lines on disk and nothing uploaded; then a third one. */
async function twoDead() {
  const disk = createCrashDisk();
  const store = createMemoryStore();
  const streams: string[] = [];
  for (const name of ['first', 'second']) {
    const process = disk.start({ kind: 'none' });
    const { list } = process.files;
    // Or the second one would recover the first.
    process.files.list = async (path) => (await list(path)).filter((found) => !streams.includes(found));
    const running = await startProcess({
      directory: '/spool',
      files: process.files,
      store,
      withoutUpload: true,
    });
    for (let i = 0; i < 6; i += 1) await running.append([tail(`${name}${i}`, 200)]);
    process.kill();
    streams.push(running.stream);
  }
  const { files } = disk.start({ kind: 'none' });
  const path = (stream: number) => `/spool/${streams[stream]}/000000000000.spool`;
  return { disk, store, streams, files, path };
}

async function overwrite(files: SpoolFiles, path: string, at: number, bytes: Uint8Array): Promise<void> {
  const fd = await files.openForWriting(path);
  await new Promise<void>((resolve, reject) => {
    files.write(fd, bytes, at, (error) => (error === null ? resolve() : reject(error)));
  });
}

async function recover(world: Awaited<ReturnType<typeof twoDead>>) {
  const running = await startProcess({ directory: '/spool', files: world.files, store: world.store });
  const drained = await running.spool.drain(AbortSignal.timeout(5000));
  const lines = await storedLines(world.store);
  return { ...running, drained, lines, report: await verifyStore(world.store, { expectClosed: true }) };
}

const six = (name: string) => Array.from({ length: 6 }, (_, i) => `${name}${i}`);

describe('recovery', () => {
  test('seals what killed processes left, names them in its own open line, and uploads all', async () => {
    const world = await twoDead();
    const { lines, report, drained, stream } = await recover(world);
    expect(drained.uploaded).toBe(true);
    expect(namesOf(lines)).toEqual([...six('first'), ...six('second')]);
    const open = lines.find((line) => line.type === 'open' && line.stream === stream);
    expect(open).toMatchObject({
      open: {
        previous_streams: world.streams.map((dead) => ({ stream: dead, segment: 0, how: 'recovered' })),
      },
    });
    const seals = lines.flatMap((line) =>
      line.type === 'seal' && line.stream !== stream ? [line.seal] : [],
    );
    expect(seals).toMatchObject([
      { how: 'recovered', last: false, recovered_by: stream },
      { how: 'recovered', last: false, recovered_by: stream },
    ]);
    expect(report).toMatchObject({ explained: true, findings: [] });
    expect(world.disk.paths()).toEqual([]);
  });

  test('cuts a torn last batch and keeps everything before it', async () => {
    const world = await twoDead();
    const bytes = await world.files.read(world.path(0));
    const torn = bytes.indexOf('first5') + 3;
    await overwrite(world.files, world.path(0), torn, Buffer.alloc(bytes.length - torn));
    const { lines, report } = await recover(world);
    expect(namesOf(lines)).toEqual([...six('first').slice(0, 5), ...six('second')]);
    expect(report).toMatchObject({ explained: true, findings: [] });
  });

  test('puts a file whose header is damaged into quarantine, says so in its open line, and recovers the others', async () => {
    const world = await twoDead();
    await overwrite(world.files, world.path(0), 20, Buffer.from('damage'));
    const { lines, report, spool, problems, stream } = await recover(world);
    expect(namesOf(lines)).toEqual(six('second'));
    expect(spool.status().quarantined).toBe(1);
    expect(problems.join()).toContain('quarantine');
    expect(world.disk.paths()).toEqual([`/spool/quarantine/${world.streams[0]}/000000000000.spool`]);
    expect(lines.find((line) => line.type === 'open' && line.stream === stream)).toMatchObject({
      open: {
        previous_streams: [
          { stream: world.streams[0], segment: 0, root: null, how: 'quarantined' },
          { stream: world.streams[1], segment: 0, how: 'recovered' },
        ],
      },
    });
    expect(report.streams.find((found) => found.stream === world.streams[0])).toMatchObject({
      state: 'lost',
    });
    expect(report.explained).toBe(true);
  });

  test('keeps what stands before a batch that the disk lost, states that more was there, and keeps the file', async () => {
    const world = await twoDead();
    const bytes = await world.files.read(world.path(0));
    await overwrite(world.files, world.path(0), bytes.indexOf('first3'), Buffer.from('FIRST3'));
    const { lines, report, stream } = await recover(world);
    expect(namesOf(lines)).toEqual([...six('first').slice(0, 3), ...six('second')]);
    expect(world.disk.paths()).toEqual([`/spool/quarantine/${world.streams[0]}/000000000000.spool`]);
    expect(lines.find((line) => line.type === 'open' && line.stream === stream)).toMatchObject({
      open: {
        previous_streams: [
          { stream: world.streams[0], segment: 0, how: 'recovered' },
          { stream: world.streams[0], segment: 1, root: null, how: 'quarantined' },
          { stream: world.streams[1], segment: 0, how: 'recovered' },
        ],
      },
    });
    expect(report.streams.find((found) => found.stream === world.streams[0])).toMatchObject({
      state: 'lost',
    });
    expect(report.explained).toBe(true);
  });

  test('is not stopped by a file that can not be read at all', async () => {
    const world = await twoDead();
    const { read } = world.files;
    world.files.read = async (path) => {
      if (path === world.path(0)) throw Object.assign(new Error('EIO: injected'), { code: 'EIO' });
      return await read(path);
    };
    const { lines, report } = await recover(world);
    expect(namesOf(lines)).toEqual(six('second'));
    expect(report.explained).toBe(true);
    expect(world.disk.paths()).toEqual([`/spool/quarantine/${world.streams[0]}/000000000000.spool`]);
  });

  test('gives the same root again when the process that recovers dies before it uploads', async () => {
    const world = await twoDead();
    const half = world.disk.start({ kind: 'none' });
    const recoverer = await startProcess({
      directory: '/spool',
      files: half.files,
      store: world.store,
      withoutUpload: true,
    });
    half.kill();
    const { lines, report } = await recover(world);
    expect(namesOf(lines)).toEqual([...six('first'), ...six('second')]);
    expect(report).toMatchObject({ explained: true, findings: [] });
    expect(report.streams.map(({ stream }) => stream)).toContain(recoverer.stream);
  });

  test('removes spares of another size and half-written files', async () => {
    const world = await twoDead();
    await world.files.createZeroed('/spool/spare-7', 100);
    await world.files.createZeroed(`/spool/${world.streams[0]}/000000000009.jsonl.zst.tmp`, 100);
    const { list } = world.files;
    const seen: string[] = [];
    world.files.rename = async (from) => {
      seen.push(from);
      throw Object.assign(new Error('EIO: injected'), { code: 'EIO' });
    };
    await startProcess({ directory: '/spool', files: world.files, store: world.store });
    expect(seen.filter((path) => path.includes('spare'))).toEqual([]);
    expect(world.disk.paths().filter((path) => path.includes('spare-7') || path.endsWith('.tmp'))).toEqual(
      [],
    );
    expect(await list('/spool')).not.toContain('spare-7');
  });

  test('refuses a memory file system unless it is asked for', async () => {
    const files: SpoolFiles = {
      ...createCrashDisk().start({ kind: 'none' }).files,
      fileSystemType: async () => 0x01021994,
    };
    const store = createMemoryStore();
    const start = (allowTmpfs: boolean) => startProcess({ directory: '/spool', files, store, allowTmpfs });
    await expect(start(false)).rejects.toMatchObject({ code: 'tmpfs' });
    expect(await (await start(true)).append([tail('a')])).toBeNull();
  });

  test('refuses a limit that can not hold what writing takes', async () => {
    const { files } = createCrashDisk().start({ kind: 'none' });
    const limits = { sizeLimit: 3 * (SMALL.segmentBytes + SMALL.reserveBytes) };
    const start = startProcess({ directory: '/spool', files, store: createMemoryStore(), limits });
    await expect(start).rejects.toMatchObject({ code: 'too_small' });
  });
});
