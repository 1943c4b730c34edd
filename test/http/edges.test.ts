/**
 * One test for each row of docs/http.md, at the level of bytes: a raw client, the recorder, a raw server.
 */
import { readFileSync } from 'node:fs';
import zlib from 'node:zlib';
import type { Line } from '@mcp-recorder/recording/format/line';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HttpMessage } from '../support/http-message.ts';
import { connectRaw, listenRaw, type RawConnection, type RawServer } from '../support/raw-http.ts';
import { startTestRecorder, type TestRecorder } from '../support/recorder.ts';

const PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
const PONG = '{"jsonrpc":"2.0","id":1,"result":{}}';
const JSON_TYPE = 'Content-Type: application/json\r\n';
const POST_PING = `POST /mcp HTTP/1.1\r\nHost: h\r\n${JSON_TYPE}Content-Length: ${PING.length}\r\n\r\n${PING}`;
const OK = `HTTP/1.1 200 OK\r\n${JSON_TYPE}Content-Length: ${PONG.length}\r\n\r\n${PONG}`;

let server: RawServer;
let recorder: TestRecorder;
let client: RawConnection;

beforeEach(async () => {
  server = await listenRaw();
  recorder = await startTestRecorder({ upstream: server.origin, maxRequestBytes: 100_000 });
  client = await connectRaw(recorder.port);
});
afterEach(async () => {
  client.reset();
  await server.close();
  await recorder[Symbol.asyncDispose]();
});

/** Sends a request and gives it as the server got it. */
async function pass(request: string | Buffer): Promise<{ request: HttpMessage; upstream: RawConnection }> {
  await client.send(request);
  const upstream = await server.accept();
  return { request: await upstream.message(), upstream };
}

async function exchange(
  request: string,
  response: string,
): Promise<{ request: HttpMessage; response: HttpMessage }> {
  const passed = await pass(request);
  await passed.upstream.send(response);
  return { request: passed.request, response: await client.message() };
}

function names(message: HttpMessage): string[] {
  return message.headers.map(([name]) => name.toLowerCase());
}

function value(message: HttpMessage, name: string): string | undefined {
  return message.headers.find(([candidate]) => candidate.toLowerCase() === name)?.[1];
}

async function expectRefused(status: number, reason: string): Promise<void> {
  const answer = await client.message();
  expect(answer.startLine).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  expect(JSON.parse(answer.body.toString())).toMatchObject({ jsonrpc: '2.0', error: { data: { reason } } });
  expect(server.connections.every((connection) => connection.received().length === 0)).toBe(true);
  const lines = await recorder.finish();
  expect(lines.filter((line) => line.type === 'denied').map((line) => line.denied.reason)).toContain(reason);
}

function bodies(lines: Line[], type: 'response' | 'chunk' | 'request'): string {
  return lines.map((line) => (line.type === type ? (line.body ?? '') : '')).join('');
}

