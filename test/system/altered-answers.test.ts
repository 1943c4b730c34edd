/**
 * Answers that are altered on their way: what a rule finds does not reach the client, what describes the content that it does not get stays
 * behind, and what can't be altered for sure does not pass. The record says what was done.
 */
import zlib from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { parseHttpMessage } from '../support/http-message.ts';
import { MARK, secretMasker } from '../support/secret-masker.ts';
import {
  type AnswerScene,
  call,
  chunk,
  endOf,
  get,
  head,
  JSON_TYPE,
  LAST_CHUNK,
  listTools,
  openAnswerScene,
  policyWith,
  post,
  serverLines,
  shown,
  sized,
  SSE_TYPE,
  wireBytes,
} from './answer-scene.ts';

const ON_THE_WIRE = policyWith({ masking: { wire: secretMasker } });
const RESULT = '{"jsonrpc":"2.0","id":1,"result":{"a":"secret-12345 é","password":"pw"}}';
const ALTERED = `{"jsonrpc":"2.0","id":1,"result":{"a":"${MARK} é","password":"${MARK}"}}`;
const CLEAN = '{"jsonrpc":"2.0","id":1,"result":{}}';
const DESCRIBING =
  'ETag: "1"\r\nDigest: sha-256=x\r\nContent-Digest: sha-256=:x:\r\nRepr-Digest: sha-256=:x:\r\nContent-MD5: x\r\nAccept-Ranges: bytes\r\nX-Other: kept\r\n';

let scene: AnswerScene;
afterEach(() => scene.close());

/** What the client got, read as HTTP. */
function read(got: Buffer) {
  const message = parseHttpMessage(got, { ended: true });
  if (message === null) throw new Error(`no whole answer: ${got.toString()}`);
  const headers = new Map(message.headers.map(([name, value]) => [name.toLowerCase(), value]));
  return { ...message, headers, text: message.body.toString() };
}

