/**
 * Owns when a recorder is killed: moments spread so that each phase of its life is hit, recovery, traffic, the sealing of a
 * segment by age and by size, its way to the store, the drain.
 */
import { existsSync, watch } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Exit, SpawnedProcess } from '../support/child-process.ts';
import { between, type Random } from './random.ts';

export const PHASES = ['start', 'traffic', 'seal', 'flood', 'change', 'drain'] as const;
export type Phase = (typeof PHASES)[number];

export interface Moment {
  phase: Phase;
  /** `start`: milliseconds after the process was made; `change`: after the change; else: after it was ready. */
  afterMs: number;
  /** `change`: at which change in the directories of spool and store. `drain`: milliseconds from SIGTERM to SIGKILL. */
  count: number;
}

/** How often each phase is chosen, of 100. */
const SHARES: Record<Phase, number> = { start: 25, traffic: 34, seal: 15, flood: 6, change: 12, drain: 8 };
/** The age at which a segment is sealed, and how far around it is killed, milliseconds. */
const SEAL_AGE_MS = 5_000;
const SEAL_SPREAD_MS = [-100, 400] as const;
const LONGEST_MS = 6_000;
const LONGEST_TRAFFIC_MS = 2_000;
/** Around when a segment is full of large answers, milliseconds. */
const FLOOD_MS = [300, 2_500] as const;

/**
 * Draws the moment of the next death.
 * @param startMs how long the last start took: the `start` phase leans towards its end, where recovery is
 */
export function drawMoment(random: Random, startMs: number): Moment {
  let left = random() * 100;
  const phase = PHASES.find((candidate) => (left -= SHARES[candidate]) < 0) ?? 'traffic';
  switch (phase) {
    case 'start':
      return { phase, afterMs: 5 + startMs * 1.1 * Math.sqrt(random()), count: 0 };
    case 'seal':
      return { phase, afterMs: SEAL_AGE_MS + between(random, ...SEAL_SPREAD_MS), count: 0 };
    case 'flood':
      return { phase, afterMs: between(random, ...FLOOD_MS), count: 0 };
    case 'change':
      return { phase, afterMs: between(random, 0, 3), count: 1 + Math.floor(random() * 8) };
    case 'drain':
      return { phase, afterMs: between(random, 20, 500), count: between(random, 0, 300) };
    case 'traffic':
      // As many short lives as long ones, on a scale of magnitudes.
      return { phase, afterMs: LONGEST_TRAFFIC_MS ** random(), count: 0 };
  }
}

/** Kills the process at the moment, or leaves it to its own end when that comes first. */
export async function killAt(
  moment: Moment,
  life: SpawnedProcess,
  directories: readonly string[],
): Promise<Exit> {
  const ended = life.exited.then(() => false);
  // A start that fails by itself is told by how the process exits.
  const ready = Promise.race([life.ready.then(() => true).catch(() => false), ended]);
  const wait = (ms: number) => Promise.race([delay(ms), life.exited]);
  if (moment.phase === 'change') await untilChanged(directories, moment.count, life.exited);
  else if (moment.phase !== 'start' && !(await ready)) return life.exited;
  await wait(moment.afterMs);
  if (moment.phase === 'drain') {
    life.stop('SIGTERM');
    await wait(moment.count);
  }
  return life.stop('SIGKILL');
}

/** Resolves at the n-th change in those directories that exist, at the end of the process, or when it has lived long enough. */
async function untilChanged(
  directories: readonly string[],
  count: number,
  exited: Promise<unknown>,
): Promise<void> {
  const watchers: { close(): void }[] = [];
  const { promise: changed, resolve } = Promise.withResolvers<void>();
  let seen = 0;
  // Made by the recorder itself: making them here would keep the first lives from dying in it.
  for (const directory of directories.filter((candidate) => existsSync(candidate))) {
    watchers.push(
      watch(directory, () => {
        seen += 1;
        if (seen === count) resolve();
      }),
    );
  }
  const late = new AbortController();
  const deadline = delay(LONGEST_MS, undefined, { signal: late.signal }).catch(() => {});
  await Promise.race([changed, deadline, exited]);
  late.abort();
  for (const watcher of watchers) watcher.close();
}
