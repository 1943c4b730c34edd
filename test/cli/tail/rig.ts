/**
 * Owns a recorder with traffic and a `tail` that follows it, as processes of their own on ports that stay, for the tests of `tail`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { readSegments } from '@mcp-recorder/recording/read/store-reader';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { call, type EchoServer, startEcho } from '../../live/live-reader.ts';
import { type RunningProcess, startProcess } from '../../support/child-process.ts';
import { CLI } from '../../support/recorder-process.ts';
import { steadyPort } from '../../support/steady-port.ts';

export interface Tail {
  stdout(): string;
  stderr(): string;
  /** Whole lines of standard output. */
  lines(): string[];
  pid: number;
  /** Sends the signal; the exit code. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
  exited: Promise<number | null>;
}

export interface Rig {
  directory: string;
  store: string;
  tokenFile: string;
  statusPort: number;
  /** Starts the recorder, or starts it again. */
  start(): Promise<void>;
  recorder(): RunningProcess;
  call(text: string, times?: number): Promise<string>;
  tail(...args: string[]): Tail;
  remove(): Promise<void>;
}

/** @param storeFlags of `record`; default: a directory */
export async function startRig(
  storeFlags?: (directory: string) => string[],
  env: Record<string, string> = {},
): Promise<Rig> {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-tail-'));
  const echo: EchoServer = await startEcho();
  const [port, statusPort] = [await steadyPort(), await steadyPort()];
  const store = path.join(directory, 'store');
  const spool = path.join(directory, 'spool');
  const file = path.join(directory, 'recorder.yaml');
  await fs.writeFile(file, `status:\n  listen: 127.0.0.1:${statusPort}\n`);
  await fs.mkdir(store);
  let recorder: RunningProcess | null = null;
  const children = new Set<ChildProcess>();
  return {
    directory,
    store,
    tokenFile: path.join(spool, 'live-token'),
    statusPort,
    async start() {
      const flags = ['--upstream', `${echo.origin}/mcp`, '--listen', `127.0.0.1:${port}`, '--name', 'echo'];
      flags.push('--spool', spool, '--config', file, '--anonymous');
      flags.push(...(storeFlags === undefined ? ['--store', store] : storeFlags(directory)));
      recorder = await startProcess({
        args: [CLI, 'record', ...flags],
        env,
        ready: /Ctrl-C or SIGTERM/,
      });
    },
    recorder: () => recorder as RunningProcess,
    call: (text, times) => call(`http://127.0.0.1:${port}`, text, times),
    tail(...args) {
      const child = spawn(process.execPath, [CLI, 'tail', ...args], {
        env: { ...process.env, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      children.add(child);
      let stdout = '';
      let stderr = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
      });
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stderr += text;
      });
      const exited = new Promise<number | null>((resolve) => {
        child.once('close', (code) => {
          children.delete(child);
          resolve(code);
        });
      });
      return {
        stdout: () => stdout,
        stderr: () => stderr,
        lines: () => stdout.split('\n').slice(0, -1),
        pid: child.pid ?? 0,
        exited,
        end(signal = 'SIGINT') {
          child.kill(signal);
          return exited;
        },
      };
    },
    async remove() {
      for (const child of children) child.kill('SIGKILL');
      await recorder?.stop('SIGKILL');
      echo.close();
      await fs.rm(directory, { recursive: true, force: true });
    },
  };
}

/** Every line in the store, as bytes, in order. */
export async function storedLines(store: ObjectStore): Promise<string[]> {
  const all: string[] = [];
  const onUnreadable = ({ message }: { message: string }): void => {
    throw new Error(message);
  };
  for await (const segment of readSegments(store, { onUnreadable })) {
    for (const { bytes } of segment.lines()) all.push(bytes.toString('utf8'));
  }
  return all.sort();
}

/** `stream/seq` of each raw line. */
export function namesOf(lines: readonly string[]): string[] {
  return lines.map((line) => {
    const { stream, seq } = JSON.parse(line) as { stream: string; seq: number };
    return `${stream}/${String(seq).padStart(6, '0')}`;
  });
}
