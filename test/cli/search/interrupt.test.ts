import { once } from 'node:events';
import fs from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { randomUUID } from 'node:crypto';
import { createS3Store } from '@mcp-recorder/recording/store/s3-store';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createStreamBuilder, store } from '../../recording/stream-builder.ts';
import { MINIO_REGION, type Minio, startMinio } from '../../support/minio.ts';
import { openTerminal, type Terminal } from '../../support/terminal.ts';
import { CALL, EVENTS, exchangeOf, HOSTILE, STREAM } from '../recorded.ts';

const MAIN = path.join(import.meta.dirname, '../../../cli/main.ts');

let minio: Minio;
let proxy: http.Server;
let folder: string;
let place: string;
/** Called with each object that is asked for; what it gives is waited for. */
let hold: (key: string) => Promise<void> | undefined;
/** The key of the oldest of three segments. */
let older: string;

beforeAll(async () => {
  minio = await startMinio();
  folder = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-interrupt-'));
  proxy = http.createServer((request, response) => void pass(request, response));
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const prefix = randomUUID();
  place = `s3://plain/${prefix}`;
  const segmentOf = (stream: string, date: string, exchange: string) =>
    createStreamBuilder({ stream, startMs: Date.parse(`${date}T08:40:00Z`) }).segment(
      exchangeOf({ exchange, answer: 'x' }),
      { last: true },
    );
  const segments = [
    segmentOf(STREAM, '2026-11-21', CALL),
    segmentOf('01KAH3M9ZK4T9V2B6XN5R0WCEB', '2026-11-23', HOSTILE),
    segmentOf('01KAH3M9ZK4T9V2B6XN5R0WCEC', '2026-11-24', EVENTS),
  ] as const;
  await store(createS3Store(minio.options('plain', prefix)), ...segments);
  older = segments[0].key;
});
afterAll(async () => {
  proxy.closeAllConnections();
  proxy.close();
  await minio.stop();
  await fs.rm(folder, { recursive: true });
});

async function pass(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  const { method, url = '', headers } = request;
  if (!url.includes('list-type') && !url.includes('versions')) await hold(decodeURIComponent(url));
  const onwards = http.request(minio.endpoint + url, { method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 500, answer.headers);
    answer.pipe(response);
  });
  onwards.on('error', () => response.destroy());
  request.pipe(onwards);
}

const open: Terminal[] = [];
afterEach(async () => {
  for (const terminal of open.splice(0)) await terminal.close();
});

async function search(...words: string[]): Promise<Terminal> {
  const { port } = proxy.address() as AddressInfo;
  const flags = ['--s3-endpoint', `http://127.0.0.1:${port}`, '--s3-region', MINIO_REGION, '--s3-path-style'];
  const terminal = await openTerminal({
    columns: 100,
    rows: 24,
    command: [process.execPath, MAIN, 'search', place, ...flags, '--no-index', ...words],
    env: { AWS_ACCESS_KEY_ID: minio.rootUser, AWS_SECRET_ACCESS_KEY: minio.rootSecret },
  });
  open.push(terminal);
  return terminal;
}

/** Holds the older segment until it is let go, and says when it was asked for. */
function holdOlder(): { asked: Promise<void>; letGo(): void } {
  const asked = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  hold = (url) => {
    if (!url.includes(older)) return undefined;
    asked.resolve();
    return held.promise;
  };
  return { asked: asked.promise, letGo: () => held.resolve() };
}

describe('Ctrl-C while search reads', () => {
  it('prints what was found until then, says that it is not all, and exits with 130', async () => {
    const { asked, letGo } = holdOlder();
    const terminal = await search();
    await asked;
    await terminal.waitFor(/^[12] objects?, 0\.0 MiB read, 0\.0 MiB\/s/m);
    await terminal.press('C-c');
    expect(await terminal.exitCode()).toBe(130);
    const text = (await terminal.everything()).join('\n');
    expect(text).toContain(EVENTS);
    expect(text).not.toContain(CALL);
    expect(text).toMatch(/[12] rows?, newest first\.\nInterrupted: that is not all\./);
    letGo();
  });

  it('says so in the summary of --json', async () => {
    const { asked, letGo } = holdOlder();
    const terminal = await search('--json', '--tool', 'echo', '--where', 'true');
    await asked;
    await terminal.press('C-c');
    expect(await terminal.exitCode()).toBe(130);
    const lines = (await terminal.everything()).join('').replace('^C', '');
    expect(lines).toMatch(/"type":"summary","rows":[012],"more":null,"interrupted":true/);
    letGo();
  });
});

it('ends at once with a second Ctrl-C', async () => {
  const never = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  hold = () => {
    asked.resolve();
    return never.promise;
  };
  const terminal = await search();
  // It waits for what the owner of the store asks of readers, which has to be known before anything.
  await asked.promise;
  await terminal.press('C-c');
  await terminal.waitFor(/Ctrl-C again ends at once\.$/);
  await terminal.press('C-c');
  expect(await terminal.exitCode()).toBe(130);
  never.resolve();
});

it('tells on a terminal how far it is once it takes longer than a second, and removes that', async () => {
  const { asked, letGo } = holdOlder();
  const terminal = await search('--since', '2026-11-01');
  await asked;
  await terminal.waitFor(/^[12] of 3 objects, 0\.0 of 0\.0 MiB, 0\.0 MiB\/s, \d+ s left$/m);
  letGo();
  expect(await terminal.exitCode()).toBe(0);
  const text = (await terminal.everything()).join('\n');
  expect(text).toMatch(/^TIME [^]*3 rows, newest first\.$/);
  expect(text).not.toMatch(/MiB|objects/);
});
