import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createResponseParser, MalformedResponse } from '../../sidecar/proxy/response-parser.ts';

interface Seen {
  events: string[];
  body: string;
  complete: boolean;
  reusable: boolean;
}

function parse(pieces: readonly Buffer[], { head = false, finish = false } = {}): Seen {
  const parser = createResponseParser();
  const seen: Seen = { events: [], body: '', complete: false, reusable: false };
  parser.expect(
    {
      onInformation: (status, reason, headers) =>
        seen.events.push(`info ${status} ${reason} ${headers.join('|')}`),
      onHead: (status, reason, headers) => seen.events.push(`head ${status} ${reason} ${headers.join('|')}`),
      onBody: (bytes) => {
        seen.body += bytes.toString('latin1');
      },
      onEnd: (trailers) => seen.events.push(`end ${trailers.join('|')}`),
    },
    head,
  );
  for (const piece of pieces) seen.complete = parser.push(piece) || seen.complete;
  if (finish) seen.complete = parser.finish() || seen.complete;
  seen.reusable = parser.reusable;
  return seen;
}

function parseText(text: string, options?: { head?: boolean; finish?: boolean }): Seen {
  return parse([Buffer.from(text, 'latin1')], options);
}

describe('the response parser', () => {
  it('reads a response with a length', () => {
    expect(parseText('HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 3\r\n\r\nabc')).toEqual({
      events: ['head 200 OK A|1|Content-Length|3', 'end '],
      body: 'abc',
      complete: true,
      reusable: true,
    });
  });

  it('reads chunks with extensions, trailers and informational responses', () => {
    const seen = parseText(
      'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 \r\nTransfer-Encoding: CHUNKED\r\n\r\n' +
        '3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\nX-Y:2\r\n\r\n',
    );
    expect(seen.events).toEqual([
      'info 103 Early Hints Link|x',
      'head 200  Transfer-Encoding|CHUNKED',
      'end X-Sum|1|X-Y|2',
    ]);
    expect(seen.body).toBe('abc0123456789');
  });

  it.each([
    ['a HEAD request', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', true],
    ['204', 'HTTP/1.1 204 No Content\r\n\r\n', false],
    ['304', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', false],
  ])('expects no body after %s', (_, text, head) => {
    expect(parseText(text, { head })).toMatchObject({ complete: true, body: '' });
  });

  it('takes a body without framing until the connection ends, and does not reuse it', () => {
    const text = 'HTTP/1.1 200 OK\r\n\r\nrest';
    expect(parseText(text)).toMatchObject({ complete: false, body: 'rest' });
    expect(parseText(text, { finish: true })).toMatchObject({
      complete: true,
      body: 'rest',
      reusable: false,
    });
  });

  it('takes no end of the connection for the end of a framed body', () => {
    expect(parseText('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab', { finish: true }).complete).toBe(
      false,
    );
    expect(
      parseText('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n', { finish: true })
        .complete,
    ).toBe(false);
  });

  it.each([
    ['HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n', false],
    ['HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n', false],
    ['HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n', true],
  ])('knows whether the connection stays: %j', (text, reusable) => {
    expect(parseText(text).reusable).toBe(reusable);
  });

  it.each([
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nHTTP/1.1 200 OK',
  ])('drops what follows the end, and the connection with it: %j', (text) => {
    expect(parseText(text)).toMatchObject({ complete: true, body: 'a', reusable: false });
  });

  it.each(['Content-Length: 5', 'Transfer-Encoding: chunked'])(
    'reuses no connection after 204 with %s',
    (header) => {
      expect(parseText(`HTTP/1.1 204 No Content\r\n${header}\r\n\r\n`)).toMatchObject({
        complete: true,
        reusable: false,
      });
    },
  );

  const MALFORMED = {
    'length and chunks': 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n',
    'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n',
    'a negative length': 'HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n',
    'a length in hex': 'HTTP/1.1 200 OK\r\nContent-Length: 0x3\r\n\r\n',
    'another transfer coding': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n',
    'chunked twice': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n',
    'a folded line': 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n',
    'a space before the colon': 'HTTP/1.1 200 OK\r\nA : b\r\n\r\n',
    'a bare line feed in a head': 'HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n',
    'a NUL in a value': 'HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n',
    'a control character in the reason': 'HTTP/1.1 200 O\x01K\r\n\r\n',
    'another protocol': 'SSH-2.0-OpenSSH\r\n\r\n',
    'protocols switched unasked': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n',
    'a chunk without size': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n;x\r\n',
    'a chunk longer than its size': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n',
    'a chunk line with a bare line feed': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n',
    'informational responses without end': 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(101),
    'a head without end': `HTTP/1.1 200 OK\r\nA: ${'x'.repeat(300_000)}`,
  };
  it.each(Object.entries(MALFORMED))('refuses %s', (_, text) => {
    expect(() => parseText(text)).toThrow(MalformedResponse);
  });

  it('hears nothing more of a response that was cancelled', () => {
    const parser = createResponseParser();
    let bodies = 0;
    const events = {
      onInformation() {},
      onHead() {},
      onBody() {
        bodies++;
        parser.cancel();
      },
      onEnd() {
        bodies += 100;
      },
    };
    parser.expect(events, false);
    parser.push(
      Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n'),
    );
    expect(bodies).toBe(1);
  });

  it('sees the same however the bytes are cut', () => {
    const responses = fc.record({
      chunks: fc.array(
        fc.string({ minLength: 1, maxLength: 20, unit: fc.constantFrom('a', '\r', '\n', '0') }),
        {
          maxLength: 4,
        },
      ),
      trailers: fc.boolean(),
      framed: fc.constantFrom('chunked', 'length'),
    });
    fc.assert(
      fc.property(
        responses,
        fc.array(fc.nat(200), { maxLength: 8 }),
        ({ chunks, trailers, framed }, cuts) => {
          const body = chunks.join('');
          const text =
            framed === 'length'
              ? `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
              : `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks
                  .map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`)
                  .join('')}0\r\n${trailers ? 'T: x\r\n' : ''}\r\n`;
          const bytes = Buffer.from(text);
          const borders = [
            0,
            ...cuts.map((cut) => cut % bytes.length).toSorted((a, b) => a - b),
            bytes.length,
          ];
          const pieces = borders.slice(1).map((end, i) => bytes.subarray(borders[i], end));
          const seen = parse(pieces.filter((piece) => piece.length > 0));
          expect(seen).toEqual(parse([bytes]));
          expect(seen).toMatchObject({ body, complete: true });
        },
      ),
      { numRuns: 500 },
    );
  });
});
