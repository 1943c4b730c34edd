/**
 * A thousand secrets in every place of requests and answers, through the recorder as users run it, which is killed in the middle: nothing of them
 * stands in its spool, store, log, metrics or status; and what passes is as it was sent, or, with masking on the wire, holds none of them.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import zlib from 'node:zlib';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { HttpMessage } from '../support/http-message.ts';
import { connectRaw, listenRaw, type RawConnection, type RawServer } from '../support/raw-http.ts';
import { type RecorderProcess, startRecorderProcess } from '../support/recorder-process.ts';
import { createSecretSearch, escaped, type SecretSearch } from '../support/secret-search.ts';
import { drawn, plantedSecrets, type Random, randomFrom } from '../support/secrets.ts';

const SEED = 2026;
const SECRETS = 1_000;
/** Requests that are under way together. */
const LANES = 4;

const configuration = (on: string) => `masking:
  base64: true
  rules:
    - {detectors: [all], appliesTo: ${on}}
    - {name: passwords, keys: [password], appliesTo: ${on}}
    - {name: numbers, paths: ["$.params.arguments.ssn", "$.result.ssn"], appliesTo: ${on}}
    - {name: employees, pattern: "EMP-[0-9]{14}", appliesTo: ${on}}
rules:
  - {name: not-allowed, when: mcp.tool == "forbidden", action: Deny, message: It is not allowed}
`;

interface Parts {
  method?: string;
  target?: string;
  headers?: string[];
  body?: Buffer | string;
  /** The client goes before the end of its body. */
  cut?: boolean;
  /** The recorder answers by itself. */
  refused?: boolean;
  /** Where it would have to be altered it may be cut instead: it can't be read in one way only. */
  mayBeCut?: boolean;
  answer?: Answer;
}

interface Answer {
  status?: string;
  headers?: string[];
  body: Buffer | string;
  /** Sent in chunks, with these trailers. */
  trailers?: string[];
  /** Where it is cut in two that arrive one after the other; 1: byte by byte. */
  split?: number;
  /** The server goes before the end of its body. */
  cut?: boolean;
}

/** @param at which of the secrets: draws offsets from it */
type Place = (text: string, at: number) => Parts;

const rpc = (message: object) => JSON.stringify({ jsonrpc: '2.0', id: 1, ...message });
const args = (value: unknown, more: object = {}) =>
  rpc({ method: 'tools/call', params: { name: 'a', arguments: value, ...more } });
const found = (value: unknown) => rpc({ result: { content: [{ type: 'text', text: value }] } });
const raw = (literal: string) =>
  `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":${literal}}]}}`;
const base64 = (text: string) => Buffer.from(text).toString('base64');
const oneLine = (text: string) => text.replaceAll('\n', ' ');
const inHeader = (text: string) => (/^[ -~]+$/.test(text) ? text : `=?base64?${base64(text)}?=`);
const lie = 'and so on, '.repeat(16_000);

const request = (body: Buffer | string, headers: string[] = []): Parts => ({ body, headers });
const header =
  (name: string): Place =>
  (text) =>
    request(args({}), [`${name}: ${inHeader(text)}`]);
const json = (body: Buffer | string, more: Partial<Answer> = {}): Parts => ({
  answer: { body, ...more, headers: ['Content-Type: application/json', ...(more.headers ?? [])] },
});
const sse = (body: string, more: Partial<Answer> = {}): Parts => ({
  answer: { body, ...more, headers: ['Content-Type: text/event-stream', ...(more.headers ?? [])] },
});
const plain = (body: Buffer | string, more: Partial<Answer> = {}): Parts => ({
  answer: { body, ...more, headers: ['Content-Type: text/plain', ...(more.headers ?? [])] },
});
const refused = (parts: Parts): Parts => ({ ...parts, refused: true });

