import { randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { createS3Store } from '@mcp-recorder/recording/store/s3-store';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createStreamBuilder, store } from '../recording/stream-builder.ts';
import { freePort, startProcess } from '../support/child-process.ts';
import { MINIO_REGION, type Minio, startMinio } from '../support/minio.ts';
import { s3Error, startS3Faults } from '../support/s3-faults.ts';
import { type ServerProcess, startEverythingProcess } from '../support/server-process.ts';
import { runWith } from './command.ts';
import { CALL, exchangeOf, STREAM } from './recorded.ts';

const MAIN = path.join(import.meta.dirname, '../../cli/main.ts');

let minio: Minio;
let server: ServerProcess;
let directory: string;
let env: Record<string, string>;
let flags: string[];
beforeAll(async () => {
  [minio, server] = await Promise.all([startMinio(), startEverythingProcess()]);
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-s3-'));
  env = {
    AWS_ACCESS_KEY_ID: minio.rootUser,
    AWS_SECRET_ACCESS_KEY: minio.rootSecret,
    XDG_STATE_HOME: path.join(directory, 'state'),
  };
  flags = ['--s3-endpoint', minio.endpoint, '--s3-region', MINIO_REGION, '--s3-path-style'];
});
afterAll(async () => {
  await Promise.all([minio.stop(), server.stop()]);
  await fs.rm(directory, { recursive: true });
});

const read = (...words: string[]) => runWith(env, ...words, ...flags);

async function callEcho(url: string): Promise<unknown> {
  const client = new Client({ name: 'test', version: '1.0.0' });
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  try {
    return await client.callTool({ name: 'echo', arguments: { message: 'to the bucket' } });
  } finally {
    await client.close();
  }
}

describe('a bucket', () => {
  it.each(['plain', 'versioned', 'locked'])(
    'takes the recording of a real server, and gives it to every reading command: %s',
    async (bucket) => {
      const place = `s3://${bucket}/${randomUUID()}`;
      const record = [
        'record',
        '--upstream',
        server.url,
        '--store',
        place,
        '--name',
        bucket,
        '--anonymous',
        ...flags,
      ];
      const recorder = await startProcess({
        args: [MAIN, ...record, '--listen', '127.0.0.1:0'],
        env,
        ready: /Ctrl-C or SIGTERM/,
      });
      const url = /clients connect to +(\S+)/.exec(recorder.stdout())?.[1] ?? '';
      expect(JSON.stringify(await callEcho(url))).toContain('Echo: to the bucket');
      const { code } = await recorder.stop('SIGTERM');
      expect([code, recorder.output()]).toEqual([0, expect.stringContaining(` in ${place} (stream `)]);
      await fs.access(path.join(directory, 'state/mcp-recorder/spool', bucket));

      // The command that it names works as it stands.
      const named = /Verify with: mcp-recorder (.*)\n/.exec(recorder.stdout())?.[1]?.split(' ') ?? [];
      const verified = await runWith(env, ...named, '--expect-closed');
      expect(verified).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('All is explained: 1 stream'),
      });

      const list = JSON.parse((await read('sessions', place, '--json')).stdout);
      expect(list.store).toBe(place);
      expect(list.sessions.flatMap((session: { tools: unknown[] }) => session.tools)).toEqual([
        { name: 'echo', calls: 1 },
      ]);
      const shown = await read('show', place);
      expect(shown).toMatchObject({ code: 0, stderr: '' });
      const row = shown.stdout.split('\n').find((line) => line.includes('tools/call echo')) ?? '';
      const exchange = row.split(/ {2,}/).at(-1) ?? '';
      expect((await read('show', place, exchange)).stdout).toContain('answer  Echo: to the bucket');

      const proof = path.join(directory, `${bucket}.json`);
      const proven = await read('verify', place, '--exchange', exchange, '--proof', proof);
      expect(proven).toMatchObject({ code: 0, stderr: '' });
      expect((await runWith(env, 'verify-proof', proof)).code).toBe(0);
    },
  );

  it('shows what happened in a time, and nothing of another', async () => {
    const prefix = randomUUID();
    const place = `s3://plain/${prefix}`;
    const builder = createStreamBuilder({ stream: STREAM, startMs: Date.parse('2026-11-21T08:40:00Z') });
    const target = createS3Store(minio.options('plain', prefix));
    await store(target, builder.segment(exchangeOf({ exchange: CALL, answer: 'a' }), { last: true }));
    const day = ['--since', '2026-11-21', '--until', '2026-11-21'];
    const later = ['--since', '2026-11-21T08:41:00Z'];
    expect((await read('show', place, ...day)).stdout).toContain(CALL);
    expect((await read('show', place, '--last', ...day)).stdout).toContain(`Exchange  ${CALL}`);
    expect((await read('show', place, ...later)).stdout).toContain('No operation has ended in s3://plain/');
    expect((await read('show', place, '--last', ...later)).code).toBe(1);
    expect(JSON.parse((await read('sessions', place, '--json', ...day)).stdout).sessions).toHaveLength(1);
    expect((await read('sessions', place, ...later)).stdout).toContain(' in that time');
    const both = await read('show', place, CALL, ...day);
    expect([both.code, both.stderr]).toEqual([
      2,
      expect.stringContaining('go with --last, a session or the list'),
    ]);
  });
});

