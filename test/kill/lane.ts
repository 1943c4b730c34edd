/**
 * Owns one recorder over its many lives: one spool, one store, one port, clients that never stop and a server that stays up.
 * Who ends a life, and when, is the caller's.
 * Invariant: nothing that a lane started outlives its `close`; its directory stays when something was wrong in it.
 */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import { type SpawnedProcess, spawnProcess } from '../support/child-process.ts';
import { createLedger } from '../support/ledger.ts';
import { type CallShape, type Driven, driveClients, startLedgerServer } from '../support/ledger-traffic.ts';
import { steadyPort } from '../support/steady-port.ts';
import { AT_REST, judge, judgeMeanwhile, type Verdict } from './oracle.ts';
import { driveSdkClients, startSdkServer } from './sdk-traffic.ts';

const CLI = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
const CLIENTS = 8;
const READY = /\bstatus +http/;
const STOP_MS = 60_000;

export interface LaneOptions {
  /** Tells lanes apart in tokens and reports: `[a-z0-9]+`. */
  name: string;
  traffic: 'ledger' | 'sdk';
  commit: 'Spool' | 'ObjectStorage';
  /** What the clients of the ledger ask for. */
  shape: (client: number, call: number) => CallShape;
  /** Where compiled code is kept from one life to the next: a start costs half. */
  compileCache: string;
}

export interface Lane {
  name: string;
  spool: string;
  /** Directory in the store in which segments appear (those of the day on which the lane was opened). */
  segments: string;
  /** Starts the recorder: `mcp-recorder record`, or a script that is given the configuration file and `args`. */
  begin(script?: string, args?: readonly string[]): SpawnedProcess;
  /** What is wrong already; the recorder must not run. */
  judgeMeanwhile(): Promise<string[]>;
  /** Stops the clients, starts the recorder for the last time, drains it, and judges what it has recorded. */
  finish(): Promise<Verdict & Driven>;
  close(): Promise<void>;
}

/** Opens a lane: its clients call from now on. */
export async function openLane(options: LaneOptions): Promise<Lane> {
  const { name, traffic } = options;
  const directory = await mkdtemp(path.join(tmpdir(), `mcp-recorder-kill-${name}-`));
  const storage = path.join(directory, 'store');
  const spool = path.join(directory, 'spool');
  const store = createDirectoryStore(storage);
  await mkdir(storage);
  const ledger = createLedger();
  const port = await steadyPort();
  const server = traffic === 'sdk' ? await startSdkServer(ledger) : await startLedgerServer(ledger);
  const upstream = 'url' in server ? server.url : `${server.origin}/mcp`;
  const file = path.join(directory, 'recorder.yaml');
  const configuration = {
    name: 'kill',
    listen: `127.0.0.1:${port}`,
    server: { url: upstream },
    auth: { mode: 'Anonymous' },
    storage: { directory: storage },
    recording: { commit: options.commit, spool: { directory: spool } },
    status: { listen: '127.0.0.1:0' },
    drain: { timeout: '5s' },
    log: { level: 'warn' },
  };
  // JSON is YAML.
  await writeFile(file, JSON.stringify(configuration));

  const stopping = new AbortController();
  const drive = { url: () => `http://127.0.0.1:${port}/mcp`, clients: CLIENTS, until: stopping.signal };
  const driving =
    traffic === 'sdk'
      ? driveSdkClients(ledger, drive)
      : driveClients(ledger, { ...drive, shape: options.shape, run: name });
  let keep = true;
  let suspect = false;

  function begin(script?: string, args: readonly string[] = []): SpawnedProcess {
    const life = spawnProcess({
      args: script === undefined ? [CLI, 'record', '--config', file] : [script, file, ...args],
      env: { NODE_COMPILE_CACHE: options.compileCache },
      ready: READY,
    });
    // Most lives end before or soon after; whoever waits for it is told all the same.
    life.ready.catch(() => {});
    return life;
  }

  /** Ends a recorder as users do. @returns what was wrong with that */
  async function end(life: SpawnedProcess): Promise<string[]> {
    const deadline = setTimeout(() => life.stop('SIGKILL'), STOP_MS);
    const { code, signal } = await life.stop('SIGTERM');
    clearTimeout(deadline);
    return code === 0
      ? []
      : [`a recorder that was to drain exited with ${code ?? signal}:\n${life.output()}`];
  }

  async function finish(): Promise<Verdict & Driven> {
    const last = begin();
    await last.ready;
    stopping.abort();
    const driven = await driving;
    const undrained = [...unclean, ...(await end(last))];
    const verdict = await judge(store, ledger);
    verdict.violations.push(...undrained);
    const left = (await readdir(spool)).filter((entry) => !AT_REST.has(entry));
    if (left.length > 0) verdict.violations.push(`left in the drained spool: ${left.join(', ')}`);
    keep = suspect || verdict.violations.length > 0;
    const violations = verdict.violations.map((violation) => `${directory}: ${violation}`);
    return { ...verdict, ...driven, violations };
  }

  async function close(): Promise<void> {
    stopping.abort();
    await server.close();
    await driving;
    if (!keep) await rm(directory, { recursive: true, force: true });
  }

  // The first life ends in peace: only such a process leaves its compiled code for those that come.
  const first = begin();
  await first.ready.catch(async (error: unknown) => {
    await close();
    throw error;
  });
  const unclean = await end(first);
  const date = new Date().toISOString().slice(0, 10);
  return {
    name,
    spool,
    segments: path.join(storage, 'v1/segments/cluster=local/namespace=local/server=kill', `date=${date}`),
    begin,
    async judgeMeanwhile() {
      const violations = await judgeMeanwhile(store);
      suspect ||= violations.length > 0;
      return violations;
    },
    finish,
    close,
  };
}
