/**
 * A store that takes connections and never answers, precisely: calls pass until `maxUploadLag`, then they are refused, and told why; the
 * pod stays ready, and the gate is open again within five seconds of healing. With commit ObjectStorage nothing passes from the start.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Minio, startMinio } from '../support/minio.ts';
import { eventually } from '../support/poll.ts';
import { type FaultLane, openFaultLane } from './fault-lane.ts';
import { MAX_UPLOAD_LAG_MS, OPEN_WITHIN_MS, uploadBounds } from './gate-bounds.ts';
import { bucketOf } from './lane-stores.ts';

let minio: Minio;
let lane: FaultLane | null = null;
beforeAll(async () => {
  minio = await startMinio();
});
afterEach(async () => {
  await lane?.close();
  lane = null;
});
afterAll(() => minio?.stop());

/** A call that the gate refuses on its headers. */
async function ask(origin: string) {
  const response = await fetch(`${origin}/mcp`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/list' }),
  });
  return { status: response.status, headers: response.headers, body: (await response.json()) as object };
}

/** What is so for a store that went silent, however it did. */
async function expectPrecisely(silence: { begin(): unknown; end(): unknown }, name: string): Promise<void> {
  lane = await openFaultLane({
    name,
    scene: 'unary',
    commit: 'Spool',
    store: bucketOf(minio, 'versioned', name),
    maxUploadLag: `${MAX_UPLOAD_LAG_MS / 1000}s`,
  });
  const { gate, tally, origin, status } = lane;
  await eventually(() => tally.counts.answered >= 40, { withinMs: 20_000 });
  const fromMs = performance.now();
  await silence.begin();
  const bounds = uploadBounds(false);
  const degraded = await gate.until(['Degraded'], fromMs, bounds.degradedWithinMs);
  const closed = await gate.until(['Closed'], fromMs, bounds.closedWithinMs);
  expect(closed.reason).toBe('store_timeout');
  // Until then calls pass, also while it is Degraded. A segment is under way for a quarter of the bound before its upload begins.
  expect(closed.atMs - fromMs).toBeGreaterThan(MAX_UPLOAD_LAG_MS * 0.6);
  expect(tally.within('answered', degraded.atMs, closed.atMs)).toBeGreaterThan(10);
  expect(tally.within('refused', fromMs, closed.atMs - 100)).toBe(0);

  const refused = await ask(origin);
  expect(refused.status).toBe(503);
  expect(refused.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
  expect(refused.body).toMatchObject({
    jsonrpc: '2.0',
    error: {
      code: -32603,
      message: expect.stringMatching(/./),
      data: { reason: 'gate_closed', gate: 'store_timeout', hint: expect.stringMatching(/./) },
    },
  });
  const ready = await fetch(`${status}/readyz`);
  expect(ready.status).toBe(200);
  expect(await ready.json()).toMatchObject({ reasons: [expect.stringContaining('store_timeout')] });
  expect((await fetch(`${status}/livez`)).status).toBe(200);

  const healedMs = performance.now();
  await silence.end();
  await gate.until(['Open'], healedMs, OPEN_WITHIN_MS);
  const { answered } = tally.counts;
  await eventually(() => tally.counts.answered > answered, { withinMs: 5_000 });
  expect((await lane.finish()).violations).toEqual([]);
  expect(tally.counts).toMatchObject({ cut: 0, lost: 0, failed: 0 });
}

test('a black hole on the way to the store', async () => {
  const link = () => lane?.store;
  await expectPrecisely(
    { begin: () => link()?.set({ kind: 'black hole' }), end: () => link()?.heal() },
    'black-hole',
  );
}, 60_000);

test('a store that is stopped (SIGSTOP)', async () => {
  await expectPrecisely(
    { begin: () => minio.signal('SIGSTOP'), end: () => minio.signal('SIGCONT') },
    'store-stopped',
  );
}, 60_000);

test('with commit ObjectStorage nothing is released from the first moment on', async () => {
  lane = await openFaultLane({
    name: 'black-hole-commit',
    scene: 'unary',
    commit: 'ObjectStorage',
    store: bucketOf(minio, 'locked', 'black-hole-commit'),
    maxUploadLag: `${MAX_UPLOAD_LAG_MS / 1000}s`,
  });
  const { gate, tally } = lane;
  await eventually(() => tally.counts.answered >= 40, { withinMs: 20_000 });
  const fromMs = performance.now();
  await lane.store?.set({ kind: 'black hole' });
  await gate.until(['Closed'], fromMs, uploadBounds(false).closedWithinMs);
  const healedMs = performance.now();
  expect(tally.within('answered', fromMs + 100, healedMs)).toBe(0);
  await lane.store?.heal();
  await gate.until(['Open'], healedMs, OPEN_WITHIN_MS);
  const { answered } = tally.counts;
  await eventually(() => tally.counts.answered > answered, { withinMs: 10_000 });
  expect((await lane.finish()).violations).toEqual([]);
}, 60_000);

test('a recorder that is stopped for longer than the bound (SIGSTOP) goes on', async () => {
  lane = await openFaultLane({
    name: 'recorder-stopped',
    scene: 'sse',
    commit: 'Spool',
    store: bucketOf(minio, 'plain', 'recorder-stopped'),
    maxUploadLag: `${MAX_UPLOAD_LAG_MS / 1000}s`,
  });
  const { gate, tally, recorder } = lane;
  await eventually(() => tally.counts.answered >= 10, { withinMs: 20_000 });
  process.kill(recorder.pid, 'SIGSTOP');
  const stoppedMs = performance.now();
  await eventually(() => performance.now() - stoppedMs > MAX_UPLOAD_LAG_MS + 1_000, {
    withinMs: MAX_UPLOAD_LAG_MS + 5_000,
    everyMs: 100,
  });
  const continuedMs = performance.now();
  process.kill(recorder.pid, 'SIGCONT');
  const { answered } = tally.counts;
  await eventually(() => tally.counts.answered > answered + 64, { withinMs: 15_000 });
  await gate.until(['Open'], continuedMs, OPEN_WITHIN_MS + 2_000);
  expect((await lane.finish()).violations).toEqual([]);
}, 60_000);
