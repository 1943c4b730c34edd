/**
 * Owns `npm run torture`: the crash test of `kill.test.ts`, for longer.
 * `npm run torture -- --kills 2000 --seed 7`; exit code 0: nothing was wrong, 1: something was (its directory is kept), 2: could not run.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { type KillReport, runKillLoop } from './kill-loop.ts';

const TELL_EVERY_MS = 10_000;
/** Findings that are printed in full. */
const TOLD = 20;

const counts = (of: Record<string, number>) =>
  Object.entries(of)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');

function summary(report: KillReport, seconds: number): string {
  return [
    `${report.kills} recorders killed in ${seconds.toFixed(0)} s (seed ${report.seed}), by phase: ${counts(report.phases)}`,
    `calls answered whole ${report.completed}, cut or refused ${report.failed}`,
    `recorded ${report.lines} lines in ${report.segments} segments, sealed by: ${counts(report.seals)}`,
    `streams: ${counts(report.states)}`,
    report.violations.length === 0
      ? 'everything that a client or the server received is in the recordings, no number is missing, verify explains every stream'
      : `WRONG: ${report.violations.length} findings`,
    ...report.violations.slice(0, TOLD),
  ].join('\n');
}

let options: { kills: number; seed: number };
try {
  const { values } = parseArgs({ options: { kills: { type: 'string' }, seed: { type: 'string' } } });
  options = { kills: Number(values.kills ?? 2_000), seed: Number(values.seed ?? randomInt(2 ** 31)) };
  if (!Number.isInteger(options.kills) || !Number.isInteger(options.seed) || options.kills < 1) {
    throw new TypeError('--kills and --seed are whole numbers, --kills at least 1');
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(2);
}

const started = performance.now();
const seconds = () => (performance.now() - started) / 1000;
let toldMs = started;
console.log(`${options.kills} kills, seed ${options.seed}`);
const report = await runKillLoop({
  ...options,
  onProgress({ kills, violations }) {
    if (performance.now() - toldMs < TELL_EVERY_MS) return;
    toldMs = performance.now();
    console.log(`${seconds().toFixed(0)} s: ${kills} of ${options.kills}, ${violations.length} findings`);
  },
});
console.log(summary(report, seconds()));
process.exitCode = report.violations.length === 0 ? 0 : 1;