describe('masking on the wire', () => {
  it('alters an answer that comes whole, gives it its own length, and leaves the record as it came', async () => {
    scene = await openAnswerScene(ON_THE_WIRE);
    const got = read(
      await scene.answer(call(), [Buffer.from(sized(`${JSON_TYPE}${DESCRIBING}`, RESULT) + RESULT)]),
    );
    expect(got.text).toBe(ALTERED);
    expect([...got.headers.keys()].toSorted()).toEqual([
      'connection',
      'content-length',
      'content-type',
      'x-other',
    ]);
    const server = serverLines(await scene.finish());
    expect(server[0]).toMatchObject({ body: RESULT, wire_masked: [{ rule: 'secret', count: 2 }] });
    expect(server[0]).not.toHaveProperty('masked');
    expect(endOf(server)).toMatchObject({
      bytes_out: Buffer.byteLength(RESULT),
      released_bytes: Buffer.byteLength(ALTERED),
    });
  });

  it('masks the record too where the rules are for both', async () => {
    scene = await openAnswerScene(policyWith({ masking: { wire: secretMasker, record: secretMasker } }));
    const got = read(await scene.answer(call(), [Buffer.from(sized(JSON_TYPE, RESULT) + RESULT)]));
    expect(got.text).toBe(ALTERED);
    expect(JSON.stringify(await scene.finish())).not.toMatch(/secret-\d|"pw"/);
  });

  it('leaves an answer as it came in which nothing is found', async () => {
    scene = await openAnswerScene(ON_THE_WIRE);
    const got = read(await scene.answer(call(), [sized(`${JSON_TYPE}${DESCRIBING}`, CLEAN) + CLEAN]));
    expect(got.text).toBe(CLEAN);
    expect(got.headers.get('etag')).toBe('"1"');
    expect(serverLines(await scene.finish())[0]).not.toHaveProperty('wire_masked');
  });

  it('alters an answer that comes in parts, in chunks', async () => {
    scene = await openAnswerScene(ON_THE_WIRE);
    const bytes = Buffer.from(RESULT);
    const parts = [sized(`${JSON_TYPE}${DESCRIBING}`, RESULT), bytes.subarray(0, 40), bytes.subarray(40)];
    const got = read(await scene.answer(call(), parts));
    expect(got.text).toBe(ALTERED);
    expect(got.headers.get('transfer-encoding')).toBe('chunked');
    for (const name of ['content-length', 'etag', 'digest', 'accept-ranges'])
      expect(got.headers.has(name)).toBe(false);
    const server = serverLines(await scene.finish());
    expect(shown(server)).toBe(RESULT);
    expect(server.flatMap((line) => ('wire_masked' in line ? line.wire_masked : []))).toEqual([
      { rule: 'secret', count: 2 },
    ]);
  });

  it('rewrites the data lines of an event and nothing else of it, cut at every byte', async () => {
    scene = await openAnswerScene(ON_THE_WIRE);
    const stream = Buffer.from(
      ': secret-1\nid: secret-2\ndata: {"a":\r\n: é\r\ndata:"secret-3"}\r\n\r\ndata: secret-4\n\nevent: x\ndata: {}\n\n',
    );
    const altered = `: secret-1\nid: secret-2\ndata: {"a":\n: é\ndata: "${MARK}"}\r\n\r\ndata: ${MARK}\n\nevent: x\ndata: {}\n\n`;
    for (let at = 1; at < stream.length; at += 1) {
      const got = read(
        await scene.answer(get(), [sized(SSE_TYPE, stream), stream.subarray(0, at), stream.subarray(at)]),
      );
      expect(got.text.replaceAll('\r\n', '\n'), `cut at ${at}`).toBe(altered.replaceAll('\r\n', '\n'));
    }
    const lines = await scene.finish();
    expect(shown(serverLines(lines, 3))).toBe(stream.toString());
    expect(endOf(serverLines(lines, 3))).toMatchObject({ how: 'complete', bytes_out: stream.length });
  });

  it.each([
    ['gzip', zlib.gzipSync],
    ['br', zlib.brotliCompressSync],
    ['zstd', zlib.zstdCompressSync],
  ] as const)('decodes what the server codes in %s although it was not asked to', async (coding, code) => {
    scene = await openAnswerScene(ON_THE_WIRE);
    const coded = code(Buffer.from(RESULT));
    const got = read(
      await scene.answer(call(), [
        sized(JSON_TYPE, coded, `Content-Encoding: ${coding}\r\n`),
        coded.subarray(0, 30),
        coded.subarray(30),
      ]),
    );
    expect(got.text).toBe(ALTERED);
    expect(got.headers.has('content-encoding')).toBe(false);
    const server = serverLines(await scene.finish());
    expect(server[0]).toMatchObject({ content_coding: coding });
    expect(wireBytes(server)).toBe(coded.length);
    expect(endOf(server)).toMatchObject({ released_bytes: Buffer.byteLength(ALTERED) });
  });

  it('masks headers and trailers, but not the session id', async () => {
    scene = await openAnswerScene(ON_THE_WIRE);
    const got = read(
      await scene.answer(call(), [
        head(
          `${JSON_TYPE}Transfer-Encoding: chunked\r\nSet-Cookie: a=secret-1\r\nMcp-Session-Id: secret-2\r\nTrailer: X-T\r\n`,
        ),
        chunk(CLEAN),
        '0\r\nX-T: secret-3\r\nDigest: x\r\n\r\n',
      ]),
    );
    expect(got.headers.get('set-cookie')).toBe(`a=${MARK}`);
    expect(got.headers.get('mcp-session-id')).toBe('secret-2');
    expect(got.trailers).toEqual([['X-T', MARK]]);
  });

  it('is right for HEAD and 304', async () => {
    scene = await openAnswerScene(ON_THE_WIRE);
    const fields = `${JSON_TYPE}ETag: "1"\r\nContent-Length: 500\r\n`;
    const toHead = await scene.answer(get().replace('GET', 'HEAD'), [head(fields)]);
    expect(toHead.toString()).toMatch(/^HTTP\/1.1 200 OK\r\n/);
    expect(toHead.toString()).not.toMatch(/content-length|etag|transfer-encoding/i);
    const unchanged = await scene.answer(get(), [head('ETag: "1"\r\n', '304 Not Modified')]);
    expect(unchanged.toString()).toMatch(/^HTTP\/1.1 304 .*ETag: "1"/s);
  });

  const hold = { maxBytes: 1_000, maxMs: 60_000 };
  const long = `{"a":"secret-1${'x'.repeat(5_000)}"}`;
  const cases: [name: string, headers: string, parts: (string | Buffer)[]][] = [
    [
      'a body past the bound',
      `${JSON_TYPE}Content-Length: ${long.length}\r\n`,
      [long.slice(0, 700), long.slice(700)],
    ],
    ['an event past the bound', `${SSE_TYPE}`, [`data: ${long}\n\n`]],
    ['an event that the end of its stream cuts', SSE_TYPE, ['data: {"password":"secret-1']],
    ['a body that breaks off', `${JSON_TYPE}Content-Length: 5000\r\n`, ['{"password":"secret-1']],
    ['a coding that is not known', `${JSON_TYPE}Content-Encoding: x-secret\r\n`, ['secret-1']],
    ['what is not coded as it says', `${JSON_TYPE}Content-Encoding: gzip\r\n`, ['secret-1 secret-1']],
    ['a part of a content', `${JSON_TYPE}Content-Range: bytes 0-20/40\r\n`, ['{"password":"secret-1']],
    [
      'bytes that are not UTF-8 with what is found only as text',
      JSON_TYPE,
      [Buffer.from('{"password":"pw\xff"}', 'latin1')],
    ],
  ];
  it.each(cases)('cuts the connection at %s', async (name, headers, parts) => {
    scene = await openAnswerScene(ON_THE_WIRE, { hold });
    const status = name.startsWith('a part') ? '206 Partial Content' : '200 OK';
    const got = await scene.answer(call(), [head(headers, status), ...parts]);
    expect(got.toString('latin1')).not.toMatch(/secret-\d|pw/);
    const server = serverLines(await scene.finish());
    expect(endOf(server)).toMatchObject({
      how: name === 'a body that breaks off' ? 'server_closed' : 'cut',
      released_bytes: 0,
    });
    expect(wireBytes(server)).toBeGreaterThan(0);
  });

  it('lets pass what it is sure of before it cuts', async () => {
    scene = await openAnswerScene(ON_THE_WIRE, { hold: { maxBytes: 1 << 20, maxMs: 30 } });
    const { client, upstream } = await scene.exchange(get());
    await upstream.send(head(`${SSE_TYPE}Transfer-Encoding: chunked\r\n`));
    await upstream.send(chunk('data: secret-1\n\ndata: secret-2'));
    const end = await client.end();
    expect(end.how).toMatch(/fin|rst/);
    expect(client.received().toString()).toContain(`data: ${MARK}\n\n`);
    expect(client.received().toString()).not.toMatch(/secret-\d/);
    // No false end.
    expect(client.received().toString()).not.toContain(LAST_CHUNK);
    await upstream.end();
    expect(endOf(serverLines(await scene.finish()))).toMatchObject({ how: 'cut' });
  });
});