/** Places that masking on the wire covers too. */
const PLACES: Record<string, Place> = {
  argument: (text) => request(args({ a: [`see ${text} there`] })),
  'argument in escapes': (text) => request(args('@').replace('"@"', `{"a":"${escaped(text)}"}`)),
  'argument in base64': (text) => request(args({ a: base64(`it is ${text}`) })),
  'argument in base64url': (text) =>
    request(args({ a: Buffer.from(`it is ${text} ÿÿ`).toString('base64url') })),
  'argument in base64 in lines': (text) =>
    request(args({ a: base64(`it is ${text}`).replaceAll(/.{64}/g, '$&\n') })),
  'argument in base64 twice': (text) => request(args({ a: base64(base64(`it is ${text}`)) })),
  'argument in JSON in JSON': (text) => request(args({ a: JSON.stringify({ b: JSON.stringify([text]) }) })),
  'argument in percent-encoding': (text) => request(args({ a: `u=${encodeURIComponent(text)}` })),
  'argument name': (text) => request(args({ [text]: 1 })),
  'tool name': (text) => request(rpc({ method: 'tools/call', params: { name: text } })),
  'tool name and header': (text) =>
    request(rpc({ method: 'tools/call', params: { name: text } }), [
      'Mcp-Method: tools/call',
      `Mcp-Name: ${inHeader(text)}`,
    ]),
  id: (text) => request(JSON.stringify({ jsonrpc: '2.0', id: text, method: 'ping' })),
  method: (text) => request(JSON.stringify({ jsonrpc: '2.0', id: 1, method: text })),
  'resource URI': (text) => request(rpc({ method: 'resources/read', params: { uri: `file:///${text}` } })),
  'prompt argument': (text) =>
    request(rpc({ method: 'prompts/get', params: { name: 'p', arguments: { a: text } } })),
  requestState: (text) => request(args({}, { requestState: text })),
  'task id': (text) => request(rpc({ method: 'tasks/get', params: { taskId: text } })),
  'progress token': (text) => request(args({}, { _meta: { progressToken: text } })),
  traceparent: (text) => request(args({}, { _meta: { traceparent: text, tracestate: text } })),
  'client info': (text) =>
    request(
      rpc({
        method: 'initialize',
        params: { protocolVersion: text, capabilities: {}, clientInfo: { name: text, version: text } },
      }),
    ),
  'long client info': (text) =>
    request(
      rpc({
        method: 'initialize',
        params: { protocolVersion: 'x', clientInfo: { name: `${'n '.repeat(506)}${text}`, version: '1' } },
      }),
    ),
  'a batch': (text) => request(`[${args({ a: 1 })},${args({ a: text })}]`.replace('"id":1', '"id":2')),
  'a cancelled request': (text) =>
    request(
      JSON.stringify({
        jsonrpc: '2.0',
        method: 'notifications/cancelled',
        params: { requestId: text, reason: text },
      }),
    ),
  'the client answers': (text) => request(JSON.stringify({ jsonrpc: '2.0', id: 7, result: { a: text } })),
  'the client answers an error': (text) =>
    request(JSON.stringify({ jsonrpc: '2.0', id: text, error: { code: 1, message: text, data: [text] } })),
  'big request': (text, at) => request(args({ a: lie.slice(at), b: text, c: lie })),
  'gzip request': (text) => request(zlib.gzipSync(args({ a: text })), ['Content-Encoding: gzip']),
  'br request': (text) => request(zlib.brotliCompressSync(args({ a: text })), ['Content-Encoding: br']),
  'zstd request': (text) => request(zlib.zstdCompressSync(args({ a: text })), ['Content-Encoding: zstd']),
  query: (text) => ({
    ...request(args({})),
    target: `/mcp?q=${encodeURIComponent(text)}&${encodeURIComponent(text)}`,
  }),
  'User-Agent': header('User-Agent'),
  Accept: header('Accept'),
  Origin: header('Origin'),
  'Last-Event-ID': header('Last-Event-ID'),
  'Mcp-Protocol-Version': header('Mcp-Protocol-Version'),
  'Mcp-Param': header('Mcp-Param-A'),
  'X-Api-Key': header('X-Api-Key'),

  result: (text) => json(found(text)),
  'result in escapes': (text) => json(raw(`"${escaped(text)}"`)),
  'result in pieces': (text, at) => json(found(text), { split: 40 + (at % 200) }),
  'result in base64': (text) =>
    json(rpc({ result: { contents: [{ uri: 'a', blob: base64(`it is ${text}`) }] } })),
  'result in JSON in JSON': (text) => json(found(JSON.stringify({ a: [text] }))),
  'structured result': (text) => json(rpc({ result: { structuredContent: { [text]: text } } })),
  'error message': (text) => json(rpc({ error: { code: -32000, message: text, data: { a: text } } })),
  'tool description': (text) =>
    json(rpc({ result: { tools: [{ name: text, description: text, title: text }] } })),
  'server info': (text) =>
    json(
      rpc({
        result: { protocolVersion: text, serverInfo: { name: text, version: text }, instructions: text },
      }),
    ),
  'state of the server': (text) =>
    json(rpc({ result: { resultType: 'input_required', requestState: text } })),
  'task of the server': (text) =>
    json(rpc({ result: { resultType: 'task', taskId: text, task: { taskId: text } } })),
  'gzip result': (text) => json(zlib.gzipSync(found(text)), { headers: ['Content-Encoding: gzip'] }),
  'br result': (text) => json(zlib.brotliCompressSync(found(text)), { headers: ['Content-Encoding: br'] }),
  'zstd result': (text) => json(zlib.zstdCompressSync(found(text)), { headers: ['Content-Encoding: zstd'] }),
  'gzip result in pieces': (text, at) =>
    json(zlib.gzipSync(found(text)), { headers: ['Content-Encoding: gzip'], split: 12 + (at % 50) }),
  'big result': (text, at) => json(found(`${lie.slice(at)} ${text} ${lie}`), { split: 100_000 }),
  'batch of answers': (text) => json(`[${found('a')},${found(text)}]`),
  'newline JSON': (text, at) =>
    json(`${found('a')}\n${found(text)}\n`, {
      headers: ['X-Kind: lines'],
      split: 80 + (at % 200),
    }),
  'an answer that no call asked for': (text) =>
    json(JSON.stringify({ jsonrpc: '2.0', id: text, result: {} })),
  'text that streams': (text, at) =>
    plain(`one\ntwo ${text} three\nfour`, { trailers: [], split: 20 + (at % 100) }),
  'HTML of an error': (text) =>
    plain(`<p>can't reach ${text} </p>`, { status: '502 Bad Gateway', headers: ['X-Kind: html'] }),
  'UTF-16 text': (text) => plain(Buffer.from(`\ufeffit is ${text} there`, 'utf16le')),
  'broken UTF-8': (text) => plain(Buffer.concat([Buffer.from(`it is ${text} `), Buffer.from([0xff, 0xc3])])),
  event: (text, at) => sse(`id: 1\ndata: ${found(text)}\n\n`, { split: 10 + (at % 260) }),
  'event, byte by byte': (text) => sse(`data: ${found(text.slice(0, 400))}\n\n`, { split: 1 }),
  'event of two lines': (text, at) =>
    sse(`data: {"jsonrpc":"2.0","id":1,\ndata: "result":{"a":${JSON.stringify(text)}}}\n\n`, {
      split: 30 + (at % 200),
    }),
  'event of text': (text) => sse(`data: it is ${oneLine(text)} there\n\n`),
  'event with escapes': (text) => sse(`data: ${raw(`"${escaped(text)}"`)}\r\n\r\n`),
  'gzip event': (text) =>
    sse('', {
      body: zlib.gzipSync(`data: ${found(text)}\n\n`),
      headers: ['Content-Encoding: gzip'],
    } as Answer),
  'big event': (text, at) => sse(`data: ${found(`${lie.slice(at)} ${text} `)}\n\n`, { split: 70_000 }),
  'a call of the server': (text) =>
    sse(
      `data: ${JSON.stringify({ jsonrpc: '2.0', id: text, method: 'sampling/createMessage', params: { a: text } })}\n\n` +
        `data: ${JSON.stringify({ jsonrpc: '2.0', method: text, params: { message: text } })}\n\n`,
    ),
  'an event after the answer': (text) => sse(`data: ${found('a')}\n\ndata: ${oneLine(text)}\n\n`),
  'a header of an answer': (text) =>
    json(found('a'), { headers: [`Server: ${inHeader(text)}`, `X-Key: ${inHeader(text)}`] }),
  trailers: (text) =>
    json(found('a'), { trailers: [`X-Sum: ${inHeader(text)}`, `Server: ${inHeader(text)}`] }),
};

