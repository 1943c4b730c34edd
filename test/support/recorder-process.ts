/**
 * Owns the recorder as users run it: `mcp-recorder record` in a process of its own, on ports that nobody else has,
 * with its spool and store where the test says.
 */
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Exit, type RunningProcess, startProcess } from './child-process.ts';
import { eventually } from './poll.ts';

export const CLI = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
/** Node's flags as users run it with: those of the first line. */
export const SHIPPED_FLAGS =
  readFileSync(CLI, 'utf8')
    .split('\n', 1)[0]
    ?.split(' ')
    .filter((word) => word.startsWith('--')) ?? [];

export interface RecorderProcess {
  /** Where clients connect: scheme, host and port. */
  origin: string;
  port: number;
  /** Origin of the status port. */
  status: string;
  store: string;
  process: RunningProcess;
  /** SIGTERM: drains, seals, uploads; gives how it exited. */
  stop(): Promise<Exit>;
  /** SIGKILL: leaves everything as it lies. */
  kill(): Promise<Exit>;
}

export interface RecorderOptions {
  /** The MCP server: scheme, host and port. */
  upstream: string;
  /** A directory of the test's own: the configuration file goes here, and the store and spool unless named. */
  directory: string;
  /** Default: `<directory>/store`. */
  store?: string;
  /** Default: `<directory>/spool`. */
  spool?: string;
  /** Default: any free port. A restarted recorder is given the port of the one before. */
  port?: number;
  /** More of the YAML configuration, as text without indentation before top-level keys. Without `auth` nobody is identified. */
  configuration?: string;
}

/** Starts the recorder and waits until it says that it is ready. */
export async function startRecorderProcess(options: RecorderOptions): Promise<RecorderProcess> {
  const store = options.store ?? join(options.directory, 'store');
  const spool = options.spool ?? join(options.directory, 'spool');
  const file = join(options.directory, 'recorder.yaml');
  await mkdir(store, { recursive: true });
  // The status port has no flag; two recorders on one machine must not want the same.
  await writeFile(file, `status:\n  listen: 127.0.0.1:0\n${options.configuration ?? ''}`);
  const flags = {
    '--upstream': options.upstream,
    '--store': store,
    '--spool': spool,
    '--listen': `127.0.0.1:${options.port ?? 0}`,
    '--config': file,
  };
  const anonymous = /^auth:/m.test(options.configuration ?? '') ? [] : ['--anonymous'];
  const process = await startProcess({
    args: [...SHIPPED_FLAGS, CLI, 'record', ...Object.entries(flags).flat(), ...anonymous],
    ready: /http:\/\/127\.0\.0\.1:\d+/,
  });
  // It prints its own address first and that of its status port later, among others.
  const origins = await eventually(
    () => {
      const printed = [...process.stdout().matchAll(/http:\/\/127\.0\.0\.1:\d+/g)].map(([origin]) => origin);
      const own = [...new Set(printed)].filter((origin) => origin !== new URL(options.upstream).origin);
      return own.length >= 2 ? own : false;
    },
    { withinMs: 20_000 },
  ).catch(async (error: Error) => {
    await process.stop('SIGKILL');
    throw new Error(
      `the recorder printed no two addresses (${error.message}); it wrote:\n${process.output()}`,
    );
  });
  const [origin = '', status = ''] = origins;
  await eventually(async () => (await fetch(`${status}/readyz`)).ok, { withinMs: 20_000 }).catch(
    async (error: Error) => {
      await process.stop('SIGKILL');
      throw new Error(`the recorder is not ready (${error.message}); it wrote:\n${process.output()}`);
    },
  );
  return {
    origin,
    port: Number(new URL(origin).port),
    status,
    store,
    process,
    stop: () => process.stop('SIGTERM'),
    kill: () => process.stop('SIGKILL'),
  };
}
