/**
 * Owns the running of many cells on one machine, some side by side, on one MinIO (and one more for each cell that kills its own).
 * Invariant: every cell gets a report, also when it could not be run.
 */
import { type Minio, startMinio } from '../support/minio.ts';
import { type Cell, type CellReport, runCell } from './fault-cell.ts';

export interface RunCellsOptions {
  sideBySide: number;
  onReport?(cell: Cell, report: CellReport): void;
}

/** Runs all cells; reports in the order of the cells. */
export async function runCells(cells: readonly Cell[], options: RunCellsOptions): Promise<CellReport[]> {
  const shared = await startMinio();
  const reports: CellReport[] = [];
  let next = 0;

  async function work(): Promise<void> {
    while (next < cells.length) {
      const at = next;
      next += 1;
      const cell = cells[at] as Cell;
      const report = await withMinio(cell, shared);
      reports[at] = report;
      options.onReport?.(cell, report);
    }
  }

  try {
    await Promise.all(Array.from({ length: options.sideBySide }, work));
  } finally {
    await shared.stop();
  }
  return reports;
}

async function withMinio(cell: Cell, shared: Minio): Promise<CellReport> {
  if (cell.fault.needs !== 'minio') return runCell(cell, shared);
  const own = await startMinio();
  try {
    return await runCell(cell, own);
  } finally {
    await own.stop();
  }
}

/** As a row of a table that people read. */
export function rowOf(report: CellReport): string {
  const { fault, scene, commit, degradedMs, closedMs, openMs, reasons, calls, peakRssMiB, violations } =
    report;
  const ms = (value: number | null) => (value === null ? '-' : `${value}`).padStart(6);
  const counts = Object.entries(calls)
    .filter(([, count]) => count > 0)
    .map(([outcome, count]) => `${outcome} ${count}`)
    .join(', ');
  return [
    violations.length === 0 ? 'ok    ' : 'FAILED',
    fault.padEnd(20),
    scene.padEnd(5),
    commit.padEnd(13),
    ms(degradedMs),
    ms(closedMs),
    ms(openMs),
    `${peakRssMiB}`.padStart(4),
    reasons.join(', ').padEnd(26),
    counts,
  ].join('  ');
}

export const HEADING = [
  '      ',
  'fault'.padEnd(20),
  'scene',
  'commit'.padEnd(13),
  'degr.'.padStart(6),
  'closed'.padStart(6),
  'open'.padStart(6),
  ' RSS',
  'reasons'.padEnd(26),
  'calls',
].join('  ');
