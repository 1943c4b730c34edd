/**
 * When lines can't be made durable nothing passes, the client is told why, and it heals by itself.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { eventually } from '../support/poll.ts';
import { connectRaw, listenRaw, type RawConnection, type RawServer } from '../support/raw-http.ts';
import {
  createHeldFiles,
  type HeldFiles,
  startTestRecorder,
  type TestRecorder,
} from '../support/recorder.ts';

const CALL = '{"jsonrpc":"2.0","id":"call-1","method":"tools/call","params":{"name":"echo"}}';
const POST = `POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: ${CALL.length}\r\n\r\n${CALL}`;
const OK = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}';

let held: HeldFiles;
let server: RawServer;
let recorder: TestRecorder;
let client: RawConnection;

beforeEach(async () => {
  held = createHeldFiles();
  server = await listenRaw();
  recorder = await startTestRecorder({ upstream: server.origin, files: held.files });
  client = await connectRaw(recorder.port);
});
afterEach(async () => {
  client.reset();
  held.failSyncs(null);
  held.release();
  await server.close();
  await recorder[Symbol.asyncDispose]();
});

async function status(): Promise<{ gate: { state: string; reason?: string } }> {
  return (await (await fetch(`${recorder.statusOrigin}/status`)).json()) as never;
}

async function call(): Promise<{ status: string; body: string; headers: [string, string][] }> {
  const connection = await connectRaw(recorder.port);
  await connection.send(POST);
  const answer = await connection.message();
  connection.reset();
  return {
    status: answer.startLine.split(' ')[1] ?? '',
    body: answer.body.toString(),
    headers: answer.headers,
  };
}

it('refuses the request whose lines could not be synced, and the server sees nothing of it', async () => {
  held.failSyncs('EIO');
  await client.send(POST);
  const answer = await client.message();
  expect(answer.startLine).toMatch(/^HTTP\/1\.1 503 /);
  expect(JSON.parse(answer.body.toString())).toMatchObject({
    id: 'call-1',
    error: { data: { reason: 'not_durable' } },
  });
  expect(server.connections).toHaveLength(0);
});

it('cuts a running exchange whose answer could not be synced, without a byte of it, and closes the gate', async () => {
  await client.send(POST);
  const upstream = await server.accept();
  await upstream.message();
  held.failSyncs('EIO');
  await upstream.send(OK);
  await client.end();
  expect(client.received().length).toBe(0);

  await eventually(async () => (await status()).gate.state === 'Closed', { withinMs: 5_000 });
  expect((await status()).gate.reason).toBe('spool_failed');
  expect((await fetch(`${recorder.statusOrigin}/readyz`)).status).toBe(503);
  expect((await fetch(`${recorder.statusOrigin}/livez`)).status).toBe(200);
  const refused = await call();
  expect(refused.status).toBe('503');
  expect(refused.headers.map(([name]) => name)).toContain('Retry-After');
  expect(JSON.parse(refused.body).error.data).toMatchObject({ reason: 'gate_closed', gate: 'spool_failed' });
});

it('opens by itself when the disk works again, and the record says what was cut', async () => {
  await client.send(POST);
  const upstream = await server.accept();
  await upstream.message();
  held.failSyncs('EIO');
  await upstream.send(OK);
  await client.end();
  await eventually(async () => (await status()).gate.state === 'Closed', { withinMs: 5_000 });
  held.failSyncs(null);
  await eventually(async () => (await status()).gate.state === 'Open', { withinMs: 15_000 });

  const answered = call();
  // The server did answer, whole: its connection is used again.
  await upstream.message();
  await upstream.send(OK);
  expect((await answered).body).toBe('{}');

  const lines = await recorder.finish();
  const ends = lines.filter((line) => line.type === 'end').map((line) => line.ended.how);
  expect(ends).toEqual(['cut', 'complete']);
  const cut = lines.filter((line) => 'exchange' in line && line.exchange !== null);
  expect(cut.filter((line) => line.type === 'response')).toHaveLength(1);
  const seals = lines.filter((line) => line.type === 'seal').map((line) => line.seal.how);
  expect(seals).toContain('sync_failed');
});

it('lets a call finish when it is asked to stop, cuts streams that answer nothing, and seals the recording', async () => {
  const stream = await connectRaw(recorder.port);
  await stream.send('GET /mcp HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n');
  const pushing = await server.accept();
  await pushing.message();
  await pushing.send(
    'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n',
  );
  await stream.until('text/event-stream');
  await client.send(POST);
  const answering = await server.accept();
  await answering.message();

  const drained = recorder.drain();
  const answer = '{"jsonrpc":"2.0","id":"call-1","result":{}}';
  await answering.send(
    `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${answer.length}\r\n\r\n${answer}`,
  );
  const response = await client.message();
  expect(response.body.toString()).toBe(answer);
  expect(response.headers).toContainEqual(['Connection', 'close']);
  await stream.end();
  expect(await drained).toMatchObject({ exchanges: 2, uploaded: true });
  const lines = await recorder.finish();
  expect(lines.filter((line) => line.type === 'end').map((line) => line.ended.how)).toEqual([
    'complete',
    'cut',
  ]);
  expect(lines.at(-1)).toMatchObject({ type: 'seal', seal: { last: true, how: 'shutdown' } });
});

it('records one result of a call whose answer was lost in two appends', async () => {
  await client.send(POST);
  const upstream = await server.accept();
  await upstream.message();
  held.hold();
  const answer = '{"jsonrpc":"2.0","id":"call-1","result":{}}';
  const head = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${answer.length}\r\n\r\n`;
  await upstream.send(head + answer.slice(0, 10));
  await eventually(() => held.waiting === 1, { withinMs: 2_000 });
  await upstream.send(answer.slice(10));
  // The second append is made before the first is answered: the status port answers behind it in the same loop.
  await status();
  held.failSyncs('EIO');
  held.release();
  await client.end();
  held.failSyncs(null);
  await eventually(async () => (await status()).gate.state === 'Open', { withinMs: 15_000 });
  const lines = await recorder.finish();
  const results = lines.filter((line) => line.type === 'result' && line.operation !== null);
  expect(results).toHaveLength(1);
});

it('ends in time when it is asked to stop while the disk fails', async () => {
  await client.send(POST);
  const upstream = await server.accept();
  await upstream.message();
  held.failSyncs('EIO');
  await upstream.send(OK);
  await client.end();
  await eventually(async () => (await status()).gate.state === 'Closed', { withinMs: 5_000 });
  // Its end can't be recorded, and nobody knows when that will be.
  expect(await recorder.drain()).toMatchObject({ uploaded: false });
}, 30_000);
