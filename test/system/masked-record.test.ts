/**
 * Answers whose record is masked: the client gets every byte as it came, and what a rule finds stands in no line, however the answer is cut,
 * coded or broken off.
 */
import zlib from 'node:zlib';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
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
  openAnswerScene,
  policyWith,
  serverLines,
  shown,
  sized,
  SSE_TYPE,
  wireBytes,
} from './answer-scene.ts';

const POLICY = policyWith({ masking: { record: secretMasker } });
const SECRET = 'secret-12345';
const RESULT = `{"jsonrpc":"2.0","id":1,"result":{"a":"${SECRET}","b":"\\u0073ecret-9","password":"pw-é"}}`;
const SHOWN_RESULT = `{"jsonrpc":"2.0","id":1,"result":{"a":"${MARK}","b":"${MARK}","password":"${MARK}"}}`;
const HIDDEN = /secret-\d|pw-é|ecret-9/;

let scene: AnswerScene;
afterEach(() => scene.close());

const body = (message: Buffer): Buffer => message.subarray(message.indexOf('\r\n\r\n') + 4);

async function finish() {
  const lines = await scene.finish();
  expect(JSON.stringify(lines)).not.toMatch(HIDDEN);
  return lines;
}

it('masks an answer that comes whole, on the one line that holds it', async () => {
  scene = await openAnswerScene(POLICY);
  const got = await scene.answer(call(), [sized(JSON_TYPE, RESULT) + RESULT]);
  expect(body(got).toString()).toBe(RESULT);
  const lines = await finish();
  const server = serverLines(lines);
  expect(server.map(({ type }) => type)).toEqual(['response', 'end']);
  expect(server[0]).toMatchObject({ body: SHOWN_RESULT, masked: [{ rule: 'secret', count: 3 }] });
  expect(wireBytes(server)).toBe(Buffer.byteLength(RESULT));
  expect(lines.find(({ type }) => type === 'result')).toMatchObject({ outcome: 'ok', rpc_id: '1' });
});

describe('an event stream', () => {
  const STREAM = Buffer.from(
    [
      `: ${SECRET}\nid: ${SECRET}\nevent: message\ndata: {"jsonrpc":"2.0","id":1,\n: note ${SECRET}\ndata: "result":{"a":"${SECRET}"}}\n\n`,
      `retry: 5\ndata: {"password":"pw-é"}\r\n\r\n`,
      ': keepalive\n\n',
    ].join(''),
  );
  const SHOWN = [
    `: ${MARK}\nid: ${MARK}\nevent: message\ndata: {"jsonrpc":"2.0","id":1,\n: note ${MARK}\ndata: "result":{"a":"${MARK}"}}\n\n`,
    `retry: 5\ndata: {"password":"${MARK}"}\r\n\r\n`,
    ': keepalive\n\n',
  ].join('');

  it('is masked event by event, cut at every byte', async () => {
    scene = await openAnswerScene(POLICY);
    for (let at = 0; at <= STREAM.length; at += 1) {
      const parts = [STREAM.subarray(0, at), STREAM.subarray(at)].filter(({ length }) => length > 0);
      const got = await scene.answer(call(), [
        head(`${SSE_TYPE}Content-Length: ${STREAM.length}\r\n`),
        ...parts,
      ]);
      expect(body(got).equals(STREAM), `cut at ${at}`).toBe(true);
    }
    const lines = await finish();
    for (let at = 0; at <= STREAM.length; at += 1) {
      const server = serverLines(lines, at);
      expect(shown(server), `cut at ${at}`).toBe(SHOWN);
      expect(wireBytes(server)).toBe(STREAM.length);
      expect(endOf(server)).toMatchObject({ how: 'complete', released_bytes: STREAM.length });
    }
    const event = serverLines(lines).find(({ type }) => type === 'event');
    expect(event).toMatchObject({ sse: { id: MARK, data_lines: 2 }, masked: [{ rule: 'secret', count: 4 }] });
    expect(lines.filter(({ type }) => type === 'result')).toHaveLength(STREAM.length + 1);
  });

  it('passes an event when it is whole, and none of its bytes before its line is there', async () => {
    scene = await openAnswerScene(POLICY);
    const { client, upstream } = await scene.exchange(get());
    await upstream.send(head(`${SSE_TYPE}Transfer-Encoding: chunked\r\n`));
    await upstream.send(chunk(': one\n\ndata: secr'));
    await client.until(': one');
    await upstream.send(chunk('et-1\n\n'));
    await client.until('data: secret-1\n\n');
    await upstream.send(LAST_CHUNK);
    await client.end();
    expect(shown(serverLines(await finish()))).toBe(`: one\n\ndata: ${MARK}\n\n`);
  });

  it('hides the session id of its endpoint as ever', async () => {
    scene = await openAnswerScene(POLICY);
    const endpoint = 'event: endpoint\ndata: /message?sessionId=top-1\n\n';
    const got = await scene.answer(get(), [head(SSE_TYPE), endpoint.slice(0, 30), endpoint.slice(30)]);
    expect(body(got).toString()).toContain(endpoint);
    const lines = await finish();
    expect(JSON.stringify(lines)).not.toContain('top-1');
    expect(shown(serverLines(lines))).toMatch(
      /^event: endpoint\ndata: \/message\?sessionId=h:[0-9a-f]{32}\n\n$/,
    );
    expect(lines.find((line) => 'session' in line && line.session !== undefined)).toBeDefined();
  });
});

