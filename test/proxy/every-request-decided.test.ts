/**
 * Nothing reaches the server without a decision: whatever is sent, by callers that are refused and under rules that deny everything, a real
 * server receives not one byte, and each request is answered or cut and counted.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { Policy } from '../../sidecar/policy.ts';
import { bearerIsName, NO_TOKEN, policyOf, rulesOf } from '../support/policy.ts';
import { connectRaw } from '../support/raw-http.ts';
import { startTestRecorder, type TestRecorder } from '../support/recorder.ts';

let server: Server;
let connections = 0;
let sockets: Socket[] = [];
let recorder: TestRecorder;

async function start(parts: Partial<Policy>): Promise<void> {
  connections = 0;
  sockets = [];
  server = createServer((socket) => {
    connections++;
    socket.on('error', () => {});
    sockets.push(socket);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const upstream = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  recorder = await startTestRecorder({ upstream, policy: policyOf(parts), maxRequestBytes: 20_000 });
}

afterEach(async () => {
  await recorder[Symbol.asyncDispose]();
  for (const socket of sockets) socket.destroy();
  await new Promise((closed) => server.close(closed));
});

const method = fc.constantFrom(
  'GET',
  'POST',
  'DELETE',
  'PUT',
  'PATCH',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'QUERY',
  'M-SEARCH',
);
const target = fc.constantFrom(
  '/mcp',
  '/',
  '*',
  '//x',
  '/.well-known/oauth-protected-resource',
  '/.well-known/oauth-protected-resource/mcp',
  '/.well-known/../mcp',
  '/mcp?access_token=ada',
  '/messages?sessionId=s-1&sessionId=s-2',
  'http://h/mcp',
  'http://user:secret@other/mcp',
  '/%2e%2e/mcp',
  '/mcp#x',
);
const message = fc.constantFrom(
  '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{}}}',
  '{"jsonrpc":"2.0","id":"a","method":"initialize","params":{"protocolVersion":"2025-06-18"}}',
  '{"jsonrpc":"2.0","method":"notifications/initialized"}',
  '{"jsonrpc":"2.0","id":3,"result":{}}',
  '{"jsonrpc":"2.0","id":null,"method":"tools/list"}',
  '{"jsonrpc":"2.0","id":4,"Method":"tools/call","method":"ping"}',
  '{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"a","name":"b"}}',
  '{"id":{"a":1},"method":7}',
  '5',
  '"tools/call"',
);
const body = fc.oneof(
  fc.constant(''),
  message,
  fc.array(message, { maxLength: 4 }).map((messages) => `[${messages.join(',')}]`),
  fc.array(message, { minLength: 2, maxLength: 3 }).map((messages) => messages.join('\n')),
  fc.constantFrom('{', '[[{"method":"tools/call","id":1}]]', '\ufeff{}', 'a=b', '--x\r\n\r\n--x--'),
  fc.constant('x'.repeat(30_000)),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
);
/** No `Connection: upgrade`: node drops what comes behind it on the connection unread, and the tests wait for its answer. */
const header = fc.constantFrom(
  'Content-Type: application/json',
  'content-type: application/json; charset=utf-16',
  'Content-Type: text/plain',
  'Content-Type: application/x-www-form-urlencoded',
  'Authorization: Bearer ada',
  'authorization:Bearer bob',
  'Authorization: Basic YTpi',
  'Proxy-Authorization: Bearer ada',
  'Cookie: access_token=ada',
  'Origin: https://evil.example',
  'Access-Control-Request-Method: POST',
  'Mcp-Session-Id: s-1',
  'Mcp-Method: ping',
  'Mcp-Name: echo',
  'Mcp-Name: =?base64?ZWNobw==?=',
  'Last-Event-ID: 7',
  'Connection: authorization, mcp-session-id',
  'Upgrade: websocket',
  'Upgrade: h2c',
  'Expect: 100-continue',
  'Expect: other',
  'X-HTTP-Method-Override: DELETE',
  'X-Forwarded-For: 127.0.0.1',
  'Content-Encoding: gzip',
  'Content-Encoding: identity',
  'Accept: text/event-stream',
  'Transfer-Encoding: gzip, chunked',
  'Trailer: Authorization',
  ' folded: x',
  'Bad Name: x',
);
const framing = fc.constantFrom('length', 'chunked', 'none', 'both', 'wrong length');
const version = fc.constantFrom('1.1', '1.1', '1.1', '1.0');

