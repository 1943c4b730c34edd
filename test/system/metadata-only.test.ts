/**
 * Exchanges of which a rule lets only metadata be recorded: no line shows anything of a body, in whatever form it comes, while calls, results,
 * statuses and counts of bytes stay.
 */
import zlib from 'node:zlib';
import type { Line } from '@mcp-recorder/recording/format/line';
import { afterEach, expect, it } from 'vitest';
import { connectRaw } from '../support/raw-http.ts';
import { secretMasker } from '../support/secret-masker.ts';
import {
  type AnswerScene,
  call,
  chunk,
  endOf,
  get,
  head,
  JSON_TYPE,
  LAST_CHUNK,
  openAnswerScene,
  policyWith,
  post,
  serverLines,
  shown,
  sized,
  SSE_TYPE,
  wireBytes,
} from './answer-scene.ts';

const RULE = { name: 'private', when: 'mcp.tool == "diary"', action: 'MetadataOnly' as const };
const POLICY = policyWith({ rules: [RULE] });
const RESULT = '{"jsonrpc":"2.0","id":1,"result":{"content":"dear diary"}}';
const TEXT = /dear|diary"\}/;

let scene: AnswerScene;
afterEach(() => scene.close());

const body = (message: Buffer): Buffer => message.subarray(message.indexOf('\r\n\r\n') + 4);

function expectMetadataOnly(lines: readonly Line[], n: number, size: number): void {
  const server = serverLines(lines, n);
  expect(shown(server)).toMatch(/^…+$/);
  expect(wireBytes(server)).toBe(size);
  for (const line of server) {
    if ('withheld' in line && line.withheld !== undefined) {
      expect(line.withheld.reason).toBe('metadata_only');
      expect(line).toMatchObject({ body: null, body_encoding: null });
    }
    if (line.type === 'event') expect(line.sse).toMatchObject({ prefix: '', suffix: '', id: null });
  }
}

const gzip = zlib.gzipSync(RESULT);
const event = `: dear\nid: dear\ndata: ${RESULT}\n\n`;
const long = RESULT.replace('dear diary', `dear ${'x'.repeat(400_000)}`);
it.each<[string, string, (string | Buffer)[]]>([
  ['an answer that comes whole', sized(JSON_TYPE, RESULT), [RESULT]],
  [
    'one in parts',
    head(`${JSON_TYPE}Content-Length: ${RESULT.length}\r\n`),
    [RESULT.slice(0, 40), RESULT.slice(40)],
  ],
  ['a long one', sized(JSON_TYPE, long), [long]],
  [
    'a coded one',
    sized(JSON_TYPE, gzip, 'Content-Encoding: gzip\r\n'),
    [gzip.subarray(0, 20), gzip.subarray(20)],
  ],
  ['an event', sized(SSE_TYPE, event), [event]],
  ['an event in parts', sized(SSE_TYPE, event), [event.slice(0, 30), event.slice(30)]],
  ['a long event', sized(SSE_TYPE, `data: ${long}\n\n`), [`data: ${long}\n\n`]],
  ['plain text', sized('Content-Type: text/plain\r\n', 'dear diary"}'), ['dear diary"}']],
])('shows nothing of %s', async (name, start, parts) => {
  scene = await openAnswerScene(POLICY);
  const sent = Buffer.concat(parts.map((part) => Buffer.from(part as string)));
  const got = await scene.answer(call(1, 'diary'), [start, ...parts]);
  expect(body(got).equals(sent)).toBe(true);
  const lines = await scene.finish();
  expect(JSON.stringify(lines)).not.toMatch(TEXT);
  expectMetadataOnly(lines, 0, sent.length);
  expect(endOf(serverLines(lines))).toMatchObject({ bytes_out: sent.length, released_bytes: sent.length });
  const request = lines.find(({ type }) => type === 'request');
  expect(request).toMatchObject({ calls: [{ decision: { action: 'metadata_only', rule: 'private' } }] });
  if (name !== 'plain text')
    expect(lines.find(({ type }) => type === 'result')).toMatchObject({ outcome: 'ok', target: 'diary' });
});

it('passes a part of an event within moments, as without', async () => {
  scene = await openAnswerScene(POLICY);
  const { client, upstream } = await scene.exchange(call(1, 'diary'));
  await upstream.send(head(`${SSE_TYPE}Transfer-Encoding: chunked\r\n`));
  await upstream.send(chunk('data: dear'));
  await client.until('data: dear', 1_000);
  client.reset();
  await upstream.end();
  expect(JSON.stringify(await scene.finish())).not.toMatch(TEXT);
});

it("shows nothing of the recorder's own answer", async () => {
  scene = await openAnswerScene(POLICY);
  await scene.server.close();
  const client = await connectRaw(scene.recorder.port);
  await client.send(
    call(1, 'diary')
      .replace('"id":1', '"id":"dear-dear"')
      .replace('Content-Length: 72', 'Content-Length: 82'),
  );
  const answer = await client.message();
  client.reset();
  expect(answer.startLine).toMatch(/ 502 /);
  const lines = await scene.finish();
  expectMetadataOnly(lines, 0, answer.body.length);
});

