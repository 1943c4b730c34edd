/**
 * Random damage to valid requests and answers: the recorder neither crashes nor hangs, serves on, and its recording stays whole.
 */
import zlib from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connectRaw } from '../support/raw-http.ts';
import { openScene, PONG, post, type Scene } from './scene.ts';

/** How long each property is tried (ms). */
const TRY_MS = 5_000;
/** How long an exchange may take whose server has finished (ms). */
const ENDED_MS = 10_000;
/** How long a damaged request, which may wait for more bytes, is given (ms). */
const GIVEN_MS = 30;

const CALL =
  '{"jsonrpc":"2.0","id":"a1","method":"tools/call","params":{"name":"echo","arguments":{"t":"\\ud83d\\ude00é"}}}';
const chunks = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;

const REQUESTS: Buffer[] = [
  post('/f', CALL, 'Mcp-Method: tools/call\r\nMcp-Name: echo\r\nMcp-Session-Id: s\r\n'),
  post('/f', `[${CALL},${CALL}]`, 'Accept: application/json, text/event-stream\r\n'),
  post('/f', zlib.gzipSync(CALL), 'Content-Encoding: gzip\r\n'),
  post('/f', CALL, 'Expect: 100-continue\r\n'),
  Buffer.from(
    `POST /f?sessionId=1 HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n${chunks(CALL.slice(0, 40))}${chunks(CALL.slice(40, 80))}${chunks(CALL.slice(80))}0\r\nX: 1\r\n\r\n`,
    'latin1',
  ),
  Buffer.from(
    'GET /f HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\nLast-Event-ID: 7\r\n\r\nDELETE /f HTTP/1.1\r\nHost: h\r\n\r\n',
  ),
  Buffer.from('OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n'),
  Buffer.from('HEAD http://h/f HTTP/1.0\r\n\r\n'),
];

