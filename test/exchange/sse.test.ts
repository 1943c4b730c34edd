import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSseSplitter, type SsePiece } from '../../sidecar/exchange/sse.ts';

interface Dispatched {
  data: string;
  eventName: string | null;
  id: string | null;
}

/** The parsing rules of WHATWG HTML 9.2.6 as they are written there, on the whole text at once. */
function reference(text: string): Dispatched[] {
  const events: Dispatched[] = [];
  let data: string[] = [];
  let eventName: string | null = null;
  let id: string | null = null;
  const lines = text.replace(/^\ufeff/, '').split(/\r\n|\r|\n/);
  lines.pop(); // not ended, so not a line
  for (const line of lines) {
    if (line === '') {
      if (data.length > 0) events.push({ data: data.join('\n'), eventName, id });
      data = [];
      eventName = null;
      id = null;
      continue;
    }
    const colon = line.indexOf(':');
    if (colon === 0) continue;
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') data.push(value);
    if (field === 'event') eventName = value;
    if (field === 'id' && !value.includes('\0')) id = value;
  }
  return events;
}

function dispatched(pieces: SsePiece[]): Dispatched[] {
  return pieces.flatMap(({ data, eventName, sse }) =>
    data === null ? [] : [{ data, eventName, id: sse.id }],
  );
}

/** Feeds the parts one by one; `flushAfter` says after which of them what is pending is flushed. */
function splitAll(
  parts: Buffer[],
  flushAfter: (index: number) => boolean,
  maxPendingBytes = 65_536,
): SsePiece[] {
  const splitter = createSseSplitter({ maxPendingBytes });
  const pieces: SsePiece[] = [];
  for (const [index, part] of parts.entries()) {
    pieces.push(...splitter.push(part));
    if (flushAfter(index)) pieces.push(...splitter.flushPartial());
  }
  pieces.push(...splitter.end());
  expect(splitter.pending).toBe(0);
  return pieces;
}

function one(text: string): SsePiece[] {
  return splitAll([Buffer.from(text)], () => false);
}

/** What must hold of every list of pieces of a stream. */
function expectFaithful(pieces: SsePiece[], stream: Buffer): void {
  expect(Buffer.concat(pieces.map(({ bytes }) => bytes)).equals(stream)).toBe(true);
  let stage = 0;
  for (const { bytes, utf8, body, sse } of pieces) {
    expect(bytes.length).toBeGreaterThan(0);
    if (utf8) expect(sse.prefix + body + sse.suffix).toBe(bytes.toString('utf8'));
    // Over the pieces of one event: prefix, then body, then suffix.
    if (sse.prefix !== '') expect(stage).toBe(0);
    if (body !== '') expect(stage).toBeLessThanOrEqual(1);
    stage = Math.max(stage, sse.suffix !== '' ? 2 : body !== '' ? 1 : 0);
    if (sse.partial) expect(sse.suffix).toBe('');
    else stage = 0;
  }
}

describe('an event', () => {
  it('is one piece: prefix up to its data, body, suffix behind it', () => {
    const [piece, ...more] = one('event: message\nid: 7\ndata: {"a":1}\n\n');
    expect(more).toEqual([]);
    expect(piece).toMatchObject({
      utf8: true,
      sse: {
        prefix: 'event: message\nid: 7\ndata: ',
        suffix: '\n\n',
        id: '7',
        data_lines: 1,
        partial: false,
      },
      body: '{"a":1}',
      data: '{"a":1}',
      eventName: 'message',
    });
  });

  it('keeps inner line ends and names in its body, and joins its data lines for reading', () => {
    const [piece] = one('data: a\r\nid: 5\r\ndata:b\r\nretry: 3\r\n\r\n');
    expect(piece).toMatchObject({
      sse: { prefix: 'data: ', suffix: '\r\nretry: 3\r\n\r\n', id: '5', data_lines: 2 },
      body: 'a\r\nid: 5\r\ndata:b',
      data: 'a\nb',
    });
  });

  it('without data is all prefix', () => {
    const [piece] = one(': keepalive\n\n');
    expect(piece).toMatchObject({
      sse: { prefix: ': keepalive\n\n', suffix: '', id: null, data_lines: 0, partial: false },
      body: '',
      data: null,
    });
  });

  it('with empty data is told from one without data', () => {
    expect(one('id: 1\ndata:\n\n')[0]).toMatchObject({
      data: '',
      sse: { id: '1', data_lines: 1, prefix: 'id: 1\ndata:' },
    });
    expect(one('data\n\n')[0]).toMatchObject({ data: '', sse: { prefix: 'data', suffix: '\n\n' } });
    expect(one('database: x\n\n')[0]).toMatchObject({ data: null, sse: { data_lines: 0 } });
  });

  it('takes an id without NUL only', () => {
    expect(one('id: a\nid: b\0c\ndata: x\n\n')[0]?.sse.id).toBe('a');
    expect(one('id\ndata: x\n\n')[0]?.sse.id).toBe('');
  });
});

