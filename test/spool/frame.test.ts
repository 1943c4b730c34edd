import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  FRAME_HEAD_BYTES,
  HEADER_BYTES,
  hasLaterFrame,
  type Scan,
  saltCrc,
  scanFrames,
  stripFrames,
  writeFrameHead,
  writeHeader,
} from '../../sidecar/spool/frame.ts';

const vectors = JSON.parse(
  readFileSync(new URL('../vectors/spool-frames.json', import.meta.url), 'utf8'),
) as {
  stream: string;
  segment: number;
  salt: string;
  header: string;
  frames: { batch: number; lines: string; bytes: string }[];
};
const { stream, segment } = vectors;

function fileOf(batches: string[], salt: Buffer, size = 0): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  writeHeader(header, stream, segment, salt);
  const frames = batches.map((lines, batch) => {
    const frame = Buffer.concat([Buffer.alloc(FRAME_HEAD_BYTES), Buffer.from(lines)]);
    writeFrameHead(frame, 0, frame.length, batch, saltCrc(salt));
    return frame;
  });
  const bytes = Buffer.concat([header, ...frames]);
  return Buffer.concat([bytes, Buffer.alloc(Math.max(0, size - bytes.length))]);
}

function linesOf(file: Buffer, scan: Scan): string {
  return scan.state === 'read' ? stripFrames(Buffer.from(file), scan.batches).toString() : '';
}

const anyBatches = fc.array(
  fc
    .array(
      fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => `${JSON.stringify(text)}\n`),
      { minLength: 1, maxLength: 4 },
    )
    .map((lines) => lines.join('')),
  { maxLength: 8 },
);
const anySalt = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes));

describe('frames of a spool file', () => {
  test('are the published bytes', () => {
    const file = fileOf(
      vectors.frames.map(({ lines }) => lines),
      Buffer.from(vectors.salt, 'hex'),
    );
    expect(file.toString('hex')).toBe(vectors.header + vectors.frames.map(({ bytes }) => bytes).join(''));
    const scan = scanFrames(file, stream, segment);
    expect(scan.state).toBe('read');
    expect(linesOf(file, scan)).toBe(vectors.frames.map(({ lines }) => lines).join(''));
  });

  test('read back as they were written, whatever the file is longer by', () => {
    fc.assert(
      fc.property(anyBatches, anySalt, fc.nat(500), (batches, salt, more) => {
        const file = fileOf(batches, salt);
        const longer = Buffer.concat([file, Buffer.alloc(more)]);
        const scan = scanFrames(longer, stream, segment);
        expect(scan).toMatchObject({ state: 'read', end: file.length });
        expect(linesOf(longer, scan)).toBe(batches.join(''));
      }),
    );
  });

  test('read back as a prefix of the batches after any cut', () => {
    fc.assert(
      fc.property(anyBatches, anySalt, fc.nat(), (batches, salt, cut) => {
        const file = fileOf(batches, salt);
        const short = file.subarray(0, cut % (file.length + 1));
        const lines = linesOf(short, scanFrames(short, stream, segment));
        const prefixes = batches.map((_, i) => batches.slice(0, i).join(''));
        expect([...prefixes, batches.join('')]).toContain(lines);
      }),
    );
  });

  test('read back as a prefix of the batches after any flipped bit, and say so when a later batch is still there', () => {
    fc.assert(
      fc.property(anyBatches, anySalt, fc.nat(), (batches, salt, bit) => {
        const file = fileOf(batches, salt);
        const at = bit % (file.length * 8);
        file[at >> 3] = (file[at >> 3] as number) ^ (1 << (at & 7));
        const scan = scanFrames(file, stream, segment);
        if (at < HEADER_BYTES * 8) {
          expect(scan.state).toBe('damaged');
          return;
        }
        if (scan.state !== 'read') throw new Error(scan.state);
        expect(linesOf(file, scan)).toBe(batches.slice(0, scan.batches.length).join(''));
        expect(scan.batches.length).toBeLessThan(batches.length);
        expect(hasLaterFrame(file, scan)).toBe(scan.batches.length < batches.length - 1);
      }),
    );
  });

  test('of an earlier use of the file are never taken for later ones', () => {
    fc.assert(
      fc.property(anyBatches, anyBatches, anySalt, anySalt, (old, young, oldSalt, youngSalt) => {
        fc.pre(!oldSalt.equals(youngSalt));
        const file = fileOf(old, oldSalt, 4096);
        fileOf(young, youngSalt).copy(file);
        const scan = scanFrames(file, stream, segment);
        if (scan.state !== 'read') throw new Error(scan.state);
        expect(linesOf(file, scan)).toBe(young.join(''));
        expect(hasLaterFrame(file, scan)).toBe(false);
      }),
    );
  });

  test('are none in a file of zeros, in one that still has the header of another segment, and behind a limit', () => {
    const salt = Buffer.from(vectors.salt, 'hex');
    const file = fileOf(['{}\n', '{}\n'], salt);
    expect(scanFrames(Buffer.alloc(1000), stream, segment)).toEqual({ state: 'empty' });
    expect(scanFrames(file, stream, segment + 1)).toEqual({ state: 'empty' });
    expect(scanFrames(file, '01KAH3M8ZK4T9V2B6XN5R0WCEB', segment)).toEqual({ state: 'empty' });
    const first = HEADER_BYTES + FRAME_HEAD_BYTES + 3;
    expect(scanFrames(file, stream, segment, first)).toMatchObject({ end: first });
  });
});
