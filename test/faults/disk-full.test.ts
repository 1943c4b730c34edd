/**
 * A disk without space, precisely: the closing is recorded, the running exchanges are cut and not falsified, freeing space opens the gate
 * again, and nothing that was synced is lost.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Minio, startMinio } from '../support/minio.ts';
import { eventually } from '../support/poll.ts';
import { type FaultLane, openFaultLane } from './fault-lane.ts';
import { OPEN_WITHIN_MS } from './gate-bounds.ts';
import { bucketOf } from './lane-stores.ts';
import { mountSmallDisk, type SmallDisk, smallDiskObstacle } from './small-disk.ts';

const DISK_MIB = 120;
const obstacle = await smallDiskObstacle();

describe.skipIf(obstacle !== null)(`a full disk${obstacle === null ? '' : ` (${obstacle})`}`, () => {
  let minio: Minio;
  let disk: SmallDisk;
  let lane: FaultLane | null = null;
  beforeAll(async () => {
    minio = await startMinio();
  });
  afterEach(async () => {
    await lane?.close();
    lane = null;
    await disk?.close();
  });
  afterAll(() => minio?.stop());

  test('closes the gate, cuts what runs, and opens when it is freed', async () => {
    disk = await mountSmallDisk(DISK_MIB);
    lane = await openFaultLane({
      name: 'disk-full',
      scene: 'sse',
      commit: 'Spool',
      store: bucketOf(minio, 'plain', 'disk-full'),
      maxUploadLag: '3s',
      spool: `${disk.directory}/spool`,
    });
    const { gate, tally, status } = lane;
    await eventually(() => tally.counts.answered >= 64, { withinMs: 20_000 });
    const fromMs = performance.now();
    await disk.fill();
    const closed = await gate.until(['Closed'], fromMs, 20_000);
    expect(closed.reason).toBe('spool_full');
    expect((await fetch(`${status}/readyz`)).status).toBe(503);
    await eventually(() => tally.counts.refused > 64 && tally.counts.cut > 0, { withinMs: 10_000 });
    expect(tally.gates).toEqual({ spool_full: tally.counts.refused });

    const freedMs = performance.now();
    await disk.free();
    await gate.until(['Open'], freedMs, OPEN_WITHIN_MS);
    const { answered } = tally.counts;
    await eventually(() => tally.counts.answered > answered + 64, { withinMs: 15_000 });
    const { violations, recorded } = await lane.finish();
    expect(violations).toEqual([]);
    // Every exchange that its client saw break off has an end that says so; none of them claims to be whole.
    const ends = recorded.filter((line) => line.type === 'end');
    const begun = new Set(recorded.filter((line) => line.type === 'request').map(({ exchange }) => exchange));
    expect(ends).toHaveLength(begun.size);
    const cut = ends.filter(({ ended }) => ended.how === 'cut');
    expect(cut.length).toBeGreaterThanOrEqual(tally.counts.cut);
    expect(ends.filter(({ ended }) => ended.how === 'complete')).toHaveLength(tally.counts.answered);
    expect(tally.counts).toMatchObject({ failed: 0 });
  }, 90_000);
});