describe('a coded answer', () => {
  const CODINGS = {
    gzip: zlib.gzipSync,
    br: zlib.brotliCompressSync,
    zstd: zlib.zstdCompressSync,
  } as const;
  it.each(Object.keys(CODINGS) as (keyof typeof CODINGS)[])(
    'in %s is masked, cut at every byte',
    async (coding) => {
      scene = await openAnswerScene(POLICY);
      const coded = CODINGS[coding](Buffer.from(RESULT));
      const codingLine = `Content-Encoding: ${coding}\r\n`;
      for (let at = 1; at < coded.length; at += 1) {
        const parts = [coded.subarray(0, at), coded.subarray(at)];
        const got = await scene.answer(call(), [sized(JSON_TYPE, coded, codingLine), ...parts]);
        expect(body(got).equals(coded), `cut at ${at}`).toBe(true);
      }
      const lines = await finish();
      for (let at = 1; at < coded.length; at += 1) {
        const server = serverLines(lines, at - 1);
        expect(shown(server)).toBe(SHOWN_RESULT);
        expect(wireBytes(server)).toBe(coded.length);
      }
    },
  );

  it('that streams events passes each when it is whole', async () => {
    scene = await openAnswerScene(POLICY);
    const gzip = zlib.createGzip();
    const coded: Buffer[] = [];
    gzip.on('data', (bytes: Buffer) => coded.push(bytes));
    const flushed = (text: string) =>
      new Promise<Buffer>((done) => {
        gzip.write(text);
        gzip.flush(zlib.constants.Z_SYNC_FLUSH, () => done(Buffer.concat(coded.splice(0))));
      });
    const { client, upstream } = await scene.exchange(get());
    await upstream.send(head(`${SSE_TYPE}Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n`));
    const sent: Buffer[] = [];
    for (const text of ['data: secret-1\n\n', ': note\n\n', 'data: sec', 'ret-22\n\n']) {
      sent.push(await flushed(text));
      await upstream.send(chunk(sent.at(-1) as Buffer));
      if (text.endsWith('\n\n')) await client.until(sent.at(-1) as Buffer);
    }
    await upstream.send(LAST_CHUNK);
    await client.end();
    expect(shown(serverLines(await finish()))).toBe(`data: ${MARK}\n\n: note\n\ndata: ${MARK}\n\n`);
  });

  it('that ends before its coding does is withheld, as no rule can read it', async () => {
    scene = await openAnswerScene(POLICY);
    const cut = zlib.gzipSync(RESULT).subarray(0, -20);
    const got = await scene.answer(call(), [sized(JSON_TYPE, cut, 'Content-Encoding: gzip\r\n'), cut]);
    expect(body(got).equals(cut)).toBe(true);
    expect(shown(serverLines(await finish()))).toBe('…');
  });

  it('that can not be decoded passes, and is withheld from there on', async () => {
    scene = await openAnswerScene(POLICY);
    const coded = zlib.gzipSync(RESULT);
    coded.writeUInt32LE(0, coded.length - 8);
    const got = await scene.answer(call(), [
      sized(JSON_TYPE, coded, 'Content-Encoding: gzip\r\n'),
      coded.subarray(0, 50),
      coded.subarray(50),
    ]);
    expect(body(got).equals(coded)).toBe(true);
    const server = serverLines(await finish());
    expect(shown(server)).toMatch(/^…+$/);
    expect(wireBytes(server)).toBe(coded.length);
  });
});

