/**
 * What happens when things come at a bad moment: a client that leaves, a disk that fails, a stop that is asked for, in the middle
 * of each other. After each the recording is verified with nothing left open (`finish`).
 */
import { pbkdf2 } from 'node:crypto';
import zlib from 'node:zlib';
import type { Line } from '@mcp-recorder/recording/format/line';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/poll.ts';
import { connectRaw, listenRaw, type RawConnection, type RawServer } from '../support/raw-http.ts';
import {
  createHeldFiles,
  type HeldFiles,
  startTestRecorder,
  type TestRecorder,
} from '../support/recorder.ts';

const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}';
const ANSWER = '{"jsonrpc":"2.0","id":1,"result":{}}';
const OK = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${ANSWER.length}\r\n\r\n${ANSWER}`;
const SSE_HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n';
const GET_STREAM = 'GET /mcp HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n';

function post(body: string | Buffer, headers = ''): Buffer {
  const bytes = Buffer.from(body);
  const head = `POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n${headers}Content-Length: ${bytes.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), bytes]);
}

function chunk(text: string | Buffer): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
}

let held: HeldFiles;
let server: RawServer;
let recorder: TestRecorder;
let client: RawConnection;

beforeEach(async () => {
  held = createHeldFiles();
  server = await listenRaw();
  recorder = await startTestRecorder({ upstream: server.origin, files: held.files, drainTimeoutMs: 5_000 });
  client = await connectRaw(recorder.port);
});
afterEach(async () => {
  client.reset();
  held.failSyncs(null);
  held.release();
  await server.close();
  await recorder[Symbol.asyncDispose]();
});

function ends(lines: Line[]) {
  return lines.flatMap((line) => (line.type === 'end' ? [line.ended] : []));
}

function serverBytes(lines: Line[]): number {
  return lines.reduce((sum, line) => {
    const isServers =
      line.type === 'response' ||
      line.type === 'event' ||
      (line.type === 'chunk' && line.sender === 'server');
    return isServers ? sum + line.wire_bytes : sum;
  }, 0);
}

describe('a client that leaves', () => {
  it('while its request waits for the disk: the request has an end all the same, also when a stop is asked for', async () => {
    held.hold();
    await client.send(post(CALL));
    await eventually(() => held.waiting === 1, { withinMs: 5_000 });
    client.reset();
    await eventually(async () => (await metric('mcp_recorder_active_exchanges')) === 1, { withinMs: 5_000 });
    const drained = recorder.drain();
    held.release();
    await drained;
    expect(ends(await recorder.finish()).map(({ how }) => how)).toEqual(['client_closed']);
    expect(server.connections).toHaveLength(0);
  });

  it('while its coded body is decoded: nothing reaches the server', async () => {
    // The threads that decode are busy for a while.
    const busy = Array.from(
      { length: 4 },
      () => new Promise((done) => pbkdf2('a', 'b', 600_000, 32, 'sha256', done)),
    );
    await client.send(post(zlib.gzipSync(CALL), 'Content-Encoding: gzip\r\n'));
    client.reset();
    await Promise.all(busy);
    await eventually(async () => (await metric('mcp_recorder_active_exchanges')) === 0, { withinMs: 5_000 });
    const lines = await recorder.finish();
    expect(lines.some((line) => line.type === 'request')).toBe(false);
    expect(lines.some((line) => line.type === 'denied' && line.denied.reason === 'client_closed')).toBe(true);
    expect(server.connections).toHaveLength(0);
  });

  it('with CONNECT on a connection whose answer it does not read, does not end the process', async () => {
    await client.send('GET /big HTTP/1.1\r\nHost: h\r\n\r\n');
    const big = await server.accept();
    await big.message();
    client.pause();
    await big.send('HTTP/1.1 200 OK\r\nContent-Length: 40000000\r\n\r\n');
    const sending = big.send(Buffer.alloc(8_000_000, 'x'));
    await client.send('CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n');
    client.reset();
    await sending.catch(() => {});
    const other = await connectRaw(recorder.port);
    await other.send(post(CALL));
    const upstream = await server.accept();
    await upstream.message();
    await upstream.send(OK);
    expect((await other.message()).body.toString()).toBe(ANSWER);
    other.reset();
  });

  it('does not get a refusal of CONNECT for the answer of the request before it', async () => {
    await client.send('GET /slow HTTP/1.1\r\nHost: h\r\n\r\nCONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n');
    await client.end();
    expect(client.received().toString()).not.toContain('501');
  });
});

