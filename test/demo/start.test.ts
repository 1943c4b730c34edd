import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from '../cli/command.ts';
import { type RunningProcess, startProcess } from '../support/child-process.ts';

const root = path.join(import.meta.dirname, '../..');
const inspector = path.join(root, 'node_modules/.bin/mcp-inspector');

let directory: string;
let demo: RunningProcess | null = null;

beforeEach(async () => {
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-demo-'));
});
afterEach(async () => {
  await demo?.stop('SIGINT');
  await fs.rm(directory, { recursive: true });
});

describe('npm start', () => {
  it('runs a real server behind the recorder, works as it prints, and seals on Ctrl-C', async () => {
    demo = await startProcess({
      args: [path.join(root, 'demo/start.ts')],
      cwd: directory,
      ready: /Ctrl-C seals/,
      readyWithinMs: 60_000,
    });
    const printed = /Call it +npx mcp-inspector (.*)/.exec(demo.stdout())?.[1]?.split(' ') ?? [];
    const { stdout } = await promisify(execFile)(process.execPath, [inspector, ...printed], {
      timeout: 60_000,
    });
    expect(JSON.parse(stdout)).toMatchObject({ content: [{ type: 'text', text: 'Echo: hello' }] });

    const { code } = await demo.stop('SIGINT');
    expect(code).toBe(0);
    expect(demo.stdout()).toMatch(/Recorded \d+ exchanges, \d+ operations, \d+ segments? in /);
    const store = path.join(directory, 'recordings');
    expect((await run('verify', store, '--expect-closed')).code).toBe(0);
    expect((await run('show', store)).stdout).toContain('tools/call echo');
    const port = /MCP endpoint +http:\/\/127\.0\.0\.1:(\d+)/.exec(demo.stdout())?.[1];
    await expect(fetch(`http://127.0.0.1:${port}/mcp`)).rejects.toThrow();
  });
});
