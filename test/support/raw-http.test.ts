/** The raw TCP ends tell a test exactly what happened on the wire. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { chunked, parseHttpMessage } from './http-message.ts';
import { connectRaw, listenRaw, type RawServer } from './raw-http.ts';

let server: RawServer | null = null;
afterEach(() => server?.close());

test('each side receives the bytes that the other sent, and no others', async () => {
  server = await listenRaw();
  const client = await connectRaw(server.port);
  const peer = await server.accept();
  await client.send(Uint8Array.of(0, 255, 13, 10));
  expect([...(await peer.until(4))]).toEqual([0, 255, 13, 10]);
  await peer.send('caf\xe9');
  expect((await client.until('\xe9')).toString('latin1')).toBe('caf\xe9');
});

test('tells a FIN from an RST, and when it came', async () => {
  server = await listenRaw();
  const [one, other] = [await connectRaw(server.port), await connectRaw(server.port)];
  const [peerOfOne, peerOfOther] = [await server.accept(), await server.accept()];
  const before = performance.now();
  one.finish();
  other.reset();
  expect((await peerOfOne.end()).how).toBe('fin');
  expect((await peerOfOther.end()).how).toBe('rst');
  expect(peerOfOne.ended()?.atMs).toBeGreaterThanOrEqual(before);
});

test('goes on receiving after its own FIN', async () => {
  server = await listenRaw(async (peer) => {
    await peer.end();
    await peer.send('still there');
  });
  const client = await connectRaw(server.port);
  client.finish();
  await client.until('still there');
});

test('pieces sent one by one arrive in order, each after the one before', async () => {
  server = await listenRaw();
  const client = await connectRaw(server.port);
  const peer = await server.accept();
  await client.sendInPieces('data: 1\n\n');
  expect((await peer.until(9)).toString()).toBe('data: 1\n\n');
  const times = peer.arrivals.map(({ atMs }) => atMs);
  expect(times).toEqual([...times].sort((a, b) => a - b));
});

test('takes pipelined messages one by one, with duplicates, spelling and chunk borders kept', async () => {
  const head = 'POST /mcp HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-a:2 \r\nTransfer-Encoding: chunked\r\n\r\n';
  server = await listenRaw();
  const client = await connectRaw(server.port);
  const peer = await server.accept();
  await client.send(`${head}${chunked('ab', 'c')}GET / HTTP/1.1\r\n\r\n`);
  const first = await peer.message();
  expect(first.headers).toEqual([
    ['Host', 'x'],
    ['X-A', '1'],
    ['x-a', '2'],
    ['Transfer-Encoding', 'chunked'],
  ]);
  expect(first.chunks.map(String)).toEqual(['ab', 'c']);
  expect((await peer.message()).startLine).toBe('GET / HTTP/1.1');
});

test.each([
  ['chunked', `Transfer-Encoding: chunked\r\n\r\n${chunked('ab', 'c')}`],
  ['with a length', 'Content-Length: 3\r\n\r\nabc'],
])('a message %s is not given before its last byte', (_, framed) => {
  const whole = Buffer.from(`HTTP/1.1 200 OK\r\n${framed}`);
  for (let length = 0; length < whole.length; length += 1) {
    expect(parseHttpMessage(whole.subarray(0, length))).toBeNull();
  }
  expect(parseHttpMessage(whole)?.body.toString()).toBe('abc');
});

test('a response without framing is whole when its sender ended', () => {
  const bytes = Buffer.from('HTTP/1.1 200 OK\r\n\r\nabc');
  expect(parseHttpMessage(bytes)).toBeNull();
  expect(parseHttpMessage(bytes, { ended: true })?.body.toString()).toBe('abc');
});

test('reads what node:http writes', async () => {
  const http = createServer((_, res) => {
    res.write('one');
    res.end('two');
  });
  await new Promise<void>((ready) => http.listen(0, '127.0.0.1', ready));
  const client = await connectRaw((http.address() as AddressInfo).port);
  await client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  expect((await client.message()).body.toString()).toBe('onetwo');
  client.reset();
  http.close();
});

test('says what did arrive when the awaited bytes do not', async () => {
  server = await listenRaw();
  const client = await connectRaw(server.port);
  await (await server.accept()).send('something else');
  await client.until('else');
  await expect(client.until('awaited', 20)).rejects.toThrow(/within 20 ms.*awaited.*something else/s);
});