describe('a stream', () => {
  it('may begin with a byte order mark, which is prefix', () => {
    expect(one('\ufeffdata: x\n\n')[0]).toMatchObject({ data: 'x', sse: { prefix: '\ufeffdata: ' } });
    expect(one('\ufeffdata: x\n\n\ufeffdata: y\n\n')[1]?.data).toBeNull();
  });

  it('gives out an event at the CR that completes it; the LF that follows belongs to the next', () => {
    const splitter = createSseSplitter({ maxPendingBytes: 65_536 });
    expect(splitter.push(Buffer.from('data: a\r\n\r'))).toMatchObject([
      { data: 'a', sse: { suffix: '\r\n\r' } },
    ]);
    expect(splitter.push(Buffer.from('\ndata: b\n\n'))).toMatchObject([
      { data: 'b', sse: { prefix: '\ndata: ' } },
    ]);
    expect(splitter.push(Buffer.from('data: c\r'))).toEqual([]);
    expect(splitter.push(Buffer.from('\n\ndata: d\r\r'))).toMatchObject([{ data: 'c' }, { data: 'd' }]);
  });

  it('that ends in an event gives out what there was of it, as unfinished', () => {
    expect(one('data: a\n\ndata: b\n')).toMatchObject([
      { data: 'a', sse: { partial: false } },
      { data: null, body: 'b\n', sse: { partial: true, data_lines: 1 } },
    ]);
  });

  it('with broken UTF-8 keeps its bytes and says so', () => {
    const stream = Buffer.concat([
      Buffer.from('data: '),
      Buffer.from([0xff, 0xc3]),
      Buffer.from('\n\ndata: ok\n\n'),
    ]);
    const pieces = splitAll([stream], () => false);
    expect(pieces.map(({ utf8 }) => utf8)).toEqual([false, true]);
    expect(pieces[0]?.bytes.equals(stream.subarray(0, 10))).toBe(true);
  });
});

describe('an unfinished event', () => {
  it('is flushed without its cut character and without a cut field name', () => {
    const splitter = createSseSplitter({ maxPendingBytes: 65_536 });
    const euro = Buffer.from('€');
    expect(splitter.push(Buffer.concat([Buffer.from('data: a'), euro.subarray(0, 2)]))).toEqual([]);
    expect(splitter.flushPartial()).toMatchObject([
      { body: 'a', sse: { prefix: 'data: ', suffix: '', partial: true } },
    ]);
    expect(splitter.pending).toBe(2);
    expect(splitter.flushPartial()).toEqual([]);
    splitter.push(Buffer.concat([euro.subarray(2), Buffer.from('\nda')]));
    expect(splitter.flushPartial()).toMatchObject([{ body: '€\n' }]);
    expect(splitter.push(Buffer.from('ta: b\n\n'))).toMatchObject([
      { body: 'data: b', data: 'a€\nb', sse: { prefix: '', suffix: '\n\n', partial: false, data_lines: 2 } },
    ]);
  });

  it('longer than the bound is given out in pieces of at most the bound', () => {
    const text = 'x'.repeat(300);
    const pieces = splitAll([Buffer.from(`data: ${text}\n\n`)], () => false, 64);
    expect(pieces.length).toBeGreaterThanOrEqual(5);
    for (const { bytes } of pieces) expect(bytes.length).toBeLessThanOrEqual(65);
    expect(pieces.at(-1)).toMatchObject({ data: text, sse: { data_lines: 1, prefix: '', partial: false } });
  });

  it('with more than 4 MiB of data keeps no copy of it and says so', () => {
    const splitter = createSseSplitter({ maxPendingBytes: 65_536 });
    splitter.push(Buffer.from('id: 1\ndata: '));
    for (let index = 0; index < 70; index += 1) splitter.push(Buffer.alloc(65_536, 'x'));
    const last = splitter.push(Buffer.from('\n\ndata: small\n\n')).slice(-2);
    expect(last).toMatchObject([
      { data: null, dataTooLarge: true, sse: { id: '1' } },
      { data: 'small', dataTooLarge: false },
    ]);
  });
});

