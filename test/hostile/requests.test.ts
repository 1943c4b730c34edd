/**
 * What hostile clients send: each row is refused with a clear status or reaches the server byte for byte, is recorded either
 * way, and does the recorder and the recording no harm.
 */
import zlib from 'node:zlib';
import type { Ambiguity, Line } from '@mcp-recorder/recording/format/line';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HttpMessage } from '../support/http-message.ts';
import { openScene, PONG, post, type Scene } from './scene.ts';

interface Refused {
  status: number;
  reason: string;
  /** JSON text of the id in the answer; default `null`. */
  rpcId?: string;
}

interface Passed {
  ambiguous?: Ambiguity[];
  /** JSON texts of the recorded ids of the calls. */
  rpcIds?: (string | null)[];
  methods?: string[];
}

interface Row {
  request: (target: string) => Buffer;
  refused?: Refused;
  passed?: Passed;
}

const PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
const MEGABYTE = 1_000_000;

/** A JSON body that reaches the server as it is. */
function passes(body: string | Buffer, passed: Passed = {}, headers = ''): Row {
  return { request: (target) => post(target, body, headers), passed };
}

function refuses(body: string | Buffer, status: number, reason: string, headers = '', rpcId?: string): Row {
  return {
    request: (target) => post(target, body, headers),
    refused: { status, reason, ...(rpcId === undefined ? {} : { rpcId }) },
  };
}

/** A request head (and body) by hand; `%` stands for the target. */
function raw(text: string, expected: Pick<Row, 'refused' | 'passed'>): Row {
  return { request: (target) => Buffer.from(text.replace('%', target), 'latin1'), ...expected };
}

const MALFORMED_HTTP = { refused: { status: 400, reason: 'malformed_http' } };
const withId = (id: string): Row =>
  passes(`{"jsonrpc":"2.0","id":${id},"method":"ping"}`, { rpcIds: [id], methods: ['ping'] });
const call = (member: string) => `{"jsonrpc":"2.0","id":1,"method":"tools/call",${member}}`;
const notification = '{"jsonrpc":"2.0","method":"notifications/progress"}';
const utf16 = Buffer.from(PING, 'utf16le');
const bomb = Buffer.alloc(64 * 1024 * 1024, ' ');

