/**
 * Owns `npm run bench`: the recorder against nginx, @fastify/http-proxy and no proxy at all, in turn, on two cores.
 * The proxy has core 0 for everything that it does; load generator and back end share core 1.
 * Invariant: while one candidate is measured, all others are stopped, and it is charged for what it does after the load too.
 * Writes the table, and everything as JSON to .bench/latest.json; exit code 1 when a bound is missed, 2 when the run failed.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CANDIDATES, type Candidate, type CandidateName, startCandidate } from './candidates.ts';
import { measureDisk } from './disk.ts';
import { runLoad, writeScript } from './load.ts';
import { startBackEnd } from './nginx.ts';
import {
  coreTimes,
  cpuUs,
  endedChildrenCpuUs,
  pause,
  pinSelf,
  stopAll,
  stopOnSignals,
  untilQuiet,
} from './processes.ts';
import { boundsOf, quantile, rowsOf, type Turn, tableOf, warningsOf } from './report.ts';
import { type Exchange, exchanges, REQUEST_BYTES, RESPONSE_BYTES, wireRequest } from './traffic.ts';

const PROXY_CORE = 0;
const LOAD_CORE = 1;
const CONCURRENCIES = [1, 16, 64];
const PLANS = {
  full: { rounds: 5, warmUpSeconds: 1, seconds: 5, syncs: 400 },
  quick: { rounds: 2, warmUpSeconds: 1, seconds: 1, syncs: 200 },
};
const OUTPUT = fileURLToPath(new URL('../.bench/', import.meta.url));

const { values: flags } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } },
});
const names = chosen(flags.only);
const plan = flags.quick ? PLANS.quick : PLANS.full;
const directory = path.join(OUTPUT, `run-${process.pid}`);

stopOnSignals(directory);
try {
  requireTools();
  fs.mkdirSync(directory, { recursive: true });
  await pinSelf(LOAD_CORE);
  process.exitCode = (await compare()) ? 0 : 1;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
} finally {
  await stopAll();
  fs.rmSync(directory, { recursive: true, force: true });
}

async function compare(): Promise<boolean> {
  const startedAt = new Date().toISOString();
  const traffic = exchanges();
  const backEnd = await startBackEnd(LOAD_CORE, directory, traffic);
  const place = { core: PROXY_CORE, directory, upstreamPort: backEnd.port };
  const candidates: { candidate: Candidate; script: string }[] = [];
  for (const name of names) {
    const candidate = await startCandidate(name, place);
    const script = path.join(directory, `${name}.lua`);
    writeScript(script, traffic, `127.0.0.1:${candidate.port}`);
    for (const exchange of traffic.slice(0, 20)) await checkAnswer(candidate, exchange);
    // Compiled code before the first figure.
    await runLoad(LOAD_CORE, { script, port: candidate.port, connections: 64, seconds: flags.quick ? 1 : 3 });
    await settle(candidate);
    candidates.push({ candidate, script });
  }

  const turns: Turn[] = [];
  const syncs: number[] = [];
  for (let round = 0; round < plan.rounds; round += 1) {
    syncs.push(...(await measureDisk(PROXY_CORE, directory, plan.syncs)));
    for (const connections of CONCURRENCIES) {
      for (const { candidate, script } of candidates) {
        const turn = await measure(candidate, script, connections, round, backEnd.pid);
        turns.push(turn);
        process.stderr.write(
          `round ${round + 1}/${plan.rounds}  ${String(connections).padStart(2)} callers  ${candidate.name.padEnd(12)} ${turn.rps.toFixed(0).padStart(6)} req/s  p50 ${turn.p50Us} us\n`,
        );
      }
    }
  }
  return report(startedAt, turns, syncs);
}

/** A proxy that answers fast and wrongly would win: status and body must be those of the back end. */
async function checkAnswer(candidate: Candidate, exchange: Exchange): Promise<void> {
  const [head = '', body = ''] = wireRequest(exchange, '').split('\r\n\r\n');
  const headers = head
    .split('\r\n')
    .slice(1)
    .map((line) => line.split(': ', 2) as [string, string])
    .filter(([name]) => name !== 'Host' && name !== 'Content-Length');
  const answer = await fetch(`http://127.0.0.1:${candidate.port}/mcp`, { method: 'POST', headers, body });
  const text = await answer.text();
  if (answer.status !== 200 || text !== exchange.response) {
    throw new Error(
      `${candidate.name} answered ${answer.status} with another body than the back end's: ${text}`,
    );
  }
}