it('masks lines of JSON one by one, and passes each when it is whole', async () => {
  scene = await openAnswerScene(POLICY);
  const { client, upstream } = await scene.exchange(call());
  await upstream.send(head(`${JSON_TYPE}Transfer-Encoding: chunked\r\n`));
  const note = '{"jsonrpc":"2.0","method":"notifications/message","params":{"password":"x"}}\n';
  await upstream.send(chunk(`${note}{"jsonrpc":"2.0","id":1,"result":{"a":"sec`));
  await client.until(note);
  await upstream.send(chunk('ret-1"}}\n'));
  await client.until('ret-1"}}\n');
  await upstream.send(LAST_CHUNK);
  await client.end();
  const lines = await finish();
  expect(shown(serverLines(lines))).toBe(
    `${note.replace('"x"', `"${MARK}"`)}{"jsonrpc":"2.0","id":1,"result":{"a":"${MARK}"}}\n`,
  );
  expect(lines.find(({ type }) => type === 'result')).toMatchObject({ outcome: 'ok' });
});

describe('plain text that streams', () => {
  const TEXT_TYPE = 'Content-Type: text/plain; charset=utf-8\r\n';

  it('passes as it comes, but for the beginning of what may be found', async () => {
    scene = await openAnswerScene(POLICY);
    const { client, upstream } = await scene.exchange(call());
    await upstream.send(head(`${TEXT_TYPE}Transfer-Encoding: chunked\r\n`));
    await upstream.send(chunk('one two '));
    await client.until('one two ');
    await upstream.send(chunk('three secr'));
    await client.until('three ');
    await upstream.send(chunk('et-5 four '));
    await client.until('secret-5 four ');
    await upstream.send(LAST_CHUNK);
    await client.end();
    expect(shown(serverLines(await finish()))).toBe(`one two three ${MARK} four `);
  });

  it('is masked wherever it is cut', async () => {
    scene = await openAnswerScene(POLICY);
    const text = Buffer.from(' a é€ secret-1 b\nsecret-22\n😀');
    for (let at = 0; at <= text.length; at += 1) {
      const parts = [text.subarray(0, at), text.subarray(at)].filter(({ length }) => length > 0);
      const got = await scene.answer(call(), [sized(TEXT_TYPE, text), ...parts]);
      expect(body(got).equals(text)).toBe(true);
    }
    const lines = await finish();
    for (let at = 0; at <= text.length; at += 1) {
      expect(shown(serverLines(lines, at)), `cut at ${at}`).toBe(` a é€ ${MARK} b\n${MARK}\n😀`);
    }
  });

  it('is held whole when it is JSON or no UTF-8 after all', async () => {
    scene = await openAnswerScene(POLICY);
    const parts = ['{"password":', '"pw-é"}'].map((part) => Buffer.from(part));
    await scene.answer(call(), [sized(TEXT_TYPE, Buffer.concat(parts)), ...parts]);
    const latin = [Buffer.from('plain caf'), Buffer.from('\xe9 secret', 'latin1'), Buffer.from('-1')];
    await scene.answer(call(), [sized(TEXT_TYPE, Buffer.concat(latin)), ...latin]);
    const lines = await finish();
    expect(shown(serverLines(lines))).toBe(`{"password":"${MARK}"}`);
    expect(shown(serverLines(lines, 1))).toBe(`plain caf\xe9 ${MARK}`);
  });
});

it('masks headers, trailers and the names of calls', async () => {
  scene = await openAnswerScene(POLICY);
  const event =
    'data: {"jsonrpc":"2.0","id":"secret-7","method":"tools/call","params":{"name":"secret-8"}}\n\n';
  await scene.answer(call(), [
    head(
      `${SSE_TYPE}Transfer-Encoding: chunked\r\nServer: secret-3\r\nTrailer: Retry-After\r\nCache-Control: secret-4\r\n`,
    ),
    chunk(event),
    '0\r\nRetry-After: secret-5\r\n\r\n',
  ]);
  const server = serverLines(await finish());
  expect(server[0]).toMatchObject({ masked: [{ rule: 'secret', count: 2 }] });
  expect(server[1]).toMatchObject({ calls: [{ rpc_id: `"${MARK}"`, target: MARK }] });
  expect(endOf(server).trailers).toEqual([{ name: 'retry-after', value: MARK }]);
});