const EXAMPLES = [
  'event: message\r\ndata: {"jsonrpc":"2.0"}\r\n\r\n: ping\r\rid: 4\rdata: é€😀\rdata:  two\r\rretry: 10\n\n',
  '\ufeffdata\ndata:\ndata: \n\nid\nevent: x\ndata: d\n\n\n\ndatax: 1\nda: 2\n\n',
  'data: a\n: between\r\nid: 1\0\ndata:b\r\r\n\n\rdata: c',
];

describe('every way to cut a stream', () => {
  it('at each byte gives the same events and the same bytes', () => {
    for (const text of EXAMPLES) {
      const stream = Buffer.from(text);
      const bytes = Array.from(stream, (byte) => Buffer.from([byte]));
      for (const flush of [false, true]) {
        const single = splitAll(bytes, () => flush);
        expectFaithful(single, stream);
        expect(dispatched(single)).toEqual(reference(text));
        for (let at = 0; at <= stream.length; at += 1) {
          const two = splitAll([stream.subarray(0, at), stream.subarray(at)], () => flush);
          expectFaithful(two, stream);
          expect(dispatched(two)).toEqual(reference(text));
        }
      }
    }
  });

  it('and any other stream, cut and flushed anywhere, with a small bound', () => {
    const token = fc.constantFrom(
      '\n',
      '\n',
      '\r',
      '\r\n',
      '\n\n',
      'data: ',
      'data: y\n',
      'data:z\r\n',
      'data:',
      'data',
      'da',
      'ta: ',
      'id: ',
      'id',
      'event: e',
      ':',
      ' ',
      ': c',
      '{"a":1}',
      'é',
      '€',
      '😀',
      '\ufeff',
      'retry: 5',
      '\0',
      'x'.repeat(40),
      'plain text',
    );
    let events = 0;
    fc.assert(
      fc.property(
        fc.array(token, { maxLength: 60, size: 'max' }),
        fc.array(fc.tuple(fc.nat(40), fc.boolean()), { minLength: 1, maxLength: 20 }),
        fc.constantFrom(32, 37, 100, 65_536),
        (tokens, cuts, maxPendingBytes) => {
          const text = tokens.join('');
          const stream = Buffer.from(text);
          const parts: Buffer[] = [];
          for (let at = 0, cut = 0; at < stream.length; cut += 1) {
            const [length] = cuts[cut % cuts.length] as [number, boolean];
            parts.push(stream.subarray(at, at + length + 1));
            at += length + 1;
          }
          const pieces = splitAll(
            parts,
            (index) => (cuts[index % cuts.length] as [number, boolean])[1],
            maxPendingBytes,
          );
          expectFaithful(pieces, stream);
          expect(dispatched(pieces)).toEqual(reference(text));
          for (const { bytes } of pieces) expect(bytes.length).toBeLessThanOrEqual(maxPendingBytes + 1);
          events += reference(text).length;
        },
      ),
      { numRuns: 1500 },
    );
    expect(events).toBeGreaterThan(300);
  });

  it('and any bytes at all', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 10 }),
        fc.boolean(),
        (parts, flush) => {
          const buffers = parts.map((part) => Buffer.from(part));
          expectFaithful(
            splitAll(buffers, () => flush, 32),
            Buffer.concat(buffers),
          );
        },
      ),
      { numRuns: 2000 },
    );
  });
});
