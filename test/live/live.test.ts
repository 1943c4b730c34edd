import { once } from 'node:events';
import { stat, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/poll.ts';
import {
  createHeldFiles,
  startTestRecorder,
  type TestRecorder,
  type TestRecorderOptions,
} from '../support/recorder.ts';
import { call, type EchoServer, type LiveReader, readLive, startEcho, tokenOf } from './live-reader.ts';

let echo: EchoServer;
let recorder: TestRecorder;
const readers: LiveReader[] = [];
beforeAll(async () => {
  echo = await startEcho();
});
afterAll(() => echo.close());
afterEach(async () => {
  for (const reader of readers.splice(0)) reader.close();
  await recorder[Symbol.asyncDispose]();
});

async function start(options: Partial<TestRecorderOptions> = {}): Promise<void> {
  recorder = await startTestRecorder({ upstream: echo.origin, ...options });
}

async function read(query = '', token = tokenOf(recorder.directory)): Promise<LiveReader> {
  const reader = await readLive(recorder.statusOrigin, token, query);
  readers.push(reader);
  return reader;
}

const seqs = (reader: LiveReader): number[] =>
  reader.recorded().map((line) => (JSON.parse(line) as { seq: number }).seq);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, seq) => seq);
const whole = () => recorder.recorder.lines;

