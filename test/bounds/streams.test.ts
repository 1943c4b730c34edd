/**
 * Event streams: what thousands of idle ones cost, and what is left when their clients vanish.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/poll.ts';
import { answerCall, openRig, openStreams, type Rig, serveStream } from './rig.ts';

const STREAMS = 5_000;
const STREAM_BYTES = 60_000;
const VANISHING = 1_000;
const WARM_UP = 100;

let rig: Rig;
beforeAll(async () => {
  // Each stream has both of its connections' other ends in this process. Node raises its own soft limit as far as it may.
  const limit = Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]);
  if (limit < 2 * STREAMS + 500)
    throw new Error(
      `${STREAMS} streams need ${2 * STREAMS + 500} descriptors, not ${limit}: raise ulimit -n`,
    );
  rig = await openRig((request, response) => {
    if (request.method === 'GET') serveStream(response);
    else answerCall(request, response);
  });
  for (let id = 0; id < 200; id++) await rig.call({ jsonrpc: '2.0', id, method: 'ping' });
  for (const stream of await openStreams(rig.recorder.port, WARM_UP)) stream.resetAndDestroy();
  await eventually(() => rig.backEnd.connections <= 1, { withinMs: 5_000 });
});
afterAll(() => rig.close());

it('holds 5,000 idle event streams in at most 60 kB each, and lets go of them', async () => {
  await rig.untilQuiet();
  const before = rig.resident();
  const streams = await openStreams(rig.recorder.port, STREAMS);
  await rig.untilQuiet();
  const each = (rig.resident() - before) / STREAMS;
  expect(rig.backEnd.connections).toBeGreaterThanOrEqual(STREAMS);
  expect(each).toBeLessThanOrEqual(STREAM_BYTES);
  const { status, tookMs } = await rig.call({ jsonrpc: '2.0', id: 1, method: 'ping' });
  expect(status).toBe(200);
  expect(tookMs).toBeLessThan(500);
  for (const stream of streams) stream.resetAndDestroy();
  await eventually(() => rig.backEnd.connections <= 1, { withinMs: 5_000 });
});

it('leaves no connection to the server one second after 1,000 clients vanished', async () => {
  const streams = await openStreams(rig.recorder.port, VANISHING);
  expect(rig.backEnd.connections).toBeGreaterThanOrEqual(VANISHING);
  for (const stream of streams) stream.resetAndDestroy();
  // One connection may idle, kept for the next call.
  await eventually(() => rig.backEnd.connections <= 1, { withinMs: 1_000 });
  expect((await rig.call({ jsonrpc: '2.0', id: 1, method: 'ping' })).status).toBe(200);
});
