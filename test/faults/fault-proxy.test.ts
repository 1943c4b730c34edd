/**
 * The faults are real: each is met by a plain client of a plain server, so that whatever withstands them has withstood something.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from '../support/poll.ts';
import { connectRaw } from '../support/raw-http.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { STORE_ANSWERS } from './link-fault.ts';

const LARGE = 200_000;

let server: Server;
let proxy: FaultProxy;
/** Bytes of request bodies that reached the server, and requests that reached it whole. */
let seen: { bytes: number; whole: number };

beforeEach(async () => {
  seen = { bytes: 0, whole: 0 };
  server = createServer((req, res) => {
    req.on('data', (piece: Buffer) => {
      seen.bytes += piece.length;
    });
    req.on('error', () => undefined);
    req.on('end', () => {
      seen.whole += 1;
      res.end(`answer ${seen.bytes}`);
    });
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  proxy = await startFaultProxy((server.address() as AddressInfo).port);
});
afterEach(async () => {
  await proxy.close();
  server.closeAllConnections();
  await new Promise((closed) => server.close(closed));
});

/** One request; `timeout` when nothing came in time. */
async function put(bytes: number, withinMs = 5_000): Promise<{ status: number; body: string }> {
  const response = await fetch(`${proxy.origin}/bucket/key`, {
    method: 'PUT',
    body: Buffer.alloc(bytes),
    signal: AbortSignal.timeout(withinMs),
  });
  return { status: response.status, body: await response.text() };
}

test('without a fault it passes everything', async () => {
  expect(await put(LARGE)).toEqual({ status: 200, body: `answer ${LARGE}` });
  expect(proxy.strikes).toBe(0);
});

test('refuses connections, resets the open ones, and listens again at the same port', async () => {
  const open = await connectRaw(proxy.port);
  await proxy.set({ kind: 'refuse' });
  expect((await open.end()).how).toBe('rst');
  await expect(put(1)).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } });
  await proxy.heal();
  expect((await put(1)).status).toBe(200);
});

test('a black hole takes connections and passes nothing, on existing ones too, until it is healed', async () => {
  const open = await connectRaw(proxy.port);
  await open.send('PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n1');
  await eventually(() => seen.bytes === 1, { withinMs: 2_000 });
  await proxy.set({ kind: 'black hole' });
  await open.send('23');
  await expect(put(3, 300)).rejects.toThrow(/timeout/);
  expect(seen).toEqual({ bytes: 1, whole: 0 });
  expect(proxy.strikes).toBeGreaterThanOrEqual(2);
  await proxy.heal();
  expect((await open.message()).body.toString()).toBe('answer 3');
  open.reset();
});

test('swallows requests whole, and resets the connections when it is healed', async () => {
  await proxy.set({ kind: 'swallow' });
  const open = await connectRaw(proxy.port);
  await open.send(Buffer.alloc(LARGE));
  await eventually(() => proxy.strikes > 1, { withinMs: 2_000 });
  await proxy.heal();
  expect((await open.end()).how).toBe('rst');
  expect(seen.bytes).toBe(0);
});

test('delays each way, and keeps the order when the delay ends', async () => {
  await proxy.set({ kind: 'delay', ms: 150 });
  const started = performance.now();
  const slow = put(LARGE);
  expect((await slow).body).toBe(`answer ${LARGE}`);
  expect(performance.now() - started).toBeGreaterThan(290);
  const open = await connectRaw(proxy.port);
  await open.send('PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n12');
  await eventually(() => proxy.strikes > 0, { withinMs: 2_000 });
  await proxy.heal();
  await open.send('34');
  expect((await open.message()).startLine).toBe('HTTP/1.1 200 OK');
  open.reset();
});

test('throttles all connections together', async () => {
  await proxy.set({ kind: 'throttle', bytesPerSecond: 40_000 });
  const started = performance.now();
  await Promise.all([put(10_000), put(10_000)]);
  const ms = performance.now() - started;
  expect(ms).toBeGreaterThan(400);
  expect(ms).toBeLessThan(3_000);
});

test('cuts a request in the middle: the server has a part of it', async () => {
  await proxy.set({ kind: 'cut request', afterBytes: 50_000 });
  await expect(put(LARGE)).rejects.toThrow('fetch failed');
  await eventually(() => seen.bytes > 10_000, { withinMs: 2_000 });
  expect(seen.bytes).toBeLessThan(50_000);
  expect(seen.whole).toBe(0);
  expect(proxy.strikes).toBe(1);
});

test('loses an answer: the server has the whole request, the client nothing', async () => {
  await proxy.set({ kind: 'cut answer', afterBytes: 0 });
  await expect(put(LARGE)).rejects.toThrow('fetch failed');
  expect(seen).toEqual({ bytes: LARGE, whole: 1 });
  expect(proxy.strikes).toBe(1);
});

test.each(Object.values(STORE_ANSWERS))('answers $status $code in the place of the store', async (answer) => {
  const open = await connectRaw(proxy.port);
  await proxy.set({ kind: 'answer', answer });
  expect((await open.end()).how).toBe('rst');
  const { status, body } = await put(LARGE);
  expect(status).toBe(answer.status);
  expect(body).toContain(`<Code>${answer.code}</Code>`);
  expect(body).toContain('<Resource>/bucket/key</Resource>');
  expect(seen.bytes).toBe(0);
  await proxy.heal();
  expect((await put(1)).status).toBe(200);
});
