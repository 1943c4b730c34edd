import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeRecordedHeaders, endToEndHeaders, recordedHeaders } from '../../sidecar/exchange/headers.ts';

const hashed = (id: string) => `h:${id.length}`;

describe('recorded headers', () => {
  it('have lower-case names, their order and their duplicates; values by the allow-list only', () => {
    const raw = [
      'Host',
      'mcp.example.com',
      'Authorization',
      'Bearer secret',
      'ACCEPT',
      'text/html',
      'accept',
      'a/b',
      'Cookie',
      'a=b',
      'Mcp-Session-Id',
      'abcd',
      'Mcp-Param-Key',
      'secret',
      'X-Api-Key',
      'secret',
      'Access-Control-Request-Method',
      'POST',
      'Location',
      '/?token=secret',
    ];
    expect(recordedHeaders(raw, hashed)).toEqual([
      { name: 'host', value: 'mcp.example.com' },
      { name: 'authorization', value: null },
      { name: 'accept', value: 'text/html' },
      { name: 'accept', value: 'a/b' },
      { name: 'cookie', value: null },
      { name: 'mcp-session-id', value: 'h:4' },
      { name: 'mcp-param-key', value: null },
      { name: 'x-api-key', value: null },
      { name: 'access-control-request-method', value: 'POST' },
      { name: 'location', value: null },
    ]);
  });

  it('have these values, and no others', () => {
    const names = [
      'accept',
      'accept-encoding',
      'content-type',
      'content-length',
      'content-encoding',
      'content-language',
      'user-agent',
      'host',
      'origin',
      'mcp-protocol-version',
      'mcp-method',
      'mcp-name',
      'last-event-id',
      'traceparent',
      'cache-control',
      'retry-after',
      'allow',
      'vary',
      'server',
      'date',
      'expect',
      'te',
      'trailer',
      'transfer-encoding',
      'connection',
      'access-control-allow-origin',
      'x-accel-buffering',
    ];
    for (const name of names) expect(recordedHeaders([name, 'v'], hashed)).toEqual([{ name, value: 'v' }]);
    for (const name of [
      'proxy-authorization',
      'set-cookie',
      'www-authenticate',
      'tracestate',
      'baggage',
      'referer',
      'x-access-control-a',
    ]) {
      expect(recordedHeaders([name, 'v'], hashed)).toEqual([{ name, value: null }]);
    }
  });

  it('are cut at 1 KiB, between characters', () => {
    const [long, wide, name] = recordedHeaders(
      ['Accept', 'x'.repeat(5000), 'Accept', `x${'é'.repeat(5000)}`, `X-${'n'.repeat(5000)}`, 'v'],
      hashed,
    );
    expect(long?.value).toBe('x'.repeat(1024));
    expect(wide?.value).toBe(`x${'é'.repeat(511)}`);
    expect(name?.name).toBe(`x-${'n'.repeat(1022)}`);
  });

  it('are encoded to the same text, whatever was encoded before', () => {
    const name = fc.oneof(
      fc.constantFrom(
        'Accept',
        'accept',
        'ACCEPT',
        'Host',
        'Mcp-Session-Id',
        'mcp-session-id',
        'Cookie',
        'Date',
        'X-"quoted"',
      ),
      fc.string({ maxLength: 80 }),
    );
    const value = fc.oneof(
      fc.constantFrom('a', 'b', ''),
      fc.string({ unit: 'binary', maxLength: 30 }),
      fc.string().map((text) => text.repeat(200)),
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(name, value), { maxLength: 12 }),
        fc.constantFrom('h:', 'g:'),
        (pairs, mark) => {
          const raw = pairs.flat();
          const hash = (id: string) => mark + id;
          expect(encodeRecordedHeaders(raw, hash)).toBe(JSON.stringify(recordedHeaders(raw, hash)));
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('end-to-end headers', () => {
  it('keep their order, duplicates and spelling; those of one connection stay behind', () => {
    const raw = [
      'HOST',
      'h',
      'x-A',
      '1',
      'Connection',
      'keep-alive',
      'X-a',
      '2',
      'Keep-Alive',
      'timeout=5',
      'TE',
      'trailers',
      'Transfer-Encoding',
      'chunked',
      'Upgrade',
      'h2c',
      'HTTP2-Settings',
      's',
      'Expect',
      '100-continue',
      'Proxy-Connection',
      'close',
      'mcp-param-X',
      'p',
      'x-A',
      '3',
    ];
    expect(endToEndHeaders(raw, 'response')).toEqual([
      'HOST',
      'h',
      'x-A',
      '1',
      'X-a',
      '2',
      'mcp-param-X',
      'p',
      'x-A',
      '3',
    ]);
  });

  it('lose what Connection names, except what makes the message what it is', () => {
    const raw = [
      'Connection',
      'close, X-Hop',
      'x-hop',
      '1',
      'Host',
      'h',
      'connection',
      'Host , x-other',
      'X-Other',
      '2',
      'Content-Type',
      't',
    ];
    expect(endToEndHeaders(raw, 'request')).toEqual(['Host', 'h', 'Content-Type', 't']);
    expect(endToEndHeaders(['X-Hop', '1', 'Connection', 'x-hop'], 'response')).toEqual([]);
  });

  it('of a request leave the framing of its body behind, of a response they keep it', () => {
    const raw = ['Content-Length', '5', 'Trailer', 'X-Sum', 'Accept', '*/*'];
    expect(endToEndHeaders(raw, 'request')).toEqual(['Accept', '*/*']);
    expect(endToEndHeaders(raw, 'response')).toEqual(raw);
  });
});