const ROWS: Record<string, () => Promise<void>> = {
  '`Expect: 100-continue`': async () => {
    await client.send(
      `POST /mcp HTTP/1.1\r\nHost: h\r\n${JSON_TYPE}Expect: 100-continue\r\nContent-Length: ${PING.length}\r\n\r\n`,
    );
    expect((await client.message({ headOnly: true })).startLine).toBe('HTTP/1.1 100 Continue');
    const { request, upstream } = await pass(PING);
    expect(names(request)).not.toContain('expect');
    await upstream.send(OK);
    expect((await client.message()).body.toString()).toBe(PONG);
    const second = await connectRaw(recorder.port);
    await second.send(
      `POST /mcp HTTP/1.1\r\nHost: h\r\n${JSON_TYPE}Expect: 100-continue\r\nContent-Length: 200000\r\n\r\n`,
    );
    expect((await second.message()).startLine).toMatch(/^HTTP\/1\.1 413 /);
    second.reset();
  },
  'another expectation': async () => {
    await client.send('GET / HTTP/1.1\r\nHost: h\r\nExpect: tea\r\n\r\n');
    await expectRefused(417, 'expectation');
  },
  'request trailers': async () => {
    const { request } = await exchange(
      `POST / HTTP/1.1\r\nHost: h\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n`,
      OK,
    );
    expect(request.body.toString()).toBe('abc');
    expect(value(request, 'content-length')).toBe('3');
    expect(names(request)).not.toContain('x-sum');
  },
  'response trailers': async () => {
    const { response } = await exchange(
      'GET / HTTP/1.1\r\nHost: h\r\n\r\n',
      'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 42\r\n\r\n',
    );
    expect(response.body.toString()).toBe('abc');
    expect(response.trailers).toEqual([['X-Sum', '42']]);
    const lines = await recorder.finish();
    expect(lines.find((line) => line.type === 'end')?.ended.trailers).toEqual([
      { name: 'x-sum', value: null },
    ]);
  },
  'chunked request': async () => {
    const half = PING.length / 2;
    const { request } = await exchange(
      `POST /mcp HTTP/1.1\r\nHost: h\r\n${JSON_TYPE}Transfer-Encoding: chunked\r\n\r\n${half.toString(16)}\r\n${PING.slice(0, half)}\r\n${half.toString(16)};ext=1\r\n${PING.slice(half)}\r\n0\r\n\r\n`,
      OK,
    );
    expect(request.body.toString()).toBe(PING);
    expect(value(request, 'content-length')).toBe(String(PING.length));
    expect(names(request)).not.toContain('transfer-encoding');
  },
  'response without length': async () => {
    const { upstream } = await pass('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    await upstream.send('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nall of');
    await client.until('all of');
    await upstream.send(' it');
    upstream.finish();
    expect((await client.message()).body.toString()).toBe('all of it');
    const lines = await recorder.finish();
    expect(lines.find((line) => line.type === 'end')?.ended.how).toBe('complete');
  },
  Upgrade: async () => {
    const { request, response } = await exchange(
      'GET /mcp HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      OK,
    );
    expect(names(request)).not.toContain('upgrade');
    expect(response.startLine).toBe('HTTP/1.1 200 OK');
  },
  CONNECT: async () => {
    await client.send('CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n');
    await expectRefused(501, 'method_not_allowed');
    await client.end();
  },
  TRACE: async () => {
    await client.send('TRACE / HTTP/1.1\r\nHost: h\r\n\r\n');
    await expectRefused(501, 'method_not_allowed');
  },
  'h2c with prior knowledge': async () => {
    await client.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    await expectRefused(400, 'malformed_http');
    await client.end();
  },
  '1xx from the server': async () => {
    const { upstream } = await pass(POST_PING);
    await upstream.send('HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n');
    expect((await client.message({ headOnly: true })).startLine).toMatch(/^HTTP\/1\.1 102 /);
    const hints = await client.message({ headOnly: true });
    expect(hints.startLine).toMatch(/^HTTP\/1\.1 103 /);
    expect(hints.headers).toContainEqual(['Link', '</a>']);
    await upstream.send(OK);
    expect((await client.message()).body.toString()).toBe(PONG);
    const lines = await recorder.finish();
    expect(lines.flatMap((line) => (line.type === 'response' ? [line.http.status] : []))).toEqual([
      102, 103, 200,
    ]);
  },
  HEAD: async () => {
    const { upstream } = await pass('HEAD / HTTP/1.1\r\nHost: h\r\n\r\n');
    await upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n');
    const head = await client.message({ headOnly: true });
    expect(value(head, 'content-length')).toBe('1234');
    // The next answer on the same connection begins right behind the head.
    await client.send(POST_PING);
    await upstream.message();
    await upstream.send(OK);
    expect((await client.message()).body.toString()).toBe(PONG);
  },
  OPTIONS: async () => {
    const { request } = await exchange(
      'OPTIONS * HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n\r\n',
      'HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: *\r\n\r\n',
    );
    expect(request.startLine).toBe('OPTIONS * HTTP/1.1');
    expect(value(request, 'origin')).toBe('https://a.example');
  },
  pipelining: async () => {
    await client.send('GET /one HTTP/1.1\r\nHost: h\r\n\r\nGET /two HTTP/1.1\r\nHost: h\r\n\r\n');
    const first = await server.accept();
    const second = await server.accept();
    const byTarget = new Map<string, RawConnection>();
    for (const connection of [first, second])
      byTarget.set((await connection.message()).startLine, connection);
    // The second is answered first, and still comes second.
    await byTarget.get('GET /two HTTP/1.1')?.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo');
    await byTarget.get('GET /one HTTP/1.1')?.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none');
    expect((await client.message()).body.toString()).toBe('one');
    expect((await client.message()).body.toString()).toBe('two');
  },
  'half-close': async () => {
    const { upstream } = await pass(POST_PING);
    client.finish();
    await upstream.end();
    const lines = await recorder.finish();
    expect(lines.find((line) => line.type === 'end')?.ended.how).toBe('client_closed');
  },
  'client disconnect': async () => {
    const { upstream } = await pass('GET /mcp HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n');
    await upstream.send(
      'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n: k\n\r\n',
    );
    await client.until(': k');
    const closedAtMs = performance.now();
    client.reset();
    const ended = await upstream.end();
    expect(ended.atMs - closedAtMs).toBeLessThan(100);
  },
  '`Content-Length` and `Transfer-Encoding` in a request': async () => {
    await client.send(
      `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    );
    await expectRefused(400, 'malformed_http');
  },
  '`Content-Length` and `Transfer-Encoding` in a response': async () => {
    const { response } = await exchange(
      POST_PING,
      'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    );
    expect(response.startLine).toMatch(/^HTTP\/1\.1 502 /);
    expect(JSON.parse(response.body.toString()).error.data.reason).toBe('upstream_malformed');
  },
  'several Host headers': async () => {
    await client.send('GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n');
    expect((await client.message()).startLine).toMatch(/^HTTP\/1\.1 400 /);
    await client.send('GET / HTTP/1.1\r\nX: y\r\n\r\n');
    await expectRefused(400, 'malformed_http');
  },
  'folded header line': async () => {
    await client.send('GET / HTTP/1.1\r\nHost: h\r\nX-Folded: a\r\n b\r\n\r\n');
    await expectRefused(400, 'malformed_http');
  },
  'oversized headers': async () => {
    await client.send(`GET / HTTP/1.1\r\nHost: h\r\nX-Big: ${'x'.repeat(66_000)}\r\n\r\n`);
    await expectRefused(431, 'headers_too_large');
  },
  'keep-alive race': async () => {
    const { upstream } = await pass(POST_PING);
    await upstream.send(OK);
    await client.message();
    await client.send(POST_PING);
    await upstream.message();
    upstream.reset();
    const answer = await client.message();
    expect(answer.startLine).toMatch(/^HTTP\/1\.1 502 /);
    expect(server.connections).toHaveLength(1);
  },
  'server closes mid-response': async () => {
    const { upstream } = await pass(POST_PING);
    await upstream.send(
      'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
    );
    await client.until('hello');
    upstream.reset();
    await client.end();
    expect(client.received().toString()).not.toContain('\r\n0\r\n');
    const lines = await recorder.finish();
    expect(lines.find((line) => line.type === 'end')?.ended).toMatchObject({
      how: 'server_closed',
      released_bytes: 5,
    });
  },
  'server unreachable': async () => {
    await server.close();
    await client.send(POST_PING);
    const answer = await client.message();
    expect(answer.startLine).toMatch(/^HTTP\/1\.1 502 /);
    expect(JSON.parse(answer.body.toString())).toMatchObject({ id: 1, error: { code: -32603 } });
  },
  'HTTP/1.0 client': async () => {
    const { upstream } = await pass('GET / HTTP/1.0\r\nHost: h\r\n\r\n');
    await upstream.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n');
    await client.end();
    const text = client.received().toString();
    expect(text.toLowerCase()).not.toContain('transfer-encoding');
    expect(text.endsWith('\r\n\r\nabc')).toBe(true);
  },
  'absolute-form target': async () => {
    const { request } = await exchange('GET http://h/mcp?x=1 HTTP/1.1\r\nHost: h\r\n\r\n', OK);
    expect(request.startLine).toBe('GET http://h/mcp?x=1 HTTP/1.1');
  },
  'fragment in the target': async () => {
    await client.send('GET /mcp?session_id=a#b HTTP/1.1\r\nHost: h\r\n\r\n');
    await expectRefused(400, 'malformed_http');
  },
  'compressed response': async () => {
    const text = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { text: 'é'.repeat(5_000) } });
    for (const [coding, bytes] of [
      ['gzip', zlib.gzipSync(text)],
      ['br', zlib.brotliCompressSync(text)],
      ['zstd', zlib.zstdCompressSync(text)],
    ] as const) {
      await client.send(POST_PING);
      const upstream = server.connections[0] ?? (await server.accept());
      await upstream.message();
      await upstream.send(
        `HTTP/1.1 200 OK\r\n${JSON_TYPE}Content-Encoding: ${coding}\r\nContent-Length: ${bytes.length}\r\n\r\n`,
      );
      await upstream.sendInPieces(bytes, 7);
      expect((await client.message()).body).toEqual(bytes);
    }
    const lines = await recorder.finish();
    expect(bodies(lines, 'chunk')).toBe(text.repeat(3));
    expect(lines.filter((line) => line.type === 'result').map((line) => line.outcome)).toEqual([
      'ok',
      'ok',
      'ok',
    ]);
  },
  'compressed request': async () => {
    const bytes = zlib.gzipSync(PING);
    const { request, upstream } = await pass(
      Buffer.concat([
        Buffer.from(
          `POST /mcp HTTP/1.1\r\nHost: h\r\n${JSON_TYPE}Content-Encoding: gzip\r\nContent-Length: ${bytes.length}\r\n\r\n`,
        ),
        bytes,
      ]),
    );
    expect(request.body).toEqual(bytes);
    expect(value(request, 'content-encoding')).toBe('gzip');
    await upstream.send(OK);
    await client.message();
    const lines = await recorder.finish();
    expect(lines.find((line) => line.type === 'request')).toMatchObject({
      body: PING,
      wire_bytes: bytes.length,
    });
  },
  'other content coding': async () => {
    const { response } = await exchange(
      'GET / HTTP/1.1\r\nHost: h\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Encoding: compress\r\nContent-Length: 4\r\n\r\n\x1f\x9d\x90a',
    );
    expect(response.body.toString('latin1')).toBe('\x1f\x9d\x90a');
    await client.send(
      'POST / HTTP/1.1\r\nHost: h\r\nContent-Encoding: deflate\r\nContent-Length: 1\r\n\r\nx',
    );
    expect((await client.message()).startLine).toMatch(/^HTTP\/1\.1 415 /);
    const lines = await recorder.finish();
    expect(lines.find((line) => line.type === 'chunk')).toMatchObject({
      body: null,
      withheld: { reason: 'not_decodable', bytes: 4 },
    });
  },
  'body too large': async () => {
    await client.send(`POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n`);
    const sending = client.send(`186a1\r\n${'x'.repeat(100_001)}\r\n0\r\n\r\n`);
    await sending;
    await expectRefused(413, 'body_too_large');
  },
  'early answer': async () => {
    const { upstream } = await pass(POST_PING);
    await upstream.send('HTTP/1.1 413 Too Much\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    expect((await client.message()).startLine).toBe('HTTP/1.1 413 Too Much');
    await upstream.end();
  },
  'header order and duplicates': async () => {
    const { request, response } = await exchange(
      'GET / HTTP/1.1\r\nhost: H\r\nX-B: 1\r\nx-a: 2\r\nX-B: 3\r\nAccept:  a\r\naccept: b\r\n\r\n',
      'HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nX-Z: 1\r\nSet-Cookie: b=2\r\nx-z: 2\r\nContent-Length: 0\r\n\r\n',
    );
    expect(request.headers.filter(([name]) => name.toLowerCase() !== 'host')).toEqual([
      ['X-B', '1'],
      ['x-a', '2'],
      ['X-B', '3'],
      ['Accept', 'a'],
      ['accept', 'b'],
    ]);
    expect(request.headers).toContainEqual(['host', 'H']);
    const own = ['connection', 'keep-alive', 'content-length'];
    expect(response.headers.filter(([name]) => !own.includes(name.toLowerCase()))).toEqual([
      ['set-cookie', 'a=1'],
      ['X-Z', '1'],
      ['Set-Cookie', 'b=2'],
      ['x-z', '2'],
    ]);
  },
  "a reason phrase of the server's own": async () => {
    const { response } = await exchange(
      POST_PING,
      'HTTP/1.1 299 Quite Fine, Really\r\nContent-Length: 0\r\n\r\n',
    );
    expect(response.startLine).toBe('HTTP/1.1 299 Quite Fine, Really');
  },
  'non-ASCII header values': async () => {
    const { request, response } = await exchange(
      'GET / HTTP/1.1\r\nHost: h\r\nX-Raw: caf\xe9\r\n\r\n',
      'HTTP/1.1 200 OK\r\nX-Raw: \xfc\xff\r\nContent-Length: 0\r\n\r\n',
    );
    expect(value(request, 'x-raw')).toBe('caf\xe9');
    expect(value(response, 'x-raw')).toBe('\xfc\xff');
  },
  '`Mcp-Method` or `Mcp-Name` that contradicts the body': async () => {
    await client.send(POST_PING.replace('Host: h\r\n', 'Host: h\r\nMcp-Method: tools/list\r\n'));
    const answer = await client.message();
    expect(answer.startLine).toMatch(/^HTTP\/1\.1 400 /);
    expect(JSON.parse(answer.body.toString())).toMatchObject({ id: 1, error: { code: -32020 } });
    expect(server.connections).toHaveLength(0);
    const lines = await recorder.finish();
    expect(lines.some((line) => line.type === 'denied' && line.denied.reason === 'header_mismatch')).toBe(
      true,
    );
  },
  'several Mcp-Session-Id headers': async () => {
    await client.send(
      POST_PING.replace('Host: h\r\n', 'Host: h\r\nMcp-Session-Id: a\r\nMcp-Session-Id: b\r\n'),
    );
    await expectRefused(400, 'malformed_http');
  },
  '`Mcp_Session_Id` header': async () => {
    await client.send(POST_PING.replace('Host: h\r\n', 'Host: h\r\nMcp_Session_Id: a\r\n'));
    await expectRefused(400, 'malformed_http');
  },
};

describe('docs/http.md', () => {
  it('has a test for each row of its first table', () => {
    const [text = ''] = readFileSync(new URL('../../docs/http.md', import.meta.url), 'utf8').split('\n## ');
    const rows = [...text.matchAll(/^\| (.+?) \| .+ \|$/gm)].map((match) => match[1]);
    expect(rows.filter((row) => row !== 'Case' && row !== '---')).toEqual(Object.keys(ROWS));
  });

  it.each(Object.entries(ROWS))('%s', (_, run) => run());
});