describe('the live endpoint', () => {
  it('gives nothing to who has not its token, which only its owner can read', async () => {
    await start();
    await call(recorder.origin, 'confidential');
    const file = path.join(recorder.directory, 'spool', 'live-token');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    for (const headers of [
      {},
      { authorization: 'Bearer wrong' },
      { authorization: tokenOf(recorder.directory) },
    ]) {
      const response = await fetch(`${recorder.statusOrigin}/live?stream=x`, { headers: { ...headers } });
      const text = await response.text();
      expect([response.status, text]).toEqual([401, expect.not.stringContaining('confidential')]);
    }
    await writeFile(file, 'short\n');
    const unusable = await fetch(`${recorder.statusOrigin}/live`, {
      headers: { authorization: 'Bearer short' },
    });
    expect(unusable.status).toBe(503);
  });

  it('gives lines when they are on disk and not before, and says where it begins and that it ends', async () => {
    const held = createHeldFiles();
    await start({ files: held.files });
    await call(recorder.origin, 'before');
    const reader = await read();
    await eventually(() => reader.all().length === 1, { withinMs: 5_000 });
    const { stream } = recorder.recorder;
    const begin = { live: 'begin', stream, next: 5, cluster: 'local', namespace: 'local', server: 'test' };
    expect(reader.all()).toEqual([begin]);
    held.hold();
    const answered = call(recorder.origin, 'hello');
    await eventually(() => held.waiting > 0, { withinMs: 5_000 });
    const other = await read(`?stream=${stream}&seq=-1`);
    await eventually(() => other.recorded().length === 5, { withinMs: 5_000 });
    expect([reader.recorded(), seqs(other)]).toEqual([[], upTo(5)]);
    held.release();
    expect(await answered).toBe('hello');
    await eventually(() => other.recorded().length === 9, { withinMs: 5_000 });
    const stored = await recorder.finish();
    await Promise.all([reader.ended, other.ended]);
    expect(other.recorded()).toEqual(stored.map((line) => JSON.stringify(line)));
    expect(reader.recorded()).toEqual(other.recorded().slice(5));
    expect(reader.all().at(-1)).toEqual({ live: 'end', reason: 'shutdown' });
  });

  it('goes on behind the line that the reader has, as long as the spool has the next', async () => {
    await start();
    for (let n = 0; n < 5; n += 1) await call(recorder.origin, `call ${n}`);
    const { stream } = recorder.recorder;
    const reader = await read(`?stream=${stream}&seq=7`);
    await eventually(() => reader.recorded().length === whole() - 8, { withinMs: 5_000 });
    await call(recorder.origin, 'later');
    await eventually(() => seqs(reader).at(-1) === whole() - 1, { withinMs: 5_000 });
    expect(seqs(reader)).toEqual(upTo(whole()).slice(8));
    const stranger = await read('?stream=01KAH3M8ZK4T9V2B6XN5R0WCEA&seq=7');
    await eventually(() => seqs(stranger).length === whole(), { withinMs: 5_000 });
    expect(stranger.all()[0]).toMatchObject({ live: 'begin', stream, next: 0 });
  });

  it('says where it begins when the spool has given up lines that the store has', async () => {
    await start({ recording: { commit: 'ObjectStorage' } });
    for (let n = 0; n < 6; n += 1) await call(recorder.origin, `call ${n}`);
    const reader = await read(`?stream=${recorder.recorder.stream}&seq=0`);
    await eventually(() => seqs(reader).at(-1) === whole() - 1, { withinMs: 5_000 });
    const begins = reader.all().filter(({ live }) => live === 'begin');
    expect(begins).toHaveLength(2);
    const next = begins[1]?.['next'] as number;
    expect(next).toBeGreaterThan(1);
    expect(seqs(reader)).toEqual(upTo(whole()).slice(next));
  });

  it('passes over no line in silence when a sync fails and the segment is sealed elsewhere', async () => {
    const held = createHeldFiles();
    await start({ files: held.files });
    const reader = await read(`?stream=${recorder.recorder.stream}&seq=-1`);
    await call(recorder.origin, 'before');
    held.failSyncs('EIO');
    await call(recorder.origin, 'lost').catch(() => null);
    held.failSyncs(null);
    await eventually(async () => (await call(recorder.origin, 'after')) === 'after', { withinMs: 20_000 });
    const stored = await recorder.finish();
    await reader.ended;
    const seal = stored.find((line) => line.type === 'seal' && line.seal.how === 'sync_failed');
    expect(seal).toBeDefined();
    // The store may have it before the reader is there: then the spool has it no more.
    const given = new Set(seqs(reader));
    const missing = stored.filter(({ seq }) => !given.has(seq));
    expect(missing).toEqual(missing.length === 0 ? [] : [seal]);
    const said = reader.all().filter(({ live, next }) => live === 'begin' && next === (seal?.seq ?? 0) + 1);
    expect(said).toHaveLength(missing.length);
  });

  it('lets go of a reader that does not read, and neither recording nor other readers wait for it', async () => {
    await start();
    const { port } = new URL(recorder.statusOrigin);
    const stuck = net.connect({ port: Number(port), host: '127.0.0.1' });
    stuck.on('error', () => {});
    stuck.pause();
    const token = tokenOf(recorder.directory);
    stuck.write(`GET /live HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${token}\r\n\r\n`);
    const reader = await read();
    await eventually(() => reader.all().length === 1, { withinMs: 5_000 });
    for (let n = 0; n < 24; n += 1) {
      expect(await call(recorder.origin, 'x'.repeat(1_000), 1_000)).toHaveLength(1_000_000);
    }
    await eventually(() => seqs(reader).at(-1) === whole() - 1, { withinMs: 10_000 });
    expect(seqs(reader)).toEqual(upTo(whole()));
    let tail = '';
    stuck.on('data', (piece) => {
      tail = (tail + piece.toString('latin1')).slice(-200);
    });
    stuck.resume();
    await once(stuck, 'close');
    expect(tail).toContain('{"live":"end","reason":"too_slow"}');
  });

  it('takes four readers and no more', async () => {
    await start();
    const four = await Promise.all([read(), read(), read(), read()]);
    expect(four.map(({ response }) => response.statusCode)).toEqual([200, 200, 200, 200]);
    expect((await read()).response.statusCode).toBe(503);
    four[0]?.close();
    await eventually(async () => (await read()).response.statusCode === 200, { withinMs: 5_000 });
  });
});
