/**
 * The order of docs/durability.md, row by row: while the disk's sync is held back, not one byte passes.
 * A byte that is not there is looked for after the sync of a later step was asked for, never after a sleep: the spool runs one
 * sync at a time, so when that one waits, everything that could have passed before it would have.
 */
import { gzipSync } from 'node:zlib';
import { afterEach, expect, it } from 'vitest';
import { eventually } from '../support/poll.ts';
import { connectRaw, listenRaw, type RawConnection, type RawServer } from '../support/raw-http.ts';
import {
  createHeldFiles,
  type HeldFiles,
  startTestRecorder,
  type TestRecorder,
} from '../support/recorder.ts';

const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{}}}';
const POST = `POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: ${CALL.length}\r\n\r\n${CALL}`;
/** Raw bytes, a character each. */
const GZIPPED = gzipSync('{"jsonrpc":"2.0","id":1,"result":{}}').toString('latin1');
const ANSWER = '{"jsonrpc":"2.0","id":1,"result":{}}';

interface Rig {
  held: HeldFiles;
  server: RawServer;
  recorder: TestRecorder;
  client: RawConnection;
}

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function createRig(): Promise<Rig> {
  const held = createHeldFiles();
  const server = await listenRaw();
  open.push(() => server.close());
  const recorder = await startTestRecorder({ upstream: server.origin, files: held.files });
  open.push(async () => {
    held.release();
    await recorder[Symbol.asyncDispose]();
  });
  const client = await connectRaw(recorder.port);
  open.push(async () => client.reset());
  return { held, server, recorder, client };
}

/** Sends the request with the sync held back; gives the server's connection once the sync was let go. */
async function forwarded({ held, server, client }: Rig, request = POST, body = CALL): Promise<RawConnection> {
  held.hold();
  await client.send(request);
  await eventually(() => held.waiting === 1, { withinMs: 5_000 });
  expect(server.connections.reduce((bytes, connection) => bytes + connection.received().length, 0)).toBe(0);
  held.release();
  const connection = await server.accept();
  await connection.until(body);
  return connection;
}

it('gives the server not one byte of a request before the request is on disk', async () => {
  const rig = await createRig();
  const connection = await forwarded(rig);
  expect(connection.received().toString()).toContain(CALL);
});

it('gives the server nothing of a request that takes several lines before all of them are on disk', async () => {
  const rig = await createRig();
  const { held, server, client } = rig;
  const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"${'x'.repeat(3_000_000)}"}}}`;
  held.hold();
  const sent = client.send(
    `POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await eventually(() => held.waiting === 1, { withinMs: 5_000 });
  expect(server.connections.every((connection) => connection.received().length === 0)).toBe(true);
  held.release();
  await sent;
  const connection = await server.accept();
  await connection.until(body.length);
});

const RESPONSES: Record<string, { response: string; first: string; close?: true }> = {
  'a JSON response': {
    response: `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${ANSWER.length}\r\n\r\n${ANSWER}`,
    first: ANSWER,
  },
  'an SSE event': {
    response: `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n${(ANSWER.length + 8).toString(16)}\r\ndata: ${ANSWER}\n\n\r\n`,
    first: `data: ${ANSWER}`,
  },
  'an unfinished SSE event': {
    response:
      'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: abc\r\n',
    first: 'data: abc',
  },
  'a chunk of a stream of another type': {
    response:
      'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
    first: 'hello',
  },
  'a compressed response': {
    response: `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: ${GZIPPED.length}\r\n\r\n${GZIPPED}`,
    first: GZIPPED,
  },
  'an error of the server': {
    response: 'HTTP/1.1 500 Oops\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nfail',
    first: 'fail',
  },
  'headers without a body yet': {
    response: 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n',
    first: 'text/event-stream',
  },
  'an informational response': {
    response: 'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n',
    first: '103 Early Hints',
  },
};

it.each(Object.entries(RESPONSES))(
  'gives the client not one byte of %s before it is on disk',
  async (_, { response, first }) => {
    const rig = await createRig();
    const connection = await forwarded(rig);
    rig.held.hold();
    await connection.send(response);
    await eventually(() => rig.held.waiting === 1, { withinMs: 5_000 });
    expect(rig.client.received().length).toBe(0);
    rig.held.release();
    await rig.client.until(first);
  },
);

it('gives the client the second event only when the second event is on disk', async () => {
  const rig = await createRig();
  const connection = await forwarded(rig);
  await connection.send(
    'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\nb\r\ndata: one\n\n\r\n',
  );
  await rig.client.until('data: one');
  rig.held.hold();
  await connection.send('b\r\ndata: two\n\n\r\n');
  await eventually(() => rig.held.waiting === 1, { withinMs: 5_000 });
  expect(rig.client.received().toString()).not.toContain('two');
  rig.held.release();
  await rig.client.until('data: two');
});

it('gives the client trailers only when the line that carries them is on disk', async () => {
  const rig = await createRig();
  const connection = await forwarded(rig);
  await connection.send(
    'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
  );
  await rig.client.until('hello');
  rig.held.hold();
  await connection.send('0\r\nX-Sum: 9\r\n\r\n');
  await eventually(() => rig.held.waiting === 1, { withinMs: 5_000 });
  expect(rig.client.received().toString()).not.toContain('X-Sum: 9');
  rig.held.release();
  await rig.client.until('X-Sum: 9');
});

it("gives the client the recorder's own answer only when it is on disk", async () => {
  const held = createHeldFiles();
  const server = await listenRaw();
  const { origin } = server;
  await server.close();
  const recorder = await startTestRecorder({ upstream: origin, files: held.files });
  open.push(async () => {
    held.release();
    await recorder[Symbol.asyncDispose]();
  });
  const client = await connectRaw(recorder.port);
  held.hold();
  await client.send(POST);
  await eventually(() => held.waiting === 1, { withinMs: 5_000 });
  held.release();
  held.hold();
  await eventually(() => held.waiting === 1, { withinMs: 5_000 });
  expect(client.received().length).toBe(0);
  held.release();
  const answer = await client.message();
  expect(answer.startLine).toMatch(/^HTTP\/1\.1 502 /);
  expect(JSON.parse(answer.body.toString())).toMatchObject({
    id: 1,
    error: { data: { reason: 'upstream_unreachable' } },
  });
  const lines = await recorder.finish();
  expect(lines.find((line) => line.type === 'response')).toMatchObject({ answered_by: 'recorder' });
});

it('answers 100-continue before anything is on disk, and nothing else', async () => {
  const { held, client, server } = await createRig();
  held.hold();
  await client.send(
    `POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: ${CALL.length}\r\n\r\n`,
  );
  expect((await client.until('\r\n\r\n')).toString()).toBe('HTTP/1.1 100 Continue\r\n\r\n');
  await client.send(CALL);
  await eventually(() => held.waiting === 1, { withinMs: 5_000 });
  expect(server.connections).toHaveLength(0);
  held.release();
  const request = await (await server.accept()).message();
  expect(request.headers.map(([name]) => name.toLowerCase())).not.toContain('expect');
});

it('refuses before an exchange without waiting for the disk', async () => {
  const { held, client, server } = await createRig();
  held.hold();
  await client.send('TRACE / HTTP/1.1\r\nHost: h\r\n\r\n');
  expect((await client.message()).startLine).toMatch(/^HTTP\/1\.1 501 /);
  expect(server.connections).toHaveLength(0);
});
