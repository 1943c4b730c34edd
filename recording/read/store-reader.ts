/**
 * Owns reading a store's segments: which there are, and what lines they hold.
 * Invariant: each segment is read once and given in turn; one that can't be read is reported and never stops the others.
 * Nothing is proven here: that is verify-store's.
 */
import { parseSegmentKey, SEGMENTS_PREFIX, type SegmentKey } from '../format/keys.ts';
import type { Line } from '../format/line.ts';
import { lineSchema } from '../format/line-schema.ts';
import { whyNewer } from '../format/newer-version.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { fetchSegments } from './fetch-segments.ts';
import { createKeptLister, type KeptObject } from './kept-objects.ts';
import { listNewestFirst, listPartitions, listRange } from './partitions.ts';

/** An object of a segment, known by its key only. */
export interface StoredSegment {
  /** The object's key in the store. */
  key: string;
  place: SegmentKey;
  /** Compressed bytes. */
  size: number;
  /** The store's name for the first version, when there are others; null = the only one. */
  version: string | null;
  /** Whether somebody overwrote or deleted it since: what is read is what was first stored. */
  changed: boolean;
}

export interface ListSegmentsOptions {
  /** Only segments of this stream. */
  stream?: string;
  /** Only segments whose first line is of this second or later: `YYYYMMDDTHHMMSSZ`. Nothing before it is listed. */
  fromSecond?: string;
  /** Only segments whose first line is of this second or before. Nothing after it is listed. */
  toSecond?: string;
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
  /** Those of its lines that stand in these places. */
  linesAt(places: Iterable<LinePlace>): Iterable<RecordedLine>;
}

/** Where a line stands in a segment's decoded bytes, its line feed not included. */
export interface LinePlace {
  start: number;
  end: number;
  /** Index in the segment, from 0. */
  index: number;
}

export interface ReadOptions extends ListSegmentsOptions {
  /** Told of each object and line that can't be read, and of objects that are not now what was stored first. */
  onUnreadable: (problem: Unreadable) => void;
}

const LF = 0x0a;

/** All segments of the store by key: by server, then by time. @throws StoreError */
export async function* listSegments(
  store: ObjectStore,
  options: ListSegmentsOptions = {},
): AsyncIterable<StoredSegment> {
  const { stream, fromSecond = '', toSecond = null, signal } = options;
  const list = createKeptLister(store, ignore);
  if (fromSecond === '' && toSecond === null) {
    yield* segmentsAmong(list(SEGMENTS_PREFIX, signal === undefined ? {} : { signal }), stream);
    return;
  }
  const range = { from: fromSecond === '' ? null : fromSecond, to: toSecond };
  for await (const partition of listPartitions(list, signal)) {
    yield* segmentsAmong(listRange(list, partition, range, signal), stream);
  }
}

/** All segments of the store, the newest first; only as many are listed as are asked for. @throws StoreError */
export async function* listSegmentsBackwards(
  store: ObjectStore,
  { fromSecond = '', toSecond, signal }: Omit<ListSegmentsOptions, 'stream'> = {},
): AsyncIterable<StoredSegment> {
  const range = { from: fromSecond === '' ? null : fromSecond, to: toSecond ?? null };
  yield* segmentsAmong(listNewestFirst(createKeptLister(store, ignore), range, signal), undefined);
}

/** Readers show what was recorded; that versions could not be looked at is for `verify` to say. */
function ignore(): void {}

async function* segmentsAmong(
  objects: AsyncIterable<KeptObject>,
  stream: string | undefined,
): AsyncIterable<StoredSegment> {
  for await (const { key, size, version, later, deletion, readable } of objects) {
    const place = parseSegmentKey(key);
    if (place === null || !readable || (stream !== undefined && place.stream !== stream)) continue;
    yield { key, place, size, version, changed: later.length > 0 || deletion !== null };
  }
}