interface Sent {
  method: string;
  target: string;
  version: string;
  headers: string[];
  framing: string;
  body: string;
}

const request: fc.Arbitrary<Sent> = fc.record({
  method,
  target,
  version,
  headers: fc.array(header, { maxLength: 6 }),
  framing,
  body,
});

function bytesOf(sent: Sent): Buffer {
  const bytes = Buffer.from(sent.body, 'latin1');
  const lines = [`${sent.method} ${sent.target} HTTP/${sent.version}`, 'Host: h', ...sent.headers];
  const chunked = sent.framing === 'chunked' || sent.framing === 'both';
  if (sent.framing === 'length' || sent.framing === 'both') lines.push(`Content-Length: ${bytes.length}`);
  if (sent.framing === 'wrong length') lines.push(`Content-Length: ${bytes.length + 1}`);
  if (chunked) lines.push('Transfer-Encoding: chunked');
  const chunks = [`${bytes.length.toString(16)}\r\n`, bytes, '\r\n0\r\n\r\n'].map((part) =>
    Buffer.from(part),
  );
  const framed = chunked ? Buffer.concat(bytes.length === 0 ? [Buffer.from('0\r\n\r\n')] : chunks) : bytes;
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), framed]);
}

const LAST = Buffer.from('GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');

/** Sends them on one connection, and behind them one with which, or before which, the recorder closes it; gives all that came back. */
async function send(requests: readonly Sent[]): Promise<string> {
  const client = await connectRaw(recorder.port);
  await client.send(Buffer.concat([...requests.map(bytesOf), LAST]));
  await client.end(20_000);
  return client.received().toString('latin1');
}

/** The status of each answer; interim ones left out. */
function statuses(answers: string): number[] {
  return [...answers.matchAll(/(?:^|\n|[^\n])HTTP\/1\.1 (\d{3}) /g)]
    .map((found) => Number(found[1]))
    .filter((status) => status !== 100);
}

describe('a request of any kind', () => {
  it.each([
    ['at once', () => NO_TOKEN],
    ['later', () => new Promise<typeof NO_TOKEN>((resolve) => setImmediate(resolve, NO_TOKEN))],
  ])('by a caller that is refused %s never reaches the server', async (_, identify) => {
    await start({ identity: bearerIsName(identify) });
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 3 }), async (requests) => {
        const answers = await send(requests);
        expect(connections).toBe(0);
        // 401 to what could be understood so far; else the faults of the head.
        for (const status of statuses(answers)) expect([400, 401, 413, 417, 431, 501]).toContain(status);
      }),
      { numRuns: 150 },
    );
    const lines = await recorder.finish();
    expect(new Set(lines.map(({ type }) => type))).toEqual(new Set(['open', 'denied', 'seal']));
  });

  it('under a rule that denies all never reaches the server', async () => {
    await start({ rules: rulesOf({ name: 'nothing', when: 'true' }) });
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 3 }), async (requests) => {
        await send(requests);
        expect(connections).toBe(0);
      }),
      { numRuns: 150 },
    );
    const lines = await recorder.finish();
    const ends = lines.flatMap((line) => (line.type === 'end' ? [line.ended.how] : []));
    expect(ends.length).toBeGreaterThan(20);
    expect(new Set(ends)).toEqual(new Set(['denied']));
    const calls = lines.flatMap((line) => ('calls' in line ? (line.calls ?? []) : []));
    expect(new Set(calls.map(({ decision }) => decision.action))).toEqual(new Set(['deny']));
  });

  it('that nothing forbids does reach it, so that the others would have', async () => {
    await start({});
    const client = await connectRaw(recorder.port);
    const sent = {
      method: 'POST',
      target: '/mcp',
      version: '1.1',
      headers: [],
      framing: 'length',
      body: '{}',
    };
    await client.send(bytesOf(sent));
    while (connections === 0) await new Promise((resolve) => setImmediate(resolve));
    client.reset();
  });
});