const ROWS: Record<string, Row> = {
  'a duplicate key': passes('{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}', {
    ambiguous: ['duplicate_key'],
    methods: ['tools/list'],
  }),
  'a duplicate key in an escape': passes(
    '{"jsonrpc":"2.0","id":1,"method":"ping","meth\\u006fd":"tools/list"}',
    { ambiguous: ['duplicate_key'] },
  ),
  'a duplicate key in params': passes(call('"params":{"name":"a","name":"b"}'), {
    ambiguous: ['duplicate_key'],
  }),
  'a key that differs in case': passes('{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/list"}', {
    ambiguous: ['case_variant_key'],
    methods: ['ping'],
  }),
  'a key that folds to another in Unicode': passes(call('"paramſ":{"name":"b"}'), {
    ambiguous: ['case_variant_key'],
  }),
  'NUL in a key': passes('{"jsonrpc":"2.0","id":1,"method":"ping","method\\u0000":"x"}', {
    ambiguous: ['nul_in_key'],
  }),
  'a bare NUL in a string': refuses('{"jsonrpc":"2.0","id":1,"method":"p\0"}', 400, 'malformed_json'),
  'keys of an object prototype': passes(
    call('"__proto__":{"id":2},"constructor":{},"params":{"__proto__":1}'),
    {
      rpcIds: ['1'],
    },
  ),
  'arrays nested 100,000 deep': passes(call(`"params":${'['.repeat(100_000)}${']'.repeat(100_000)}`)),
  'objects nested 100,000 deep': passes(call(`"params":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`)),
  'nesting that is never closed': refuses('['.repeat(100_000), 400, 'malformed_json'),
  'broken UTF-8': refuses(Buffer.from([0x22, 0xff, 0xfe, 0x80, 0x22]), 400, 'not_utf8'),
  'overlong UTF-8': refuses(Buffer.from([0x22, 0xc0, 0xaf, 0x22]), 400, 'not_utf8'),
  'a surrogate in UTF-8': refuses(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 400, 'not_utf8'),
  'UTF-16, little end first': refuses(utf16, 400, 'not_utf8'),
  'UTF-16, big end first': refuses(Buffer.from(utf16).swap16(), 400, 'not_utf8'),
  'UTF-16 with a mark': refuses(Buffer.concat([Buffer.from([0xff, 0xfe]), utf16]), 400, 'not_utf8'),
  'UTF-32': refuses(Buffer.from([...PING].flatMap((c) => [c.charCodeAt(0), 0, 0, 0])), 400, 'not_utf8'),
  'a byte order mark': refuses(`\ufeff${PING}`, 400, 'not_utf8'),
  'broken UTF-8 that claims nothing': passes(Buffer.from([0, 1, 0xff, 0xfe]), {}, 'Content-Type: text/x\r\n'),
  'a header of 1 MB': raw(
    `POST % HTTP/1.1\r\nHost: h\r\nX: ${'x'.repeat(MEGABYTE)}\r\nContent-Length: 0\r\n\r\n`,
    { refused: { status: 431, reason: 'headers_too_large' } },
  ),
  'a target of 1 MB': raw(`GET %?${'x'.repeat(MEGABYTE)} HTTP/1.1\r\nHost: h\r\n\r\n`, {
    refused: { status: 431, reason: 'headers_too_large' },
  }),
  '10,000 headers': raw(`POST % HTTP/1.1\r\nHost: h\r\n${'a:\r\n'.repeat(10_000)}\r\n`, {
    refused: { status: 431, reason: 'headers_too_large' },
  }),
  '900 headers, the last of which frames the body': raw(
    `POST % HTTP/1.1\r\nHost: h\r\n${'a:\r\n'.repeat(900)}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    { passed: {} },
  ),
  'Content-Length and Transfer-Encoding': raw(
    `POST % HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    MALFORMED_HTTP,
  ),
  'Transfer-Encoding and Content-Length': raw(
    `POST % HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    MALFORMED_HTTP,
  ),
  'two Content-Lengths': raw(
    `POST % HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`,
    MALFORMED_HTTP,
  ),
  'a negative Content-Length': raw(
    `POST % HTTP/1.1\r\nHost: h\r\nContent-Length: -3\r\n\r\nabc`,
    MALFORMED_HTTP,
  ),
  'a Content-Length beyond every number': raw(
    `POST % HTTP/1.1\r\nHost: h\r\nContent-Length: ${'9'.repeat(40)}\r\n\r\nabc`,
    MALFORMED_HTTP,
  ),
  'a transfer coding that is not chunked': raw(
    `POST % HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    MALFORMED_HTTP,
  ),
  'a chunk of negative size': raw(
    `POST % HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n`,
    MALFORMED_HTTP,
  ),
  'a chunk of a size beyond every number': raw(
    `POST % HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${'f'.repeat(32)}\r\nabc\r\n0\r\n\r\n`,
    MALFORMED_HTTP,
  ),
  'a space before the colon': raw(
    `POST % HTTP/1.1\r\nHost: h\r\nContent-Length : 3\r\n\r\nabc`,
    MALFORMED_HTTP,
  ),
  'NUL in a header': raw(`GET % HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n`, MALFORMED_HTTP),
  'a header line without name': raw(`GET % HTTP/1.1\r\nHost: h\r\n: b\r\n\r\n`, MALFORMED_HTTP),
  'a version that is none': raw(`GET % HTTP/9.9\r\nHost: h\r\n\r\n`, MALFORMED_HTTP),
  'TLS where HTTP is spoken': raw('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', MALFORMED_HTTP),
  'an id of -1': withId('-1'),
  'an id of -0': withId('-0'),
  'an id of 1.5': withId('1.5'),
  'an id of 1e400': withId('1e400'),
  'an id of thirty digits': withId('123456789012345678901234567890'),
  'an id that is an object': withId('{"a":[1,{"b":null}],"id":7}'),
  'an id that is an array': withId('[1]'),
  'an id that is null': withId('null'),
  'an id that is a truth': withId('true'),
  'an id that is empty': withId('""'),
  'an id with a lone surrogate': withId('"\\ud800"'),
  'a batch of 10,000': refuses(`[${Array(10_000).fill(PING).join(',')}]`, 413, 'batch_too_large'),
  'a batch of 1,000 the same id': passes(`[${Array(1_000).fill(PING).join(',')}]`, {
    rpcIds: Array(1_000).fill('1'),
  }),
  'a batch of 1,000 with long ids and names': passes(
    `[${Array.from({ length: 1_000 }, (_, n) => `{"jsonrpc":"2.0","id":"${n}${'i'.repeat(1_000)}","method":"tools/call","params":{"name":"${'"n'.repeat(500).replaceAll('"', '\\"')}"}}`).join(',')}]`,
  ),
  'an empty batch': passes('[]', { rpcIds: [] }),
  'a batch of what is no message': passes('[1,null,"x",[],{}]', { rpcIds: [] }),
  'a batch in a batch': passes(`[[${PING}]]`, { rpcIds: [] }),
  'an empty body': refuses('', 400, 'malformed_json'),
  'an empty body that claims nothing': passes('', {}, 'Content-Type: text/plain\r\n'),
  'white space for a body': refuses(' \n ', 400, 'malformed_json'),
  'JSON that is no message': passes('"just text"', { rpcIds: [] }),
  'two JSON texts': refuses(`${PING}${PING}`, 400, 'malformed_json'),
  'a number of a million digits': passes(call(`"params":{"n":${'9'.repeat(MEGABYTE)}}`)),
  'numbers beyond every range': passes(call('"params":{"a":1e999999999,"b":-1e-999999999,"c":0.1e+308000}')),
  'lone surrogates in every string': passes(
    '{"jsonrpc":"2.0","id":"\\udfff","method":"tools/call\\ud800","params":{"name":"\\ud800","_meta":{"io.modelcontextprotocol/clientInfo":{"name":"\\ud83d","version":"\\udc00"},"io.modelcontextprotocol/protocolVersion":"\\ud800","traceparent":"\\ud800"},"\\ud800":"\\ud800"}}',
    { methods: ['tools/call\ufffd'] },
  ),
  'a lone surrogate for a tool': passes(call('"params":{"name":"\\ud800"}'), { rpcIds: ['1'] }),
  'a lone surrogate for the client': passes(
    '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"\\ud800","clientInfo":{"name":"\\ud83d","version":"\\udc00"}}}',
    { methods: ['initialize'] },
  ),
  'NUL in every name': passes(
    '{"jsonrpc":"2.0","id":"\\u0000","method":"a\\u0000","params":{"name":"\\u0000","clientInfo":{"name":"\\u0000"}}}',
    { rpcIds: ['"\\u0000"'] },
  ),
  'an id of 3 MB': passes(`{"jsonrpc":"2.0","id":"${'i'.repeat(3 * MEGABYTE)}","method":"ping"}`),
  'an id of 3 MB of control characters': passes(
    `{"jsonrpc":"2.0","id":"${'\\u0001'.repeat(500_000)}","method":"ping"}`,
  ),
  'a method of 3 MB': passes(`{"jsonrpc":"2.0","id":1,"method":"${'m'.repeat(3 * MEGABYTE)}"}`),
  'a tool of 3 MB': passes(call(`"params":{"name":"${'n'.repeat(3 * MEGABYTE)}"}`), { rpcIds: ['1'] }),
  'a client with a name of 3 MB': passes(
    `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"${'v'.repeat(MEGABYTE)}","clientInfo":{"name":"${'n'.repeat(MEGABYTE)}","version":"${'v'.repeat(MEGABYTE)}"}}}`,
  ),
  'a request state of 3 MB': passes(
    call(`"params":{"name":"t","requestState":"${'s'.repeat(3 * MEGABYTE)}"}`),
  ),
  'headers that are as long as may be': passes(
    notification,
    {},
    `Mcp-Session-Id: ${'s'.repeat(20_000)}\r\nMcp-Protocol-Version: ${'v'.repeat(20_000)}\r\nTraceparent: ${'t'.repeat(20_000)}\r\n`,
  ),
  'a long body, and headers that are as long as may be': passes(
    Buffer.alloc(2_000_000, 'x'),
    {},
    `Content-Type: text/plain\r\n${'a:\r\n'.repeat(900)}User-Agent: ${'\x80'.repeat(30_000)}\r\nX: ${'x'.repeat(20_000)}\r\n`,
  ),
  'header values of every byte': passes(
    notification,
    {},
    `User-Agent: ${Array.from({ length: 224 }, (_, n) => String.fromCharCode(n + 32))
      .filter((c) => c !== '\x7f')
      .join('')}\r\n`,
  ),
  'a body that claims gzip and is not': refuses(PING, 400, 'bad_coding', 'Content-Encoding: gzip\r\n'),
  'gzip that ends too early': refuses(
    zlib.gzipSync(PING).subarray(0, -4),
    400,
    'bad_coding',
    'Content-Encoding: gzip\r\n',
  ),
  'gzip of what is no JSON': refuses(zlib.gzipSync('{'), 400, 'malformed_json', 'Content-Encoding: gzip\r\n'),
  'a body that claims br and is not': refuses(PING, 400, 'bad_coding', 'Content-Encoding: br\r\n'),
  'a body that claims zstd and is not': refuses(PING, 400, 'bad_coding', 'Content-Encoding: zstd\r\n'),
  'a coding on a coding': refuses(
    zlib.gzipSync(zlib.gzipSync(PING)),
    415,
    'unsupported_coding',
    'Content-Encoding: gzip, gzip\r\n',
  ),
  'a coding in a second header': refuses(
    zlib.gzipSync(zlib.gzipSync(PING)),
    415,
    'unsupported_coding',
    'Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n',
  ),
  'a gzip bomb': refuses(zlib.gzipSync(bomb), 413, 'body_too_large', 'Content-Encoding: gzip\r\n'),
  'a br bomb': refuses(
    zlib.brotliCompressSync(bomb, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 3 } }),
    413,
    'body_too_large',
    'Content-Encoding: br\r\n',
  ),
  'a zstd bomb': refuses(zlib.zstdCompressSync(bomb), 413, 'body_too_large', 'Content-Encoding: zstd\r\n'),
  'an Mcp-Method that contradicts': refuses(PING, 400, 'header_mismatch', 'Mcp-Method: tools/list\r\n', '1'),
  'an Mcp-Name that contradicts': refuses(
    call('"params":{"name":"drop"}'),
    400,
    'header_mismatch',
    'Mcp-Method: tools/call\r\nMcp-Name: echo\r\n',
    '1',
  ),
  'an Mcp-Name that claims base64 and is not': refuses(
    call('"params":{"name":"drop"}'),
    400,
    'header_mismatch',
    'Mcp-Name: =?base64?%%?=\r\n',
    '1',
  ),
  'a second Mcp-Method that contradicts': refuses(
    PING,
    400,
    'header_mismatch',
    'Mcp-Method: ping\r\nMcp-Method: tools/list\r\n',
    '1',
  ),
  'a contradicted id of 1 MB': refuses(
    `{"jsonrpc":"2.0","id":"${'i'.repeat(MEGABYTE)}","method":"ping"}`,
    400,
    'header_mismatch',
    'Mcp-Method: x\r\n',
    `"${'i'.repeat(MEGABYTE)}"`,
  ),
};

