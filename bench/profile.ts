/**
 * Owns `node bench/profile.ts`: where the recorder's CPU time goes with 64 callers, all of its work on core 0.
 * Prints microseconds an exchange by part, file and function; leaves the profile in .bench/latest.cpuprofile for other tools.
 * Invariant: only what was sampled under load is counted, not start and drain. An argument names another Node candidate.
 */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CANDIDATES, startCandidate } from './candidates.ts';
import { runLoad, writeScript } from './load.ts';
import { startBackEnd } from './nginx.ts';
import { cpuUs, mainThreadCpuUs, pinSelf, stopAll, stopOnSignals } from './processes.ts';
import { breakDown, type Profile, type Share } from './profile-report.ts';
import { exchanges } from './traffic.ts';

const PROXY_CORE = 0;
const LOAD_CORE = 1;
const CALLERS = 64;
const WARM_UP_SECONDS = 3;
const SECONDS = 10;
const SAMPLE_US = 250;
const OUTPUT = fileURLToPath(new URL('../.bench/', import.meta.url));

const directory = path.join(OUTPUT, `profile-${process.pid}`);
stopOnSignals(directory);
try {
  const name = CANDIDATES.find((candidate) => candidate === (process.argv[2] ?? 'recorder'));
  if (name === undefined || name === 'direct' || name === 'nginx') {
    throw new Error(`no profile of ${process.argv[2]}: recorder, recorder-off and fastify run on Node`);
  }
  fs.mkdirSync(directory, { recursive: true });
  await pinSelf(LOAD_CORE);
  const traffic = exchanges();
  const backEnd = await startBackEnd(LOAD_CORE, directory, traffic);
  const candidate = await startCandidate(name, { core: PROXY_CORE, directory, upstreamPort: backEnd.port }, [
    '--cpu-prof',
    `--cpu-prof-dir=${directory}`,
    `--cpu-prof-interval=${SAMPLE_US}`,
  ]);
  const { pid, port } = candidate;
  if (pid === null) throw new Error(`${name} has no process`);
  const script = path.join(directory, 'requests.lua');
  writeScript(script, traffic, `127.0.0.1:${port}`);
  const load = { script, port, connections: CALLERS };
  await runLoad(LOAD_CORE, { ...load, seconds: WARM_UP_SECONDS });
  const before = { allUs: cpuUs(pid), mainUs: mainThreadCpuUs(pid), atUs: monotonicUs() };
  const { requests, errors } = await runLoad(LOAD_CORE, { ...load, seconds: SECONDS });
  const after = { allUs: cpuUs(pid), mainUs: mainThreadCpuUs(pid), atUs: monotonicUs() };
  // The profile is written when the process exits.
  await stopAll();
  const file = fs.readdirSync(directory).find((one) => one.endsWith('.cpuprofile'));
  if (file === undefined) throw new Error(`${name} left no profile: it did not exit by itself on SIGTERM`);
  const text = fs.readFileSync(path.join(directory, file), 'utf8');
  fs.writeFileSync(path.join(OUTPUT, 'latest.cpuprofile'), text);
  const { busyUs, functions, files, parts } = breakDown(JSON.parse(text) as Profile, before.atUs, after.atUs);

  const mainUs = after.mainUs - before.mainUs;
  const otherUs = after.allUs - before.allUs - mainUs;
  const perExchange = (us: number) => (us / requests).toFixed(2).padStart(7);
  const list = (title: string, shares: readonly Share[], count: number) =>
    `\n${title}\n${shares
      .slice(0, count)
      .map(
        ({ name: what, us }) =>
          `${perExchange(us)} us ${((100 * us) / busyUs).toFixed(1).padStart(5)} %  ${what}`,
      )
      .join('\n')}\n`;
  process.stdout.write(
    `${name}: ${requests} exchanges in ${SECONDS} s, ${errors} errors (profiling slows it down)\n` +
      `main thread ${perExchange(mainUs)} us an exchange, other threads ${perExchange(otherUs)} us\n` +
      list('Main thread by part', parts, 20) +
      list('Main thread by file', files, 30) +
      list('Main thread by function', functions, 60),
  );
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
} finally {
  await stopAll();
  fs.rmSync(directory, { recursive: true, force: true });
}

/** V8 stamps its samples with the same clock. */
function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}
