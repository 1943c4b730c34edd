/**
 * Owns the way of a segment from its frames to its object: one zstd frame with checksum.
 * Invariant: an object is made from what is read back from the disk with every frame's CRC checked, never from memory.
 */
import { hash, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdCompressSync, zstdDecompress } from 'node:zlib';
import { segmentKey } from '@mcp-recorder/recording/format/keys';
import { createSealedLine } from '@mcp-recorder/recording/proof/seal';
import type { SpoolFiles } from './files.ts';
import { scanFrames, stripFrames } from './frame.ts';
import { segmentPath } from './paths.ts';
import { readFacts, type SealReason, SegmentDamage, treeOf } from './segment-lines.ts';
import type { SealedObject } from './spool.ts';

/**
 * Measured on recorded lines of JSON calls (Node 26, one core), ratio and CPU ms/MB: level 1 11.3 0.92, level -3 10.1 0.79, level -7 8.5
 * 0.79. With output in pieces of 64 KiB instead of 1 MiB level 1 takes 1.06.
 */
const COMPRESSION = {
  chunkSize: 1024 * 1024,
  params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 },
};
/** Up to here compressing on the calling thread (a fifth of a millisecond) takes less than setting up a stream on another (bytes). */
const COMPRESSED_HERE_BYTES = 64 * 1024;
/** Above what any segment holds: a bound for what a damaged file could claim. */
const MAX_DECODED_BYTES = 256 * 1024 * 1024;

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

export interface SegmentPlace {
  /** Of the spool. */
  directory: string;
  stream: string;
  segment: number;
}

/**
 * The lines of a segment file.
 * @param synced how many bytes of the file were on disk: the batches must reach exactly so far
 * @param into memory of at least so many bytes that may be used for them
 * @throws SegmentDamage; what the disk says
 */
export async function readSegmentFile(
  files: SpoolFiles,
  place: SegmentPlace,
  synced: number,
  into?: Buffer,
): Promise<Buffer> {
  const path = segmentPath(place.directory, place.stream, place.segment, 'spool');
  const bytes = await files.read(path, into?.subarray(0, synced));
  const scan = scanFrames(bytes, place.stream, place.segment, synced);
  const end = scan.state === 'read' ? scan.end : 0;
  if (scan.state !== 'read' || end !== synced) {
    throw new SegmentDamage(`${path} reads back only ${end} of the ${synced} bytes that were on disk`);
  }
  return stripFrames(bytes, scan.batches);
}

/**
 * Adds the seal to lines that have none. Nothing else is added: whoever seals the same lines again gets the same root.
 * @param now time of the seal, unless the last line is later
 */
export function sealLines(
  lines: Buffer,
  place: SegmentPlace,
  reason: SealReason,
  now: string,
  privateKey: KeyObject,
): Buffer {
  const { open, lastSeq, lastTime } = readFacts(lines, place.stream, place.segment);
  const tree = treeOf(lines);
  const previous = open.open.previous_root;
  const seal = createSealedLine({
    stream: place.stream,
    seq: lastSeq + 1,
    time: now > lastTime ? now : lastTime,
    segment: place.segment,
    firstSeq: open.seq,
    entries: tree.size,
    root: tree.root(),
    previousRoot: previous === null ? null : Buffer.from(previous, 'base64'),
    last: reason.last,
    how: reason.how,
    recoveredBy: reason.recoveredBy,
    privateKey,
  });
  return Buffer.concat([lines, Buffer.from(`${seal}\n`)]);
}

/** A sealed segment's object, not yet on disk. */
export interface EncodedObject {
  object: SealedObject;
  bytes: Buffer;
}

function describe(lines: Buffer, bytes: Buffer, place: SegmentPlace): SealedObject {
  const { open, lines: count, seal } = readFacts(lines, place.stream, place.segment);
  if (seal === null) throw new SegmentDamage(`segment ${place.segment} of ${place.stream} has no seal`);
  const { cluster, namespace, server } = open.open;
  const { stream, segment } = place;
  return {
    stream,
    segment,
    firstSeq: open.seq,
    lines: count,
    how: seal.how,
    key: segmentKey({ cluster, namespace, server, time: open.time, stream, segment }),
    path: segmentPath(place.directory, stream, segment, 'jsonl.zst'),
    inMemory: null,
    size: bytes.length,
    sha256: hash('sha256', bytes, 'hex'),
  };
}

/** Compresses sealed lines. @throws SegmentDamage when they are not a sealed segment's */
export async function encodeObject(lines: Buffer, place: SegmentPlace): Promise<EncodedObject> {
  const { params } = COMPRESSION;
  const isSmall = lines.length <= COMPRESSED_HERE_BYTES;
  const bytes = isSmall ? zstdCompressSync(lines, { params }) : await compress(lines, COMPRESSION);
  return { object: describe(lines, bytes, place), bytes };
}

/** The lines of an object. @throws SegmentDamage when it is not whole */
export async function decodeObject(
  bytes: Buffer,
  place: SegmentPlace,
): Promise<{ object: SealedObject; lines: Buffer }> {
  let lines: Buffer;
  try {
    lines = await decompress(bytes, { maxOutputLength: MAX_DECODED_BYTES });
  } catch (error) {
    throw new SegmentDamage(`the object of segment ${place.segment} of ${place.stream} can't be decoded`, {
      cause: error,
    });
  }
  return { object: describe(lines, bytes, place), lines };
}
