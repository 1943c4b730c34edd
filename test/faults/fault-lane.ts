/**
 * Owns one recorder under fault: a process with its spool, its way to the store and to the MCP server through links that can fail, the
 * scene that goes on at it, and the watch on its gate.
 * Invariant: nothing that a lane started outlives its `close`; its directory stays when something was wrong in it.
 */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import type { CommitMode, OnFailure } from '@mcp-recorder/sidecar/config/schema';
import { AT_REST, judge, type Verdict } from '../kill/oracle.ts';
import { type SpawnedProcess, spawnProcess } from '../support/child-process.ts';
import { createLedger, type Ledger } from '../support/ledger.ts';
import { type CallShape, driveClients, startLedgerServer } from '../support/ledger-traffic.ts';
import { CLI, SHIPPED_FLAGS } from '../support/recorder-process.ts';
import { steadyPort } from '../support/steady-port.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { type GateWatch, watchGate } from './gate-watch.ts';
import { RETRY_MS, type SceneName, sceneOf } from './scenes.ts';
import { type InnerFaults, NO_INNER_FAULTS } from './switchable-files.ts';
import { createTally, type Tally } from './tally.ts';

const FAULTY = fileURLToPath(new URL('./faulty-recorder.ts', import.meta.url));
const READY = /\bstatus +http/;
const FAULTS = /^faults +(http:\S+)/m;
const STOP_MS = 60_000;
const OPEN_MS = 20_000;

/** Where a lane's recorder stores, and where it is read from without the faulty link. */
export interface LaneStore {
  /** On loopback; null: no link leads there. */
  port: number | null;
  /** The `storage` section, for a store that is reached at this origin. */
  section(origin: string): object;
  open(): ObjectStore;
}

export interface FaultLaneOptions {
  /** Tells lanes apart: `[a-z0-9-]+`. */
  name: string;
  scene: SceneName;
  store: LaneStore;
  commit: CommitMode;
  /** As in YAML. */
  maxUploadLag: string;
  onFailure?: OnFailure;
  sizeLimit?: string;
  /** Default: a directory of the lane's own. */
  spool?: string;
  /** A recorder whose disk and clock can be told to fail, in place of `mcp-recorder record`. */
  faulty?: boolean;
  /** What clients ask for, in place of what the scene says. */
  shape?: (client: number, call: number) => CallShape;
  /** Equal copies of a segment are fine: the credentials may not read. */
  copies?: boolean;
}

export interface FaultLane {
  readonly store: FaultProxy | null;
  readonly server: FaultProxy;
  readonly gate: GateWatch;
  readonly tally: Tally;
  readonly ledger: Ledger;
  /** Scheme, host and port for clients, and of the status port. */
  origin: string;
  status: string;
  /** The recorder's process. */
  readonly recorder: SpawnedProcess;
  /** What goes wrong inside of the recorder's process from now on. */
  inside(faults: Partial<InnerFaults>): Promise<void>;
  /** Ends the recorder (SIGTERM, SIGKILL when it takes too long); what `between` does happens before it starts again. */
  restart(between: () => Promise<void>): Promise<void>;
  /** Stops the traffic, drains the recorder, and judges what was recorded. */
  finish(): Promise<Verdict>;
  /** What was found wrong was meant to be: the directory may go. */
  discard(): void;
  close(): Promise<void>;
}