it('shows nothing of an answer that comes on another stream, and all of what else comes there', async () => {
  scene = await openAnswerScene(POLICY);
  const session = 'Mcp-Session-Id: s1\r\n';
  const stream = await scene.exchange(get(session));
  await stream.upstream.send(head(`${SSE_TYPE}Transfer-Encoding: chunked\r\n`));
  const diary = post({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'diary' } }, session);
  const echo = post({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'echo' } }, session);
  for (const message of [diary, echo])
    await scene.answer(message, [head('Content-Length: 0\r\n', '202 Accepted')]);
  const other = '{"jsonrpc":"2.0","id":2,"result":{"content":"hello"}}';
  await stream.upstream.send(chunk(event));
  await stream.upstream.send(chunk(`data: ${other}\n\n`));
  // What was answered comes again when a stream is resumed.
  await stream.upstream.send(chunk(event));
  await stream.upstream.send(chunk('data: {"jsonrpc":"2.0","method":"notifications/message"}\n\n'));
  await stream.upstream.send(LAST_CHUNK);
  await stream.client.end();
  expect((await stream.client.message()).body.toString()).toContain(event);
  const lines = await scene.finish();
  expect(JSON.stringify(lines)).not.toMatch(TEXT);
  expect(shown(serverLines(lines))).toBe(
    `…data: ${other}\n\n…data: {"jsonrpc":"2.0","method":"notifications/message"}\n\n`,
  );
});

it('shows nothing of an answer on a stream that was open before the rule came into force', async () => {
  scene = await openAnswerScene(null);
  const { configuration, recorder } = scene.recorder;
  const session = 'Mcp-Session-Id: s1\r\n';
  const stream = await scene.exchange(get(session));
  await stream.upstream.send(head(`${SSE_TYPE}Transfer-Encoding: chunked\r\n`));
  await stream.upstream.send(chunk(': one\n\n'));
  await stream.client.until(': one');
  const wanted = structuredClone({ ...configuration, digest: 'sha256:2' });
  wanted.rules = [{ message: null, hideTools: false, ...RULE }];
  expect(await recorder.reconfigure(wanted, null)).toEqual([]);
  const diary = post({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'diary' } }, session);
  await scene.answer(diary, [head('Content-Length: 0\r\n', '202 Accepted')]);
  const middle = event.indexOf('dear');
  await stream.upstream.send(chunk(event.slice(0, middle)));
  await stream.client.until(event.slice(0, middle));
  await stream.upstream.send(chunk(event.slice(middle)));
  await stream.upstream.send(chunk('data: {}\n\n'));
  await stream.upstream.send(LAST_CHUNK);
  await stream.client.end();
  const lines = await scene.finish();
  expect(JSON.stringify(lines)).not.toMatch(TEXT);
  expect(shown(serverLines(lines)).replace(/…+/, '…')).toBe(': one\n\n…data: {}\n\n');
  expect(lines.find(({ type }) => type === 'result')).toMatchObject({ outcome: 'ok', target: 'diary' });
});

it('shows nothing of an answer that grows past what is held on another stream', async () => {
  scene = await openAnswerScene(POLICY, { hold: { maxBytes: 1_000, maxMs: 60_000 } });
  const session = 'Mcp-Session-Id: s1\r\n';
  const stream = await scene.exchange(get(session));
  await stream.upstream.send(head(`${SSE_TYPE}Transfer-Encoding: chunked\r\n`));
  const plain = `data: {"jsonrpc":"2.0","method":"x","params":"${'y'.repeat(3_000)}"}\n\n`;
  await stream.upstream.send(chunk(plain));
  await stream.client.until(plain);
  const diary = post({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'diary' } }, session);
  await scene.answer(diary, [head('Content-Length: 0\r\n', '202 Accepted')]);
  await stream.upstream.send(chunk(`data: ${long}\n\n`));
  await stream.upstream.send(LAST_CHUNK);
  await stream.client.end();
  const lines = await scene.finish();
  expect(JSON.stringify(lines)).not.toMatch(TEXT);
  expect(shown(serverLines(lines)).replace(/…+/, '…')).toBe(`${plain}…`);
  expect(lines.find(({ type }) => type === 'result')).toMatchObject({ outcome: 'ok', target: 'diary' });
});

it('shows all of other exchanges', async () => {
  scene = await openAnswerScene(POLICY);
  await scene.answer(call(1, 'echo'), [sized(JSON_TYPE, RESULT), RESULT]);
  expect(shown(serverLines(await scene.finish()))).toBe(RESULT);
});

it('is masked on the wire all the same', async () => {
  scene = await openAnswerScene(policyWith({ rules: [RULE], masking: { wire: secretMasker } }));
  const text = RESULT.replace('diary', 'secret-1');
  const got = await scene.answer(call(1, 'diary'), [sized(JSON_TYPE, text), text]);
  expect(got.toString()).not.toMatch(/secret-\d/);
  const lines = await scene.finish();
  expectMetadataOnly(lines, 0, text.length);
  expect(serverLines(lines).some((line) => 'wire_masked' in line)).toBe(true);
});

it('masks names of calls that it keeps', async () => {
  scene = await openAnswerScene(policyWith({ rules: [RULE], masking: { record: secretMasker } }));
  const asked = 'data: {"jsonrpc":"2.0","id":"secret-1","method":"sampling/createMessage"}\n\n';
  await scene.answer(call(1, 'diary'), [sized(SSE_TYPE, asked), asked]);
  const lines = await scene.finish();
  expect(JSON.stringify(lines)).not.toMatch(/secret-\d/);
  expect(serverLines(lines).flatMap((line) => ('calls' in line ? (line.calls ?? []) : []))).toMatchObject([
    { method: 'sampling/createMessage' },
  ]);
});