/** Places that go on as they are where masking is on for the wire. */
const OF_THE_RECORD: Record<string, Place> = {
  Authorization: (text) => request(args({}), [`Authorization: Bearer ${inHeader(text)}`]),
  Cookie: (text) => request(args({}), [`Cookie: a=${inHeader(text)}`]),
  'Mcp-Session-Id': (text) => request(args({}), [`Mcp-Session-Id: ${inHeader(text)}`]),
  'session id in the query': (text) => ({
    ...request(args({})),
    target: `/mcp?sessionId=${encodeURIComponent(text)}`,
  }),
  path: (text) => ({ ...request(args({})), target: `/mcp/${encodeURIComponent(text)}/b` }),
  'a session of the server': (text) => json(found('a'), { headers: [`Mcp-Session-Id: ${inHeader(text)}`] }),
  reason: (text) => json(found('a'), { status: `200 ${oneLine(text)}` }),
  'fields of an event': (text, at) =>
    sse(
      `: ${oneLine(text)}\nevent: ${oneLine(text)}\nid: ${oneLine(text)}\nretry: ${oneLine(text)}\nx: ${oneLine(text)}\ndata: a\n\n`,
      { split: 5 + (at % 500) },
    ),
  'events that are cut': (text, at) =>
    sse(`data: ${found('a')}\n\ndata: it is ${oneLine(text)} `, { cut: true, split: 60 + (at % 100) }),
  'answer that is cut': (text) => json(`${found(text)}${lie}`, { cut: true }),
  'request that is cut': (text) => ({ ...request(args({ a: text })), cut: true }),
  'malformed JSON': (text) => refused(request(`{"jsonrpc":"2.0","id":1,"method":"${oneLine(text)}",`)),
  'text in a request': (text) => refused(request(`it is ${text}`, ['Content-Type: text/plain'])),
  'form in a request': (text) =>
    refused(request(`a=${encodeURIComponent(text)}`, ['Content-Type: application/x-www-form-urlencoded'])),
  'unknown coding': (text) =>
    refused(request(zlib.deflateSync(args({ a: text })), ['Content-Encoding: deflate'])),
  'another tool in the header': (text) =>
    refused(request(args({ a: text }), ['Mcp-Method: tools/call', `Mcp-Name: ${inHeader(text)}`])),
  'two members of one name': (text) =>
    refused(request(`{"jsonrpc":"2.0","id":1,"method":"a","Method":${JSON.stringify(text)}}`)),
  denied: (text) =>
    refused(
      request(
        JSON.stringify({
          jsonrpc: '2.0',
          id: text,
          method: 'tools/call',
          params: { name: 'forbidden', arguments: { a: text } },
        }),
      ),
    ),
  'batch of which one is denied': (text) =>
    refused(
      request(
        JSON.stringify([
          { jsonrpc: '2.0', id: text, method: 'tools/call', params: { name: 'a' } },
          {
            jsonrpc: '2.0',
            id: 2,
            method: 'tools/call',
            params: { name: 'forbidden', arguments: { a: text } },
          },
        ]),
      ),
    ),
  TRACE: (text) => refused({ method: 'TRACE', target: `/mcp?a=${encodeURIComponent(text)}` }),
  'malformed HTTP': (text) => refused({ headers: [`bad header ${oneLine(text)}: 1`] }),
};

