import { bodyOf, MAX_LINE_BYTES, splitBody } from '@mcp-recorder/recording/format/body';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const jsonBytes = (text: string) => Buffer.byteLength(JSON.stringify(text)) - 2;

describe('the body of a line', () => {
  it('is text when it is valid UTF-8, else base64', () => {
    expect(bodyOf(Buffer.from('h\u00ed \u{1f44b}'))).toEqual({
      body: 'h\u00ed \u{1f44b}',
      body_encoding: 'utf8',
    });
    expect(bodyOf(Buffer.from([0xef, 0xbb, 0xbf, 0x7b]))).toEqual({ body: '\ufeff{', body_encoding: 'utf8' });
    expect(bodyOf(Buffer.of(0xff, 0x00))).toEqual({ body: '/wA=', body_encoding: 'base64' });
    expect(bodyOf(Buffer.alloc(0))).toEqual({ body: '', body_encoding: 'utf8' });
    expect(bodyOf(new Uint8Array(Buffer.from('a body')).subarray(2, 6))).toEqual({
      body: 'body',
      body_encoding: 'utf8',
    });
  });

  it('is cut into pieces that fit, are the body together, and cut no character', () => {
    const bytes = fc.oneof(
      fc.string({ unit: 'binary', size: 'medium' }).map((s) => Buffer.from(s)),
      fc
        .array(fc.constantFrom('"', '\u0001', '\n', 'a', '\u00ed', '\u20ac', '\u{1f44b}'))
        .map((s) => Buffer.from(s.join(''))),
      fc.uint8Array({ size: 'medium' }).map((b) => Buffer.from(b)),
    );
    fc.assert(
      fc.property(bytes, fc.integer({ min: 24, max: 200 }), (body, bound) => {
        const pieces = splitBody(body, bound);
        expect(Buffer.concat(pieces).equals(body)).toBe(true);
        expect(pieces.length).toBeGreaterThan(0);
        for (const piece of pieces) expect(jsonBytes(bodyOf(piece).body)).toBeLessThanOrEqual(bound);
        if (bodyOf(body).body_encoding === 'utf8') {
          for (const piece of pieces) expect(bodyOf(piece).body_encoding).toBe('utf8');
        }
      }),
      { numRuns: 500 },
    );
  });

  it('fits also where a piece of it is text that escapes make long, though the whole is no text', () => {
    const body = Buffer.concat([Buffer.alloc(5000, 1), Buffer.of(0xff)]);
    for (const piece of splitBody(body, 600)) expect(jsonBytes(bodyOf(piece).body)).toBeLessThanOrEqual(600);
  });

  it('of 4 MiB of quotes makes lines of at most 1 MiB, and plain text few of them', () => {
    for (const [character, most] of [
      ['"', 9],
      ['a', 5],
    ] as const) {
      const pieces = splitBody(Buffer.alloc(4 * 1024 * 1024, character));
      expect(pieces.length).toBeLessThanOrEqual(most);
      for (const piece of pieces) {
        expect(jsonBytes(bodyOf(piece).body)).toBeLessThanOrEqual(MAX_LINE_BYTES - 16 * 1024);
      }
    }
  });
});
