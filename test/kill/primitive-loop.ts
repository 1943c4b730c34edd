/**
 * Owns the crash test at chosen places: recorders that kill themselves at the n-th file primitive, for many n, under traffic. The lives
 * of one lane share a spool, so that each recovers what the one before left, and dies in it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { CallShape } from '../support/ledger-traffic.ts';
import type { Death } from './doomed-files.ts';
import { openLane } from './lane.ts';
import type { Verdict } from './oracle.ts';

const SCRIPT = fileURLToPath(new URL('./doomed-recorder.ts', import.meta.url));
/** A primitive that does not come within this time does not come, milliseconds. */
const LONGEST_MS = 20_000;
/** Traffic before a drain, milliseconds. */
const BEFORE_DRAIN_MS = 100;

/** One life: it ends at the n-th primitive since its start, or since it was told to drain. */
export interface Doom {
  since: 'start' | 'drain';
  at: number;
}

/** Each of the first primitives after a start on what a long life left, and far ones; then each of a drain. */
export function planDooms(first: number, drains: number): Doom[] {
  const dooms: Doom[] = [];
  for (let at = 1; at <= first; at += 1) {
    dooms.push({ since: 'start', at }, { since: 'start', at: first + 6 * at });
  }
  for (let at = 1; at <= drains; at += 1) dooms.push({ since: 'drain', at });
  return dooms;
}

/** Answers of some kB without pauses: a segment of the doomed recorder is full after a tenth of a second. */
function shape(client: number, call: number): CallShape {
  const answer = (client + call) % 3 === 0 ? 'sse' : 'json';
  return { answer, events: 2, textBytes: 4_000, requestBytes: 2_000, pauseMs: 5 };
}

/** Lives through the plan in one lane. @returns the verdict, with a violation for each life that ended otherwise than planned */
export async function runPrimitiveLoop(
  how: Death,
  dooms: readonly Doom[],
  commit: 'Spool' | 'ObjectStorage',
): Promise<Verdict & { kills: number }> {
  const compileCache = await mkdtemp(path.join(tmpdir(), 'mcp-recorder-compiled-'));
  const lane = await openLane({
    name: `${how}${commit.toLowerCase()}`,
    traffic: 'ledger',
    commit,
    shape,
    compileCache,
  });
  const violations: string[] = [];
  let kills = 0;
  try {
    for (const { since, at } of dooms) {
      const life = lane.begin(SCRIPT, [since, String(at), how]);
      const deadline = setTimeout(() => life.stop('SIGTERM'), LONGEST_MS);
      if (since === 'drain') {
        await life.ready;
        await delay(BEFORE_DRAIN_MS);
        life.stop('SIGTERM');
      }
      const exit = await life.exited;
      clearTimeout(deadline);
      if (exit.signal === 'SIGKILL') kills += 1;
      // A drain may have fewer primitives than were planned for.
      else if (since === 'start' || exit.code !== 0) {
        violations.push(`${how} ${since} ${at}: ended with ${exit.code ?? exit.signal}:\n${life.output()}`);
      }
      violations.push(...(await lane.judgeMeanwhile()).map((what) => `${how} ${since} ${at}: ${what}`));
      if (violations.length > 0) break;
    }
    const verdict = await lane.finish();
    return { ...verdict, kills, violations: [...violations, ...verdict.violations] };
  } finally {
    await lane.close();
    await rm(compileCache, { recursive: true, force: true });
  }
}
