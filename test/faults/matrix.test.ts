/**
 * Each fault of the matrix, once while nobody calls and once under load: the gate closes in time or stays open, as `fault-cases.ts` says
 * and why; nothing is lost, nothing passes unrecorded, and it opens by itself. `npm run faults` runs all cells.
 */
import { expect, test } from 'vitest';
import { MATRIX } from './fault-cases.ts';
import type { Cell, CellReport } from './fault-cell.ts';
import { runCells } from './run-cells.ts';
import { smallDiskObstacle } from './small-disk.ts';

const obstacle = await smallDiskObstacle();
/** On two cores: more make each other late. */
const SIDE_BY_SIDE = 3;

/** Under load every other fault meets streams, and every third the mode that waits for the store. */
const cells: Cell[] = MATRIX.flatMap((fault, at) => [
  { fault, scene: 'idle', commit: at % 3 === 0 ? 'ObjectStorage' : 'Spool' } satisfies Cell,
  {
    fault,
    scene: at % 2 === 0 ? 'unary' : 'sse',
    commit: at % 3 === 1 ? 'ObjectStorage' : 'Spool',
  } satisfies Cell,
]);
const can = ({ fault }: Cell) => fault.needs !== 'disk' || obstacle === null;

const told = new Map<Cell, PromiseWithResolvers<CellReport>>(
  cells.map((cell) => [cell, Promise.withResolvers<CellReport>()]),
);
const running = runCells(cells.filter(can), {
  sideBySide: SIDE_BY_SIDE,
  onReport: (cell, report) => told.get(cell)?.resolve(report),
});
running.catch((error: unknown) => {
  for (const { reject } of told.values()) reject(error);
});

for (const cell of cells) {
  const { fault, scene, commit } = cell;
  const { verdict } = fault.expect(scene, commit);
  const says = { closes: 'closes in time', 'stays open': 'stays open', either: 'closes only for its reason' };
  test.skipIf(!can(cell))(
    `${fault.name}, ${scene}, ${commit}: ${says[verdict]}, opens again, and loses nothing`,
    async () => {
      const report = await told.get(cell)?.promise;
      expect(report?.violations).toEqual([]);
    },
    600_000,
  );
}
