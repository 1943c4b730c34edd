/** Owns running the real command line in a process of its own. */
import { execFile } from 'node:child_process';
import path from 'node:path';

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
      { timeout: 30_000, env: { ...process.env, ...env } },
      (_error, stdout, stderr) => {
        resolve({ code: child.exitCode ?? -1, stdout, stderr });
      },
    );
  });
}
