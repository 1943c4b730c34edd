/**
 * Secrets of every detector, in every place of a request: none of them is found in what is recorded, and the server gets each as it was sent.
 */
import zlib from 'node:zlib';
import { expect, it } from 'vitest';
import { compileMasking } from '../../sidecar/exchange/masking/compile.ts';
import { policyOf } from '../support/policy.ts';
import { connectRaw, listenRaw } from '../support/raw-http.ts';
import { startTestRecorder } from '../support/recorder.ts';
import { plantedSecrets } from '../support/secrets.ts';

const PONG = '{"jsonrpc":"2.0","id":1,"result":{}}';
const OK = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${PONG.length}\r\n\r\n${PONG}`;

interface Parts {
  target?: string;
  headers?: string[];
  body?: Buffer;
}

const encoded = (text: string) => encodeURIComponent(text);
const call = (params: object, id: unknown = 1) =>
  Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params }));
const escaped = (text: string) =>
  [...text].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
const inHeader = (name: string) => (text: string) => ({
  headers: [
    /^[ -~]+$/.test(text)
      ? `${name}: ${text}`
      : `${name}: =?base64?${Buffer.from(text).toString('base64')}?=`,
  ],
});

/** Where in a request it is put. */
const PLACES: Record<string, (text: string) => Parts> = {
  'an argument': (text) => ({ body: call({ name: 'a', arguments: { a: [`see ${text} there`] } }) }),
  'an argument in escapes': (text) => ({
    body: Buffer.from(
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"a":"${escaped(text)}"}}}`,
    ),
  }),
  'a member name': (text) => ({ body: call({ name: 'a', arguments: { [text]: 1 } }) }),
  'a tool name': (text) => ({ body: call({ name: text }) }),
  'an id': (text) => ({ body: call({ name: 'a' }, text) }),
  'a method': (text) => ({ body: Buffer.from(JSON.stringify({ jsonrpc: '2.0', method: text })) }),
  'a resource URI': (text) => ({
    body: Buffer.from(
      JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'resources/read', params: { uri: `file:///${text}` } }),
    ),
  }),
  requestState: (text) => ({ body: call({ name: 'a', requestState: text }) }),
  'the name of a client': (text) => ({
    body: Buffer.from(
      JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'initialize',
        params: { protocolVersion: text, clientInfo: { name: text, version: text } },
      }),
    ),
  }),
  'a compressed body': (text) => ({
    headers: ['Content-Encoding: gzip'],
    body: zlib.gzipSync(call({ name: 'a', arguments: { a: text } })),
  }),
  'an answer': (text) => ({
    body: Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 5, result: { a: text } })),
  }),
  'an error': (text) => ({
    body: Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 5, error: { code: 1, message: text } })),
  }),
  'a body that is text': (text) => ({
    headers: ['Content-Type: text/plain'],
    body: Buffer.from(`x ${text}`),
  }),
  'a body that is a form': (text) => ({
    headers: ['Content-Type: application/x-www-form-urlencoded'],
    body: Buffer.from(`a=${encoded(text)}&b=1`),
  }),
  'a body in UTF-16': (text) => ({
    headers: ['Content-Type: text/plain; charset=utf-16'],
    body: Buffer.from(`\ufeffx ${text}`, 'utf16le'),
  }),
  'a body that is no text': (text) => ({
    headers: ['Content-Type: application/octet-stream'],
    body: Buffer.concat([Buffer.from([0xff, 0xc0]), Buffer.from(` ${text}`)]),
  }),
  'the query': (text) => ({ target: `/mcp?a=${encoded(text)}` }),
  'a name in the query': (text) => ({ target: `/mcp?${encoded(text)}=1` }),
  'the path': (text) => ({ target: `/mcp/${encoded(text)}` }),
  'User-Agent': inHeader('User-Agent'),
  'Mcp-Param-A': inHeader('Mcp-Param-A'),
  'Last-Event-ID': inHeader('Last-Event-ID'),
  'Mcp-Protocol-Version': inHeader('Mcp-Protocol-Version'),
  'Mcp-Name': (text) => ({
    ...inHeader('Mcp-Name')(text),
    body: call({ name: text }),
  }),
};

it('no secret in a request is recorded, and none is kept from the server', async () => {
  const made = compileMasking({
    base64: false,
    rules: [{ kind: 'detectors', detectors: ['all'], appliesTo: 'Record' }],
  });
  if (!made.ok) throw new Error(JSON.stringify(made.problems));
  const server = await listenRaw();
  await using recorder = await startTestRecorder({
    upstream: server.origin,
    policy: policyOf({ masking: made.masking }),
  });
  const client = await connectRaw(recorder.port);
  const places = Object.entries(PLACES);
  const planted = plantedSecrets(7, 1_000);
  let upstream = null;
  for (const [index, { text }] of planted.entries()) {
    const [, place] = places[index % places.length] as (typeof places)[number];
    const { target = '/mcp', headers = [], body = call({ name: 'a' }) } = place(text);
    const type = headers.some((header) => /^content-type/i.test(header))
      ? []
      : ['Content-Type: application/json'];
    const head = [
      `POST ${target} HTTP/1.1`,
      'Host: h',
      ...type,
      ...headers,
      `Content-Length: ${body.length}`,
    ];
    await client.send(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), body]));
    upstream ??= await server.accept();
    const got = await upstream.message();
    expect(got.startLine).toBe(head[0]);
    expect(got.headers.map(([name, value]) => `${name}: ${value}`)).toEqual(head.slice(1));
    expect(got.body.equals(body)).toBe(true);
    await upstream.send(OK);
    expect((await client.message()).body.toString()).toBe(PONG);
  }
  client.reset();
  await server.close();
  const lines = await recorder.finish();
  const requests = lines.filter((line) => line.type === 'request');
  expect(requests).toHaveLength(planted.length);
  const all = JSON.stringify(lines);
  const bodies = requests.map(({ body, body_encoding: encoding }) =>
    Buffer.from(body ?? '', encoding ?? 'utf8').toString(encoding === 'base64' ? 'latin1' : 'utf8'),
  );
  const seen = planted.flatMap(({ detector, secret }, index) => {
    const forms = [
      secret,
      encoded(secret),
      escaped(secret),
      Buffer.from(secret).toString('base64').slice(0, -4),
    ];
    const isSeen = forms.some(
      (form) =>
        all.includes(JSON.stringify(form).slice(1, -1)) ||
        bodies.some((body) => body.includes(form) || body.replaceAll('\0', '').includes(form)),
    );
    return isSeen ? [`${detector} in ${places[index % places.length]?.[0]}`] : [];
  });
  expect(seen).toEqual([]);
});