describe('a list of tools', () => {
  const POLICY = policyWith({
    rules: [
      {
        name: 'no-deletes',
        when: 'mcp.method == "tools/call" && mcp.tool.startsWith("delete_")',
        action: 'Deny',
        hideTools: true,
      },
    ],
  });
  const list = (id: number | string, ...names: string[]): string =>
    JSON.stringify({
      jsonrpc: '2.0',
      id,
      result: { tools: names.map((name) => ({ name, inputSchema: {} })) },
    });
  const WHOLE = list(1, 'echo', 'delete_all', 'read', 'delete_one');
  const CUT = list(1, 'echo', 'read');
  const HIDDEN = [{ rule: 'no-deletes', names: ['delete_all', 'delete_one'] }];

  it('is passed without tools that a rule hides; the record has it whole and says which', async () => {
    scene = await openAnswerScene(POLICY);
    const got = read(await scene.answer(listTools(), [sized(JSON_TYPE, WHOLE, 'ETag: "1"\r\n') + WHOLE]));
    expect(got.text).toBe(CUT);
    expect(got.headers.get('content-length')).toBe(String(CUT.length));
    expect(got.headers.has('etag')).toBe(false);
    const server = serverLines(await scene.finish());
    expect(shown(server)).toBe(WHOLE);
    expect(server.flatMap((line) => ('hidden' in line ? line.hidden : []))).toEqual(HIDDEN);
  });

  it('is cut in an event, and other events pass as they are', async () => {
    scene = await openAnswerScene(POLICY);
    const changed = 'data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n';
    const stream = `${changed}: note\nid: 7\ndata: ${WHOLE}\n\n`;
    const parts = [sized(SSE_TYPE, stream), stream.slice(0, 90), stream.slice(90)];
    const got = read(await scene.answer(listTools(), parts));
    expect(got.text).toBe(`${changed}: note\nid: 7\ndata: ${CUT}\n\n`);
    const server = serverLines(await scene.finish());
    expect(shown(server)).toBe(stream);
    expect(server.flatMap((line) => ('hidden' in line ? line.hidden : []))).toEqual(HIDDEN);
  });

  it('is cut on the stream of its session, also when it comes again there', async () => {
    scene = await openAnswerScene(POLICY);
    const session = 'Mcp-Session-Id: s1\r\n';
    const stream = await scene.exchange(get(session));
    await stream.upstream.send(head(`${SSE_TYPE}Transfer-Encoding: chunked\r\n`));
    await scene.answer(post({ jsonrpc: '2.0', id: 1, method: 'tools/list' }, session), [
      head('Content-Length: 0\r\n', '202 Accepted'),
    ]);
    await stream.upstream.send(chunk(`data: ${WHOLE}\n\n`));
    await stream.upstream.send(chunk(`data: ${WHOLE}\n\n`));
    await stream.upstream.send(LAST_CHUNK);
    await stream.client.end();
    expect((await stream.client.message()).body.toString()).toBe(`data: ${CUT}\n\n`.repeat(2));
  });

  it('is cut in a coded answer', async () => {
    scene = await openAnswerScene(POLICY);
    const coded = zlib.gzipSync(WHOLE);
    const got = read(
      await scene.answer(listTools(), [sized(JSON_TYPE, coded, 'Content-Encoding: gzip\r\n'), coded]),
    );
    expect(got.text).toBe(CUT);
  });

  it.each([
    ['has its tools twice', WHOLE.replace('"tools"', '"tools":[],"tools"')],
    ['has them under a name that some read as theirs', WHOLE.replace('"tools"', '"Tools":[],"tools"')],
    ['is not UTF-8', Buffer.from(WHOLE.replace('echo', 'ech\xff'), 'latin1')],
    ['is longer than is held', list(1, 'delete_all', 'x'.repeat(4_000))],
  ])('does not pass when it %s', async (_, answer) => {
    scene = await openAnswerScene(POLICY, { hold: { maxBytes: 3_000, maxMs: 60_000 } });
    const got = await scene.answer(listTools(), [head(JSON_TYPE), answer]);
    expect(got.toString()).not.toContain('delete_all');
    const server = serverLines(await scene.finish());
    expect(endOf(server)).toMatchObject({ how: 'cut', released_bytes: 0 });
    // Nothing is withheld from the record for that.
    expect(shown(server)).toContain('delete_all');
  });

  it('leaves answers to other calls as they are, however long', async () => {
    scene = await openAnswerScene(POLICY, { hold: { maxBytes: 3_000, maxMs: 60_000 } });
    const answer = list(1, 'delete_all', 'x'.repeat(9_000));
    const got = read(await scene.answer(call(), [sized(JSON_TYPE, answer, 'ETag: "1"\r\n'), answer]));
    expect(got.text).toBe(answer);
    expect(got.headers.get('etag')).toBe('"1"');
    const event = `data: {"jsonrpc":"2.0","method":"x","params":"${'y'.repeat(9_000)}"}\n\n`;
    expect(read(await scene.answer(get(), [sized(SSE_TYPE, event), event])).text).toBe(event);
  });

  it('is masked on the wire too, and its hidden names in the record', async () => {
    scene = await openAnswerScene({
      ...POLICY,
      masking: { record: secretMasker, wire: secretMasker },
    });
    const whole = list(1, 'secret-1', 'delete_secret-2');
    const got = read(await scene.answer(listTools(), [sized(JSON_TYPE, whole) + whole]));
    expect(got.text).toBe(list(1, MARK));
    const lines = await scene.finish();
    expect(JSON.stringify(lines)).not.toMatch(/secret-\d/);
    expect(serverLines(lines).flatMap((line) => ('hidden' in line ? line.hidden : []))).toEqual([
      { rule: 'no-deletes', names: [`delete_${MARK}`] },
    ]);
  });
});
