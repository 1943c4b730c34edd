/**
 * With `onFailure: Open` calls pass while the disk fails, and the recording says how many it has not, or not whole: exactly as many as both
 * sides know of.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Minio, startMinio } from '../support/minio.ts';
import { eventually } from '../support/poll.ts';
import { tokenOf } from '../support/ledger.ts';
import { type FaultLane, openFaultLane } from './fault-lane.ts';
import { OPEN_WITHIN_MS } from './gate-bounds.ts';
import { bucketOf } from './lane-stores.ts';

let minio: Minio;
let lane: FaultLane | null = null;
beforeAll(async () => {
  minio = await startMinio();
});
afterEach(() => lane?.close());
afterAll(() => minio?.stop());

test('the gaps hold exactly the exchanges that are not, or not whole, in the recording', async () => {
  lane = await openFaultLane({
    name: 'fail-open',
    scene: 'unary',
    commit: 'Spool',
    onFailure: 'Open',
    store: bucketOf(minio, 'plain', 'fail-open'),
    maxUploadLag: '30s',
    faulty: true,
  });
  const { gate, tally, ledger } = lane;
  await eventually(() => tally.counts.answered >= 40, { withinMs: 20_000 });
  const fromMs = performance.now();
  await lane.inside({ syncData: 'EIO' });
  await gate.until(['FailOpen'], fromMs, 5_000);
  const { answered } = tally.counts;
  await eventually(() => tally.counts.answered > answered + 100, { withinMs: 15_000 });
  const healedMs = performance.now();
  await lane.inside({});
  await gate.until(['Open'], healedMs, OPEN_WITHIN_MS);
  const { answered: later } = tally.counts;
  await eventually(() => tally.counts.answered > later + 40, { withinMs: 15_000 });
  const { violations, recorded } = await lane.finish();
  lane.discard();

  expect(tally.counts).toMatchObject({ refused: 0, lost: 0, cut: 0, failed: 0 });
  const unrecorded = new Set<string>();
  for (const violation of violations) {
    const token = tokenOf(violation.slice(violation.indexOf(': ')));
    if (token === null) expect.fail(violation);
    else unrecorded.add(token);
  }
  const ended = new Set(recorded.filter((line) => line.type === 'end').map(({ exchange }) => exchange));
  for (const line of recorded) {
    if (line.type !== 'request' || ended.has(line.exchange)) continue;
    const token = tokenOf(line.body ?? '');
    if (token !== null) unrecorded.add(token);
  }
  const gaps = recorded.filter((line) => line.type === 'gap').map(({ gap }) => gap);
  expect(gaps.length).toBeGreaterThan(0);
  expect(gaps.every(({ exact, cause }) => exact && cause === 'spool_failed')).toBe(true);
  expect(gaps.reduce((sum, { exchanges }) => sum + exchanges, 0)).toBe(unrecorded.size);
  expect(unrecorded.size).toBeLessThan(ledger.server.size);
}, 60_000);
