/**
 * What callers, probes and the recording see while the store is in trouble, for both commit modes and both answers to failure.
 */
import { afterEach, describe, expect, it } from 'vitest';
import type { Mood, MoodyStore } from '../support/moody-store.ts';
import { eventually } from '../support/poll.ts';
import type { RawServer } from '../support/raw-http.ts';
import type { HeldFiles, TestRecorder, TestRecorderOptions } from '../support/recorder.ts';
import { CALL, OK, POST, startTroubleScene, type TroubleScene } from '../support/trouble-scene.ts';

let scene: TroubleScene;
let held: HeldFiles;
let moody: MoodyStore;
let server: RawServer;
let recorder: TestRecorder;

async function begin(recording: TestRecorderOptions['recording'], mood: Mood = 'well'): Promise<void> {
  scene = await startTroubleScene(recording, mood);
  ({ held, moody, server, recorder } = scene);
}
afterEach(() => scene[Symbol.asyncDispose]());

const status: TroubleScene['status'] = () => scene.status();
const gate: TroubleScene['gate'] = (state, withinMs) => scene.gate(state, withinMs);
const connect: TroubleScene['connect'] = () => scene.connect();
const answeredCall: TroubleScene['answeredCall'] = () => scene.answeredCall();
const refusedCall: TroubleScene['refusedCall'] = () => scene.refusedCall();

