/**
 * Owns one cell of the matrix: a recorder in a scene, a fault, its end, and the verdict on all of it.
 * Invariant: a cell that met no fault, or no traffic in a scene that has some, is not a pass.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { CommitMode } from '@mcp-recorder/sidecar/config/schema';
import { eventually } from '../support/poll.ts';
import type { Minio } from '../support/minio.ts';
import type { Expectation, FaultCase } from './fault-cases.ts';
import { type FaultLane, openFaultLane } from './fault-lane.ts';
import { MAX_UPLOAD_LAG_MS, OPEN_WITHIN_MS } from './gate-bounds.ts';
import { bucketOf } from './lane-stores.ts';
import type { SceneName } from './scenes.ts';
import { mountSmallDisk, type SmallDisk } from './small-disk.ts';

export interface Cell {
  fault: FaultCase;
  scene: SceneName;
  commit: CommitMode;
}

export interface CellReport {
  fault: string;
  scene: SceneName;
  commit: CommitMode;
  expected: Expectation['verdict'];
  /** From the fault until the gate said so (ms); null = it never did. */
  degradedMs: number | null;
  closedMs: number | null;
  /** From the end of the fault until the gate was open (ms); null = it never closed, or never opened. */
  openMs: number | null;
  reasons: string[];
  calls: Record<string, number>;
  peakRssMiB: number;
  /** One sentence each; none when all is well. */
  violations: string[];
}

/** What is too much for a recorder in any of these scenes. */
const RSS_LIMIT_MIB = 400;
const DISK_MIB = 160;
/** How long a fault lasts after the gate has closed, and where it must not close (ms). */
const CLOSED_FOR_MS = 1_500;
const OPEN_FOR_MS = MAX_UPLOAD_LAG_MS + 3_000;
/** An answer that was on its way when the fault came may still be released (ms). */
const ON_ITS_WAY_MS = 500;
/** How much later than the bound a change is still waited for, so that a report says how late it was (ms). */
const PATIENCE_MS = 6_000;
/** A status page is a moment old when it is read, and looks at it are 50 ms apart (ms). */
const STALE_MS = 20;
const SEEN_WITHIN_MS = 70;
/** Uploads so far that a scene has seen before the fault comes. */
const TRAFFIC = 40;

/** Runs the cell. @param minio a server for it, of its own when the fault needs that */
export async function runCell(cell: Cell, minio: Minio): Promise<CellReport> {
  const { fault, scene, commit } = cell;
  const name = `${fault.name}-${scene}-${commit}`.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  const expectation = fault.expect(scene, commit);
  const report: CellReport = {
    fault: fault.name,
    scene,
    commit,
    expected: expectation.verdict,
    degradedMs: null,
    closedMs: null,
    openMs: null,
    reasons: [],
    calls: {},
    peakRssMiB: 0,
    violations: [],
  };
  let disk: SmallDisk | null = null;
  let lane: FaultLane | null = null;
  try {
    disk = fault.needs === 'disk' ? await mountSmallDisk(DISK_MIB) : null;
    lane = await openFaultLane({
      name,
      scene,
      commit,
      store: bucketOf(minio, 'plain', name),
      maxUploadLag: `${MAX_UPLOAD_LAG_MS / 1000}s`,
      faulty: fault.needs === 'inside',
      ...(disk === null ? {} : { spool: `${disk.directory}/spool` }),
    });
    await underFault({ cell, expectation, report, lane, disk, minio });
    const verdict = await lane.finish();
    report.violations.push(...verdict.violations);
  } catch (error) {
    report.violations.push(`the cell could not be run to its end: ${(error as Error).message}`);
  } finally {
    await lane?.close();
    await disk?.close();
  }
  if (lane !== null) report.calls = { ...lane.tally.counts };
  return report;
}

interface Running {
  cell: Cell;
  expectation: Expectation;
  report: CellReport;
  lane: FaultLane;
  disk: SmallDisk | null;
  minio: Minio;
}