interface Shot extends Parts {
  place: string;
}

interface Planted {
  shots: Shot[];
  secrets: Map<string, string>;
}

/** One secret after the other in one place after the other, then the secrets of the rules that are not detectors. */
function plant(places: readonly (readonly [string, Place])[], count: number, random: Random): Planted {
  const secrets = new Map<string, string>();
  const shots = plantedSecrets(SEED, count).map(({ text, secret, detector }, at): Shot => {
    // Each round meets the places with other detectors.
    const [place, put] = places[at % places.length] as [string, Place];
    secrets.set(`${at} ${detector} in ${place}`, secret);
    return { place, ...put(text, at) };
  });
  const password = (place: string): string => {
    const secret = drawn(random, 'abcdefghijklmnopqrstuvwxyz', 30);
    secrets.set(`${secrets.size} ${place}`, secret);
    return secret;
  };
  const of = (place: string, put: (secret: string) => Parts): void => {
    shots.push({ place, ...put(password(place)) });
  };
  for (let round = 0; round < 3; round += 1) {
    of('key', (secret) => request(args({ a: { Password: secret } })));
    of('key with a list', (secret) => request(args({ password: [{ a: [secret] }] })));
    of('key in escapes', (secret) => request(args({}).replace('{}', `{"p\\u0061ssword":"${secret}"}`)));
    of('key in JSON in JSON', (secret) => request(args({ a: JSON.stringify({ password: secret }) })));
    of('key in a JSON string in a string', (secret) =>
      request(args({ a: JSON.stringify(JSON.stringify({ password: secret })) })),
    );
    of('key in base64', (secret) => request(args({ a: base64(JSON.stringify({ password: secret })) })));
    of('key in an answer', (secret) => json(rpc({ result: { password: secret } })));
    of('key in an answer in Latin-1', (secret) =>
      json(Buffer.from(rpc({ result: { a: 'Zürich', password: secret } }), 'latin1')),
    );
    of('key in an event', (secret) => sse(`data: ${rpc({ result: { password: secret } })}\n\n`));
    of('key in an event in Latin-1', (secret) => ({
      ...sse('', {
        body: Buffer.from(`data: ${rpc({ result: { a: 'Zürich', password: secret } })}\n\n`, 'latin1'),
      } as Answer),
      mayBeCut: true,
    }));
    of('key in a query', (secret) => ({ ...request(args({})), target: `/mcp?password=${secret}` }));
    of('path', (secret) => request(args({ ssn: secret })));
    of('path in an answer', (secret) => json(rpc({ result: { ssn: { a: [secret] } } })));
    const employee = `EMP-${drawn(random, '0123456789', 14)}`;
    secrets.set(`${secrets.size} pattern`, employee);
    shots.push({ place: 'pattern', ...request(args({ a: `x${employee}y`, b: escaped(employee) })) });
    shots.push({ place: 'pattern in an answer', ...sse(`data: ${employee}\n\n`) });
    const card = `40${drawn(random, '0123456789', 13)}`;
    const whole = [...'0123456789'].map((digit) => card + digit).find(isCard) as string;
    secrets.set(`${secrets.size} number`, whole);
    shots.push({ place: 'number', ...request(args({}).replace('{}', `{"a":${whole}}`)) });
    shots.push({ place: 'number in an answer', ...json(raw(whole)) });
  }
  return { shots, secrets };
}

