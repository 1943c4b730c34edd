/**
 * Owns the processes that tests start: each is known by its handle, is ready before it is handed out, and does not
 * outlive its test. Invariant: only a process that this module started is ever signalled.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface SpawnedProcess {
  pid: number;
  /** What the readiness pattern matched. Rejects when the process ends or stays silent; the error carries what it wrote. */
  ready: Promise<RegExpExecArray>;
  /** Everything written so far, standard output and error in order of arrival. */
  output(): string;
  /** Standard output alone. */
  stdout(): string;
  exited: Promise<Exit>;
  /** Sends the signal once and waits for the end; a process that already ended is left alone. */
  stop(signal?: NodeJS.Signals): Promise<Exit>;
}

export interface RunningProcess extends Omit<SpawnedProcess, 'ready'> {
  /** What the readiness pattern matched. */
  ready: RegExpExecArray;
}

export interface ProcessOptions {
  /** The program; default: this Node. */
  program?: string;
  /** Arguments of the program; of `node`: the script first. */
  args: readonly string[];
  /** Added to this process's own environment. */
  env?: Record<string, string>;
  cwd?: string;
  /** Says in the output that it serves. */
  ready: RegExp;
  /** Deadline for that, milliseconds. */
  readyWithinMs?: number;
}

const running = new Set<ChildProcess>();

// A test file that dies must not leave servers behind.
process.once('exit', () => {
  for (const child of running) {
    child.kill('SIGKILL');
  }
});

/** Starts a program, and does not wait: for tests that end it before it is ready. */
export function spawnProcess(options: ProcessOptions): SpawnedProcess {
  const child = spawn(options.program ?? process.execPath, options.args, {
    env: { ...process.env, ...options.env },
    cwd: options.cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let stdout = '';
  let output = '';
  const exited = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => {
      running.delete(child);
      resolve({ code, signal });
    });
  });
  const ready = new Promise<RegExpExecArray>((resolve, reject) => {
    const name = options.args.join(' ');
    const fail = (why: string) => {
      child.kill('SIGKILL');
      reject(new Error(`${name}: ${why}; it wrote:\n${output}`));
    };
    const withinMs = options.readyWithinMs ?? 20_000;
    const deadline = setTimeout(() => fail(`not ready within ${withinMs} ms`), withinMs);
    const hear = (text: string) => {
      output += text;
      const match = options.ready.exec(output);
      if (match) {
        clearTimeout(deadline);
        resolve(match);
      }
    };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      hear(text);
    });
    child.stderr.setEncoding('utf8').on('data', hear);
    child.once('error', (error) => fail(error.message));
    child.once('close', (code, signal) => {
      clearTimeout(deadline);
      fail(`ended with ${signal ?? code}`);
    });
  });
  return {
    pid: child.pid ?? 0,
    ready,
    output: () => output,
    stdout: () => stdout,
    exited,
    stop(signal = 'SIGTERM') {
      if (running.has(child)) {
        child.kill(signal);
      }
      return exited;
    },
  };
}

/**
 * Starts a program and waits until its output matches `ready`.
 * @throws when it ends or stays silent; the error carries what it wrote.
 */
export async function startProcess(options: ProcessOptions): Promise<RunningProcess> {
  const { ready, ...child } = spawnProcess(options);
  return { ...child, ready: await ready };
}

/** A port that was free a moment ago: for programs that can't be told to choose one and say which. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((bound) => server.listen(0, '127.0.0.1', bound));
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  if (address === null || typeof address === 'string') {
    throw new Error('a listening TCP server has no address');
  }
  return address.port;
}
