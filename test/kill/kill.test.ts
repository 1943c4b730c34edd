/**
 * The promise "nothing unrecorded" against SIGKILL: what a client or the server received is in the recordings, whenever the recorder
 * died and however often.
 */
import { randomInt } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Death } from './doomed-files.ts';
import { runKillLoop } from './kill-loop.ts';
import { planDooms, runPrimitiveLoop } from './primitive-loop.ts';

const KILLS = 200;
/** Primitives of a start with something to recover, and of a drain; some more than there are. */
const FIRST = 30;
const DRAINS = 10;

test('nothing is lost and everything is explained when real recorders are killed at random moments', async () => {
  const report = await runKillLoop({ kills: KILLS, seed: randomInt(2 ** 31) });
  expect(report.violations, `seed ${report.seed}`).toEqual([]);
  expect(report.kills).toBe(KILLS);
  // The moments were spread, and the traffic was real: else all of the above would prove little.
  for (const [phase, kills] of Object.entries(report.phases)) expect(kills, phase).toBeGreaterThan(0);
  expect(report.states['recovered']).toBeGreaterThan(KILLS / 3);
  expect(report.seals['age']).toBeGreaterThan(0);
  expect(report.seals['batch']).toBeGreaterThan(0);
  expect(report.completed).toBeGreaterThan(10 * KILLS);
}, 600_000);

test.concurrent.each<[string, string, Death, 'Spool' | 'ObjectStorage']>([
  ['before', 'Spool', 'before', 'Spool'],
  ['half way through', 'Spool', 'half', 'Spool'],
  ['after', 'Spool', 'after', 'Spool'],
  ['half way through', 'ObjectStorage', 'half', 'ObjectStorage'],
])(
  'nothing is lost and everything is explained when the recorder dies %s any file primitive (commit %s)',
  async (_when, _mode, how, commit) => {
    const dooms = planDooms(FIRST, DRAINS);
    const report = await runPrimitiveLoop(how, dooms, commit);
    expect(report.violations).toEqual([]);
    // The last dooms may lie behind the end of a drain.
    expect(report.kills).toBeGreaterThan(dooms.length - DRAINS / 2);
    expect(report.states['recovered']).toBeGreaterThan(FIRST);
    expect(report.seals[commit === 'Spool' ? 'size' : 'batch']).toBeGreaterThan(0);
  },
  600_000,
);
