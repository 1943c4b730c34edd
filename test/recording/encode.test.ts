import {
  encodeChunkTail,
  encodeEndTail,
  encodeEventTail,
  encodeHead,
  encodeHttp,
  encodeJson,
  encodePrincipal,
  encodeRequestTail,
  encodeResponseTail,
  encodeResultTail,
  encodeTail,
} from '@mcp-recorder/recording/format/encode';
import type { LineDraft } from '@mcp-recorder/recording/format/line';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyDraft } from './any-draft.ts';

const STREAM = '01KAH3M8ZK4T9V2B6XN5R0WCEA';

/** What the recorder's fast encoders make of a draft; null for types that it leaves to `encodeTail`. */
function fastTail(draft: LineDraft): string | null {
  switch (draft.type) {
    case 'request':
      return encodeRequestTail({
        ...draft,
        principalJson: encodePrincipal(draft.principal),
        httpJson: encodeHttp(draft.http),
      });
    case 'response':
      return encodeResponseTail({ ...draft, httpJson: encodeHttp(draft.http) });
    case 'event':
      return encodeEventTail(draft);
    case 'chunk':
      return encodeChunkTail(draft);
    case 'end':
      return encodeEndTail(draft);
    case 'result':
      return encodeResultTail({ ...draft, principalJson: encodePrincipal(draft.principal) });
    default:
      return null;
  }
}

/** The draft as it must be read back: without empty optional lists, every string well-formed. */
function readBack(draft: LineDraft): unknown {
  const kept = Object.entries(draft).filter(
    ([name, value]) =>
      !(
        ['masked', 'wire_masked', 'hidden', 'ambiguous', 'calls'].includes(name) &&
        (value as unknown[]).length === 0
      ),
  );
  return JSON.parse(
    JSON.stringify(Object.fromEntries(kept), (_, v: unknown) =>
      typeof v === 'string' ? v.toWellFormed() : v,
    ),
  );
}

describe('an encoded line', () => {
  it('is one JSON object without line feeds that says what the draft says, after the head', () => {
    const head = encodeHead(STREAM)(7, '2026-11-21T08:40:00.123456Z');
    fc.assert(
      fc.property(anyDraft, (draft) => {
        const line = head + encodeTail(draft);
        expect(line).not.toContain('\n');
        const { v, stream, seq, time, ...rest } = JSON.parse(line);
        expect({ v, stream, seq, time }).toEqual({
          v: 1,
          stream: STREAM,
          seq: 7,
          time: '2026-11-21T08:40:00.123456Z',
        });
        expect(rest).toEqual(readBack(draft));
      }),
    );
  });

  it('is the same whether it is encoded fast or generically', () => {
    fc.assert(
      fc.property(anyDraft, (draft) => {
        const fast = fastTail(draft);
        if (fast !== null) expect(fast).toBe(encodeTail(draft));
      }),
      { numRuns: 500 },
    );
  });

  it('has its columns in one order, whatever the order of the draft', () => {
    const session = { id: 'h:00', how: 'trace' } as const;
    const draft = {
      body_offset: 0,
      wire_bytes: 3,
      session,
      part: 1,
      sender: 'client',
      exchange: 'X',
    } as const;
    const tail = encodeTail({ ...draft, body_encoding: 'utf8', body: 'abc', type: 'chunk' });
    expect(tail).toBe(
      ',"type":"chunk","exchange":"X","part":1,"session":{"id":"h:00","how":"trace"},"sender":"client",' +
        '"body_offset":0,"body":"abc","body_encoding":"utf8","wire_bytes":3}',
    );
  });

  it('holds no lone surrogate, which SQL engines refuse', () => {
    expect(encodeJson({ a: ['x\ud800', '\\ud800', '\u{1f44b}'] })).toBe(
      '{"a":["x\ufffd","\\\\ud800","\u{1f44b}"]}',
    );
  });
});
