/**
 * Owns running one command to its end, with what it is given on standard input, and what it wrote.
 * Invariant: no command outlives its deadline; one that fails says which it was and what it wrote.
 */
import { spawn } from 'node:child_process';

export interface CommandResult {
  stdout: string;
  stderr: string;
  /** Its exit code; -1 when a signal ended it. */
  code: number;
}

export interface CommandOptions {
  /** Given on standard input; default: nothing. */
  stdin?: string;
  /** Added to this process's own environment. */
  env?: Record<string, string>;
  cwd?: string;
  /** SIGKILL after this, milliseconds; default: one minute. */
  timeoutMs?: number;
  /** An exit code other than 0 is an answer like any other. */
  mayFail?: boolean;
}

/** @throws when it ends with another code than 0 (unless it may), or not in time */
export function runCommand(command: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const { stdin = '', env = {}, cwd, timeoutMs = 60_000, mayFail = false } = options;
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: 'pipe' });
    let stdout = '';
    let stderr = '';
    let late = false;
    const deadline = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    // A program that ends without reading all of its input is judged by its exit code.
    child.stdin.on('error', () => {});
    child.stdin.end(stdin);
    child.once('error', (error) => {
      clearTimeout(deadline);
      reject(new Error(`${program} could not be run: ${error.message}`, { cause: error }));
    });
    child.once('close', (exitCode, signal) => {
      clearTimeout(deadline);
      const code = exitCode ?? -1;
      if (!late && (code === 0 || mayFail)) return resolve({ stdout, stderr, code });
      const how = late ? `did not end within ${timeoutMs} ms` : `ended with ${signal ?? code}`;
      reject(new Error(`${command.join(' ')} ${how}:\n${stderr}${stdout}`));
    });
  });
}