/**
 * Reads segments one after the other, in the order of `listSegments`. Of a segment that was stored twice (copies `.r1` to `.r9`) the first
 * readable copy counts; whether copies are equal is for `verify` to say.
 * @throws StoreError when the store itself can't be read
 */
export async function* readSegments(store: ObjectStore, options: ReadOptions): AsyncIterable<ReadSegment> {
  yield* readThese(store, listSegments(store, options), options);
}

/** Reads these segments, one after the other. @throws StoreError when the store itself can't be read */
export async function* readThese(
  store: ObjectStore,
  segments: AsyncIterable<StoredSegment>,
  { onUnreadable, signal }: Pick<ReadOptions, 'onUnreadable' | 'signal'>,
): AsyncIterable<ReadSegment> {
  let latest = '';
  /** Where something may not be read: told once, as there is nothing that anyone can do about each object alone. */
  const denied = new Set<string>();
  for await (const { item: segment, fetched } of fetchSegments(store, segments, signal)) {
    const { key, place } = segment;
    const identity = `${place.stream}/${place.segment}`;
    if (identity === latest || fetched.kind === 'gone') continue;
    if (fetched.kind === 'denied') {
      const partition = key.slice(0, key.lastIndexOf('date='));
      if (denied.has(partition)) continue;
      denied.add(partition);
      const message = `These credentials may not read what is in ${partition}: it is left out.`;
      onUnreadable({ key, line: null, message });
      continue;
    }
    if (fetched.kind === 'damaged') {
      onUnreadable({ key, line: null, message: `The object ${key} is damaged: ${fetched.why}.` });
      continue;
    }
    latest = identity;
    if (segment.changed) {
      const message = `The object ${key} has later versions or was deleted since it was stored; what is read is what was stored first.`;
      onUnreadable({ key, line: null, message });
    }
    const { decoded } = fetched;
    const linesAt = (places: Iterable<LinePlace>) => linesOf(key, decoded, places, onUnreadable);
    yield { segment, decoded, linesAt, lines: (containing) => linesAt(placesOf(decoded, containing)) };
  }
}

/** The lines of a segment, or those whose bytes contain this text. */
export function* placesOf(decoded: Buffer, containing?: string): Iterable<LinePlace> {
  let next = containing === undefined ? 0 : decoded.indexOf(containing);
  let start = 0;
  for (let index = 0; start < decoded.length && next >= 0; index += 1) {
    const feed = decoded.indexOf(LF, start);
    const place = { start, end: feed < 0 ? decoded.length : feed, index };
    start = place.end + 1;
    if (containing !== undefined) {
      if (next >= start) continue;
      next = decoded.indexOf(containing, start);
    }
    yield place;
  }
}

/** The lines in these places of decoded bytes. A line that is none of version 1 is reported and left out. */
function* linesOf(
  key: string,
  decoded: Buffer,
  places: Iterable<LinePlace>,
  onUnreadable: (problem: Unreadable) => void,
): Iterable<RecordedLine> {
  let told: string | null = null;
  for (const { start, end, index } of places) {
    const bytes = decoded.subarray(start, end);
    const line = parseLine(bytes);
    if (typeof line !== 'string') {
      yield { line, bytes, index };
      continue;
    }
    // All lines of an object are of one version: one of them says it.
    if (line === told) continue;
    if (line !== NO_LINE) told = line;
    onUnreadable({ key, line: index, message: `Line ${index} of ${key} ${line}.` });
  }
}

const NO_LINE = 'is no line of version 1';

/** The line in these bytes, or why there is none. Columns that this version does not know are dropped. */
function parseLine(bytes: Buffer): Line | string {
  let columns: unknown;
  try {
    columns = JSON.parse(bytes.toString('utf8'));
  } catch {
    return NO_LINE;
  }
  const parsed = lineSchema.safeParse(columns);
  return parsed.success ? parsed.data : (whyNewer(columns) ?? NO_LINE);
}
