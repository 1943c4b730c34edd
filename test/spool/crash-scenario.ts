/**
 * Owns what the crash tests do with a spool, and the oracle that judges what came of it.
 * Invariant: the oracle knows only what the outside saw: which appends were answered `durable`, and what the store holds in the end.
 */
import { decodeSegment } from '@mcp-recorder/recording/read/segment-object';
import { verifyStore } from '@mcp-recorder/recording/read/verify-store';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { parseSegmentKey } from '@mcp-recorder/recording/format/keys';
import { eventually } from '../support/poll.ts';
import { createCrashDisk, type CrashDisk, type Fault, type Process, type Survival } from './crash-disk.ts';
import { createMemoryStore } from './memory-store.ts';
import { type SpoolProcess, startProcess, tail } from './spool-process.ts';

export const DIRECTORY = '/spool';

export interface World {
  disk: CrashDisk;
  store: ReturnType<typeof createMemoryStore>;
  /** Names of lines that were answered `durable`. */
  durable: Set<string>;
  /** Names of all lines that were appended. */
  appended: Set<string>;
}

export function createWorld(): World {
  return { disk: createCrashDisk(), store: createMemoryStore(), durable: new Set(), appended: new Set() };
}

/** The store as the process sees it: each put is a step before and a step after, and a dead process puts nothing. */
function storeOf(world: World, process: Process): ObjectStore {
  return {
    ...world.store,
    putIfAbsent: async (key, bytes, sha256) => {
      const outcome = await process.step(`put ${key}`, () => world.store.putIfAbsent(key, bytes, sha256));
      return await process.step(`answer to put ${key}`, () => outcome);
    },
  };
}

async function appendNamed(
  world: World,
  running: SpoolProcess,
  names: string[],
  lines: string[],
  closing: boolean,
): Promise<void> {
  const error = await running.append(lines, closing);
  const kept = error === null ? names.length : error.durableLines;
  for (const name of names.slice(0, kept)) world.durable.add(name);
}

/** Appends of several callers at once, about half a segment; resolves when all are answered. */
async function sendWave(world: World, running: SpoolProcess, wave: number): Promise<void> {
  const answers: Promise<void>[] = [];
  for (let i = 0; i < 4; i += 1) {
    const names = [0, 1].map((n) => `${running.stream}/${wave}/${i}/${n}`);
    for (const name of names) world.appended.add(name);
    const lines = names.map((name) => tail(name, i === 3 ? 3000 : 300));
    answers.push(appendNamed(world, running, names, lines, i === 2));
  }
  await Promise.all(answers);
}

export interface Life {
  fault: Fault;
  waves: number;
  /** After each wave everything is sealed by age and uploaded, and then there is nothing to do for a while. */
  pauses?: boolean;
  /** Default: `Spool`. */
  commit?: 'Spool' | 'ObjectStorage';
  /** Uploads nothing and never drains: what it leaves is for the next. */
  abandons?: boolean;
}

/** One process from its start to its end or death. @returns its steps, and whether all was uploaded */
export async function live(
  world: World,
  life: Life,
): Promise<{ trace: string[]; uploaded: boolean; problems: string[] }> {
  const process = world.disk.start(life.fault);
  let uploaded = false;
  let problems: string[] = [];
  async function run(): Promise<void> {
    const running = await startProcess({
      limits: { sealAfterMs: life.pauses === true ? 5 : 1000 },
      directory: DIRECTORY,
      files: process.files,
      store: storeOf(world, process),
      withoutUpload: life.abandons === true,
      commit: life.commit ?? 'Spool',
    });
    problems = running.problems;
    for (let wave = 0; wave < life.waves; wave += 1) {
      await sendWave(world, running, wave);
      if (life.pauses !== true) continue;
      const acked = () =>
        running.spool.status().watermarks.acked === running.spool.status().watermarks.appended;
      await eventually(acked, { withinMs: 2000, everyMs: 1 }).catch(() => {});
    }
    if (life.abandons === true) return;
    uploaded = (await running.spool.drain(AbortSignal.timeout(10_000))).uploaded;
    await running.uploader.close();
  }
  const ended = run().catch((error: unknown) => {
    problems.push(String(error));
  });
  await Promise.race([ended, process.dead]);
  process.kill();
  return { trace: process.trace, uploaded, problems };
}

export interface Verdict {
  /** Durable lines that are not in the store. */
  missing: string[];
  /** Lines that are there twice, or that nobody appended. */
  wrong: string[];
  explained: boolean;
  report: string;
  /** Files that are left in the spool. */
  left: string[];
}

/** Judges after a process without faults has drained. */
export async function judge(world: World): Promise<Verdict> {
  const found = new Set<string>();
  const wrong: string[] = [];
  for (const [key, bytes] of world.store.objects) {
    if (parseSegmentKey(key) === null) wrong.push(key);
    for (const line of (await decodeSegment(Buffer.from(bytes))).toString('utf8').split('\n')) {
      if (line === '') continue;
      const { type, gap } = JSON.parse(line) as { type: string; gap?: { cause: string } };
      if (type !== 'gap' || gap === undefined) continue;
      const name = gap.cause.split(' ')[0] as string;
      if (found.has(name) || !world.appended.has(name)) wrong.push(name);
      found.add(name);
    }
  }
  const report = await verifyStore(world.store, { expectClosed: true });
  return {
    missing: [...world.durable].filter((name) => !found.has(name)),
    wrong,
    explained:
      report.explained && report.streams.every(({ state }) => state === 'complete' || state === 'recovered'),
    report: JSON.stringify(report, null, 1),
    left: world.disk.paths(),
  };
}

export const SOUND: Omit<Verdict, 'report'> = { missing: [], wrong: [], explained: true, left: [] };

/** A last process without faults finishes what is left; then the verdict. */
export async function settle(world: World, survival: Survival, random?: () => number): Promise<Verdict> {
  world.disk.lose(survival, random);
  await live(world, { fault: { kind: 'none' }, waves: 1 });
  return await judge(world);
}
