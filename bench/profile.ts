/**
 * Owns `npm run bench:profile`: where the recorder's CPU time goes with 64 callers, all of its work on core 0.
 * First without a profiler: CPU time an exchange, by thread. Then with V8's: the main thread by part, file and function.
 * Leaves the profile in .bench/latest.cpuprofile for other tools. An argument names another candidate that runs on Node.
 * Invariant: only what happened under load is counted, not start and drain; what the profiler itself costs is scaled away.
 */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Minio, startMinio } from '../test/support/minio.ts';
import { CANDIDATES, type CandidateName, startCandidate, STORE_CANDIDATES } from './candidates.ts';
import { type Load, runLoad, writeScript } from './load.ts';
import { startBackEnd } from './nginx.ts';
import { pinSelf, stopAll, stopOnSignals, threadCpuUs } from './processes.ts';
import { breakDown, type Profile, type Share } from './profile-report.ts';
import { type Exchange, exchanges } from './traffic.ts';

const PROXY_CORE = 0;
const LOAD_CORE = 1;
const CALLERS = 64;
const WARM_UP_SECONDS = 5;
const SECONDS = 10;
const SAMPLE_US = 250;
const OUTPUT = fileURLToPath(new URL('../.bench/', import.meta.url));

interface LoadedRun {
  load: Load;
  /** CPU microseconds an exchange, by thread. */
  threads: Share[];
  /** Of the monotonic clock, which also stamps V8's samples. */
  fromUs: number;
  toUs: number;
}

const directory = path.join(OUTPUT, `profile-${process.pid}`);
let minio: Minio | null = null;
stopOnSignals(directory);
try {
  const name = [...CANDIDATES, ...STORE_CANDIDATES].find(
    (candidate) => candidate === (process.argv[2] ?? 'recorder'),
  );
  if (name === undefined || name === 'direct' || name === 'nginx') {
    throw new Error(
      `no profile of ${process.argv[2]}: recorder, ${STORE_CANDIDATES.join(', ')}, recorder-off and fastify run on Node`,
    );
  }
  fs.mkdirSync(directory, { recursive: true });
  await pinSelf(LOAD_CORE);
  if (STORE_CANDIDATES.some((candidate) => candidate === name)) minio = await startMinio();
  const traffic = exchanges();
  const plain = await loadedRun(name, traffic, []);
  const options = ['--cpu-prof', `--cpu-prof-dir=${directory}`, `--cpu-prof-interval=${SAMPLE_US}`];
  const profiled = await loadedRun(name, traffic, options);
  report(name, plain, profiled, takeProfile(name));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
} finally {
  await stopAll();
  await minio?.stop();
  fs.rmSync(directory, { recursive: true, force: true });
}

/** Starts the candidate, loads it and ends it. */
async function loadedRun(
  name: CandidateName,
  traffic: readonly Exchange[],
  options: readonly string[],
): Promise<LoadedRun> {
  const backEnd = await startBackEnd(LOAD_CORE, directory, traffic);
  const place = {
    core: PROXY_CORE,
    directory,
    upstreamPort: backEnd.port,
    ...(minio === null ? {} : { minio }),
  };
  const { pid, port } = await startCandidate(name, place, options);
  if (pid === null) throw new Error(`${name} has no process`);
  const script = path.join(directory, 'requests.lua');
  writeScript(script, traffic, `127.0.0.1:${port}`);
  const callers = { script, port, connections: CALLERS };
  await runLoad(LOAD_CORE, { ...callers, seconds: WARM_UP_SECONDS });
  const before = threadCpuUs(pid);
  const fromUs = monotonicUs();
  const load = await runLoad(LOAD_CORE, { ...callers, seconds: SECONDS });
  const toUs = monotonicUs();
  const threads = [...threadCpuUs(pid)]
    .map(([thread, us]) => ({ name: thread, us: (us - (before.get(thread) ?? 0)) / load.requests }))
    .toSorted((a, b) => b.us - a.us);
  await stopAll();
  return { load, threads, fromUs, toUs };
}

function takeProfile(name: CandidateName): Profile {
  const file = fs.readdirSync(directory).find((one) => one.endsWith('.cpuprofile'));
  if (file === undefined) throw new Error(`${name} left no profile: it did not exit by itself on SIGTERM`);
  const text = fs.readFileSync(path.join(directory, file), 'utf8');
  fs.writeFileSync(path.join(OUTPUT, 'latest.cpuprofile'), text);
  return JSON.parse(text) as Profile;
}

function report(name: CandidateName, plain: LoadedRun, profiled: LoadedRun, profile: Profile): void {
  const { busyUs, functions, files, parts } = breakDown(profile, profiled.fromUs, profiled.toUs);
  const mainUs = plain.threads.find(({ name: thread }) => /main/i.test(thread) || thread === 'node')?.us ?? 0;
  const list = (title: string, shares: readonly Share[], count: number) =>
    `\n${title}\n${shares
      .slice(0, count)
      .map(({ name: what, us }) => {
        const share = us / busyUs;
        return `${(share * mainUs).toFixed(2).padStart(7)} us ${(100 * share).toFixed(1).padStart(5)} %  ${what}`;
      })
      .join('\n')}\n`;
  const threads = plain.threads
    .filter(({ us }) => us >= 0.05)
    .map(({ name: thread, us }) => `${us.toFixed(2).padStart(7)} us  ${thread}`);
  const totalUs = plain.threads.reduce((sum, { us }) => sum + us, 0);
  process.stdout.write(
    `${name}: ${plain.load.requests} exchanges in ${SECONDS} s, ${plain.load.errors} errors\n` +
      `\nCPU an exchange by thread, ${totalUs.toFixed(1)} us in all\n${threads.join('\n')}\n` +
      list('Main thread by part', parts, 20) +
      list('Main thread by file', files, 30) +
      list('Main thread by function', functions, 60),
  );
}

function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}
