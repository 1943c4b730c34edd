/**
 * Owns reading a store's segments: which there are, and what lines they hold.
 * Invariant: each segment is read once and one at a time; one that can't be read is reported and never stops the others.
 * Nothing is proven here: that is verify-store's.
 */
import { parseSegmentKey, SEGMENTS_PREFIX, type SegmentKey } from '../format/keys.ts';
import type { Line } from '../format/line.ts';
import { lineSchema } from '../format/line-schema.ts';
import { StoreError, type ObjectStore } from '../store/object-store.ts';
import { decodeSegment, SegmentDamaged } from './segment-object.ts';

/** An object of a segment, known by its key only. */
export interface StoredSegment {
  /** The object's key in the store. */
  key: string;
  place: SegmentKey;
  /** Compressed bytes. */
  size: number;
}

export interface ListSegmentsOptions {
  /** Only segments of this stream. */
  stream?: string;
  /** Only segments whose first line is of this second or later: `YYYYMMDDTHHMMSSZ`. */
  fromSecond?: string;
  signal?: AbortSignal;
}

/** Something under the segments' prefix that can't be read, and why. */
export interface Unreadable {
  key: string;
  /** Index of the line in its segment, null when the object as a whole can't be read. */
  line: number | null;
  /** A whole sentence. */
  message: string;
}

export interface RecordedLine {
  line: Line;
  /** The line as recorded, without its line feed. */
  bytes: Buffer;
  /** Index in the segment, from 0. */
  index: number;
}

export interface ReadSegment {
  segment: StoredSegment;
  /** All decoded bytes. */
  decoded: Buffer;
  /** Its lines in order; of `containing` only those whose bytes contain this text, which costs no parsing of the others. */
  lines(containing?: string): Iterable<RecordedLine>;
}

export interface ReadOptions extends ListSegmentsOptions {
  /** Told of each object and line that can't be read. */
  onUnreadable: (problem: Unreadable) => void;
}

const LF = 0x0a;

/** All segments of the store by key: by server, then by time. @throws StoreError */
export async function* listSegments(
  store: ObjectStore,
  options: ListSegmentsOptions = {},
): AsyncIterable<StoredSegment> {
  const { stream, fromSecond = '', signal } = options;
  for await (const { key, size } of store.list(SEGMENTS_PREFIX, signal === undefined ? {} : { signal })) {
    const place = parseSegmentKey(key);
    if (place === null || place.second < fromSecond) continue;
    if (stream === undefined || place.stream === stream) yield { key, place, size };
  }
}

/**
 * Reads segments one after the other, in the order of `listSegments`. Of a segment that was stored twice (copies `.r1` to `.r9`) the first
 * readable copy counts; whether copies are equal is for `verify` to say.
 * @throws StoreError when the store itself can't be read
 */
export async function* readSegments(store: ObjectStore, options: ReadOptions): AsyncIterable<ReadSegment> {
  let latest = '';
  for await (const segment of listSegments(store, options)) {
    const { stream, segment: number } = segment.place;
    const identity = `${stream}/${number}`;
    if (identity === latest) continue;
    const read = await readSegment(store, segment, options);
    if (read === null) continue;
    latest = identity;
    yield read;
  }
}

/** Reads one segment; null when it is damaged, which is reported, or gone. @throws StoreError */
export async function readSegment(
  store: ObjectStore,
  segment: StoredSegment,
  options: Pick<ReadOptions, 'onUnreadable' | 'signal'>,
): Promise<ReadSegment | null> {
  const { key } = segment;
  const { onUnreadable, signal } = options;
  try {
    const decoded = await decodeSegment(await store.get(key, signal));
    return { segment, decoded, lines: (containing) => linesOf(key, decoded, containing, onUnreadable) };
  } catch (error) {
    if (error instanceof SegmentDamaged) {
      onUnreadable({ key, line: null, message: `The object ${key} is damaged: ${error.message}.` });
      return null;
    }
    // Retention may remove an object between the listing and the reading.
    if (error instanceof StoreError && error.code === 'not_found') return null;
    throw error;
  }
}

/** The lines of decoded bytes. A line that is none of version 1 is reported and left out. */
function* linesOf(
  key: string,
  decoded: Buffer,
  containing: string | undefined,
  onUnreadable: (problem: Unreadable) => void,
): Iterable<RecordedLine> {
  let next = containing === undefined ? 0 : decoded.indexOf(containing);
  let index = 0;
  for (let start = 0; start < decoded.length; index += 1) {
    const feed = decoded.indexOf(LF, start);
    const bytes = decoded.subarray(start, feed < 0 ? decoded.length : feed);
    start += bytes.length + 1;
    if (containing !== undefined) {
      if (next < 0) return;
      if (next >= start) continue;
      next = decoded.indexOf(containing, start);
    }
    const line = parseLine(bytes);
    if (line === null) {
      onUnreadable({ key, line: index, message: `Line ${index} of ${key} is no line of version 1.` });
    } else {
      yield { line, bytes, index };
    }
  }
}

/** The line in these bytes, or null when they hold none of version 1. Columns that this version does not know are dropped. */
function parseLine(bytes: Buffer): Line | null {
  try {
    const parsed = lineSchema.safeParse(JSON.parse(bytes.toString('utf8')));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
