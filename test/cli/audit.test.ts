import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Line } from '@mcp-recorder/recording/format/line';
import { readSegments } from '@mcp-recorder/recording/read/store-reader';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { createS3Store } from '@mcp-recorder/recording/store/s3-store';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { store as put } from '../recording/stream-builder.ts';
import { createStreamBuilder } from '../recording/stream-builder.ts';
import { MINIO_REGION, startMinio } from '../support/minio.ts';
import { run, runWith } from './command.ts';
import { CALL, exchangeOf, type Recorded, recordIn, STREAM } from './recorded.ts';

const MAIN = path.join(import.meta.dirname, '../../cli/main.ts');
const READERS = 'cluster=local/namespace=mcp-recorder.readers/server=cli';
const SESSION = `h:${'5d'.repeat(16)}`;

let recorded: Recorded;
let directory: string;
beforeEach(async () => {
  recorded = await recordIn([exchangeOf({ exchange: CALL, answer: 'the secret answer' })]);
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-audit-'));
});
afterEach(async () => {
  await recorded.remove();
  await fs.rm(directory, { recursive: true });
});

async function readings(of: ObjectStore): Promise<Line[]> {
  const lines: Line[] = [];
  const options = { onUnreadable: ({ message }: { message: string }) => expect.fail(message) };
  for await (const { segment, lines: linesOf } of readSegments(of, options)) {
    if (!segment.key.includes(READERS)) continue;
    for (const { line } of linesOf()) lines.push(line);
  }
  return lines;
}
const readingsIn = (place: string) => readings(createDirectoryStore(place));
const configure = (text: string) => fs.writeFile(path.join(recorded.directory, 'v1/store.json'), text);

describe('--audit', () => {
  it('logs who read what: user, command, filter and sessions, as a stream that verifies', async () => {
    const { code, stdout } = await run(
      'sessions',
      recorded.directory,
      '--since',
      '2026-11-21',
      '--audit',
      directory,
    );
    expect([code, stdout]).toEqual([0, expect.stringContaining('ada@example.com')]);
    const lines = await readingsIn(directory);
    expect(lines.map(({ type }) => type)).toEqual([
      'open',
      'request',
      'seal',
      'open',
      'response',
      'result',
      'end',
      'seal',
    ]);
    const request = lines.find((line) => line.type === 'request');
    expect(request?.principal).toMatchObject({
      how: 'unverified',
      name: os.userInfo().username,
      issuer: os.hostname(),
    });
    expect(JSON.parse(request?.body ?? '')).toMatchObject({
      method: 'mcp-recorder/sessions',
      params: { store: recorded.directory, since: '2026-11-21' },
    });
    const response = lines.find((line) => line.type === 'response');
    expect(response?.body).toBe(`${JSON.stringify({ session: SESSION })}\n`);
    expect(lines.find((line) => line.type === 'result')).toMatchObject({
      outcome: 'ok',
      target: recorded.directory,
    });
    expect((await run('verify', directory, '--expect-closed')).code).toBe(0);
    expect((await run('sessions', directory)).stdout).toContain(os.userInfo().username);
  });

  it('names the exchange that was shown', async () => {
    await run('show', recorded.directory, CALL, '--audit', directory);
    expect(JSON.stringify(await readingsIn(directory))).toContain(CALL);
  });

  it('names what was shown until the reader closed the pipe', async () => {
    const args = [
      MAIN,
      'export',
      recorded.directory,
      '--as',
      'html',
      '--out',
      '-',
      '--no-index',
      '--audit',
      directory,
    ];
    const reader = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    reader.stdout.once('data', () => reader.stdout.destroy());
    await once(reader, 'close');
    const lines = await readingsIn(directory);
    expect(lines.at(-1)).toMatchObject({ type: 'seal', seal: { last: true } });
    expect(lines.find((line) => line.type === 'response')?.body).toContain(SESSION);
  });

  it('logs a reading that failed', async () => {
    const broken = recorded.objects[0] ?? '';
    await fs.rm(broken);
    await fs.mkdir(broken);
    expect((await run('verify', recorded.directory, '--audit', directory)).code).toBe(2);
    expect(await readingsIn(directory)).toContainEqual(
      expect.objectContaining({ type: 'result', outcome: 'error' }),
    );
  });

  it('shows nothing when it can not be logged', async () => {
    const file = path.join(directory, 'file');
    await fs.writeFile(file, '');
    const { code, stdout, stderr } = await run(
      'show',
      recorded.directory,
      CALL,
      '--audit',
      path.join(file, 'log'),
    );
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/can't be logged in .*, so nothing was read/);
  });

  it('refuses a place that it can not write to', async () => {
    const { code, stdout, stderr } = await run('show', recorded.directory, CALL, '--audit', 'gs://bucket/x');
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('The log of readers can\'t be in "gs://bucket/x"');
  });
});

