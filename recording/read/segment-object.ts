/**
 * Owns the way from an object's bytes to a segment's decoded lines.
 * Invariant: what `decodeSegment` answers is all that the object holds: one whole frame, its checksum right, its size bounded.
 */
import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { frameFault } from './zstd-frame.ts';

const decompress = promisify(zstdDecompress);

/** Far above what a recorder seals (16 MiB), so that no object can exhaust the memory of who reads it. */
const MAX_DECODED_BYTES = 256 * 1024 * 1024;

/** The object can't be what a recorder stored. The message ends a sentence: `the object ... is damaged: <message>`. */
export class SegmentDamaged extends Error {
  readonly code = 'damaged';

  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'SegmentDamaged';
  }
}

/**
 * The decoded bytes of a segment's object.
 * @param maxDecodedBytes more than this is refused before it is held in memory
 * @throws SegmentDamaged when the object is not exactly one whole zstd frame, or decodes to more
 */
export async function decodeSegment(
  object: Uint8Array,
  maxDecodedBytes = MAX_DECODED_BYTES,
): Promise<Buffer> {
  const bytes = Buffer.from(object.buffer, object.byteOffset, object.byteLength);
  const fault = frameFault(bytes);
  if (fault !== null) throw new SegmentDamaged(fault);
  try {
    return await decompress(bytes, { maxOutputLength: maxDecodedBytes, chunkSize: chunkFor(bytes.length) });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'ERR_BUFFER_TOO_LARGE') {
      throw new SegmentDamaged(`it decodes to more than ${maxDecodedBytes} bytes`, error);
    }
    const why = error instanceof Error ? error.message : String(error);
    throw new SegmentDamaged(`its frame can't be decoded (${why})`, error);
  }
}

const MIN_CHUNK_BYTES = 16 * 1024;
const MAX_CHUNK_BYTES = 256 * 1024;

/**
 * Bytes that are decoded between two turns of the event loop: most of what decoding a megabyte costs are the turns. A small segment stays in
 * the one that it is decoded into, which therefore must not be much larger.
 */
function chunkFor(objectBytes: number): number {
  return Math.min(Math.max(8 * objectBytes, MIN_CHUNK_BYTES), MAX_CHUNK_BYTES);
}