describe('with a store that takes connections and answers nothing', () => {
  it('lets calls pass until the bound, then refuses them with the reason while the pod stays ready, and opens again', async () => {
    await begin({});
    expect(await answeredCall()).toContain('200');
    moody.be('silent');
    expect(await answeredCall()).toContain('200');
    const degraded = await gate('Degraded');
    expect(degraded.gate.hint).not.toBe('');
    expect(await answeredCall()).toContain('200');
    const closed = await gate('Closed');
    expect(closed.gate.reason).toMatch(/^store_(timeout|lag)$/);
    const refused = await refusedCall();
    expect(refused.startLine).toContain('503');
    expect(refused.headers.get('Retry-After')).toMatch(/^\d+$/);
    // On its headers: the id of a request that is not read is not known.
    expect(refused.error).toMatchObject({
      id: null,
      error: { data: { reason: 'gate_closed', gate: expect.stringMatching(/^store_(timeout|lag)$/) } },
    });
    // The disk takes what was refused meanwhile: whoever dies now has counted it.
    const { synced } = (await status()).watermarks;
    await refusedCall();
    await eventually(async () => (await status()).watermarks.synced > synced, { withinMs: 3_000 });
    expect((await status()).gate.state).toBe('Closed');
    const ready = await fetch(`${recorder.statusOrigin}/readyz`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({ ready: true, reasons: [expect.stringMatching(/^store_/)] });

    moody.be('well');
    await gate('Open', 5_000);
    expect(await answeredCall()).toContain('200');
    const lines = await recorder.finish();
    const ends = lines.filter((line) => line.type === 'end').map((line) => line.ended.how);
    expect(ends).toEqual(['complete', 'complete', 'complete', 'complete']);
    const denied = lines.flatMap((line) => (line.type === 'denied' ? [line.denied] : []));
    expect(new Set(denied.map(({ reason }) => reason))).toEqual(new Set(['gate_closed']));
    expect(denied.reduce((sum, { count }) => sum + count, 0)).toBe(2);
  });

  it('refuses, with its id, a request whose body ends only when the gate has closed', async () => {
    await begin({});
    const client = await connect();
    await client.send(POST.slice(0, -10));
    moody.be('silent');
    await gate('Closed');
    await client.send(POST.slice(-10));
    const { startLine, body } = await client.message();
    expect(startLine).toContain('503');
    expect(JSON.parse(body.toString())).toMatchObject({
      id: 'call-1',
      error: { data: { reason: 'gate_closed' } },
    });
    expect(server.connections).toHaveLength(0);
  });

  it('closes an idle recorder too, and opens it again', async () => {
    await begin({});
    moody.be('silent');
    await gate('Closed');
    moody.be('well');
    await gate('Open');
  });
});

describe('with a store that refuses', () => {
  it('starts closed, says why, and opens when the store takes something for the first time', async () => {
    await begin({ maxUploadLagMs: 30_000 }, 'down');
    const closed = await gate('Closed');
    expect(closed.gate).toMatchObject({ reason: 'store_unreachable', hint: 'Start it.' });
    expect(closed.store).toMatchObject({ immutability: null, last_success: null });
    // Those that it is to replace must stay.
    const unready = await fetch(`${recorder.statusOrigin}/readyz`);
    expect([unready.status, await unready.json()]).toEqual([
      503,
      { ready: false, reasons: [expect.stringMatching(/^store_unreachable: /)] },
    ]);
    expect((await refusedCall()).startLine).toContain('503');
    moody.be('well');
    await gate('Open');
    expect((await fetch(`${recorder.statusOrigin}/readyz`)).status).toBe(200);
    await eventually(async () => (await status()).store['immutability'] === 'Conditional', {
      withinMs: 2_000,
    });
    expect(await answeredCall()).toContain('200');
  });

  it('stays ready for calls that it refuses once it has let one begin', async () => {
    await begin({});
    await gate('Open');
    moody.be('down');
    await gate('Closed');
    expect((await fetch(`${recorder.statusOrigin}/readyz`)).status).toBe(200);
  });

  it('is ready from the start with onFailure Open: calls pass', async () => {
    await begin({ onFailure: 'Open' }, 'down');
    await gate('Degraded');
    expect((await fetch(`${recorder.statusOrigin}/readyz`)).status).toBe(200);
    expect(await answeredCall()).toContain('200');
  });

  it('says Degraded at once and why, with what to do, and Closed at the bound', async () => {
    await begin({ maxUploadLagMs: 3_000 });
    moody.be('down');
    expect(await answeredCall()).toContain('200');
    const degraded = await gate('Degraded');
    expect(degraded.gate).toMatchObject({ reason: 'store_unreachable', hint: 'Start it.' });
    expect(degraded.store).toMatchObject({
      healthy: false,
      failing_since: expect.stringMatching(/Z$/),
      last_error: { reason: 'store_unreachable', hint: 'Start it.' },
    });
    expect((await gate('Closed')).gate.reason).toBe('store_unreachable');
    moody.be('well');
    const open = await gate('Open');
    expect(open.store).toMatchObject({ healthy: true, failing_since: null, lag_ms: 0 });
  });
});

describe('with a disk that takes lines and no objects', () => {
  it('blames the disk, not the store that falls behind, and the pod is not ready', async () => {
    await begin({});
    const { writeWhole } = held.files;
    held.files.writeWhole = async () => {
      throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    };
    expect(await answeredCall()).toContain('200');
    expect((await gate('Closed')).gate.reason).toBe('spool_full');
    expect((await fetch(`${recorder.statusOrigin}/readyz`)).status).toBe(503);
    held.files.writeWhole = writeWhole;
    await gate('Open', 10_000);
  });
});

describe('with commit ObjectStorage', () => {
  it('gives the server nothing before the store has confirmed the request, and the client nothing of the answer', async () => {
    await begin({ commit: 'ObjectStorage', maxUploadLagMs: 30_000 });
    moody.be('held');
    const client = await connect();
    await client.send(POST);
    const asked = moody.asked;
    await eventually(() => moody.asked > asked, { withinMs: 5_000 });
    expect(server.connections).toHaveLength(0);
    moody.be('well');
    const upstream = await server.accept();
    await upstream.message();
    moody.be('held');
    await upstream.send(OK);
    const askedThen = moody.asked;
    await eventually(() => moody.asked > askedThen, { withinMs: 5_000 });
    expect(client.received()).toHaveLength(0);
    moody.be('well');
    expect((await client.message()).body.toString()).toBe('{}');
  });

  it('answers who waits for the store when it is given up: refused before the server saw it, and recorded as cut', async () => {
    await begin({ commit: 'ObjectStorage' });
    moody.be('silent');
    const refused = await refusedCall();
    expect(refused.startLine).toContain('503');
    expect(refused.error).toMatchObject({ id: 'call-1', error: { data: { reason: 'gate_closed' } } });
    expect(server.connections).toHaveLength(0);
    moody.be('well');
    // The upload that hangs is given three seconds.
    await gate('Open', 10_000);
    const lines = await recorder.finish();
    const carried = lines.filter((line) => 'exchange' in line && line.exchange !== null);
    // What its client was told is part of it.
    expect(carried.map((line) => line.type)).toEqual(['request', 'response', 'result', 'end']);
    expect(lines.find((line) => line.type === 'response')).toMatchObject({
      answered_by: 'recorder',
      http: { status: 503 },
    });
    expect(lines.find((line) => line.type === 'end')).toMatchObject({
      ended: { how: 'cut', status: 503, bytes_in: CALL.length, parts: 4 },
    });
  });

  it('ends an exchange once whose answer is on disk and not in the store when that is given up', async () => {
    await begin({ commit: 'ObjectStorage' });
    const client = await connect();
    await client.send(POST);
    const upstream = await server.accept();
    await upstream.message();
    moody.be('silent');
    await upstream.send(OK);
    await client.end();
    expect(client.received()).toHaveLength(0);
    moody.be('well');
    await gate('Open', 10_000);
    const lines = await recorder.finish();
    expect(lines.filter((line) => line.type === 'end')).toHaveLength(1);
  });
});

describe('with commit ObjectStorage and a disk that hangs', () => {
  it('lets those wait on who are on disk already: the store is well', async () => {
    await begin({ commit: 'ObjectStorage', maxUploadLagMs: 30_000 });
    moody.be('held');
    const waiting = await connect();
    await waiting.send(POST);
    const asked = moody.asked;
    await eventually(() => moody.asked > asked, { withinMs: 5_000 });
    held.hold();
    const stuck = await connect();
    await stuck.send(POST);
    await gate('Closed', 10_000);
    expect((await status()).gate.reason).toBe('spool_stalled');
    expect((await fetch(`${recorder.statusOrigin}/readyz`)).status).toBe(503);
    expect(waiting.received()).toHaveLength(0);
    moody.be('well');
    const upstream = await server.accept();
    await upstream.message();
    held.release();
  }, 30_000);
});

describe('with onFailure Open', () => {
  it('lets calls pass unrecorded while the disk fails, and records the gap with its exact count', async () => {
    await begin({ onFailure: 'Open' });
    expect(await answeredCall()).toContain('200');
    held.failSyncs('EIO');
    // The one that finds it out, and two more.
    for (let n = 0; n < 3; n += 1) expect(await answeredCall()).toContain('200');
    expect((await gate('FailOpen')).gate).toMatchObject({ reason: 'spool_failed', unrecorded_exchanges: 3 });
    expect((await fetch(`${recorder.statusOrigin}/readyz`)).status).toBe(200);
    held.failSyncs(null);
    await gate('Open', 15_000);
    expect(await answeredCall()).toContain('200');
    const lines = await recorder.finish();
    expect(lines.filter((line) => line.type === 'end')).toHaveLength(2);
    expect(lines.filter((line) => line.type === 'gap')).toMatchObject([
      { gap: { cause: 'spool_failed', exchanges: 3, exact: true } },
    ]);
  });

  it('cuts event streams that go on unrecorded once lines can be written again, and counts what was recorded in part', async () => {
    await begin({ onFailure: 'Open' });
    const client = await connect();
    await client.send('GET /mcp HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n');
    const upstream = await server.accept();
    await upstream.message();
    await upstream.send(
      'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
    await client.until('text/event-stream');
    held.failSyncs('EIO');
    await upstream.send('8\r\ndata: 1\n\r\n1\r\n\n\r\n');
    await client.until('data: 1');
    await gate('FailOpen');
    held.failSyncs(null);
    await gate('Open', 15_000);
    await client.end();
    const lines = await recorder.finish();
    expect(lines.filter((line) => line.type === 'gap')).toMatchObject([
      { gap: { exchanges: 1, exact: true } },
    ]);
    expect(lines.filter((line) => line.type === 'event' || line.type === 'end')).toEqual([]);
  });

  it('cuts a stream that goes on unrecorded also when its answer begins only after the gate is open again', async () => {
    await begin({ onFailure: 'Open' });
    held.failSyncs('EIO');
    await answeredCall();
    await gate('FailOpen');
    const client = await connect();
    await client.send('GET /mcp HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n');
    const upstream = await server.accept();
    await upstream.message();
    held.failSyncs(null);
    await gate('Open', 15_000);
    await upstream.send(
      'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
    await client.end();
    const lines = await recorder.finish();
    expect(lines.filter((line) => line.type === 'gap')).toMatchObject([
      { gap: { exchanges: 2, exact: true } },
    ]);
  });

  it('takes no wait for the store for a gap when it drains', async () => {
    await begin({ onFailure: 'Open', commit: 'ObjectStorage', maxUploadLagMs: 30_000 });
    moody.be('held');
    const client = await connect();
    await client.send(POST);
    const asked = moody.asked;
    await eventually(() => moody.asked > asked, { withinMs: 5_000 });
    const drained = recorder.drain();
    await client.end();
    moody.be('well');
    await drained;
    expect(server.connections).toHaveLength(0);
    const lines = await recorder.finish();
    expect(lines.filter((line) => line.type === 'gap')).toEqual([]);
    expect(lines.filter((line) => line.type === 'end')).toMatchObject([{ ended: { how: 'cut' } }]);
  });

  it('goes on recording on this disk while the store is in trouble past the bound', async () => {
    await begin({ onFailure: 'Open', commit: 'ObjectStorage' });
    moody.be('down');
    await gate('Degraded');
    expect(await answeredCall()).toContain('200');
    moody.be('well');
    await gate('Open');
    const lines = await recorder.finish();
    expect(lines.filter((line) => line.type === 'end')).toHaveLength(1);
    expect(lines.filter((line) => line.type === 'gap')).toEqual([]);
  });
});
