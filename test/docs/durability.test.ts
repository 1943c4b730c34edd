/**
 * The tables of docs/durability.md against the code: a reason that is not explained there helps nobody at night.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { type GateReason, isShared } from '../../sidecar/gate.ts';

const page = await fs.readFile(path.join(import.meta.dirname, '../../docs/durability.md'), 'utf8');
/** Every reason there is: a new one does not compile before it stands here. */
const REASONS: Record<GateReason, true> = {
  starting: true,
  drained: true,
  spool_full: true,
  spool_failed: true,
  spool_stalled: true,
  spool_damaged: true,
  store_unreachable: true,
  store_timeout: true,
  store_throttled: true,
  store_denied: true,
  store_credentials: true,
  store_clock_skew: true,
  store_misconfigured: true,
  store_full: true,
  store_invalid: true,
  store_failed: true,
  store_lag: true,
};

it('docs/durability.md explains every reason of the gate, and says whether it is shared', () => {
  const rows = [...page.matchAll(/^\| `(\w+)` \| [^|]+ \| (yes|no) \|$/gm)];
  const said = Object.fromEntries(rows.map(([, reason, shared]) => [reason, shared === 'yes']));
  const real = Object.keys(REASONS).map((reason) => [
    reason,
    isShared({ reason: reason as GateReason, message: '', hint: '' }),
  ]);
  expect(said).toEqual(Object.fromEntries(real));
});

it('names only tests that exist', async () => {
  const named = new Set([...page.matchAll(/`(test\/[\w/.-]+)`/g)].map(([, file]) => file as string));
  expect(named.size).toBeGreaterThan(3);
  for (const file of named) await fs.access(path.join(import.meta.dirname, '../..', file));
});
