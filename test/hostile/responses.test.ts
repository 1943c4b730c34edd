/**
 * What hostile servers send: each row reaches the client byte for byte, or is replaced by a clear 502, or is cut where the
 * server broke off; it is recorded, and does the recorder and the recording no harm.
 */
import zlib from 'node:zlib';
import type { Line } from '@mcp-recorder/recording/format/line';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HttpMessage } from '../support/http-message.ts';
import { openScene, post, type Scene } from './scene.ts';

interface Row {
  answer: Buffer;
  /** The body as the client has to get it; null: a 502 in its place. */
  body: Buffer | null;
  /** The recorded text, when it is not the body's. */
  recorded?: string;
  /** Wire bytes of which the record says that they are withheld. */
  withheld?: boolean;
}

const MEGABYTE = 1_000_000;

function answers(body: string | Buffer, headers = 'Content-Type: application/json\r\n'): Row {
  const bytes = Buffer.from(body as string);
  const head = `HTTP/1.1 200 OK\r\n${headers}Content-Length: ${bytes.length}\r\n\r\n`;
  return { answer: Buffer.concat([Buffer.from(head, 'latin1'), bytes]), body: bytes };
}

const streams = (body: string | Buffer): Row => answers(body, 'Content-Type: text/event-stream\r\n');
const coded = (coding: string, body: Buffer, row: Partial<Row>): Row => ({
  ...answers(body, `Content-Type: application/json\r\nContent-Encoding: ${coding}\r\n`),
  ...row,
});
const malformed = (text: string): Row => ({ answer: Buffer.from(text, 'latin1'), body: null });
const result = (id: string): string => `{"jsonrpc":"2.0","id":${id},"result":{}}`;
const bomb = zlib.gzipSync(Buffer.alloc(100 * MEGABYTE, ' '));