describe('a stop', () => {
  it('waits for an answer that is ready and only waits for the disk', async () => {
    await client.send(post(CALL));
    const upstream = await server.accept();
    await upstream.message();
    held.hold();
    await upstream.send(OK);
    await eventually(() => held.waiting === 1, { withinMs: 5_000 });
    const drained = recorder.drain();
    held.release();
    expect((await client.message()).body.toString()).toBe(ANSWER);
    await drained;
    expect(ends(await recorder.finish())).toMatchObject([{ how: 'complete', released_bytes: ANSWER.length }]);
  });

  it('waits for the answer to a request that is no call', async () => {
    await client.send(post('{"jsonrpc":"2.0","id":"s1","result":{}}'));
    const upstream = await server.accept();
    await upstream.message();
    const drained = recorder.drain();
    await upstream.send('HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n');
    expect((await client.message()).startLine).toBe('HTTP/1.1 202 Accepted');
    await drained;
  });
});

describe('a failed sync', () => {
  it('takes the bytes of a lost answer out of the sums, and keeps what is known of its call', async () => {
    await client.send(post(CALL));
    const upstream = await server.accept();
    await upstream.message();
    held.failSyncs('EIO');
    await upstream.send(OK);
    await client.end();
    held.failSyncs(null);
    await eventually(async () => (await fetch(`${recorder.statusOrigin}/readyz`)).ok, { withinMs: 15_000 });
    const lines = await recorder.finish();
    expect(ends(lines)).toMatchObject([{ how: 'cut', bytes_out: 0, released_bytes: 0, open_operations: [] }]);
    expect(lines.filter((line) => line.type === 'result')).toMatchObject([{ outcome: 'ok' }]);
  });

  it('loses no count of refused requests', async () => {
    for (let n = 0; n < 5; n++) {
      const refused = await connectRaw(recorder.port);
      await refused.send('TRACE / HTTP/1.1\r\nHost: h\r\n\r\n');
      await refused.message();
      refused.reset();
    }
    held.failSyncs('EIO');
    // The counts are written within a second, and meet a disk that fails.
    await eventually(async () => !(await fetch(`${recorder.statusOrigin}/readyz`)).ok, { withinMs: 10_000 });
    held.failSyncs(null);
    await eventually(async () => (await fetch(`${recorder.statusOrigin}/readyz`)).ok, { withinMs: 15_000 });
    const lines = await recorder.finish();
    const counted = lines.flatMap((line) =>
      line.type === 'denied' && line.denied.reason === 'method_not_allowed' ? [line.denied.count] : [],
    );
    expect(counted).toEqual([5]);
  });
});

describe('the sums of an exchange', () => {
  it('hold when the server breaks off in the middle of an event', async () => {
    await client.send(post(CALL));
    const upstream = await server.accept();
    await upstream.message();
    await upstream.send(SSE_HEAD);
    await upstream.send(Buffer.concat([chunk('data: one\n\n'), chunk('data: unfin')]));
    await client.until('data: one');
    upstream.reset();
    await client.end();
    const lines = await recorder.finish();
    const [end] = ends(lines);
    expect(end?.bytes_out).toBe(serverBytes(lines));
    expect(end).toMatchObject({ how: 'server_closed', bytes_out: 22 });
  });

  it('say only what the client was given when it leaves before the disk is done', async () => {
    await client.send(GET_STREAM);
    const upstream = await server.accept();
    await upstream.message();
    await upstream.send(SSE_HEAD);
    await upstream.send(chunk('data: one\n\n'));
    await client.until('data: one\n\n');
    held.hold();
    await upstream.send(chunk('data: two\n\n'));
    await eventually(() => held.waiting === 1, { withinMs: 5_000 });
    client.reset();
    await upstream.end();
    held.release();
    const lines = await recorder.finish();
    expect(ends(lines)).toMatchObject([{ how: 'client_closed', bytes_out: 22, released_bytes: 11 }]);
    expect(serverBytes(lines)).toBe(22);
  });
});

