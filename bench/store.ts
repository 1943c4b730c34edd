/**
 * Owns `npm run bench:store`: what an object store costs, with a real MinIO on this machine and 64 callers.
 * `commit: ObjectStorage`: the p50 that it adds, beside one PUT and one fdatasync measured in the same run.
 * `commit: Spool`: whether uploads keep up with all the load that the core can take, for a minute.
 * The recorder has core 0 for everything that it does; load, server and store share core 1.
 * Writes everything as JSON to .bench/store.json; exit code 1 when a bound is missed, 2 when the run failed.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createS3Store } from '@mcp-recorder/recording/store/s3-store';
import { type Minio, startMinio } from '../test/support/minio.ts';
import { startCandidate } from './candidates.ts';
import { measureDisk } from './disk.ts';
import { runLoad, writeScript } from './load.ts';
import { startBackEnd } from './nginx.ts';
import { cpuUs, pause, pinSelf, stopAll, stopOnSignals, untilQuiet } from './processes.ts';
import { quantile } from './report.ts';
import { exchanges } from './traffic.ts';

const PROXY_CORE = 0;
const LOAD_CORE = 1;
const CALLERS = 64;
const ROUNDS = 5;
const SECONDS = 5;
/** Fewer exchanges a second than elsewhere: until the code is compiled takes longer. */
const WARM_UP_SECONDS = 20;
const PUTS = 100;
const SYNCS = 200;
/** About what a segment of this load weighs. */
const PUT_BYTES = 16 * 1024;
const LOOK_EVERY_MS = 200;
/** How far uploads may be behind at saturation: what a segment takes to fill, and as much again to arrive (ms). */
const LAG_BOUND_MS = 10_000;
const OUTPUT = fileURLToPath(new URL('../.bench/', import.meta.url));

const { values: flags } = parseArgs({ options: { seconds: { type: 'string', default: '60' } } });
const directory = path.join(OUTPUT, `store-${process.pid}`);

interface Recorder {
  port: number;
  pid: number;
  stop(): Promise<void>;
  status(): Promise<{ gate: { state: string }; store: { lag_ms: number; waiting: number } }>;
}

stopOnSignals(directory);
let minio: Minio | null = null;
try {
  fs.mkdirSync(directory, { recursive: true });
  await pinSelf(LOAD_CORE);
  minio = await startMinio();
  process.exitCode = (await measure(minio)) ? 0 : 1;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
} finally {
  await stopAll();
  await minio?.stop();
  fs.rmSync(directory, { recursive: true, force: true });
}

async function measure(store: Minio): Promise<boolean> {
  const traffic = exchanges();
  const backEnd = await startBackEnd(LOAD_CORE, directory, traffic);
  const latency = await measureLatency(store, backEnd.port, traffic);
  const saturation = await measureSaturation(store, backEnd.port, traffic, Number(flags.seconds));
  fs.writeFileSync(path.join(OUTPUT, 'store.json'), `${JSON.stringify({ latency, saturation }, null, 2)}\n`);
  const { putUs, syncUs, directUs, spooledUs, recordedUs, rps } = latency;
  const added = recordedUs - directUs;
  const bound = 2 * putUs + 2 * syncUs;
  const keepsUp = saturation.maxLagMs <= LAG_BOUND_MS && saturation.states.join() === 'Open';
  process.stdout.write(
    `one PUT of ${PUT_BYTES} B: p50 ${putUs.toFixed(0)} us; 2 KB written and fdatasynced: p50 ${syncUs.toFixed(0)} us\n` +
      `${CALLERS} callers, commit ObjectStorage: ${rps.toFixed(0)} req/s, p50 ${recordedUs} us beside ${spooledUs} us with commit Spool and ${directUs} us without a proxy\n` +
      `${added <= bound ? 'met   ' : 'MISSED'} p50 added: ${added.toFixed(0)} us, bound ${bound.toFixed(0)} us (two PUTs and two fdatasyncs)\n` +
      `${CALLERS} callers for ${flags.seconds} s, commit Spool: ${saturation.rps.toFixed(0)} req/s, ${saturation.cpuUsPerExchange.toFixed(1)} us CPU an exchange, gate ${saturation.states.join(', ')}\n` +
      `${keepsUp ? 'met   ' : 'MISSED'} lag of the store at saturation: at most ${saturation.maxLagMs} ms, at the end ${saturation.lastLagMs} ms, bound ${LAG_BOUND_MS} ms\n`,
  );
  return added <= bound && keepsUp;
}