const JSON_HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n';
const SSE = `: hi\r\nid: 1\nretry: 5\ndata: {"jsonrpc":"2.0","id":"a1",\ndata: "result":{}}\n\nevent: endpoint\ndata: /m?sessionId=2\n\n`;
const ANSWERS: Buffer[] = [
  Buffer.from(`${JSON_HEAD}Content-Length: ${PONG.length}\r\n\r\n${PONG}`),
  Buffer.from(`${JSON_HEAD}Mcp-Session-Id: s\r\nConnection: close\r\n\r\n${PONG}\n${PONG}\n`),
  Buffer.from(`${JSON_HEAD}Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n${chunks(PONG)}0\r\nX: 1\r\n\r\n`),
  Buffer.from(
    `HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n${JSON_HEAD}Content-Length: 2\r\n\r\n{}`,
  ),
  Buffer.from(
    `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n${chunks(SSE)}${chunks(SSE)}0\r\n\r\n`,
  ),
  Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n${SSE}data: {`),
  ...(['gzip', 'br', 'zstd'] as const).map((coding) => {
    const encode = { gzip: zlib.gzipSync, br: zlib.brotliCompressSync, zstd: zlib.zstdCompressSync }[coding];
    const body = encode(SSE);
    const head = `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: ${coding}\r\nContent-Length: ${body.length}\r\n\r\n`;
    return Buffer.concat([Buffer.from(head), body]);
  }),
  Buffer.from('HTTP/1.1 204 No Content\r\nKeep-Alive: timeout=5\r\n\r\n'),
  Buffer.from('HTTP/1.0 404 Gone \xff\r\nContent-Length: 0\r\n\r\n', 'latin1'),
];

/** Pieces that parsers stumble over more often than over random bytes. */
const PIECES = [
  '\r\n',
  '\n',
  '\r\n\r\n',
  '\0',
  ':',
  ' ',
  '0',
  '-1',
  'ffffffffffffffff',
  '"',
  '{',
  '[',
  '\xff',
  '\xef\xbb\xbf',
  'HTTP/1.1 100 A\r\n\r\n',
  'HTTP/1.1 101 A\r\n\r\n',
  'Content-Length: 5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Content-Encoding: gzip\r\n',
  'data: ',
  'id',
  '\\ud800',
];

type Damage = (bytes: Buffer) => Buffer;

const place = fc.double({ min: 0, max: 1, noNaN: true });
const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.tuple(place, fc.integer({ min: 0, max: 255 })).map(
    ([at, byte]): Damage =>
      (bytes) => {
        const copy = Buffer.from(bytes);
        if (copy.length > 0) copy[Math.floor(at * (copy.length - 1))] = byte;
        return copy;
      },
  ),
  fc.tuple(place, fc.constantFrom(...PIECES)).map(
    ([at, piece]): Damage =>
      (bytes) => {
        const cut = Math.floor(at * bytes.length);
        return Buffer.concat([bytes.subarray(0, cut), Buffer.from(piece, 'latin1'), bytes.subarray(cut)]);
      },
  ),
  fc.tuple(place, place).map(
    ([from, length]): Damage =>
      (bytes) => {
        const start = Math.floor(from * bytes.length);
        const end = Math.min(bytes.length, start + Math.floor(length * 40));
        return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]);
      },
  ),
  fc.tuple(place, place).map(
    ([from, length]): Damage =>
      (bytes) => {
        const start = Math.floor(from * bytes.length);
        const end = Math.min(bytes.length, start + Math.floor(length * 200));
        return Buffer.concat([bytes.subarray(0, end), bytes.subarray(start)]);
      },
  ),
  place.map(
    (at): Damage =>
      (bytes) =>
        bytes.subarray(0, Math.floor(at * bytes.length)),
  ),
);

const damaged = (valid: readonly Buffer[]): fc.Arbitrary<Buffer> =>
  fc
    .tuple(fc.constantFrom(...valid), fc.array(damage, { minLength: 1, maxLength: 4 }))
    .map(([bytes, damages]) => damages.reduce((so_far, apply) => apply(so_far), bytes));

let scene: Scene;
const crashes: unknown[] = [];
const onCrash = (error: unknown): void => void crashes.push(error);

beforeAll(async () => {
  process.on('uncaughtException', onCrash);
  scene = await openScene();
});
afterAll(async () => {
  process.off('uncaughtException', onCrash);
  await scene.close();
});

function tried(property: fc.IAsyncProperty<[Buffer]>, examples: Buffer[]): Promise<void> {
  return fc.assert(property, {
    numRuns: 10_000,
    interruptAfterTimeLimit: TRY_MS,
    endOnFailure: true,
    examples: examples.map((bytes): [Buffer] => [bytes]),
  });
}

it('survives requests that are damaged', { timeout: 60_000 }, async () => {
  let runs = 0;
  const property = fc.asyncProperty(damaged(REQUESTS), async (bytes) => {
    const client = await connectRaw(scene.recorder.port);
    await client.sendInPieces(bytes, Math.ceil(bytes.length / (1 + (runs % 3)))).catch(() => {});
    await client.until(1, GIVEN_MS).catch(() => {});
    if (runs % 2 === 0) client.reset();
    else client.finish();
    if (runs++ % 20 === 0) await scene.expectAlive();
    expect(crashes).toEqual([]);
  });
  await tried(property, REQUESTS);
  expect(runs).toBeGreaterThan(REQUESTS.length);
  await scene.expectAlive();
});

it('survives answers that are damaged, and ends each exchange when the server does', {
  timeout: 60_000,
}, async () => {
  let runs = 0;
  const request = post('/answer', CALL, 'Connection: close\r\n');
  const property = fc.asyncProperty(damaged(ANSWERS), async (answer) => {
    scene.answers.set('/answer', answer);
    const client = await connectRaw(scene.recorder.port);
    await client.send(request);
    await client.end(ENDED_MS);
    client.reset();
    if (runs++ % 20 === 0) await scene.expectAlive();
    expect(crashes).toEqual([]);
  });
  await tried(property, ANSWERS);
  expect(runs).toBeGreaterThan(ANSWERS.length);
  await scene.expectAlive();
});

it('leaves a recording that keeps the format, verifies, and that DuckDB reads whole', {
  timeout: 60_000,
}, async () => {
  const lines = await scene.finish();
  const open = new Set(lines.flatMap((line) => (line.type === 'request' ? [line.exchange] : [])));
  for (const line of lines) if (line.type === 'end') open.delete(line.exchange);
  expect([...open]).toEqual([]);
});
