/**
 * Noise can't close the gate: beside a flood of malformed requests no recorded call fails, the refusals are there as counts, and they cost
 * less than 1 MB. `FLOOD_SECONDS=20` floods for as long as the promise is made for.
 */
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { spawnProcess } from '../support/child-process.ts';
import { type Minio, startMinio } from '../support/minio.ts';
import { eventually } from '../support/poll.ts';
import { type FaultLane, openFaultLane } from './fault-lane.ts';
import { bucketOf } from './lane-stores.ts';

const FLOOD = fileURLToPath(new URL('./flood-process.ts', import.meta.url));
const SECONDS = Number(process.env['FLOOD_SECONDS'] ?? 5);
const LIMIT_BYTES = 1_000_000;

let minio: Minio;
let lane: FaultLane | null = null;
beforeAll(async () => {
  minio = await startMinio();
});
afterEach(() => lane?.close());
afterAll(() => minio?.stop());

test(
  'a flood of malformed requests costs recorded callers nothing, and the recording little',
  async () => {
    lane = await openFaultLane({
      name: 'flood',
      scene: 'unary',
      commit: 'Spool',
      store: bucketOf(minio, 'plain', 'flood'),
      maxUploadLag: '30s',
    });
    const { gate, tally, origin } = lane;
    await eventually(() => tally.counts.answered >= 40, { withinMs: 20_000 });
    const before = tally.counts.answered;
    const flood = spawnProcess({
      args: [FLOOD, new URL(origin).port, String(SECONDS * 1_000)],
      ready: /^sent (.*)$/m,
      readyWithinMs: SECONDS * 1_000 + 20_000,
    });
    const sent = JSON.parse((await flood.ready)[1] ?? '') as Record<string, number>;
    await flood.exited;
    expect(tally.counts.answered).toBeGreaterThan(before + 20 * SECONDS);
    const { violations, recorded } = await lane.finish();
    expect(violations).toEqual([]);
    expect(gate.changes.map(({ state }) => state)).toEqual(['Open']);
    expect(tally.counts).toMatchObject({ refused: 0, lost: 0, cut: 0, failed: 0 });

    const denied = recorded.filter((line) => line.type === 'denied');
    const counts: Record<string, number> = {};
    let bytes = 0;
    for (const line of denied) {
      counts[line.denied.reason] = (counts[line.denied.reason] ?? 0) + line.denied.count;
      bytes += JSON.stringify(line).length + 1;
    }
    console.log(
      `${SECONDS} s of flood: ${JSON.stringify(sent)}, recorded in ${denied.length} lines, ${bytes} bytes`,
    );
    expect(bytes).toBeLessThan(LIMIT_BYTES);
    // What was on its way when the flood ended may not have arrived; nothing else is missing.
    for (const [kind, count] of Object.entries(sent)) {
      expect(count, kind).toBeGreaterThan(10);
      expect(counts[kind], kind).toBeGreaterThan(count * 0.98 - 100);
      expect(counts[kind], kind).toBeLessThanOrEqual(count);
    }
  },
  60_000 + SECONDS * 2_000,
);