/** Medians over rounds in which disk, store, no proxy and recorder take turns. */
async function measureLatency(store: Minio, upstreamPort: number, traffic: ReturnType<typeof exchanges>) {
  const load = async (port: number, seconds = SECONDS) => {
    const script = path.join(directory, `${port}.lua`);
    writeScript(script, traffic, `127.0.0.1:${port}`);
    const seen = await runLoad(LOAD_CORE, { script, port, connections: CALLERS, seconds });
    if (seen.errors > 0) throw new Error(`${seen.errors} requests to port ${port} failed`);
    return seen;
  };
  /** One that is not measured does nothing, not even look at the store. */
  const loadRecorder = async ({ pid, port }: Recorder, seconds = SECONDS) => {
    pause(pid, false);
    const seen = await load(port, seconds);
    await untilQuiet(pid, 20_000);
    pause(pid, true);
    return seen;
  };
  const spooling = await startRecorder(store, upstreamPort, 'recorder-s3');
  const committing = await startRecorder(store, upstreamPort, 'recorder-s3-commit');
  for (const recorder of [spooling, committing]) await loadRecorder(recorder, WARM_UP_SECONDS);
  const rounds: Record<
    'putUs' | 'syncUs' | 'directUs' | 'spooledUs' | 'recordedUs' | 'p99Us' | 'rps',
    number
  >[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const puts = await measurePuts(store);
    const syncs = await measureDisk(PROXY_CORE, directory, SYNCS);
    const without = await load(upstreamPort);
    const spooled = await loadRecorder(spooling);
    const through = await loadRecorder(committing);
    rounds.push({
      putUs: quantile(puts, 0.5),
      syncUs: quantile(syncs, 0.5),
      directUs: without.p50Us,
      spooledUs: spooled.p50Us,
      recordedUs: through.p50Us,
      p99Us: through.p99Us,
      rps: through.requests / (through.durationUs / 1e6),
    });
    process.stderr.write(`round ${round + 1}/${ROUNDS}  ${JSON.stringify(rounds.at(-1))}\n`);
  }
  for (const recorder of [spooling, committing]) await recorder.stop();
  const median = (of: keyof (typeof rounds)[number]) =>
    quantile(
      rounds.map((round) => round[of]),
      0.5,
    );
  return {
    putUs: median('putUs'),
    syncUs: median('syncUs'),
    directUs: median('directUs'),
    spooledUs: median('spooledUs'),
    recordedUs: median('recordedUs'),
    p99Us: median('p99Us'),
    rps: median('rps'),
    rounds,
  };
}

/** Durations of PUTs one after the other, each of a new object, as the recorder puts them; microseconds. */
async function measurePuts(store: Minio): Promise<number[]> {
  const target = createS3Store(store.options('plain', 'puts'));
  const durations: number[] = [];
  for (let n = 0; n < PUTS; n += 1) {
    const bytes = randomBytes(PUT_BYTES);
    const sha256 = Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex');
    const began = performance.now();
    await target.putIfAbsent(`${process.pid}-${randomBytes(8).toString('hex')}`, bytes, sha256);
    durations.push((performance.now() - began) * 1_000);
  }
  return durations;
}

async function measureSaturation(
  store: Minio,
  upstreamPort: number,
  traffic: ReturnType<typeof exchanges>,
  seconds: number,
) {
  const recorder = await startRecorder(store, upstreamPort, 'recorder-s3');
  const script = path.join(directory, 'saturation.lua');
  writeScript(script, traffic, `127.0.0.1:${recorder.port}`);
  const callers = { script, port: recorder.port, connections: CALLERS };
  await runLoad(LOAD_CORE, { ...callers, seconds: SECONDS });
  const lags: number[] = [];
  const states = new Set<string>();
  const timer = setInterval(async () => {
    const { gate, store: seen } = await recorder.status();
    lags.push(seen.lag_ms);
    states.add(gate.state);
  }, LOOK_EVERY_MS);
  const before = cpuUs(recorder.pid);
  const load = await runLoad(LOAD_CORE, { ...callers, seconds });
  clearInterval(timer);
  const cpu = cpuUs(recorder.pid) - before;
  await recorder.stop();
  return {
    rps: load.requests / (load.durationUs / 1e6),
    errors: load.errors,
    cpuUsPerExchange: cpu / load.requests,
    maxLagMs: Math.max(...lags),
    lastLagMs: lags.at(-1) ?? Number.NaN,
    lags,
    states: [...states],
  };
}

async function startRecorder(
  store: Minio,
  upstreamPort: number,
  name: 'recorder-s3' | 'recorder-s3-commit',
): Promise<Recorder> {
  const place = { core: PROXY_CORE, directory, upstreamPort, minio: store };
  const { port, pid, stop } = await startCandidate(name, place, ['--max-semi-space-size=8']);
  const statusPort = fs.readFileSync(path.join(directory, name, 'status-port'), 'utf8');
  return {
    port,
    pid: pid as number,
    stop,
    status: async () => (await (await fetch(`http://127.0.0.1:${statusPort}/status`)).json()) as never,
  };
}