function isCard(digits: string): boolean {
  const sum = [...digits].reverse().reduce((all, digit, at) => {
    const value = Number(digit) * (1 + (at % 2));
    return all + (value > 9 ? value - 9 : value);
  }, 0);
  return sum % 10 === 0;
}

let directory: string;
let server: RawServer;
let recorder: RecorderProcess | null = null;
/** What the server got, and what it answers, by the number in the request. */
const arrived = new Map<string, HttpMessage>();
const answers = new Map<string, Answer>();

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'secrets-'));
  arrived.clear();
  answers.clear();
  server = await listenRaw(serve);
});
afterEach(async () => {
  await recorder?.kill();
  recorder = null;
  await server.close();
  await rm(directory, { recursive: true, force: true });
});

async function serve(connection: RawConnection): Promise<void> {
  for (;;) {
    const message = await connection.message({ withinMs: 120_000 });
    const shot = valueOf(message, 'x-shot') ?? '';
    arrived.set(shot, message);
    const answer = answers.get(shot) ?? {
      body: rpc({ result: {} }),
      headers: ['Content-Type: application/json'],
    };
    const bytes = written(answer);
    const cut = answer.split ?? bytes.length;
    if (cut === 1) await connection.sendInPieces(bytes);
    else {
      const bodyStart = bytes.indexOf('\r\n\r\n') + 4;
      const at = Math.min(bytes.length - 1, bodyStart + cut);
      await connection.send(bytes.subarray(0, at));
      if (answer.split !== undefined) await new Promise((turn) => setImmediate(turn));
      await connection.send(bytes.subarray(at));
    }
    if (answer.cut) return connection.reset();
  }
}

