/**
 * What an outage of ten minutes at full load leaves behind, seen in less time: not by another clock, but with a smaller limit. Three things
 * can grow in an outage: the spool, which is made to reach its limit within seconds and must stay there; what is kept for refused calls
 * and failed attempts, of which there are enough to show that none of it is kept; and the log, whose lines are counted by the minute.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Minio, startMinio } from '../support/minio.ts';
import { eventually } from '../support/poll.ts';
import { type FaultLane, openFaultLane } from './fault-lane.ts';
import { bucketOf } from './lane-stores.ts';

/** The least that the spool's files need, and room for some objects. */
const SIZE_LIMIT_MIB = 96;
const RSS_LIMIT_MIB = 400;
const OUTAGE_MS = Number(process.env['OUTAGE_SECONDS'] ?? 15) * 1_000;
const TIMEOUT_MS = 240_000 + OUTAGE_MS;
/** Log lines a minute, all kinds together. */
const LINES_PER_MINUTE = 60;

let minio: Minio;
let lane: FaultLane | null = null;
beforeAll(async () => {
  minio = await startMinio();
});
afterEach(() => lane?.close());
afterAll(() => minio?.stop());

interface LogLine {
  level: number;
  msg: string;
  hint?: string;
}

test(
  'an outage at full load fills the spool up to its limit, and nothing else',
  async () => {
    lane = await openFaultLane({
      name: 'outage',
      scene: 'unary',
      commit: 'Spool',
      store: bucketOf(minio, 'plain', 'outage'),
      // The store alone does not close the gate: calls fill the spool until that does.
      maxUploadLag: '10m',
      sizeLimit: `${SIZE_LIMIT_MIB}Mi`,
      shape: () => ({
        answer: 'json',
        events: 0,
        textBytes: 200_000,
        requestBytes: 100,
        pauseMs: 0,
        random: true,
      }),
    });
    const { gate, tally, recorder } = lane;
    await eventually(() => tally.counts.answered >= 40, { withinMs: 20_000 });
    const fromMs = performance.now();
    await lane.store?.set({ kind: 'refuse' });
    await gate.until(['Degraded'], fromMs, 5_000);
    const closed = await gate.until(['Closed'], fromMs, 120_000);
    // A spool that is full because the store is away is the store's fault.
    expect(closed.reason).toBe('store_unreachable');
    const refusedBefore = tally.counts.refused;
    await eventually(() => performance.now() - closed.atMs > OUTAGE_MS, {
      withinMs: OUTAGE_MS + 5_000,
      everyMs: 200,
    });
    const minutes = (performance.now() - fromMs) / 60_000;
    expect(tally.counts.refused).toBeGreaterThan(refusedBefore + 500);
    const log = recorder
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as LogLine)
      .filter(({ level }) => level >= 40);
    expect(log.length).toBeGreaterThan(0);
    expect(log.filter(({ hint }) => (hint ?? '') === '').map(({ msg }) => msg)).toEqual([]);
    expect(log.length).toBeLessThan(5 + LINES_PER_MINUTE * minutes);

    const healedMs = performance.now();
    await lane.store?.heal();
    await gate.until(['Open'], healedMs, 30_000);
    const { answered } = tally.counts;
    await eventually(() => tally.counts.answered > answered + 40, { withinMs: 15_000 });
    const rssMiB = Math.round(gate.peakRssBytes / 2 ** 20);
    const spoolMiB = Math.round(gate.peakSpoolBytes / 2 ** 20);
    console.log(
      `outage: ${(minutes * 60).toFixed(0)} s, ${tally.counts.refused} calls refused, ${log.length} warnings, spool at most ${spoolMiB} MiB, memory at most ${rssMiB} MiB`,
    );
    expect(spoolMiB).toBeLessThanOrEqual(SIZE_LIMIT_MIB);
    expect(rssMiB).toBeLessThan(RSS_LIMIT_MIB);
    expect((await lane.finish()).violations).toEqual([]);
  },
  TIMEOUT_MS,
);
