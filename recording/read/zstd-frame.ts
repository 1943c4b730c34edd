/**
 * Owns where a zstd frame ends (RFC 8878 3.1.1). Decoders accept several frames, skippable ones and any bytes after them without a
 * word, so an object could carry more than was sealed.
 * Invariant: `frameFault` answers null only for exactly one frame, with a content checksum, no dictionary, and nothing after it.
 */

const MAGIC = 0xfd2fb528;
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const;
const RLE_BLOCK = 1;
const RESERVED_BLOCK = 3;

/** What keeps `bytes` from being exactly one frame as the format wants it, or null. Does not look into the blocks. */
export function frameFault(bytes: Buffer): string | null {
  if (bytes.length < 6 || bytes.readUInt32LE(0) !== MAGIC) return 'it does not begin with a zstd frame';
  const descriptor = bytes.readUInt8(4);
  const singleSegment = (descriptor & 0x20) !== 0;
  const contentSizeFlag = descriptor >> 6;
  if ((descriptor & 0x08) !== 0) return 'its frame header uses a reserved bit';
  if ((descriptor & 0x04) === 0) return 'its frame has no content checksum';
  if (DICTIONARY_ID_BYTES[(descriptor & 0x03) as 0 | 1 | 2 | 3] !== 0) return 'its frame needs a dictionary';
  const windowBytes = singleSegment ? 0 : 1;
  const contentSizeBytes =
    singleSegment && contentSizeFlag === 0 ? 1 : CONTENT_SIZE_BYTES[contentSizeFlag as 0 | 1 | 2 | 3];

  let at = 5 + windowBytes + contentSizeBytes;
  for (let last = false; !last; ) {
    if (at + 3 > bytes.length) return 'its frame is cut off';
    const block = bytes.readUIntLE(at, 3);
    const type = (block >> 1) & 0x03;
    if (type === RESERVED_BLOCK) return 'its frame has a block of a reserved type';
    at += 3 + (type === RLE_BLOCK ? 1 : block >> 3);
    last = (block & 1) === 1;
  }
  at += 4;
  if (at > bytes.length) return 'its frame is cut off';
  if (at < bytes.length) return `${bytes.length - at} bytes follow its frame`;
  return null;
}