it('masks bytes that are no UTF-8, and withholds what it finds in them only as text', async () => {
  scene = await openAnswerScene(POLICY);
  const latin = Buffer.from('caf\xe9 secret-1', 'latin1');
  const mixed = Buffer.from('{"password":"pw\xff"}', 'latin1');
  const wide = Buffer.from('\ufeffsecret-77', 'utf16le');
  for (const bytes of [latin, mixed, wide]) {
    const got = await scene.answer(call(), [sized(JSON_TYPE, bytes), bytes]);
    expect(body(got).equals(bytes)).toBe(true);
  }
  const lines = await finish();
  expect(shown(serverLines(lines, 0))).toBe(`caf\xe9 ${MARK}`);
  expect(shown(serverLines(lines, 1))).toBe('…');
  expect(shown(serverLines(lines, 2))).not.toContain('7\x007\x00');
});

it('withholds what begins as JSON and is none: some readers find members in it that a rule names', async () => {
  scene = await openAnswerScene(POLICY);
  const texts = ['{"password":"pw-é"}{"a":1}', '{"password":"pw-é"', '{"a":1} and more'];
  for (const text of texts) await scene.answer(call(), [sized(JSON_TYPE, text), Buffer.from(text)]);
  const lines = await finish();
  for (const [index] of texts.entries()) expect(shown(serverLines(lines, index))).toBe('…');
});

it('reads past a byte order mark', async () => {
  scene = await openAnswerScene(POLICY);
  const text = `\ufeff${RESULT}`;
  await scene.answer(call(), [sized(JSON_TYPE, text), text]);
  expect(shown(serverLines(await finish()))).toBe(`\ufeff${SHOWN_RESULT}`);
});

it("masks the recorder's own words, in which ids of the client's stand", async () => {
  scene = await openAnswerScene(POLICY);
  await scene.server.close();
  const got = await (async () => {
    const { connectRaw } = await import('../support/raw-http.ts');
    const client = await connectRaw(scene.recorder.port);
    await client.send(
      call()
        .replace('"id":1', '"id":"secret-1"')
        .replace(/Content-Length: (\d+)/, (_, n: string) => `Content-Length: ${Number(n) + 9}`),
    );
    const message = await client.message();
    client.reset();
    return message;
  })();
  expect(got.startLine).toMatch(/ 502 /);
  expect(JSON.parse(got.body.toString())).toMatchObject({ id: 'secret-1' });
  const server = serverLines(await finish());
  expect(JSON.parse(shown(server))).toMatchObject({ id: MARK });
});

