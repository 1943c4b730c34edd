/** What a client saw of a server it sees of the mock server that is made of the recording. */
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startRecorderProcess } from '../../support/recorder-process.ts';
import { startFixtureProcess } from '../../support/server-process.ts';
import { converse, type Era, type ReplayProcess, startReplay } from './scene.ts';

let directory: string;
const seen: Partial<Record<Era, unknown[]>> = {};
const store = () => path.join(directory, 'store');
beforeAll(async () => {
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-replay-'));
  const server = await startFixtureProcess();
  const recorder = await startRecorderProcess({ upstream: server.origin, directory });
  for (const era of ['legacy', '2026-07-28'] as const)
    seen[era] = await converse(`${recorder.origin}/mcp`, era);
  await recorder.stop();
  await server.stop();
}, 60_000);
afterAll(() => fs.rm(directory, { recursive: true, force: true }));

async function withReplay(more: string[], use: (replay: ReplayProcess) => Promise<void>): Promise<void> {
  const replay = await startReplay(store(), ...more);
  try {
    await use(replay);
  } finally {
    expect(await replay.process.stop('SIGINT')).toEqual({ code: 0, signal: null });
  }
}

const post = (url: string, body: string, headers: Record<string, string> = {}) =>
  fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...headers,
    },
    body,
  });
const DEEP = `${'['.repeat(5_000)}${']'.repeat(5_000)}`;
const call = (name: string, given: object, id: unknown = 1) =>
  JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: given } });

describe('replay --serve', () => {
  it.each<Era>(['legacy', '2026-07-28'])('satisfies the same client run again: %s', async (era) => {
    await withReplay([], async ({ url }) => {
      expect(seen[era]?.length).toBeGreaterThan(15);
      expect(await converse(url, era)).toEqual(seen[era]);
      // And once more: a session has the answers from their beginning.
      if (era === 'legacy') expect(await converse(url, era)).toEqual(seen[era]);
    });
  });

  it('takes as long as it took, when it is asked to', async () => {
    const timed = async (more: string[]): Promise<number> => {
      let tookMs = 0;
      await withReplay(more, async ({ url }) => {
        const startedMs = performance.now();
        const response = await post(url, call('test_tool_with_progress', {}));
        await response.text();
        tookMs = performance.now() - startedMs;
      });
      return tookMs;
    };
    // The fixture's steps are 100 ms in all.
    expect(await timed(['--timing'])).toBeGreaterThan(60);
  });

  it('says what it has where it does not have what is asked for, and can answer with the nearest', async () => {
    const other = call('test_simple_text', { message: 'other' });
    await withReplay([], async ({ url, process }) => {
      const answer = await (await post(url, other)).json();
      expect(answer).toMatchObject({
        id: 1,
        error: { code: -32602, message: expect.stringContaining('--lenient') },
      });
      const method = JSON.stringify({ jsonrpc: '2.0', id: 'x', method: 'tasks/list' });
      expect(await (await post(url, method)).json()).toMatchObject({ id: 'x', error: { code: -32601 } });
      expect(process.output()).toContain('tools/call test_simple_text');
    });
    await withReplay(['--lenient'], async ({ url }) => {
      const response = await post(url, other);
      expect(await response.text()).toContain('This is a simple text response for testing.');
    });
  });

  it.each([
    ['nothing', '', 400, -32700],
    ['no JSON', 'no json', 400, -32700],
    ['an empty batch', '[]', 400, -32700],
    ['a method that is no text', '{"jsonrpc":"2.0","id":1,"method":{}}', 200, -32601],
    ['a list of parameters', '{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}', 400, -32700],
    ['nesting that no parser likes', `{"id":1,"method":"a","params":${DEEP}}`, 400, -32700],
  ])('answers %s as JSON-RPC', async (_, body, status, code) => {
    await withReplay([], async ({ url }) => {
      const response = await post(url, body);
      expect(response.status).toBe(status);
      expect(await response.json()).toMatchObject({ jsonrpc: '2.0', error: { code } });
    });
  });

  it('answers no page of another site, no other name, and no session that it did not open', async () => {
    await withReplay([], async ({ url }) => {
      expect((await post(url, call('echo', {}), { origin: 'https://evil.example' })).status).toBe(403);
      expect((await post(url, call('echo', {}), { 'mcp-session-id': 'nobody' })).status).toBe(404);
      expect((await fetch(url, { method: 'PUT' })).status).toBe(405);
    });
  });
});