async function measure(
  candidate: Candidate,
  script: string,
  connections: number,
  round: number,
  backEndPid: number,
): Promise<Turn> {
  const { pid, port } = candidate;
  if (pid !== null) pause(pid, false);
  await runLoad(LOAD_CORE, { script, port, connections, seconds: plan.warmUpSeconds });
  const candidateCpu = () => (pid === null ? 0 : cpuUs(pid));
  const ours = () => candidateCpu() + cpuUs(backEndPid) + endedChildrenCpuUs();
  const before = {
    proxy: candidateCpu(),
    ours: ours(),
    core0: coreTimes(PROXY_CORE),
    core1: coreTimes(LOAD_CORE),
  };
  const began = performance.now();
  const load = await runLoad(LOAD_CORE, { script, port, connections, seconds: plan.seconds });
  const turnUs = (performance.now() - began) * 1_000;
  const after = {
    proxy: candidateCpu(),
    ours: ours(),
    core0: coreTimes(PROXY_CORE),
    core1: coreTimes(LOAD_CORE),
  };
  await settle(candidate);
  const owedUs = candidateCpu() - after.proxy;
  const core0Us = after.core0.busyUs - before.core0.busyUs;
  const core1Us = after.core1.busyUs - before.core1.busyUs;
  const foreignUs = core0Us + core1Us - (after.ours - before.ours);
  const stolenUs =
    after.core0.stolenUs - before.core0.stolenUs + after.core1.stolenUs - before.core1.stolenUs;
  return {
    candidate: candidate.name,
    connections,
    round,
    rps: load.requests / ((load.durationUs + owedUs) / 1e6),
    p50Us: load.p50Us,
    p99Us: load.p99Us,
    errors: load.errors,
    cpuUsPerExchange: pid === null ? null : (after.proxy - before.proxy + owedUs) / load.requests,
    owedSeconds: owedUs / 1e6,
    core0: core0Us / turnUs,
    core1: core1Us / turnUs,
    foreign: Math.max(0, (foreignUs + stolenUs) / (2 * turnUs)),
  };
}

/** Lets a candidate finish what it owes, then stops it until its next turn. */
async function settle({ pid }: Candidate): Promise<void> {
  if (pid === null) return;
  await untilQuiet(pid, 20_000);
  pause(pid, true);
}

function report(startedAt: string, turns: readonly Turn[], syncs: readonly number[]): boolean {
  const rows = rowsOf(turns);
  const disk = { p50Us: quantile(syncs, 0.5), p99Us: quantile(syncs, 0.99), samples: syncs.length };
  const bounds = boundsOf(rows, disk.p50Us);
  const warnings = warningsOf(rows);
  const machine = {
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cores: os.cpus().length,
    kernel: os.release(),
    node: process.version,
  };
  const settings = { ...plan, requestBytes: REQUEST_BYTES, responseBytes: RESPONSE_BYTES };
  const file = path.join(OUTPUT, 'latest.json');
  fs.writeFileSync(
    file,
    `${JSON.stringify({ startedAt, machine, settings, disk, rows, bounds, warnings, turns }, null, 2)}\n`,
  );
  const lines = [
    '',
    `${machine.cpu}, Linux ${machine.kernel}, Node ${machine.node}; ${REQUEST_BYTES} B requests, ${RESPONSE_BYTES} B answers; medians of ${plan.rounds} rounds of ${plan.seconds} s`,
    `2 KB written and fdatasynced: p50 ${disk.p50Us.toFixed(0)} us, p99 ${disk.p99Us.toFixed(0)} us`,
    '',
    tableOf(rows),
    '',
    ...bounds.map(
      ({ name, value, bound, met }) =>
        `${met ? 'met   ' : 'MISSED'} ${name}: ${value.toFixed(value < 10 ? 3 : 0)}, bound ${bound}`,
    ),
    ...warnings.map((warning) => `warning: ${warning}`),
    `everything: ${path.relative(process.cwd(), file)}`,
    '',
  ];
  process.stdout.write(lines.join('\n'));
  return bounds.every(({ met }) => met);
}

function chosen(only: string | undefined): readonly CandidateName[] {
  if (only === undefined) return CANDIDATES;
  const asked = only.split(',');
  const unknown = asked.filter((name) => !CANDIDATES.some((known) => known === name));
  if (unknown.length > 0) throw new Error(`--only knows ${CANDIDATES.join(', ')}, not ${unknown.join(', ')}`);
  return CANDIDATES.filter((name) => asked.includes(name));
}

function requireTools(): void {
  for (const [tool, option, source] of [
    ['nginx', '-v', 'nginx-light'],
    ['wrk', '-v', 'wrk'],
    ['taskset', '-V', 'util-linux'],
  ] as const) {
    try {
      execFileSync(tool, [option], { stdio: 'ignore' });
    } catch (error) {
      // wrk exits with 1 after saying its version.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') continue;
      throw new Error(`The benchmark needs ${tool}; on Debian: apt-get install ${source}`, { cause: error });
    }
  }
}
