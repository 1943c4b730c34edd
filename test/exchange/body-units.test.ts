import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BodyPiece, createBodyUnits } from '../../sidecar/exchange/body-units.ts';

/** Feeds the body in parts of these sizes, in turn; `flush` gives out what is pending after each. */
function cut(body: Buffer, sizes: number[], maxPendingBytes = 1 << 20, flush = false): BodyPiece[] {
  const units = createBodyUnits({ maxPendingBytes });
  const pieces: BodyPiece[] = [];
  for (let at = 0, turn = 0; at < body.length; turn += 1) {
    const size = sizes[turn % sizes.length] as number;
    pieces.push(...units.push(body.subarray(at, at + size)));
    if (flush) pieces.push(...units.flushPartial());
    at += size;
  }
  pieces.push(...units.end());
  expect(units.pending).toBe(0);
  return pieces;
}

const texts = (pieces: BodyPiece[]): string[] => pieces.map(({ bytes }) => bytes.toString());

describe('a body', () => {
  it.each([1, 2, 7, 1000])('is one unit when it is one JSON text, in parts of %d bytes', (size) => {
    for (const text of ['{"a":1}', '{\n  "a": 1\n}\n', '[\n1,\n2]', '{"a":1}\n', '\n\n{"a":1}']) {
      expect(texts(cut(Buffer.from(text), [size]))).toEqual([text]);
    }
  });

  it.each([1, 2, 7, 1000])(
    'is a unit a line when its first line is a JSON text, in parts of %d bytes',
    (size) => {
      const lines = ['{"a":"é"}\n', '\n', 'no JSON\r\n', '[2]\n', '{"last":1}'];
      expect(texts(cut(Buffer.from(lines.join('')), [size]))).toEqual(lines);
    },
  );

  it('of blank lines is looked through once', () => {
    const blank = Buffer.alloc(1 << 20, '\n');
    expect(cut(Buffer.concat([blank, Buffer.from('{}\n[]\n')]), [1 << 16], 4 << 20)).toHaveLength(2);
  });

  it('is one unit when it is no JSON', () => {
    expect(texts(cut(Buffer.from('plain\ntext\n'), [3]))).toEqual(['plain\ntext\n']);
  });

  it('gives out a unit that passes the bound in pieces, and whole to be read when it ends', () => {
    const pieces = cut(Buffer.from('{"a":"0123456789"}\n{"b":1}\n'), [5], 8);
    expect(texts(pieces).join('')).toBe('{"a":"0123456789"}\n{"b":1}\n');
    expect(pieces.filter(({ last }) => last).map(({ unit }) => unit?.toString())).toEqual([
      '{"a":"0123456789"}\n',
      '{"b":1}\n',
    ]);
    expect(pieces.filter(({ last }) => !last).length).toBeGreaterThan(0);
  });

  it('does not give a unit longer than 4 MiB to be read', () => {
    const pieces = cut(Buffer.from(`"${'x'.repeat(4 << 20)}"`), [1 << 16], 1 << 16);
    expect(pieces.at(-1)).toMatchObject({ last: true, unit: null });
    expect(Buffer.concat(pieces.map(({ bytes }) => bytes)).length).toBe((4 << 20) + 2);
  });

  it('cuts no character, and loses no byte, however it comes and is flushed', () => {
    const line = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 12 }),
      fc.json({ depthSize: 'small' }),
      fc.constantFrom('', '{"a":1}', '{', '😀€é'),
    );
    fc.assert(
      fc.property(
        fc.array(line, { maxLength: 6 }).map((lines) => lines.join('\n').toWellFormed()),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 4, max: 40 }),
        fc.boolean(),
        (text, sizes, bound, flush) => {
          const pieces = cut(Buffer.from(text), sizes, bound, flush);
          expect(Buffer.concat(pieces.map(({ bytes }) => bytes)).toString()).toBe(text);
          for (const { bytes } of pieces) expect(isUtf8(bytes)).toBe(true);
          const read = pieces.filter(({ last }) => last).map(({ unit }) => unit?.toString());
          expect(read.join('')).toBe(text);
          // How it comes makes no other units of it.
          const atOnce = cut(Buffer.from(text), [1 << 20]);
          expect(read).toEqual(texts(atOnce));
        },
      ),
      { numRuns: 500 },
    );
  });
});
