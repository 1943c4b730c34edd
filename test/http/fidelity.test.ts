/**
 * What passes is byte for byte what was sent, in both directions, and the record says the same: for the bytes that MCP
 * streams are made of and that the conformance suites do not look at.
 */
import type { EventLine, Line } from '@mcp-recorder/recording/format/line';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { connectRaw, listenRaw, type RawConnection, type RawServer } from '../support/raw-http.ts';
import { startTestRecorder, type TestRecorder } from '../support/recorder.ts';

let server: RawServer;
let recorder: TestRecorder;
let client: RawConnection;

beforeEach(async () => {
  server = await listenRaw();
  recorder = await startTestRecorder({ upstream: server.origin });
  client = await connectRaw(recorder.port);
});
afterEach(async () => {
  client.reset();
  await server.close();
  await recorder[Symbol.asyncDispose]();
});

const GET = 'GET /mcp HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n';
const SSE_HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n';

/** What MCP servers send on streams, in every way the specification of event streams allows. */
const STREAM = Buffer.from(
  [
    '﻿id: 0\ndata: \n\n',
    'retry: 1500\n\n',
    ': keepalive\n\n',
    'event: message\nid: a-1\ndata: {"jsonrpc":"2.0","method":"notifications/progress","params":{"x":"é€😀"}}\n\n',
    'data: one\r\ndata: two\r\n\r\n',
    'data: cr only\r\rdata:no space\r\r',
    'id\ndata\n\n',
    'data: {"jsonrpc":"2.0","id":"s1","method":"sampling/createMessage","params":{}}\n\n',
    'unknown: field\ndata: x\n\n',
    '\n\n\r\n',
    'data: unfinished at the end',
  ].join(''),
);

function chunked(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
}

function rebuilt(lines: Line[]): string {
  return lines
    .filter((line): line is EventLine => line.type === 'event')
    .map((line) => `${line.sse.prefix}${line.body}${line.sse.suffix}`)
    .join('');
}

it.each([1, 2, 3, 7, 4096])('passes an event stream cut into pieces of %d bytes', async (size) => {
  await client.send(GET);
  const upstream = await server.accept();
  await upstream.message();
  await upstream.send(SSE_HEAD);
  for (let at = 0; at < STREAM.length; at += size)
    await upstream.send(chunked(STREAM.subarray(at, at + size)));
  await upstream.send('0\r\n\r\n');
  const { body } = await client.message();
  expect(body.toString()).toBe(STREAM.toString());
  const lines = await recorder.finish();
  expect(rebuilt(lines)).toBe(STREAM.toString());
  const events = lines.filter((line) => line.type === 'event');
  expect(events.reduce((sum, line) => sum + line.wire_bytes, 0)).toBe(STREAM.length);
  expect(events.flatMap((line) => line.calls ?? []).map(({ method, sender }) => [method, sender])).toEqual([
    ['notifications/progress', 'server'],
    ['sampling/createMessage', 'server'],
  ]);
});

it('passes an event as soon as it is whole, and a part of one within moments', async () => {
  await client.send(GET);
  const upstream = await server.accept();
  await upstream.message();
  await upstream.send(SSE_HEAD);
  await upstream.send(chunked(Buffer.from('data: whole\n\n')));
  await client.until('data: whole\n\n');
  await upstream.send(chunked(Buffer.from('data: par')));
  await client.until('data: par');
  await upstream.send(chunked(Buffer.from('tial\n\n')));
  await client.until('tial\n\n');
  await upstream.send('0\r\n\r\n');
  await client.message();
  const lines = await recorder.finish();
  const events = lines.filter((line) => line.type === 'event');
  expect(events.map((line) => [line.body, line.sse.partial])).toEqual([
    ['whole', false],
    ['par', true],
    ['tial', false],
  ]);
});

it('passes lines of JSON under application/json as they come, and finds their messages', async () => {
  const call = '{"jsonrpc":"2.0","id":9,"method":"tools/call"}';
  await client.send(
    `POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: ${call.length}\r\n\r\n${call}`,
  );
  const upstream = await server.accept();
  await upstream.message();
  await upstream.send(
    'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
  );
  const progress = '{"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n';
  await upstream.send(chunked(Buffer.from(progress)));
  await client.until(progress);
  const answer = '{"jsonrpc":"2.0","id":9,"result":{}}\n';
  await upstream.send(chunked(Buffer.from(answer)));
  await client.until(answer);
  await upstream.send('0\r\n\r\n');
  await client.message();
  const lines = await recorder.finish();
  expect(lines.find((line) => line.type === 'result')).toMatchObject({ rpc_id: '9', outcome: 'ok' });
});

