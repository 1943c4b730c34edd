import { randomBytes } from 'node:crypto';
import { constants, zstdCompressSync } from 'node:zlib';
import { decodeSegment, SegmentDamaged } from '@mcp-recorder/recording/read/segment-object';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

function compress(bytes: Uint8Array, params: Record<number, number> = {}): Buffer {
  return zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1, ...params } });
}

const LINES = Buffer.from('{"v":1}\n{"v":1}\n');
const OBJECT = compress(LINES);

describe('a segment object', () => {
  it.each([
    ['nothing', Buffer.alloc(0)],
    ['lines', LINES],
    ['a run of one byte', Buffer.alloc(3_000_000, 'x')],
    ['incompressible bytes', randomBytes(400_000)],
    ['several blocks', Buffer.from('line of text with a number 123\n'.repeat(50_000))],
  ])('decodes %s at every level, with and without its size in the header', async (_, bytes) => {
    for (const level of [-5, 1, 3, 19]) {
      for (const sized of [0, 1]) {
        const object = compress(bytes, {
          [constants.ZSTD_c_compressionLevel]: level,
          [constants.ZSTD_c_contentSizeFlag]: sized,
        });
        expect((await decodeSegment(object)).equals(bytes)).toBe(true);
      }
    }
  });

  it.each([
    ['a second frame', Buffer.concat([OBJECT, OBJECT]), /bytes follow its frame/],
    ['bytes after the frame', Buffer.concat([OBJECT, Buffer.from('more')]), /4 bytes follow its frame/],
    [
      'a skippable frame after it',
      Buffer.concat([OBJECT, Buffer.from('502a4d1801000000aa', 'hex')]),
      /follow/,
    ],
    [
      'a skippable frame before it',
      Buffer.concat([Buffer.from('502a4d1801000000aa', 'hex'), OBJECT]),
      /begin/,
    ],
    ['no bytes', Buffer.alloc(0), /does not begin/],
    ['the lines uncompressed', LINES, /does not begin/],
    [
      'a frame without checksum',
      compress(LINES, { [constants.ZSTD_c_checksumFlag]: 0 }),
      /no content checksum/,
    ],
  ])('is damaged when it holds %s', async (_, object, message) => {
    await expect(decodeSegment(object)).rejects.toThrow(SegmentDamaged);
    await expect(decodeSegment(object)).rejects.toThrow(message);
  });

  it('is damaged wherever it is cut off', async () => {
    const object = compress(
      Buffer.from('some lines of text\n'.repeat(20_000) + randomBytes(2_000).toString('hex')),
    );
    for (let length = 0; length < object.length; length += length < 40 ? 1 : 97) {
      await expect(decodeSegment(object.subarray(0, length))).rejects.toThrow(SegmentDamaged);
    }
    await expect(decodeSegment(object.subarray(0, -1))).rejects.toThrow('cut off');
  });

  it('is damaged when its checksum does not fit', async () => {
    const object = Buffer.from(OBJECT);
    object.writeUInt8(object.readUInt8(object.length - 1) ^ 1, object.length - 1);
    await expect(decodeSegment(object)).rejects.toThrow(/checksum/);
  });

  it('gives the same lines or none, whichever bit flips', async () => {
    const bytes = Buffer.from('{"v":1,"type":"event"}\n'.repeat(2_000) + randomBytes(300).toString('hex'));
    const object = compress(bytes);
    await fc.assert(
      fc.asyncProperty(fc.nat(object.length * 8 - 1), async (bit) => {
        const flipped = Buffer.from(object);
        flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        const decoded = await decodeSegment(flipped).catch((error: unknown) => error);
        if (!(decoded instanceof SegmentDamaged)) expect((decoded as Buffer).equals(bytes)).toBe(true);
      }),
      { numRuns: 400 },
    );
  });

  it('never decodes to more than the bound, however small it is', async () => {
    const bomb = compress(Buffer.alloc(50_000_000));
    expect(bomb.length).toBeLessThan(10_000);
    await expect(decodeSegment(bomb, 1_000_000)).rejects.toThrow('more than 1000000 bytes');
  });
});