describe('a hostile request', () => {
  let scene: Scene;
  let lines: Line[];
  const seen = new Map<string, { answer: HttpMessage } | { failure: unknown }>();
  const targetOf = (name: string) => `/row/${Object.keys(ROWS).indexOf(name)}`;

  beforeAll(async () => {
    scene = await openScene();
    for (const [name, { request }] of Object.entries(ROWS)) {
      try {
        const answer = await scene.call(request(targetOf(name)));
        await scene.expectAlive();
        seen.set(name, { answer });
      } catch (failure) {
        seen.set(name, { failure });
      }
    }
    lines = await scene.recorder.finish();
  }, 120_000);
  afterAll(() => scene.close());

  function answerTo(name: string): HttpMessage {
    const outcome = seen.get(name);
    if (outcome === undefined || 'failure' in outcome) throw outcome?.failure;
    return outcome.answer;
  }

  /** All lines of the exchange of this row. */
  function exchangeOf(name: string): Line[] {
    const request = lines.find((line) => line.type === 'request' && line.http.target === targetOf(name));
    if (request?.type !== 'request') return [];
    return lines.filter((line) => 'exchange' in line && line.exchange === request.exchange);
  }

  const rows = Object.entries(ROWS);
  it.each(rows.filter(([, row]) => row.refused !== undefined))('is refused: %s', (name, row) => {
    const { status, reason, rpcId = 'null' } = row.refused as Refused;
    const answer = answerTo(name);
    expect(answer.startLine).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    const text = answer.body.toString();
    expect(JSON.parse(text)).toMatchObject({ error: { data: { reason } } });
    expect(text).toContain(`"id":${rpcId},"error"`);
    expect(scene.received.has(targetOf(name))).toBe(false);
    expect(exchangeOf(name)).toEqual([]);
  });

  it.each(rows.filter(([, row]) => row.passed !== undefined))('passes as it is: %s', (name, row) => {
    const { ambiguous, rpcIds, methods } = row.passed as Passed;
    const answer = answerTo(name);
    expect(answer.startLine).toBe('HTTP/1.1 200 OK');
    expect(answer.body.toString()).toBe(PONG);
    const sent = row.request(targetOf(name));
    const body = sent.subarray(sent.indexOf('\r\n\r\n') + 4);
    const chunked = sent.includes('Transfer-Encoding: chunked');
    const got = scene.received.get(targetOf(name));
    expect(got?.body.equals(chunked ? Buffer.from('abc') : body)).toBe(true);
    const recorded = exchangeOf(name);
    expect(recorded.map(({ type }) => type)).toContain('end');
    const pieces = recorded.flatMap((line) =>
      line.type === 'request' || (line.type === 'chunk' && line.sender === 'client') ? [line] : [],
    );
    const bytes = Buffer.concat(
      pieces.map((piece) =>
        Buffer.from(piece.body ?? '', piece.body_encoding === 'base64' ? 'base64' : 'utf8'),
      ),
    );
    expect(bytes.equals(chunked ? Buffer.from('abc') : body)).toBe(true);
    expect(pieces.flatMap((piece) => piece.ambiguous ?? [])).toEqual(ambiguous ?? []);
    const calls = pieces.flatMap((piece) => piece.calls ?? []);
    if (rpcIds !== undefined) expect(calls.map(({ rpc_id }) => rpc_id)).toEqual(rpcIds);
    if (methods !== undefined) expect(calls.map(({ method }) => method)).toEqual(methods);
  });

  it('is counted when it was refused, once each', () => {
    const expected: Record<string, number> = {};
    for (const { refused } of Object.values(ROWS))
      if (refused !== undefined) expected[refused.reason] = (expected[refused.reason] ?? 0) + 1;
    const counted: Record<string, number> = {};
    for (const line of lines)
      if (line.type === 'denied')
        counted[line.denied.reason] = (counted[line.denied.reason] ?? 0) + line.denied.count;
    expect(counted).toEqual(expected);
  });

  it('leaves a recording that keeps the format, verifies, and that DuckDB reads whole', async () => {
    await scene.finish();
  });
});