it('hands on Last-Event-ID and the ids of events', async () => {
  await client.send(
    'GET /mcp HTTP/1.1\r\nHost: h\r\nLast-Event-ID: stream-7_42\r\nMcp-Session-Id: secret-session\r\n\r\n',
  );
  const upstream = await server.accept();
  const request = await upstream.message();
  expect(request.headers).toContainEqual(['Last-Event-ID', 'stream-7_42']);
  expect(request.headers).toContainEqual(['Mcp-Session-Id', 'secret-session']);
  await upstream.send(`${SSE_HEAD}`);
  await upstream.send(chunked(Buffer.from('id: stream-7_43\ndata: {}\n\n')));
  await upstream.send('0\r\n\r\n');
  expect((await client.message()).body.toString()).toBe('id: stream-7_43\ndata: {}\n\n');
  const lines = await recorder.finish();
  expect(lines.find((line) => line.type === 'event')?.sse.id).toBe('stream-7_43');
  expect(JSON.stringify(lines)).not.toContain('secret-session');
});

it('names the session of an HTTP+SSE stream by its endpoint, hashed, and settles its calls on the stream', async () => {
  await client.send('GET /sse HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n');
  const stream = await server.accept();
  await stream.message();
  await stream.send(SSE_HEAD);
  const endpoint = 'event: endpoint\ndata: /message?sessionId=top-secret-1\n\n';
  await stream.send(chunked(Buffer.from(endpoint)));
  await client.until(endpoint);
  const poster = await connectRaw(recorder.port);
  const call = '{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo"}}';
  await poster.send(
    `POST /message?sessionId=top-secret-1&x=y HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: ${call.length}\r\n\r\n${call}`,
  );
  const posted = await server.accept();
  expect((await posted.message()).startLine).toBe('POST /message?sessionId=top-secret-1&x=y HTTP/1.1');
  await posted.send('HTTP/1.1 202 Accepted\r\nContent-Length: 8\r\n\r\nAccepted');
  await poster.message();
  await stream.send(chunked(Buffer.from('event: message\ndata: {"jsonrpc":"2.0","id":3,"result":{}}\n\n')));
  await client.until('"result":{}');
  await stream.send('0\r\n\r\n');
  await client.message();
  poster.reset();

  const lines = await recorder.finish();
  expect(JSON.stringify(lines)).not.toContain('top-secret-1');
  const request = lines.find((line) => line.type === 'request' && line.http.method === 'POST');
  const result = lines.find((line) => line.type === 'result');
  expect(result).toMatchObject({ outcome: 'ok', rpc_id: '3', target: 'echo' });
  expect(result?.type === 'result' && result.call_exchange).toBe(
    request?.type === 'request' && request.exchange,
  );
  const sessions = new Set(
    lines.flatMap((line) => ('session' in line && line.session ? [line.session.id] : [])),
  );
  expect(sessions.size).toBe(1);
  expect([...sessions][0]).toMatch(/^h:[0-9a-f]{32}$/);
});

it('blocks nothing when the same JSON-RPC id is in flight twice', async () => {
  const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}';
  const post = `POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nMcp-Session-Id: s\r\nContent-Length: ${call.length}\r\n\r\n${call}`;
  const other = await connectRaw(recorder.port);
  await client.send(post);
  const first = await server.accept();
  await first.message();
  await other.send(post);
  const second = await server.accept();
  await second.message();
  const answer = '{"jsonrpc":"2.0","id":1,"result":{}}';
  const response = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${answer.length}\r\n\r\n${answer}`;
  await second.send(response);
  await other.message();
  await first.send(response);
  await client.message();
  other.reset();
  const lines = await recorder.finish();
  const results = lines.filter((line) => line.type === 'result');
  expect(results).toHaveLength(2);
  // Each is settled in the exchange that carried its call.
  for (const result of results) expect(result.exchange).toBe(result.call_exchange);
});
