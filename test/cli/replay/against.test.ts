/** A server's next version is called with what was recorded of the last one. */
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startRecorderProcess } from '../../support/recorder-process.ts';
import { startFixtureProcess, type ServerProcess } from '../../support/server-process.ts';
import { runWith } from '../command.ts';
import { CALL, exchangeOf, recordIn } from '../recorded.ts';
import { converse } from './scene.ts';

let directory: string;
let server: ServerProcess;
const store = () => path.join(directory, 'store');
beforeAll(async () => {
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-against-'));
  server = await startFixtureProcess();
  const recorder = await startRecorderProcess({ upstream: server.origin, directory });
  for (const era of ['legacy', '2026-07-28'] as const) await converse(`${recorder.origin}/mcp`, era);
  await recorder.stop();
}, 60_000);
afterAll(async () => {
  await server.stop();
  await fs.rm(directory, { recursive: true, force: true });
});

const run = (...words: string[]) =>
  runWith({ XDG_CACHE_HOME: path.join(directory, 'cache') }, 'replay', ...words);
const against = (url: string, ...more: string[]) =>
  run(store(), '--against', url, '--yes', '--json', ...more);
const lines = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

/** A server that answers every call with this result, and counts what it was asked. */
async function answering(
  result: object,
): Promise<{ url: string; asked: string[]; headers: IncomingMessage['headers'][]; server: Server }> {
  const asked: string[] = [];
  const headers: IncomingMessage['headers'][] = [];
  const one = createServer(async (request, response) => {
    let text = '';
    for await (const piece of request) text += String(piece);
    headers.push(request.headers);
    const { id, method, params } =
      text === '' ? { id: null, method: request.method, params: {} } : JSON.parse(text);
    asked.push([method, params?.name].filter(Boolean).join(' '));
    if (id === undefined) return void response.writeHead(202).end();
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ jsonrpc: '2.0', id, result }));
  });
  await new Promise<void>((resolve) => one.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(one.address() as AddressInfo).port}/mcp`, asked, headers, server: one };
}

describe('replay --against', () => {
  it('finds no difference at the same server, in both eras', async () => {
    const tools = [
      '--allow-tool',
      'test_simple_text',
      '--allow-tool',
      'test_*content*',
      '--allow-tool',
      'test_error_handling',
    ];
    const { code, stdout, stderr } = await against(
      server.url,
      ...tools,
      '--allow',
      'tools/list',
      '--allow',
      'resources/read',
    );
    const all = lines(stdout);
    expect(all.filter(({ verdict }) => verdict !== undefined && verdict !== 'same')).toEqual([]);
    expect(all.at(-1)).toMatchObject({ type: 'summary', different: 0, failed: 0 });
    expect(all.length).toBeGreaterThan(12);
    expect(code).toBe(0);
    expect(stderr).toContain('This ACTS on');
    expect(stderr).toContain('tools/call test_simple_text x2');
  });

  it('finds what a new version answers otherwise, and exits with 1', async () => {
    const next = await answering({ content: [{ type: 'text', text: 'changed' }], _meta: { at: 'now' } });
    const { code, stdout } = await against(
      next.url,
      '--allow-tool',
      'test_simple_text',
      '--header',
      'X-Key: k-4711',
    );
    expect(code).toBe(1);
    const [first] = lines(stdout);
    expect(first).toMatchObject({
      verdict: 'different',
      differences: [
        {
          path: '/result/content/0/text',
          kind: 'changed',
          recorded: 'This is a simple text response for testing.',
          now: 'changed',
        },
      ],
    });
    expect(next.headers.every((headers) => headers['x-key'] === 'k-4711')).toBe(true);
    const ignoring = await against(
      next.url,
      '--allow-tool',
      'test_simple_text',
      '--ignore',
      '/result/content/*/text',
      '--ignore',
      '/result/resultType',
    );
    expect(ignoring.code).toBe(0);
    next.server.close();
  });

  it('sends nothing that is not allowed by name', async () => {
    const next = await answering({});
    await against(next.url, '--allow-tool', 'test_simple_text');
    expect(new Set(next.asked)).toEqual(
      new Set(['initialize', 'notifications/initialized', 'tools/call test_simple_text']),
    );
    next.asked.length = 0;
    const none = await against(next.url, '--allow', 'tools/call');
    expect([none.code, none.stdout]).toEqual([2, '']);
    expect(none.stderr).toContain('Nothing would be sent');
    const unasked = await run(store(), '--against', next.url, '--allow-tool', '*');
    expect([unasked.code, unasked.stdout]).toEqual([2, '']);
    expect(unasked.stderr).toContain('give --yes');
    expect(next.asked).toEqual([]);
    next.server.close();
  });

  it('follows no redirect, and says so', async () => {
    const next = await answering({});
    const redirecting = createServer((_, response) => response.writeHead(307, { location: next.url }).end());
    await new Promise<void>((resolve) => redirecting.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(redirecting.address() as AddressInfo).port}/mcp`;
    const { code, stderr } = await against(
      url,
      '--allow-tool',
      'test_simple_text',
      '--header',
      'X-Key: k-4711',
    );
    expect(code).toBe(2);
    expect(stderr).toContain('redirects (307), which is not followed');
    expect(stderr).not.toContain('k-4711');
    expect(next.asked).toEqual([]);
    next.server.close();
    redirecting.close();
  });

  it('takes what was masked for unknown, not for different', async () => {
    const recorded = await recordIn([
      exchangeOf({ exchange: CALL, answer: 'token [masked:github-token], done' }),
    ]);
    const fits = await answering({ content: [{ type: 'text', text: 'token ghp_x, done' }] });
    const other = await answering({ content: [{ type: 'text', text: 'no token' }] });
    const words = [recorded.directory, '--yes', '--allow-tool', 'echo', '--against'];
    expect((await run(...words, fits.url)).code).toBe(0);
    expect((await run(...words, other.url)).code).toBe(1);
    fits.server.close();
    other.server.close();
    await recorded.remove();
  });

  it.each([
    [[], 'Give --serve or --against URL'],
    [['--against', 'ftp://x'], '--against needs a URL of http or https'],
    [['--against', 'http://u:p@127.0.0.1/'], 'without user and password'],
    [['--serve', 'here'], 'needs HOST:PORT'],
    [['--serve', '--lenient', '--strict'], 'cannot be used with'],
    [['--against', 'http://127.0.0.1:9/', '--header', 'secret-4711'], '--header needs "Name: value"'],
  ])('refuses %j with what would be right', async (words, message) => {
    const { code, stdout, stderr } = await run(store(), ...words);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('secret-4711');
  });
});
