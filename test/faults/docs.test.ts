/** `docs/faults.md` has a row for each fault of the harness, with the verdict that the harness expects. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type FaultCase, MATRIX, MORE_FAULTS } from './fault-cases.ts';
import type { SceneName } from './scenes.ts';

const TEXT = readFileSync(new URL('../../docs/faults.md', import.meta.url), 'utf8');

function verdict(fault: FaultCase, scene: SceneName): string {
  const expectation = fault.expect(scene, 'Spool');
  if (expectation.verdict === 'stays open') return 'stays open';
  const reasons = expectation.reasons.map((reason) => `\`${reason}\``).join(' or ');
  return expectation.verdict === 'closes' ? `closes: ${reasons}` : `may close: ${reasons}`;
}

test.each([...MATRIX, ...MORE_FAULTS])('$name is explained, with its verdict', (fault) => {
  const row = TEXT.split('\n').find((line) => line.startsWith(`| ${fault.name} |`));
  const [idle, load] = [verdict(fault, 'idle'), verdict(fault, 'sse')];
  expect(row).toBe(`| ${fault.name} | ${idle} | ${idle === load ? 'the same' : load} | ${fault.why} |`);
});
