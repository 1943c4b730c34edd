import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from '../cli/command.ts';
import { eventually } from '../support/poll.ts';

const root = path.join(import.meta.dirname, '../..');
const inspector = path.join(root, 'node_modules/.bin/mcp-inspector');

let directory: string;
let demo: ChildProcess;
let printed: string;

beforeEach(async () => {
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-demo-'));
  // A process group of its own, as a shell gives it: a Ctrl-C reaches all of the group.
  demo = spawn(process.execPath, [path.join(root, 'demo/start.ts')], {
    cwd: directory,
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  printed = '';
  demo.stdout?.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  await eventually(() => printed.includes('Ctrl-C seals'), { withinMs: 40_000 });
});
afterEach(async () => {
  if (demo.exitCode === null) await pressCtrlC();
  await fs.rm(directory, { recursive: true });
});

async function pressCtrlC(): Promise<number | null> {
  const closed = once(demo, 'close');
  process.kill(-(demo.pid ?? 0), 'SIGINT');
  await closed;
  return demo.exitCode;
}

const endpoint = () => /MCP endpoint +(\S+)/.exec(printed)?.[1] ?? '';

function post(message: object, session?: string): Promise<Response> {
  return fetch(endpoint(), {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(session === undefined ? {} : { 'mcp-session-id': session }),
    },
    body: JSON.stringify({ jsonrpc: '2.0', ...message }),
  });
}

describe('npm start', () => {
  it('runs a real server behind the recorder, works as it prints, and seals on Ctrl-C', async () => {
    const call = /Call it +npx mcp-inspector (.*)/.exec(printed)?.[1]?.split(' ') ?? [];
    const { stdout } = await promisify(execFile)(process.execPath, [inspector, ...call], { timeout: 60_000 });
    expect(JSON.parse(stdout)).toMatchObject({ content: [{ type: 'text', text: 'Echo: hello' }] });

    expect(await pressCtrlC()).toBe(0);
    expect(printed).toMatch(/Recorded \d+ exchanges, \d+ operations, \d+ segments? in /);
    const store = path.join(directory, 'recordings');
    expect((await run('verify', store, '--expect-closed')).code).toBe(0);
    expect((await run('show', store)).stdout).toContain('tools/call echo');
    await expect(fetch(endpoint())).rejects.toThrow();
  });

  it('lets a running call end before the server does', async () => {
    const clientInfo = { name: 'test', version: '1' };
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
    const initialized = await post({ id: 1, method: 'initialize', params });
    const session = initialized.headers.get('mcp-session-id') ?? '';
    await initialized.text();
    await (await post({ method: 'notifications/initialized' }, session)).text();
    const slow = { name: 'trigger-long-running-operation', arguments: { duration: 1, steps: 1 } };
    const answer = await post({ id: 2, method: 'tools/call', params: slow }, session);
    const [text, code] = await Promise.all([answer.text(), pressCtrlC()]);
    expect([code, text]).toEqual([0, expect.stringContaining('"result":')]);
  });
});
