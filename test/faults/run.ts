/**
 * Owns `npm run faults`: every cell of the fault matrix, as a table and as JSON.
 * `npm run faults -- --only 'refused|403' --scene sse --commit Spool --side-by-side 2 --out times.json`.
 * Exit code 0: every cell was as it must be, 1: some were not (their directories are kept), 2: could not run.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { arch, availableParallelism, cpus, platform, release } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { CommitMode } from '@mcp-recorder/sidecar/config/schema';
import { MATRIX, MORE_FAULTS } from './fault-cases.ts';
import type { Cell } from './fault-cell.ts';
import { MAX_UPLOAD_LAG_MS } from './gate-bounds.ts';
import { HEADING, rowOf, runCells } from './run-cells.ts';
import { SCENES } from './scenes.ts';

const COMMITS: readonly CommitMode[] = ['Spool', 'ObjectStorage'];
/** Violations of a cell that are printed. */
const TOLD = 5;

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    scene: { type: 'string', default: '' },
    commit: { type: 'string', default: '' },
    'side-by-side': { type: 'string', default: '2' },
    out: { type: 'string', default: '.faults/times.json' },
  },
});
const only = new RegExp(values.only);
const cells: Cell[] = [...MATRIX, ...MORE_FAULTS]
  .filter(({ name }) => only.test(name))
  .flatMap((fault) =>
    COMMITS.filter((commit) => commit.startsWith(values.commit)).flatMap((commit) =>
      SCENES.filter((scene) => scene.startsWith(values.scene)).map((scene) => ({ fault, scene, commit })),
    ),
  );
if (cells.length === 0) {
  console.error('no cell has such a name');
  process.exit(2);
}

// What the cells started ends with this process, when it ends by itself.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const started = performance.now();
console.log(
  `${cells.length} cells, maxUploadLag ${MAX_UPLOAD_LAG_MS} ms, times in ms, memory in MiB\n${HEADING}`,
);
const reports = await runCells(cells, {
  sideBySide: Number(values['side-by-side']),
  onReport(_cell, report) {
    console.log(rowOf(report));
    for (const violation of report.violations.slice(0, TOLD)) console.log(`        ${violation}`);
  },
});
const failed = reports.filter(({ violations }) => violations.length > 0).length;
const seconds = Math.round((performance.now() - started) / 1000);
const machine = {
  system: `${platform()} ${release()} ${arch()}`,
  processor: cpus()[0]?.model ?? '',
  cores: availableParallelism(),
  node: process.version,
};
await mkdir(path.dirname(path.resolve(values.out)), { recursive: true });
await writeFile(
  values.out,
  `${JSON.stringify({ date: new Date().toISOString(), machine, maxUploadLagMs: MAX_UPLOAD_LAG_MS, seconds, cells: reports }, null, 1)}\n`,
);
console.log(
  `${cells.length - failed} of ${cells.length} cells as they must be, in ${seconds} s; ${values.out}`,
);
process.exit(failed === 0 ? 0 : 1);