function written({ status = '200 OK', headers = [], body, trailers, cut = false }: Answer): Buffer {
  const bytes = Buffer.from(body as string);
  const framing =
    trailers === undefined ? `Content-Length: ${bytes.length + (cut ? 9 : 0)}` : 'Transfer-Encoding: chunked';
  const head = Buffer.from(`HTTP/1.1 ${[status, ...headers, framing].join('\r\n')}\r\n\r\n`);
  if (trailers === undefined) return Buffer.concat([head, bytes]);
  const size = Buffer.from(`${bytes.length.toString(16)}\r\n`);
  return Buffer.concat([
    head,
    size,
    bytes,
    Buffer.from(`\r\n0\r\n${trailers.map((one) => `${one}\r\n`).join('')}\r\n`),
  ]);
}

interface Outcome {
  sent: Buffer;
  /** Null where the client has no whole answer. */
  got: HttpMessage | null;
  received: Buffer;
}

async function fire(shot: Shot, name: string): Promise<Outcome> {
  const { method = 'POST', target = '/mcp', headers = [], body = args({}), cut = false, answer } = shot;
  if (answer !== undefined) answers.set(name, answer);
  const bytes = Buffer.from(body as string);
  const own = headers.some((one) => /^content-type:/i.test(one)) ? [] : ['Content-Type: application/json'];
  const lines = [
    `${method} ${target} HTTP/1.1`,
    'Host: h',
    `X-Shot: ${name}`,
    ...own,
    ...headers,
    `Content-Length: ${bytes.length}`,
  ];
  const sent = Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), bytes]);
  const client = await connectRaw((recorder as RecorderProcess).port);
  try {
    await client.send(cut ? sent.subarray(0, sent.length - 3) : sent);
    if (cut) {
      client.reset();
      return { sent, got: null, received: Buffer.alloc(0) };
    }
    // A connection that ends first ends no whole answer.
    const mayEnd = answer?.cut || shot.mayBeCut;
    const whole = client.message({ withinMs: 20_000 });
    whole.catch(() => {});
    const got = await (mayEnd ? Promise.race([whole, client.end(20_000).then(() => null)]) : whole);
    return { sent, got, received: client.received() };
  } finally {
    client.reset();
  }
}