describe('a store whose owner asks for it', () => {
  it('is read with a log in itself, beside the recordings', async () => {
    await configure('{"v":1,"audit":"self"}');
    expect((await run('show', recorded.directory, CALL)).code).toBe(0);
    const lines = await readingsIn(recorded.directory);
    expect(lines.filter(({ type }) => type === 'request')).toHaveLength(1);
    const { code, stdout } = await run('verify', recorded.directory);
    expect([code, stdout]).toEqual([0, expect.stringContaining('3 streams')]);
  });

  it('is logged there although the reader names another place, which is written too', async () => {
    const demanded = path.join(directory, 'demanded');
    const own = path.join(directory, 'own');
    await configure(JSON.stringify({ v: 1, audit: demanded }));
    expect((await run('show', recorded.directory, CALL, '--audit', own)).code).toBe(0);
    for (const place of [demanded, own]) expect(JSON.stringify(await readingsIn(place))).toContain(CALL);
  });

  it.each(['{"v":2,"audit":"self"}', '{"v":1,"audit":""}', 'audit: self', '{"v":1,"adit":"self"}'])(
    'is not read when what it asks for is not understood: %s',
    async (text) => {
      await configure(text);
      const { code, stdout, stderr } = await run('show', recorded.directory, CALL);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toContain('v1/store.json');
      expect(stderr).toContain('is not understood');
    },
  );
});

it('needs the right to put readings, which `bucket-policy --role reader --audit` gives, and no other', async () => {
  const minio = await startMinio();
  try {
    const prefix = randomUUID();
    const place = `s3://plain/${prefix}`;
    const root = createS3Store(minio.options('plain', prefix));
    const builder = createStreamBuilder({ stream: STREAM, startMs: Date.parse('2026-11-21T08:40:00Z') });
    await put(
      root,
      builder.segment(exchangeOf({ exchange: CALL, answer: 'the secret answer' }), { last: true }),
    );
    const show = async (name: string, ...more: string[]) => {
      const words = ['bucket-policy', place, '--role', 'reader', '--for', 'minio', ...more];
      const files = await minio.addUser(name, randomUUID(), JSON.parse((await run(...words)).stdout));
      const env = {
        AWS_ACCESS_KEY_ID: await fs.readFile(files.accessKeyId, 'utf8'),
        AWS_SECRET_ACCESS_KEY: await fs.readFile(files.secretAccessKey, 'utf8'),
      };
      const flags = ['--s3-endpoint', minio.endpoint, '--s3-region', MINIO_REGION, '--s3-path-style'];
      return await runWith(env, 'show', place, CALL, '--audit', place, ...flags);
    };
    const without = await show('plain-reader');
    expect([without.code, without.stdout]).toEqual([2, '']);
    expect(without.stderr).toContain("can't be logged");
    const granted = await show('logged-reader', '--audit');
    expect([granted.code, granted.stdout]).toEqual([0, expect.stringContaining('the secret answer')]);
    expect(JSON.stringify(await readings(root))).toContain(CALL);
  } finally {
    await minio.stop();
  }
});
