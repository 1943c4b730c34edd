/**
 * Owns the crash test of the recorder as users run it: real processes, killed at random moments under traffic and started again, until so
 * many have died; then everything that either side received must be in the recordings. Several lanes run side by side, for most of a
 * recorder's life is waiting (for a segment's age, for the next call).
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { CallShape } from '../support/ledger-traffic.ts';
import { type Lane, openLane } from './lane.ts';
import { drawMoment, killAt, type Phase, PHASES } from './moments.ts';
import { createRandom } from './random.ts';

/** Lanes side by side, and deaths in each. */
const LANES = 6;
const KILLS_A_LANE = 34;
/** Deaths between two looks at the store. */
const LOOK_EVERY = 6;
/** What a start is thought to take until one has been seen, milliseconds. */
const FIRST_START_MS = 500;
/** Large answers in the `flood` phase: somewhat more than a segment holds. */
const FLOOD_CALLS = 130;
const FLOOD_BYTES = 200_000;

export interface KillLoopOptions {
  kills: number;
  seed: number;
  onProgress?: (report: KillReport) => void;
}

export interface KillReport {
  seed: number;
  /** One sentence each; none when all is well. */
  violations: string[];
  kills: number;
  /** Deaths by the phase in which they were planned. */
  phases: Record<Phase, number>;
  /** Calls that got their whole answer, and that did not. */
  completed: number;
  failed: number;
  lines: number;
  segments: number;
  states: Record<string, number>;
  seals: Record<string, number>;
}

/** Runs until `kills` recorders died, or something is found wrong. */
export async function runKillLoop(options: KillLoopOptions): Promise<KillReport> {
  const report: KillReport = {
    seed: options.seed,
    violations: [],
    kills: 0,
    phases: Object.fromEntries(PHASES.map((phase) => [phase, 0])) as Record<Phase, number>,
    completed: 0,
    failed: 0,
    lines: 0,
    segments: 0,
    states: {},
    seals: {},
  };
  const compileCache = await mkdtemp(path.join(tmpdir(), 'mcp-recorder-compiled-'));
  let planned = 0;
  let lanes = 0;
  const worker = async () => {
    while (planned < options.kills && report.violations.length === 0) {
      const kills = Math.min(KILLS_A_LANE, Math.ceil(options.kills / LANES), options.kills - planned);
      planned += kills;
      lanes += 1;
      await runLane({ ...options, number: lanes, kills, compileCache, report });
    }
  };
  try {
    await Promise.all(Array.from({ length: LANES }, worker));
  } finally {
    await rm(compileCache, { recursive: true, force: true });
  }
  return report;
}

async function runLane(
  options: KillLoopOptions & { number: number; compileCache: string; report: KillReport },
): Promise<void> {
  const { number, report, seed } = options;
  const random = createRandom(seed + number * 7919);
  const calls = createCalls();
  const lane = await openLane({
    name: `l${number}`,
    // The SDK's sessions and resumptions in one of the lanes that run together, the byte for byte ledger in the others.
    traffic: number % LANES === 0 ? 'sdk' : 'ledger',
    commit: number % 3 === 1 ? 'ObjectStorage' : 'Spool',
    shape: calls.shape,
    compileCache: options.compileCache,
  });
  try {
    let startMs = FIRST_START_MS;
    for (let died = 0; died < options.kills && report.violations.length === 0; ) {
      const moment = drawMoment(random, startMs);
      calls.flood(false);
      const started = performance.now();
      const life = lane.begin();
      const onReady = () => {
        startMs = performance.now() - started;
        // Not before: calls that nobody answers would use it up.
        calls.flood(moment.phase === 'flood');
      };
      life.ready.then(onReady).catch(() => {});
      const exit = await killAt(moment, life, [lane.spool, lane.segments]);
      if (exit.signal === 'SIGKILL') {
        died += 1;
        report.kills += 1;
        report.phases[moment.phase] += 1;
      } else if (moment.phase !== 'drain' || exit.code !== 0) {
        report.violations.push(
          `${lane.name}: the recorder ended by itself (${exit.code}):\n${life.output()}`,
        );
      }
      if (died % LOOK_EVERY === 0) report.violations.push(...(await lane.judgeMeanwhile()));
      options.onProgress?.(report);
    }
    await settle(lane, report);
  } finally {
    await lane.close();
  }
}

/** Ends the lane and adds its verdict to the report. */
export async function settle(
  lane: Lane,
  report: Omit<KillReport, 'seed' | 'kills' | 'phases'>,
): Promise<void> {
  const { violations, ...verdict } = await lane.finish();
  report.violations.push(...violations);
  for (const count of ['completed', 'failed', 'lines', 'segments'] as const) report[count] += verdict[count];
  for (const counts of ['states', 'seals'] as const) {
    for (const [name, count] of Object.entries(verdict[counts])) {
      report[counts][name] = (report[counts][name] ?? 0) + count;
    }
  }
}

/** What the clients ask for: all kinds of answers at a pace at which several recorders share the machine, and now and then a flood. */
function createCalls(): { shape(client: number, call: number): CallShape; flood(on: boolean): void } {
  let large = 0;
  return {
    shape(client, call) {
      if (large > 0) {
        large -= 1;
        return { answer: 'json', events: 0, textBytes: FLOOD_BYTES, requestBytes: 50, pauseMs: 0 };
      }
      const kind = (client + call) % 8;
      const rare = (client * 5 + call) % 40;
      return {
        answer: kind === 7 ? 'error' : kind % 2 === 0 ? 'json' : 'sse',
        events: kind,
        textBytes: rare === 4 ? 100_000 : 200,
        requestBytes: rare === 2 ? 80_000 : 50,
        pauseMs: kind % 2 === 0 ? 20 * (kind % 3) : 15,
      };
    },
    flood(on) {
      large = on ? FLOOD_CALLS : 0;
    },
  };
}