async function fireAll(shots: readonly Shot[], from: number, to: number): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let next = from;
  const lane = async () => {
    while (next < to) {
      const index = next++;
      const shot = shots[index] as Shot;
      outcomes[index] = await fire(shot, String(index)).catch((error: Error) => {
        throw new Error(`${index} ${shot.place}: ${error.message.slice(0, 2_000)}`);
      });
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return outcomes;
}

const OF_FRAMING = new Set(['connection', 'content-length', 'keep-alive', 'transfer-encoding']);

function valueOf({ headers }: HttpMessage, name: string): string | undefined {
  return headers.find(([one]) => one.toLowerCase() === name)?.[1];
}

function fieldsOf(headers: readonly (readonly [string, string])[]): string[] {
  return headers
    .filter(([name]) => !OF_FRAMING.has(name.toLowerCase()))
    .map(([name, value]) => `${name}: ${value}`);
}

function fieldsIn(head: Buffer): string[] {
  const lines = head.toString('latin1', 0, head.indexOf('\r\n\r\n')).split('\r\n').slice(1);
  return lines.filter((line) => !OF_FRAMING.has(line.slice(0, line.indexOf(':')).toLowerCase()));
}

/** What both sides got is what the other one sent. */
function expectAsSent(shot: Shot, name: string, { sent, got }: Outcome): void {
  if (shot.refused || shot.cut) {
    expect(arrived.has(name), `${shot.place}: the server was asked`).toBe(false);
    return;
  }
  const message = arrived.get(name) as HttpMessage;
  const bodyStart = sent.indexOf('\r\n\r\n') + 4;
  expect(message.body.equals(sent.subarray(bodyStart)), `${shot.place}: the body that the server got`).toBe(
    true,
  );
  expect(message.startLine, shot.place).toBe(sent.toString('latin1', 0, sent.indexOf('\r\n')));
  expect(fieldsOf(message.headers), shot.place).toEqual(fieldsIn(sent));
  const { answer } = shot;
  if (answer === undefined || answer.cut) return;
  if (got === null) throw new Error(`${shot.place}: the client got no whole answer`);
  expect(
    got.body.equals(Buffer.from(answer.body as string)),
    `${shot.place}: the body that the client got`,
  ).toBe(true);
  expect(fieldsOf(got.headers), shot.place).toEqual(fieldsIn(written(answer)));
  expect(fieldsOf(got.trailers), shot.place).toEqual(answer.trailers ?? []);
}

async function filesBelow(folder: string): Promise<[string, Buffer][]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const read = await Promise.all(
    // A segment may have been uploaded and deleted meanwhile.
    files.map(async (file) => [file, await readFile(file).catch(() => Buffer.alloc(0))] as [string, Buffer]),
  );
  return read.flatMap(([file, bytes]) => {
    const names: [string, Buffer][] = [[`the name of a file`, Buffer.from(file)]];
    names.push([file, bytes]);
    if (file.endsWith('.zst') && bytes.length > 0) names.push([file, zlib.zstdDecompressSync(bytes)]);
    return names;
  });
}

/** Everything that the recorder leaves or shows, as it is now. */
async function leftBehind(): Promise<[string, Buffer][]> {
  const { status, process } = recorder as RecorderProcess;
  const shown = await Promise.all(
    ['/metrics', '/status', '/readyz'].map(async (path): Promise<[string, Buffer]> => {
      const text = await fetch(`${status}${path}`).then((answer) => answer.text());
      return [path, Buffer.from(text)];
    }),
  );
  return [...(await filesBelow(directory)), ...shown, ['log', Buffer.from(process.output())]];
}

function leaksIn(search: SecretSearch, places: readonly [string, Buffer][]): string[] {
  return places.flatMap(([where, bytes]) =>
    [...search.findIn(bytes)].map(([name, how]) => `${name}: ${where}: ${JSON.stringify(how)}`),
  );
}