/** Injects, watches, heals and watches again; what was seen is in the report. */
async function underFault({ cell, expectation, report, lane, disk, minio }: Running): Promise<void> {
  const { fault, scene, commit } = cell;
  const victims = { lane, minio, disk };
  const blame = (what: string) => report.violations.push(what);
  if (scene !== 'idle') await eventually(() => lane.tally.counts.answered >= TRAFFIC, { withinMs: 20_000 });

  const faultMs = performance.now();
  await fault.inject(victims);
  const { gate } = lane;
  const closed = () => gate.changes.find(({ atMs, state }) => atMs >= faultMs && state === 'Closed');
  if (expectation.verdict === 'closes') {
    await gate
      .until(['Closed'], faultMs, expectation.bounds.closedWithinMs + PATIENCE_MS)
      .catch(() => blame('the gate never closed'));
    await pause(CLOSED_FOR_MS);
  } else {
    await pause(OPEN_FOR_MS);
  }
  const healMs = performance.now();
  const { answered: before } = lane.tally.counts;
  if (
    fault.link !== undefined &&
    lane[fault.link]?.strikes === 0 &&
    (fault.link === 'store' || scene !== 'idle')
  )
    blame('the fault never struck');
  const since = gate.changes.filter(({ atMs }) => atMs >= faultMs);
  const closedAt = closed()?.atMs ?? null;
  report.degradedMs = after(faultMs, since.find(({ state }) => state !== 'Open')?.atMs);
  report.closedMs = after(faultMs, closedAt ?? undefined);
  report.reasons = [...new Set(since.map(({ reason }) => reason).filter((reason) => reason !== null))];
  judgeGate(expectation, report, since, blame);
  // A gate that opens by itself under the fault (a full disk gets space back) has let calls pass before that was seen.
  for (const [index, { atMs, state }] of since.entries()) {
    if (state !== 'Closed') continue;
    const next = since[index + 1]?.atMs;
    const untilMs = next === undefined ? healMs : next - SEEN_WITHIN_MS;
    const passed = lane.tally.within('answered', atMs + STALE_MS, untilMs);
    if (passed > 0) blame(`${passed} calls passed the closed gate`);
  }
  if (commit === 'ObjectStorage' && expectation.verdict === 'closes') {
    const released = lane.tally.within('answered', faultMs + ON_ITS_WAY_MS, healMs);
    if (released > 0) blame(`${released} answers were released although nothing could be stored`);
  }

  await fault.heal(victims);
  const healedMs = performance.now();
  const opened = await lane.gate
    .until(['Open'], healedMs, OPEN_WITHIN_MS + PATIENCE_MS)
    .catch(() => blame('the gate did not open again'));
  if (typeof opened === 'object') {
    const openMs = after(healedMs, opened.atMs);
    if (closedAt !== null) report.openMs = openMs;
    if ((openMs ?? 0) > OPEN_WITHIN_MS)
      blame(`open again ${openMs} ms after healing, bound ${OPEN_WITHIN_MS}`);
  }
  if (scene !== 'idle') {
    await eventually(() => lane.tally.counts.answered > before + 1, { withinMs: 15_000 }).catch(() =>
      blame('no call was answered after healing'),
    );
  }
  report.peakRssMiB = Math.round(lane.gate.peakRssBytes / 2 ** 20);
  if (report.peakRssMiB > RSS_LIMIT_MIB) blame(`${report.peakRssMiB} MiB of memory, limit ${RSS_LIMIT_MIB}`);
}

function judgeGate(
  expectation: Expectation,
  { degradedMs, closedMs }: CellReport,
  since: readonly { state: string; reason: string | null }[],
  blame: (what: string) => void,
): void {
  if (expectation.verdict === 'stays open') {
    if (closedMs !== null) blame(`the gate closed, after ${closedMs} ms`);
    return;
  }
  for (const { state, reason } of since) {
    if (state === 'Closed' && !expectation.reasons.includes(reason ?? ''))
      blame(`closed for ${reason}, not for ${expectation.reasons.join(' or ')}`);
  }
  if (expectation.verdict !== 'closes') return;
  const { degradedWithinMs, closedWithinMs } = expectation.bounds;
  if (degradedMs === null || degradedMs > degradedWithinMs)
    blame(`Degraded after ${degradedMs} ms, bound ${degradedWithinMs}`);
  if (closedMs === null || closedMs > closedWithinMs)
    blame(`Closed after ${closedMs} ms, bound ${closedWithinMs}`);
}

function after(fromMs: number, atMs: number | undefined): number | null {
  return atMs === undefined ? null : Math.round(atMs - fromMs);
}
