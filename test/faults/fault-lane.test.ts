/**
 * The harness sees what it is there for: without a fault a lane is clean, and what is wrong with a recording, a refusal or the gate is told.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openEntry } from '../support/ledger.ts';
import type { Called } from '../support/ledger-traffic.ts';
import { eventually } from '../support/poll.ts';
import { type FaultLane, openFaultLane } from './fault-lane.ts';
import { directoryOf } from './lane-stores.ts';
import type { SceneName } from './scenes.ts';
import { createTally } from './tally.ts';

let directory: string;
let lane: FaultLane | null;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'mcp-recorder-lane-'));
  lane = null;
});
afterEach(async () => {
  await lane?.close();
  await rm(directory, { recursive: true, force: true });
});

async function open(scene: SceneName): Promise<FaultLane> {
  lane = await openFaultLane({
    name: scene,
    scene,
    store: directoryOf(directory),
    commit: 'Spool',
    maxUploadLag: '30s',
    faulty: true,
  });
  return lane;
}

test.each(['unary', 'sse'] as const)('nothing is wrong without a fault (%s)', async (scene) => {
  const { tally, finish } = await open(scene);
  await eventually(() => tally.counts.answered >= 64, { withinMs: 20_000 });
  const { violations, lines } = await finish();
  expect(violations).toEqual([]);
  expect(lines).toBeGreaterThan(64 * 3);
  expect(tally.counts).toMatchObject({ refused: 0, lost: 0, cut: 0, failed: 0 });
});

test('a disk that fails inside closes the gate, which is seen, and heals', async () => {
  const { tally, gate, inside, finish } = await open('unary');
  await eventually(() => tally.counts.answered >= 16, { withinMs: 20_000 });
  const fromMs = performance.now();
  await inside({ syncData: 'EIO' });
  expect(await gate.until(['Closed'], fromMs, 2_000)).toMatchObject({ reason: 'spool_failed' });
  await eventually(() => tally.counts.refused > 0, { withinMs: 5_000 });
  const healedMs = performance.now();
  await inside({});
  await gate.until(['Open'], healedMs, 10_000);
  const answered = tally.counts.answered;
  await eventually(() => tally.counts.answered > answered, { withinMs: 5_000 });
  expect((await finish()).violations).toEqual([]);
  expect(tally.gates).toEqual({ spool_failed: tally.counts.refused });
});

test('a call that was not recorded is told', async () => {
  const { tally, ledger, finish, discard } = await open('unary');
  await eventually(() => tally.counts.answered >= 16, { withinMs: 20_000 });
  openEntry(ledger.server, 'token-nobody-0').received = [Buffer.from('x')];
  const violations = (await finish()).violations.join('\n');
  discard();
  expect(violations).toContain('token-nobody-0, which is not in the recording');
});

function called(status: number, body: string, headers = {}): Called {
  const entry = { token: 'token-a', received: [Buffer.from(body)], status, complete: true };
  return { entry, headers, startedMs: 0, endedMs: 1 };
}
const error = (data: object) => JSON.stringify({ jsonrpc: '2.0', id: 1, error: { code: -32603, data } });

test('a refusal that does not say what it must is told', () => {
  const good = { reason: 'gate_closed', gate: 'store_timeout', hint: 'wait' };
  const tally = createTally();
  tally.over(called(503, error(good), { 'retry-after': '5' }));
  expect(tally.wrong()).toEqual([]);
  expect(tally.gates).toEqual({ store_timeout: 1 });
  for (const [answer, wrong] of [
    [called(503, error(good)), 'without Retry-After'],
    [called(503, 'x', { 'retry-after': '5' }), 'without JSON'],
    [called(503, error({ ...good, gate: undefined }), { 'retry-after': '5' }), "without the gate's reason"],
    [called(503, error({ ...good, hint: undefined }), { 'retry-after': '5' }), 'without hint'],
    [called(503, error({ reason: 'draining', hint: 'x' }), { 'retry-after': '5' }), 'with reason draining'],
  ] as const) {
    const bad = createTally();
    bad.over(answer);
    expect(bad.wrong().join(), wrong).toContain(wrong);
  }
});