describe('past a bound', () => {
  const hold = { maxBytes: 1_000, maxMs: 60_000 };
  const long = `{"jsonrpc":"2.0","id":1,"result":{"a":"${SECRET} ${'x'.repeat(300_000)} ${SECRET}"}}`;

  it('a body is withheld whole and passes as it comes; its call still has its result', async () => {
    scene = await openAnswerScene(POLICY, { hold });
    const { client, upstream } = await scene.exchange(call());
    await upstream.send(sized(JSON_TYPE, long));
    await upstream.send(long.slice(0, 2_000));
    await client.until(long.slice(0, 2_000));
    await upstream.send(long.slice(2_000));
    await client.end();
    expect(body(client.received()).toString()).toBe(long);
    const lines = await finish();
    const server = serverLines(lines);
    expect(shown(server)).toMatch(/^…+$/);
    expect(wireBytes(server)).toBe(long.length);
    const withheld = server.flatMap((line) => ('withheld' in line && line.withheld ? [line.withheld] : []));
    expect(withheld.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(long.length);
    expect(new Set(withheld.map(({ reason }) => reason))).toEqual(new Set(['masking_bound']));
    expect(lines.find(({ type }) => type === 'result')).toMatchObject({ outcome: 'ok' });
  });

  it('an event is withheld with all its fields; the next one is masked again', async () => {
    scene = await openAnswerScene(POLICY, { hold });
    const stream = `id: ${SECRET}\ndata: ${long}\n\ndata: ${SECRET}\n\n`;
    const half = stream.length / 2;
    const got = await scene.answer(get(), [
      sized(SSE_TYPE, stream),
      stream.slice(0, half),
      stream.slice(half),
    ]);
    expect(body(got).toString()).toBe(stream);
    const server = serverLines(await finish());
    expect(shown(server)).toMatch(new RegExp(`^…+data: ${MARK.replaceAll(/[[\]]/g, '\\$&')}\n\n$`));
    for (const line of server) {
      if (line.type === 'event' && line.withheld !== undefined)
        expect(line.sse).toMatchObject({ prefix: '', suffix: '', id: null });
    }
  });

  it('of time it is withheld and passes', async () => {
    scene = await openAnswerScene(POLICY, { hold: { maxBytes: 1 << 20, maxMs: 30 } });
    const { client, upstream } = await scene.exchange(call());
    await upstream.send(sized(JSON_TYPE, RESULT));
    await upstream.send(RESULT.slice(0, 50));
    await client.until(RESULT.slice(0, 50));
    await upstream.send(Buffer.from(RESULT.slice(50)));
    await client.end();
    const lines = await finish();
    expect(shown(serverLines(lines))).toMatch(/^…+$/);
    expect(lines.find(({ type }) => type === 'result')).toMatchObject({ outcome: 'ok' });
  });

  it('of memory it is withheld and passes, and all memory comes back', async () => {
    scene = await openAnswerScene(POLICY, { memoryBytes: 300_000 });
    const part = `data: {"password":"${'x'.repeat(100_000)}`;
    const open = [];
    for (let n = 0; n < 10; n += 1) {
      const { client, upstream } = await scene.exchange(get());
      await upstream.send(head(`${SSE_TYPE}Transfer-Encoding: chunked\r\n`));
      await upstream.send(chunk(part));
      open.push({ client, upstream });
    }
    // Two or three are held; the others have no room.
    const flowing = open.slice(3);
    for (const { client } of flowing) await client.until(part.slice(-10));
    for (const { upstream } of open) {
      await upstream.send(chunk('"}\n\n'));
      await upstream.send(LAST_CHUNK);
    }
    for (const { client } of open) {
      await client.end();
      expect((await client.message()).body.toString()).toBe(`${part}"}\n\n`);
    }
    // A request of nearly all of it finds room.
    const big = call(1, 'x'.repeat(250_000));
    await scene.answer(big, [sized(JSON_TYPE, '{}'), '{}']);
    const lines = await finish();
    const ways = open.map((_, n) => shown(serverLines(lines, n)));
    expect(ways.filter((way) => way.startsWith('…')).length).toBeGreaterThanOrEqual(7);
    expect(ways.filter((way) => way.startsWith('data: ')).length).toBeGreaterThanOrEqual(1);
  });
});

describe('an answer that breaks off', () => {
  it('within a unit is withheld, as no rule can read it', async () => {
    scene = await openAnswerScene(POLICY);
    const part = '{"jsonrpc":"2.0","id":1,"result":{"password":"pw-';
    const got = await scene.answer(call(), [sized(JSON_TYPE, RESULT), part]);
    expect(body(got).toString()).toBe(part);
    const server = serverLines(await finish());
    expect(shown(server)).toBe('…');
    expect(endOf(server)).toMatchObject({ how: 'server_closed', bytes_out: part.length });
  });

  it('because its client goes leaves nothing behind', async () => {
    scene = await openAnswerScene(POLICY, { memoryBytes: 300_000 });
    for (let n = 0; n < 4; n += 1) {
      const { client, upstream } = await scene.exchange(get());
      await upstream.send(head(`${SSE_TYPE}Transfer-Encoding: chunked\r\n`));
      await upstream.send(chunk(`: x\n\ndata: ${SECRET}${'x'.repeat(200_000)}`));
      await client.until(': x\n\n');
      client.reset();
      await upstream.end();
    }
    const got = await scene.answer(call(1, 'x'.repeat(250_000)), [sized(JSON_TYPE, '{}'), '{}']);
    expect(got.toString()).toMatch(/^HTTP\/1.1 200 /);
    const lines = await finish();
    for (let n = 0; n < 4; n += 1) {
      expect(endOf(serverLines(lines, n))).toMatchObject({ how: 'client_closed', released_bytes: 5 });
    }
  });

  it('because the recorder stops is cut', async () => {
    scene = await openAnswerScene(POLICY, { drainTimeoutMs: 100 });
    const { client, upstream } = await scene.exchange(call());
    await upstream.send(head(`${JSON_TYPE}Transfer-Encoding: chunked\r\n`));
    await upstream.send(chunk(`{"a":"${SECRET}`));
    await client.message({ headOnly: true });
    const server = serverLines(await finish());
    expect(endOf(server)).toMatchObject({ how: 'cut', released_bytes: 0 });
  });
});

it('makes the server wait for a slow client, not for a unit that is held', async () => {
  scene = await openAnswerScene(POLICY);
  const { client, upstream } = await scene.exchange(call());
  const big = `{"jsonrpc":"2.0","id":1,"result":{"a":"${'x'.repeat(3_000_000)}","password":"pw"}}`;
  client.pause();
  await upstream.send(sized(JSON_TYPE, big));
  // More than is taken without its client reading, and all of one unit.
  await upstream.send(big);
  client.resume();
  await client.end();
  expect(body(client.received()).length).toBe(big.length);
  const server = serverLines(await finish());
  expect(shown(server)).toBe(big.replace('"pw"', `"${MARK}"`));
  const offsets = server.flatMap((line) => (line.type === 'chunk' ? [line.body_offset] : []));
  expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
});

it('passes every byte as it came, whatever comes and however', async () => {
  scene = await openAnswerScene(POLICY, { hold: { maxBytes: 200, maxMs: 60_000 } });
  const word = fc.constantFrom(
    'secret-123',
    'data: ',
    'data: {"a":"secret-7é"}',
    '\n',
    '\n\n',
    '\r\n',
    '\r',
    ': note',
    'id: 5',
    '{',
    '}',
    '"',
    'é😀',
    '{"a":"secret-1"}',
    '\ufeff',
    'x'.repeat(150),
  );
  const text = fc.array(word, { maxLength: 12 }).map((words) => Buffer.from(words.join('')));
  const bytes = fc.oneof(
    text,
    fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array)),
  );
  const type = fc.constantFrom(SSE_TYPE, JSON_TYPE, 'Content-Type: text/plain\r\n', '');
  const coding = fc.constantFrom(null, 'gzip', 'br', 'zstd');
  let n = 0;
  const sizes: number[] = [];
  await fc.assert(
    fc.asyncProperty(
      type,
      coding,
      bytes,
      fc.array(fc.nat(200), { maxLength: 4 }),
      fc.boolean(),
      async (mediaType, name, plain, cuts, breaks) => {
        let sent = plain;
        if (name === 'gzip') sent = zlib.gzipSync(plain);
        else if (name === 'br') sent = zlib.brotliCompressSync(plain);
        else if (name === 'zstd') sent = zlib.zstdCompressSync(plain);
        const borders = [
          0,
          ...cuts.map((cut) => Math.min(cut, sent.length)).toSorted((a, b) => a - b),
          sent.length,
        ];
        const parts = borders.slice(1).map((end, i) => sent.subarray(borders[i], end));
        const announced = sent.length + (breaks ? 5 : 0);
        const headers = `${mediaType}${name === null ? '' : `Content-Encoding: ${name}\r\n`}Content-Length: ${announced}\r\n`;
        const got = await scene.answer(call(), [head(headers), ...parts.filter(({ length }) => length > 0)]);
        sizes[n] = sent.length;
        n += 1;
        expect(got.subarray(0, got.indexOf('\r\n\r\n')).toString()).toContain(`Content-Length: ${announced}`);
        expect(body(got).equals(sent)).toBe(true);
      },
    ),
    { numRuns: 150 },
  );
  const lines = await scene.finish();
  expect(/.{0,300}secret-\d.{0,50}/.exec(JSON.stringify(lines))?.[0]).toBeUndefined();
  for (const [index, size] of sizes.entries()) {
    const server = serverLines(lines, index);
    expect(wireBytes(server)).toBe(size);
    expect(endOf(server)).toMatchObject({ bytes_out: size, released_bytes: size });
  }
});
