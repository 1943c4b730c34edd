/** Owns running the real command line in a process of its own, with a cache of the test's own. */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';

/** What is read is kept here, and not in the cache of who runs the tests. */
const CACHE = fs.mkdtempSync(path.join(os.tmpdir(), 'mcp-recorder-cache-'));
afterAll(() => fs.rmSync(CACHE, { recursive: true, force: true }));

const MAIN = path.join(import.meta.dirname, '../../cli/main.ts');

export interface CommandOutcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `mcp-recorder` with these arguments to its end. */
export function run(...args: readonly string[]): Promise<CommandOutcome> {
  return runWith({}, ...args);
}

/** As `run`, with more in its environment. */
export function runWith(env: Record<string, string>, ...args: readonly string[]): Promise<CommandOutcome> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [MAIN, ...args],
      { timeout: 30_000, env: { ...process.env, XDG_CACHE_HOME: CACHE, ...env } },
      (_error, stdout, stderr) => {
        resolve({ code: child.exitCode ?? -1, stdout, stderr });
      },
    );
  });
}