/** Opens a lane, and waits until its gate is open; traffic flows from then on. */
export async function openFaultLane(options: FaultLaneOptions): Promise<FaultLane> {
  const directory = await mkdtemp(path.join(tmpdir(), `mcp-recorder-fault-${options.name}-`));
  const spool = options.spool ?? path.join(directory, 'spool');
  const ledger = createLedger();
  const tally = createTally();
  const server = await startLedgerServer(ledger);
  const serverLink = await startFaultProxy(Number(new URL(server.origin).port));
  const storeLink = options.store.port === null ? null : await startFaultProxy(options.store.port);
  const [port, statusPort] = [await steadyPort(), await steadyPort()];
  const [origin, status] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${statusPort}`];
  const file = path.join(directory, 'recorder.yaml');
  const configuration = {
    name: options.name,
    listen: `127.0.0.1:${port}`,
    server: { url: `${serverLink.origin}/mcp` },
    auth: { mode: 'Anonymous' },
    storage: options.store.section(storeLink?.origin ?? ''),
    recording: {
      commit: options.commit,
      onFailure: options.onFailure ?? 'Closed',
      maxUploadLag: options.maxUploadLag,
      spool: {
        directory: spool,
        ...(options.sizeLimit === undefined ? {} : { sizeLimit: options.sizeLimit }),
      },
    },
    status: { listen: `127.0.0.1:${statusPort}` },
    drain: { timeout: '5s' },
    log: { level: 'info' },
  };
  // JSON is YAML.
  await writeFile(file, JSON.stringify(configuration));

  const unclean: string[] = [];
  let keep = true;
  let recorder = begin();
  let watch = watchGate(status, recorder.pid);

  function begin(): SpawnedProcess {
    const life = spawnProcess({
      args: options.faulty === true ? [FAULTY, file] : [...SHIPPED_FLAGS, CLI, 'record', '--config', file],
      ready: READY,
      readyWithinMs: OPEN_MS,
    });
    life.ready.catch(() => {});
    return life;
  }

  async function untilOpen(): Promise<void> {
    await recorder.ready;
    await watch.until(['Open'], 0, OPEN_MS).catch((error: Error) => {
      throw new Error(`${error.message}; the recorder wrote:\n${recorder.output()}`);
    });
  }

  /** @returns its exit code; null when it had to be killed */
  async function end(): Promise<number | null> {
    const deadline = setTimeout(() => recorder.stop('SIGKILL'), STOP_MS);
    const { code } = await recorder.stop('SIGTERM');
    clearTimeout(deadline);
    if (/unhandled|UnhandledPromise|uncaught/i.test(recorder.output()))
      unclean.push(`the recorder wrote of something unhandled:\n${recorder.output()}`);
    return code;
  }

  const stopping = new AbortController();
  let driving: Promise<unknown> = Promise.resolve();

  async function close(): Promise<void> {
    stopping.abort();
    await watch.stop();
    await recorder.stop('SIGKILL');
    await driving;
    await Promise.all([server.close(), serverLink.close(), storeLink?.close()]);
    if (!keep) await rm(directory, { recursive: true, force: true });
  }

  try {
    await untilOpen();
  } catch (error) {
    await close();
    throw error;
  }
  const scene = sceneOf(options.scene);
  if (scene.clients > 0) {
    driving = driveClients(ledger, {
      url: () => `${origin}/mcp`,
      clients: scene.clients,
      until: stopping.signal,
      shape: options.shape ?? scene.shape,
      run: options.name,
      over: tally.over,
      retryMs: RETRY_MS,
    });
  }

  return {
    store: storeLink,
    server: serverLink,
    get gate() {
      return watch;
    },
    tally,
    ledger,
    origin,
    status,
    get recorder() {
      return recorder;
    },
    async inside(faults) {
      const control = FAULTS.exec(recorder.output())?.[1];
      if (control === undefined) throw new Error('only a faulty recorder fails inside');
      const body = JSON.stringify({ ...NO_INNER_FAULTS, ...faults });
      await (await fetch(control, { method: 'PUT', body })).text();
    },
    async restart(between) {
      await watch.stop();
      await end();
      await between();
      recorder = begin();
      watch = watchGate(status, recorder.pid);
      await untilOpen();
    },
    async finish() {
      stopping.abort();
      await driving;
      unclean.push(...watch.wrong(), ...tally.wrong());
      await watch.stop();
      const code = await end();
      if (code !== 0) unclean.push(`the recorder exited with ${code}:\n${recorder.output()}`);
      const verdict = await judge(options.store.open(), ledger, { copies: options.copies === true });
      const left = (await readdir(spool)).filter((entry) => !AT_REST.has(entry));
      if (left.length > 0) unclean.push(`left in the drained spool: ${left.join(', ')}`);
      const violations = [...verdict.violations, ...unclean].map((violation) => `${directory}: ${violation}`);
      keep = violations.length > 0;
      return { ...verdict, violations };
    },
    discard() {
      keep = false;
    },
    close,
  };
}