describe('a bucket that falters', () => {
  it('is asked again by every reading command', async () => {
    const prefix = randomUUID();
    const builder = createStreamBuilder({ stream: STREAM, startMs: Date.parse('2026-11-21T08:40:00Z') });
    const target = createS3Store(minio.options('plain', prefix));
    await store(target, builder.segment(exchangeOf({ exchange: CALL, answer: 'a' }), { last: true }));
    const faults = await startS3Faults(minio.port);
    try {
      const through = ['--s3-endpoint', faults.endpoint, ...flags.slice(2)];
      for (const words of [['verify'], ['sessions'], ['show'], ['show', CALL]]) {
        const [command = '', ...more] = words;
        faults.once(s3Error(503, 'SlowDown'));
        faults.once(s3Error(500, 'InternalError'), ({ url }) => url.includes('versions'));
        faults.once({ kind: 'cut' }, ({ url }) => url.includes('.jsonl.zst'));
        const answer = await runWith(env, command, `s3://plain/${prefix}`, ...more, ...through);
        expect([words, answer.code, answer.stderr]).toEqual([words, 0, '']);
      }
    } finally {
      await faults.close();
    }
  });
});

describe('a bucket that can not be read', () => {
  /** Each reading command: what went wrong in words, with what to do about it, and never a stack. */
  async function refused(place: string, more: Record<string, string> = {}, reach = flags): Promise<string> {
    const runs = ['verify', 'sessions', 'show'].map(async (command) => {
      const { code, stdout, stderr } = await runWith({ ...env, ...more }, command, place, ...reach);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toMatch(/^mcp-recorder: [^\n]+\n/);
      expect(stderr).not.toMatch(/\n\s+at |node_modules|Error:/);
      return stderr;
    });
    return (await Promise.all(runs)).join('');
  }

  it('because there is none of that name', async () => {
    expect(await refused('s3://no-such-bucket/a')).toContain('no-such-bucket');
  });

  it('because nothing is below the prefix', async () => {
    expect(await refused('s3://plain/no/such/prefix')).toContain(
      'No recording in s3://plain/no/such/prefix: ',
    );
  });

  it('because the key is wrong, or may not', async () => {
    expect(await refused('s3://plain/a', { AWS_SECRET_ACCESS_KEY: 'wrong' })).toMatch(/credentials/);
    const files = await minio.addUser('nobody', 'nobody-secret', {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::versioned/*'] }],
    });
    const nobody = {
      AWS_ACCESS_KEY_ID: await fs.readFile(files.accessKeyId, 'utf8'),
      AWS_SECRET_ACCESS_KEY: await fs.readFile(files.secretAccessKey, 'utf8'),
    };
    expect(await refused('s3://plain/a', nobody)).toMatch(/denied/);
  });

  it('because nobody answers there', async () => {
    const nowhere = ['--s3-endpoint', `http://127.0.0.1:${await freePort()}`, ...flags.slice(2)];
    expect(await refused('s3://plain/a', {}, nowhere)).toMatch(/unreachable/);
  });

  it('because the file of authorities is not there', async () => {
    expect(await refused('s3://plain/a', {}, [...flags, '--s3-ca', '/no/such/ca.pem'])).toContain('ca.pem');
  });
});
