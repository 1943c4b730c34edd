/**
 * Owns the bytes of a segment file: its header and its frames, one frame a batch of lines.
 *
 *     header (64 bytes)  magic "MCPRSPL1", stream (26 ASCII characters), segment u64, salt (8 random bytes), zeros, CRC-32 of the 60 bytes before
 *     frame              CRC-32 u32, batch u32 (0, 1, 2 ... within the file), length u32, `length` bytes of lines that end with LF each
 *
 * All numbers big-endian. A frame's CRC-32 (docs/adr/0001) covers the salt, then the frame's bytes after the CRC.
 * Invariant: what `scanFrames` answers is a prefix of the batches that were written to this segment: files are used again without being
 * cleared, and neither a frame of an earlier use (other salt) nor one that a caller put into a body (salt unknown to it) is taken for one.
 */
import { crc32 } from 'node:zlib';

const MAGIC = Buffer.from('MCPRSPL1', 'latin1');
const STREAM_AT = 8;
const SEGMENT_AT = 34;
const SALT_AT = 42;
const HEADER_CRC_AT = 60;
export const HEADER_BYTES = 64;
export const SALT_BYTES = 8;
/** CRC, batch, length. */
export const FRAME_HEAD_BYTES = 12;

/** Writes the header at the start of `into`. */
export function writeHeader(into: Buffer, stream: string, segment: number, salt: Uint8Array): void {
  into.fill(0, 0, HEADER_BYTES);
  into.set(MAGIC, 0);
  into.write(stream, STREAM_AT, 'latin1');
  into.writeBigUInt64BE(BigInt(segment), SEGMENT_AT);
  into.set(salt, SALT_AT);
  into.writeUInt32BE(crc32(into.subarray(0, HEADER_CRC_AT)), HEADER_CRC_AT);
}

/** What the frames of a file with this salt start their CRC from. */
export function saltCrc(salt: Uint8Array): number {
  return crc32(salt);
}

/** Fills in the head of the frame that stands in `bytes` from `start` to `end`, its lines already in place. */
export function writeFrameHead(
  bytes: Buffer,
  start: number,
  end: number,
  batch: number,
  seedCrc: number,
): void {
  bytes.writeUInt32BE(batch, start + 4);
  bytes.writeUInt32BE(end - start - FRAME_HEAD_BYTES, start + 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(start + 4, end), seedCrc), start);
}

/** Where the frame at `at` ends when it is whole and is of this file, else 0. */
function frameEnd(bytes: Buffer, at: number, seedCrc: number): number {
  if (at + FRAME_HEAD_BYTES > bytes.length) return 0;
  const end = at + FRAME_HEAD_BYTES + bytes.readUInt32BE(at + 8);
  if (end > bytes.length || bytes[end - 1] !== 0x0a) return 0;
  return crc32(bytes.subarray(at + 4, end), seedCrc) === bytes.readUInt32BE(at) ? end : 0;
}

export type Scan =
  /** Nothing was ever written to this segment: the file is new, or still has the header of its use before. */
  | { state: 'empty' }
  /** The header can't be read, so that no frame can be trusted. */
  | { state: 'damaged' }
  | {
      state: 'read';
      /** Of each batch, where its lines stand: from, to. */
      batches: { start: number; end: number }[];
      /** Behind the last good frame. */
      end: number;
      salt: Buffer;
    };

/**
 * Reads the batches of a segment file up to the first that is not whole.
 * @param limit ignore what stands behind this many bytes
 */
export function scanFrames(file: Buffer, stream: string, segment: number, limit = file.length): Scan {
  const bytes = file.subarray(0, limit);
  const header = bytes.subarray(0, HEADER_BYTES);
  if (!header.some((byte) => byte !== 0)) return { state: 'empty' };
  if (header.length < HEADER_BYTES || !header.subarray(0, MAGIC.length).equals(MAGIC))
    return { state: 'damaged' };
  if (crc32(header.subarray(0, HEADER_CRC_AT)) !== header.readUInt32BE(HEADER_CRC_AT))
    return { state: 'damaged' };
  const isThis =
    header.toString('latin1', STREAM_AT, SEGMENT_AT) === stream &&
    header.readBigUInt64BE(SEGMENT_AT) === BigInt(segment);
  if (!isThis) return { state: 'empty' };
  const salt = Buffer.from(header.subarray(SALT_AT, SALT_AT + SALT_BYTES));
  const seed = saltCrc(salt);
  const batches: { start: number; end: number }[] = [];
  let at = HEADER_BYTES;
  for (;;) {
    const end = frameEnd(bytes, at, seed);
    if (end === 0 || bytes.readUInt32BE(at + 4) !== batches.length)
      return { state: 'read', batches, end: at, salt };
    batches.push({ start: at + FRAME_HEAD_BYTES, end });
    at = end;
  }
}

/**
 * Whether a later batch of this file stands behind the place where reading stopped. One batch at a time is on its way to the disk, so that
 * a crash can only tear the last one: a batch behind a bad one means that the disk lost what it had confirmed.
 */
export function hasLaterFrame(file: Buffer, scan: Scan & { state: 'read' }): boolean {
  const seed = saltCrc(scan.salt);
  const last = file.length - FRAME_HEAD_BYTES;
  for (let at = scan.end; at <= last; at += 1) {
    // Most positions hold zeros or text: their first byte of the batch's number tells.
    if (file[at + 4] !== 0 || file.readUInt32BE(at + 4) <= scan.batches.length) continue;
    if (frameEnd(file, at, seed) !== 0) return true;
  }
  return false;
}

/** The lines of the batches without header and frames, LF after each. Overwrites `file`. */
export function stripFrames(file: Buffer, batches: readonly { start: number; end: number }[]): Buffer {
  let length = 0;
  for (const { start, end } of batches) {
    file.copyWithin(length, start, end);
    length += end - start;
  }
  return file.subarray(0, length);
}