const ROWS: Record<string, Row> = {
  'duplicate and case-variant keys': answers(
    '{"jsonrpc":"2.0","id":1,"id":2,"ID":3,"result":{},"Result":{}}',
  ),
  'NUL in keys': answers('{"jsonrpc":"2.0","id\\u0000":1,"id":1,"result":{"\\u0000":"\\u0000"}}'),
  'arrays nested 100,000 deep': answers(`{"id":1,"result":${'['.repeat(100_000)}${']'.repeat(100_000)}}`),
  'objects nested 100,000 deep, never closed': answers('{"a":'.repeat(100_000)),
  'broken UTF-8': { ...answers(Buffer.from([0x7b, 0xff, 0xfe, 0x80])), recorded: 'e//+gA==' },
  'UTF-16 with a mark': { ...answers(Buffer.from(`\ufeff${result('1')}`, 'utf16le')) },
  'a byte order mark': answers(`\ufeff${result('1')}`),
  'what claims JSON and is not': answers('<html>'),
  'nothing at all': answers(''),
  'negative, float and object ids': answers(
    `[${['-1', '1.5', '{"a":1}', '[1]', 'null', '1e400'].map(result).join(',')}]`,
  ),
  'an error code beyond every number': answers(
    '{"jsonrpc":"2.0","id":1,"error":{"code":1e400,"message":"x"}}',
  ),
  'an error code that is no number': answers('{"jsonrpc":"2.0","id":1,"error":{"code":"a","message":{}}}'),
  'lone surrogates': answers(
    '{"jsonrpc":"2.0","id":1,"result":{"resultType":"\\ud800","requestState":"\\udfff"}}',
  ),
  'a batch of two million numbers, with a line end': answers(`[${'1,'.repeat(2 * MEGABYTE - 10)}1]\n`),
  'a batch of 10,000 answers': answers(
    `[${Array.from({ length: 10_000 }, (_, n) => result(String(n))).join(',')}]`,
  ),
  'a batch of 150,000 answers': answers(`[${Array(150_000).fill('{"id":1,"result":1}').join(',')}]\n`),
  'a batch of 10,000 requests': answers(
    `[${Array.from({ length: 10_000 }, (_, n) => `{"jsonrpc":"2.0","id":${n},"method":"ping"}`).join(',')}]`,
  ),
  '20,000 lines of JSON': answers(`${result('1')}\n`.repeat(20_000)),
  'a line of 8 MB': answers(`{"id":1,"result":"${'x'.repeat(8 * MEGABYTE)}"}`),
  'an id of 3 MB': answers(result(`"${'i'.repeat(3 * MEGABYTE)}"`)),
  'a method of 3 MB': answers(`{"jsonrpc":"2.0","id":1,"method":"${'m'.repeat(3 * MEGABYTE)}"}`),
  'events of a batch of 10,000 requests': streams(
    `data: [${Array.from({ length: 10_000 }, (_, n) => `{"jsonrpc":"2.0","id":${n},"method":"ping"}`).join(',')}]\n\n`,
  ),
  'an event of 8 MB in one line': streams(`data: ${'x'.repeat(8 * MEGABYTE)}\n\n`),
  'an event of a million data lines': streams(`${'data\n'.repeat(MEGABYTE)}\n`),
  'an event id of 1 MB': streams(`id: ${'i'.repeat(MEGABYTE)}\ndata: x\n\n`),
  'a field name of 1 MB': streams(`${'f'.repeat(MEGABYTE)}: x\n\n`),
  'a comment that does not end': streams(`:${'c'.repeat(MEGABYTE)}`),
  'line ends and nothing else': streams('\r\n\r\r\n\n'.repeat(20_000)),
  'events of broken UTF-8': streams(
    Buffer.concat(Array(1_000).fill(Buffer.from('data: \xff\xc3\n\n', 'latin1'))),
  ),
  'a burst of empty lines': streams('\n'.repeat(20_000)),
  'a gzip burst of empty lines': {
    ...answers(
      zlib.gzipSync('\n'.repeat(200_000)),
      'Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\n',
    ),
    recorded: '\n'.repeat(200_000),
  },
  'events with NUL': streams('id: a\0b\ndata: \0\n\n'),
  'an endpoint event that is no URL': streams('event: endpoint\ndata: http://[::bad/?sessionId=%zz\n\n'),
  // Longer than a session id can be masked in: the record does not show it.
  'an endpoint event of 1 MB': {
    ...streams(`event: endpoint\ndata: /m?sessionId=${'s'.repeat(MEGABYTE)}\n\n`),
    withheld: true,
  },
  'a session id of 50 kB': answers(
    result('1'),
    `Content-Type: application/json\r\nMcp-Session-Id: ${'s'.repeat(50_000)}\r\n`,
  ),
  'a reason phrase and headers of every byte': answers(
    result('1'),
    `X-Any: ${Array.from({ length: 224 }, (_, n) => String.fromCharCode(n + 32))
      .filter((c) => c !== '\x7f')
      .join('')}\r\nServer: \x80\xff\r\nContent-Type: application/json\r\n`,
  ),
  '900 headers, and a body of control characters': answers(
    `"${'\u0001'.repeat(120_000)}"`,
    'a:\r\n'.repeat(900),
  ),
  '1,001 headers': malformed(`HTTP/1.1 200 OK\r\n${'a:\r\n'.repeat(1_001)}\r\n`),
  '100 responses of 103': {
    answer: Buffer.concat([
      Buffer.from('HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n'.repeat(100)),
      answers(result('1')).answer,
    ]),
    body: Buffer.from(result('1')),
  },
  'information with headers of every byte': {
    answer: Buffer.concat([
      Buffer.from('HTTP/1.1 103 \xff\r\nX: \x80\xff\r\nA: 1\r\nA: 2\r\nLink: nonsense\r\n\r\n', 'latin1'),
      Buffer.from('HTTP/1.1 199 Odd\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n'),
      answers(result('1')).answer,
    ]),
    body: Buffer.from(result('1')),
  },
  'a body that claims gzip and is not': coded('gzip', Buffer.from(result('1')), {
    recorded: '',
    withheld: true,
  }),
  'gzip that ends too early': coded('gzip', zlib.gzipSync(result('1')).subarray(0, -4), {
    recorded: result('1'),
  }),
  'gzip with more behind it': coded(
    'gzip',
    Buffer.concat([zlib.gzipSync(result('1')), Buffer.from('and more')]),
    { recorded: '', withheld: true },
  ),
  'a gzip bomb': coded('gzip', bomb, { withheld: true }),
  'a br bomb': coded(
    'br',
    zlib.brotliCompressSync(Buffer.alloc(100 * MEGABYTE), {
      params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 3 },
    }),
    { withheld: true },
  ),
  'a zstd bomb': coded('zstd', zlib.zstdCompressSync(Buffer.alloc(100 * MEGABYTE)), { withheld: true }),
  'a coding that nobody knows': coded('rot13', Buffer.from('wfba'), { recorded: '', withheld: true }),
  'Content-Length and Transfer-Encoding': malformed(
    'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
  ),
  'two Content-Lengths': malformed('HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd'),
  'a list of Content-Lengths': malformed('HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc'),
  'a Content-Length beyond every number': malformed(
    `HTTP/1.1 200 OK\r\nContent-Length: ${'9'.repeat(40)}\r\n\r\nabc`,
  ),
  'a negative Content-Length': malformed('HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc'),
  'a folded header': malformed('HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 3\r\n\r\nabc'),
  'NUL in a header': malformed('HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 3\r\n\r\nabc'),
  'a header without name': malformed('HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 3\r\n\r\nabc'),
  'a status line that is none': malformed('HTTP/1.1 20x OK\r\nContent-Length: 3\r\n\r\nabc'),
  'another protocol': malformed('SSH-2.0-OpenSSH_9.9\r\n\r\n'),
  'headers of 1 MB': malformed(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(MEGABYTE)}\r\nContent-Length: 0\r\n\r\n`),
  'a switch of protocols': malformed('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'),
  'nothing, and the end': malformed('HTTP/1.1 2'),
};

describe('a hostile answer', () => {
  let scene: Scene;
  let lines: Line[];
  const seen = new Map<string, { answer: HttpMessage } | { failure: unknown }>();
  const targetOf = (name: string) => `/row/${Object.keys(ROWS).indexOf(name)}`;

  beforeAll(async () => {
    scene = await openScene();
    for (const [name, { answer }] of Object.entries(ROWS)) {
      try {
        scene.answers.set(targetOf(name), answer);
        const request = post(targetOf(name), '{"jsonrpc":"2.0","id":1,"method":"tools/call"}');
        const got = await scene.call(request);
        await scene.expectAlive();
        seen.set(name, { answer: got });
      } catch (failure) {
        seen.set(name, { failure });
      }
    }
    lines = await scene.recorder.finish();
  }, 120_000);
  afterAll(() => scene.close());

  it.each(Object.entries(ROWS))('%s', (name, row) => {
    const outcome = seen.get(name);
    if (outcome === undefined || 'failure' in outcome) throw outcome?.failure;
    const { answer } = outcome;
    const request = lines.find((line) => line.type === 'request' && line.http.target === targetOf(name));
    const exchange = request?.type === 'request' ? request.exchange : null;
    const recorded = lines.filter((line) => 'exchange' in line && line.exchange === exchange);
    const end = recorded.find((line) => line.type === 'end');
    if (row.body === null) {
      expect(answer.startLine).toMatch(/^HTTP\/1\.1 502 /);
      expect(JSON.parse(answer.body.toString())).toMatchObject({
        jsonrpc: '2.0',
        id: 1,
        error: { code: -32603 },
      });
      expect(end).toMatchObject({ ended: { how: 'server_closed', status: 502 } });
      return;
    }
    expect(answer.startLine).toMatch(/^HTTP\/1\.1 (?:200|1\d\d) /);
    expect(end).toMatchObject({ ended: { how: 'complete', bytes_out: row.body.length } });
    const pieces = recorded.flatMap((line) =>
      line.type === 'response' || line.type === 'event' || line.type === 'chunk' ? [line] : [],
    );
    expect(pieces.reduce((bytes, { wire_bytes }) => bytes + wire_bytes, 0)).toBe(row.body.length);
    expect(pieces.some(({ withheld }) => withheld !== undefined)).toBe(row.withheld === true);
    const text = pieces
      .map((piece) =>
        piece.type === 'event' ? piece.sse.prefix + piece.body + piece.sse.suffix : (piece.body ?? ''),
      )
      .join('');
    if (row.recorded !== undefined) expect(text).toBe(row.recorded);
    else if (
      pieces.every((piece) => piece.body_encoding !== 'base64') &&
      row.withheld !== true &&
      !name.includes('endpoint')
    )
      expect(text === row.body.toString()).toBe(true);
    // The first message may be one of status 1xx, which has no body.
    if (answer.startLine.startsWith('HTTP/1.1 200')) expect(answer.body.equals(row.body)).toBe(true);
  });

  it('leaves a recording that keeps the format, verifies, and that DuckDB reads whole', async () => {
    await scene.finish();
  });
});