it('leaves nothing of a thousand secrets on disk, in logs, metrics or status, killed in the middle or not', async () => {
  const places = [...Object.entries(PLACES), ...Object.entries(OF_THE_RECORD)];
  const { shots, secrets } = plant(places, SECRETS, randomFrom(SEED));
  const search = createSecretSearch(secrets);
  const start = () =>
    startRecorderProcess({ upstream: server.origin, directory, configuration: configuration('Record') });
  recorder = await start();
  const half = Math.floor(shots.length / 2);
  const first = await fireAll(shots, 0, half);
  const leaks = leaksIn(search, await leftBehind());
  const early = recorder.process.output();
  await recorder.kill();
  leaks.push(...leaksIn(search, await filesBelow(directory)));
  recorder = await start();
  const second = await fireAll(shots, half, shots.length);
  leaks.push(...leaksIn(search, await leftBehind()));
  const { process } = recorder;
  expect((await recorder.stop()).code).toBe(0);
  const last = await filesBelow(directory);
  leaks.push(...leaksIn(search, [...last, ['log', Buffer.from(early + process.output())]]));

  for (const [index, shot] of shots.entries()) {
    expectAsSent(shot, String(index), (first[index] ?? second[index]) as Outcome);
  }
  const lines = last.map(([, bytes]) => bytes.toString('latin1')).join('\n');
  expect(lines.split('[masked:').length).toBeGreaterThan(SECRETS / 2);
  console.log(
    `${secrets.size} secrets in ${places.length} places, ${shots.length} requests, ${search.searched} bytes searched`,
  );
  expect([...new Set(leaks)]).toEqual([]);
}, 120_000);

it('lets nothing of them pass where masking is on for the wire', async () => {
  const { shots, secrets } = plant(Object.entries(PLACES), SECRETS, randomFrom(SEED + 1));
  const search = createSecretSearch(secrets);
  recorder = await startRecorderProcess({
    upstream: server.origin,
    directory,
    configuration: configuration('Both'),
  });
  const outcomes = await fireAll(shots, 0, shots.length);
  const leaks: string[] = [];
  for (const [index, shot] of shots.entries()) {
    const { received, got } = outcomes[index] as Outcome;
    const message = arrived.get(String(index));
    leaks.push(...leaksIn(search, [['the client', received]]));
    expect(message, `${shot.place} did not arrive`).toBeDefined();
    if (message === undefined) continue;
    leaks.push(...leaksIn(search, [['the server', Buffer.concat([message.bytes, message.body])]]));
    const type = got === null ? undefined : valueOf(got, 'content-type');
    if (type === 'application/json' && !shot.place.includes('newline') && !shot.place.includes('Latin-1')) {
      expect(() => JSON.parse((got as HttpMessage).body.toString()), shot.place).not.toThrow();
    }
    const coding = valueOf(message, 'content-encoding');
    if (coding === undefined) expect(() => JSON.parse(message.body.toString()), shot.place).not.toThrow();
  }
  leaks.push(...leaksIn(search, await leftBehind()));
  expect((await recorder.stop()).code).toBe(0);
  leaks.push(...leaksIn(search, await filesBelow(directory)));
  console.log(`${secrets.size} secrets, ${shots.length} requests, ${search.searched} bytes searched`);
  expect([...new Set(leaks)]).toEqual([]);
}, 120_000);

it('finds what it looks for', () => {
  const { shots, secrets } = plant(Object.entries(PLACES), 300, randomFrom(SEED + 2));
  const search = createSecretSearch(secrets);
  const sent = shots
    .filter(
      ({ headers = [], answer }) =>
        ![...headers, ...(answer?.headers ?? [])].some((one) => one.startsWith('Content-Enc')),
    )
    .filter(({ place }) => !place.includes('twice') && !place.includes('byte by byte'))
    .map(({ place, target = '', headers = [], body = '', answer }) => ({
      place,
      bytes: Buffer.concat([
        Buffer.from([target, ...headers].join('\n')),
        Buffer.from(body as string),
        answer === undefined ? Buffer.alloc(0) : written(answer),
      ]),
    }));
  const missed = sent.filter(({ bytes }) => search.findIn(bytes).size === 0);
  expect(missed.map(({ place }) => place)).toEqual([]);
});