describe('the session id of an HTTP+SSE stream', () => {
  it.each([
    ['split in time', [Buffer.from('event: endpoint\ndata: /m?sessionId=RAW-SECRET-1'), Buffer.from('\n\n')]],
    [
      'in pieces of a byte',
      [...Buffer.from('event: endpoint\ndata: /m?sessionId=RAW-SECRET-1\n\n')].map((b) => Buffer.of(b)),
    ],
    [
      'beside bytes that are no UTF-8',
      [
        Buffer.concat([
          Buffer.of(0x3a, 0xff, 0x0a),
          Buffer.from('event: endpoint\ndata: /m?sessionId=RAW-SECRET-1\n\n'),
        ]),
      ],
    ],
    ['never finished', [Buffer.from('event: endpoint\ndata: /m?sessionId=RAW-SECRET-1')]],
  ])('is recorded nowhere in clear when the event comes %s', async (_, pieces) => {
    await client.send('GET /sse HTTP/1.1\r\nHost: h\r\n\r\n');
    const upstream = await server.accept();
    await upstream.message();
    await upstream.send(SSE_HEAD);
    for (const piece of pieces) {
      await upstream.send(chunk(piece));
      await new Promise((turn) => setTimeout(turn, 1));
    }
    // Longer than an unfinished event waits otherwise; the stream then goes on.
    const waitedMs = performance.now();
    await eventually(() => performance.now() - waitedMs > 60, { withinMs: 1_000 });
    await upstream.send('0\r\n\r\n');
    const { body } = await client.message();
    expect(body).toEqual(Buffer.concat(pieces));
    const lines = await recorder.finish();
    const recorded = lines.map((line) => {
      const isBase64 = 'body_encoding' in line && line.body_encoding === 'base64';
      return (
        JSON.stringify(line) + (isBase64 ? Buffer.from(line.body ?? '', 'base64').toString('latin1') : '')
      );
    });
    expect(recorded.join('\n')).not.toContain('RAW-SECRET-1');
    expect(serverBytes(lines)).toBe(body.length);
  });
});

describe('bytes behind the end of a coded body', () => {
  const CODINGS: [string, (text: string) => Buffer][] = [
    ['gzip', (text) => zlib.gzipSync(text)],
    ['br', (text) => zlib.brotliCompressSync(text)],
    ['zstd', (text) => zlib.zstdCompressSync(text)],
  ];
  it.each(CODINGS)('do not pass unseen in %s', async (coding, compress) => {
    const hidden = Buffer.concat([compress(CALL), Buffer.from('\0HIDDEN')]);
    await client.send(post(hidden, `Content-Encoding: ${coding}\r\n`));
    const refused = await client.message();
    expect(refused.startLine).toMatch(/^HTTP\/1\.1 400 /);
    expect(JSON.parse(refused.body.toString()).error.data.reason).toBe('bad_coding');

    await client.send(post(CALL));
    const upstream = await server.accept();
    await upstream.message();
    await upstream.send(
      `HTTP/1.1 200 OK\r\nContent-Encoding: ${coding}\r\nContent-Length: ${hidden.length}\r\n\r\n`,
    );
    await upstream.send(hidden);
    expect((await client.message()).body).toEqual(hidden);
    const lines = await recorder.finish();
    expect(lines.filter((line) => 'withheld' in line)).toMatchObject([
      { withheld: { reason: 'not_decodable' } },
    ]);
    expect(serverBytes(lines)).toBe(hidden.length);
  });
});

it('passes an answer whose Trailer header announces nothing that can come', async () => {
  await client.send(post(CALL));
  const upstream = await server.accept();
  await upstream.message();
  await upstream.send(
    `HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nContent-Length: ${ANSWER.length}\r\n\r\n${ANSWER}`,
  );
  expect((await client.message()).body.toString()).toBe(ANSWER);
});

it('tells an HTTP/1.0 client by a reset that an answer broke off', async () => {
  await client.send('GET / HTTP/1.0\r\nHost: h\r\n\r\n');
  const upstream = await server.accept();
  await upstream.message();
  await upstream.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
  await client.until('hello');
  upstream.reset();
  expect((await client.end()).how).toBe('rst');
});

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${recorder.statusOrigin}/metrics`)).text();
  const value = new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1];
  if (value === undefined) throw new Error(`no metric ${name}`);
  return Number(value);
}
