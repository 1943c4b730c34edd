/**
 * Owns which segments must be read before a filter can be answered, and reading them into the index.
 * Invariants: when it is done, all segments that may hold rows of the filter's time and place are in the index, and none of that time that the
 * store no longer has; for the newest rows, as many of the newest as it takes. What can't be read is told, from the index too.
 */
import { crc32 } from 'node:zlib';
import { parseSegmentKey } from '../format/keys.ts';
import { formatMicros, parseMicros } from '../format/time.ts';
import { isUlid, ulidTimeMs } from '../format/ulid.ts';
import { SEGMENT_SLACK_MS } from '../read/partitions.ts';
import {
  listSegments,
  listSegmentsBackwards,
  type ListSegmentsOptions,
  type ReadSegment,
  readThese,
  type StoredSegment,
} from '../read/store-reader.ts';
import { secondOf, secondsOf, type TimeRange } from '../read/time-range.ts';
import type { ObjectStore } from '../store/object-store.ts';
import type { Filter } from './filter.ts';
import type { ReaderOptions, ReadProgress } from './reader.ts';
import { factsOf } from './segment-facts.ts';
import { identityOf, type LineProblem, type ReadFacts, type SegmentTable } from './segment-table.ts';

export interface FillParts extends Pick<ReaderOptions, 'onUnreadable' | 'onProgress' | 'signal'> {
  store: ObjectStore;
  table: SegmentTable;
}

export interface Fill {
  /**
   * Reads what the filter needs.
   * @param enough asked between segments that come newest first, with the time (ms) before which all that is unread ends; true = no more is needed
   */
  forFilter(filter: Filter, enough: ((unreadBeforeMs: number) => boolean) | null): Promise<void>;
  /** Reads the segments of a stream in which these exchanges may have begun. */
  fillBeginnings(exchanges: readonly { stream: string; exchange: string }[]): Promise<void>;
  /** Takes a segment that was read for something else; one whose bytes are others than before is read anew. */
  check(read: ReadSegment): void;
}

/** Segments that pass before it is asked whether it is enough; then a quarter more each time, as the question costs more the more there is. */
const ASK_FIRST = 16;
/** Segments that are put into the index together at most, and their decoded bytes. */
const MAX_WAITING = 64;
const MAX_WAITING_BYTES = 8 * 2 ** 20;
/** An operation that has no result by then has none (docs/recording-format.md). */
const LATEST_RESULT_MS = 600_000;

export function createFill({ store, table, onUnreadable, onProgress, signal }: FillParts): Fill {
  const listing = signal === undefined ? {} : { signal };
  const reading = { onUnreadable, ...listing };

  function tellLines(key: string, problems: readonly LineProblem[]): void {
    for (const { index, why } of problems) {
      onUnreadable({ key, line: index, message: `Line ${index} of ${key} ${why}.` });
    }
  }

  /** Read, and not in the index yet: one transaction for several costs less than half. */
  let waiting: ReadFacts[] = [];
  let waitingBytes = 0;

  function put({ segment, decoded }: ReadSegment, hasText: boolean): void {
    const facts = factsOf(decoded, hasText);
    tellLines(segment.key, facts.problems);
    waiting.push({ segment, checksum: crc32(decoded), facts, hasText });
    waitingBytes += decoded.length;
    if (waiting.length >= MAX_WAITING || waitingBytes >= MAX_WAITING_BYTES) flush();
  }

  /** Nothing waits for more of the store while the index is locked: others fill it too, in this process as well. */
  function flush(): void {
    const facts = waiting;
    waiting = [];
    waitingBytes = 0;
    if (facts.length > 0) table.put(facts);
  }

  /** Whether the index has all that is wanted of the segment, as the store lists it; if so, tells what is wrong with it. */
  function isKnown({ place, size, version }: StoredSegment, wantsText: boolean): boolean {
    const known = table.find(place);
    if (known === null || (wantsText && !known.hasText)) return false;
    // When another copy of it was read, that is as good.
    const isSameCopy = parseSegmentKey(known.key)?.copy === place.copy;
    if (isSameCopy && (known.size !== size || known.version !== version)) return false;
    if (known.problems > 0) tellLines(known.key, table.problems(known.id));
    return true;
  }

  async function readInto(
    segments: AsyncIterable<StoredSegment> | Iterable<StoredSegment>,
    wantsText: boolean,
    total: Pick<ReadProgress, 'ofSegments' | 'ofBytes'>,
  ): Promise<void> {
    let done = 0;
    let bytes = 0;
    try {
      for await (const read of readThese(store, async(segments), reading)) {
        put(read, wantsText);
        done += 1;
        bytes += read.segment.size;
        onProgress?.({ segments: done, bytes, ...total });
        if (signal?.aborted === true) return;
      }
    } catch (error) {
      // What is known by now is answered.
      if (signal?.aborted !== true) throw error;
    } finally {
      flush();
    }
  }

  async function forFilter(
    filter: Filter,
    enough: ((unreadBeforeMs: number) => boolean) | null,
  ): Promise<void> {
    const wantsText = filter.text !== null;
    const isWanted = placeFilter(filter);
    const options = { ...secondsOf(withResults(filter.between)), ...listing };
    if (enough !== null && filter.between.since === null && isOnlyPlace(filter)) {
      await fillNewest(options, isWanted, enough);
      return;
    }
    const missing = await listMissing(options, isWanted, wantsText);
    if (enough === null) {
      await readInto(missing, wantsText, totalOf(missing));
      return;
    }
    missing.sort((a, b) => (a.place.second < b.place.second ? 1 : a.place.second > b.place.second ? -1 : 0));
    await readInto(
      untilEnough(async(missing), enough, () => true),
      wantsText,
      totalOf(missing),
    );
  }

  /** Goes back from the newest, listing no more than it takes. */
  async function fillNewest(
    options: ListSegmentsOptions,
    isWanted: (segment: StoredSegment) => boolean,
    enough: (unreadBeforeMs: number) => boolean,
  ): Promise<void> {
    const gone = table.between(options.fromSecond ?? '', options.toSecond ?? '~');
    let oldest = '~';
    async function* passing(): AsyncIterable<StoredSegment> {
      for await (const segment of listSegmentsBackwards(store, options)) {
        gone.delete(identityOf(segment.place));
        oldest = segment.place.second;
        if (isWanted(segment)) yield segment;
      }
      // All were listed.
      oldest = '';
    }
    await readInto(
      untilEnough(passing(), enough, (segment) => !isKnown(segment, false)),
      false,
      NO_TOTAL,
    );
    if (signal?.aborted === true) return;
    for (const { id, second } of gone.values()) if (second > oldest) table.remove(id);
  }

  /** Lists what is there, forgets what is gone, and gives what must be read. */
  async function listMissing(
    options: ListSegmentsOptions,
    isWanted: (segment: StoredSegment) => boolean,
    wantsText: boolean,
  ): Promise<StoredSegment[]> {
    const gone = table.between(options.fromSecond ?? '', options.toSecond ?? '~');
    const missing: StoredSegment[] = [];
    try {
      for await (const segment of listSegments(store, options)) {
        gone.delete(identityOf(segment.place));
        if (isWanted(segment) && !isKnown(segment, wantsText)) missing.push(segment);
      }
    } catch (error) {
      if (signal?.aborted !== true) throw error;
      return [];
    }
    if (signal?.aborted === true) return [];
    for (const { id } of gone.values()) table.remove(id);
    return missing;
  }

  return {
    forFilter,
    async fillBeginnings(exchanges) {
      const hours = new Map<string, ListSegmentsOptions>();
      for (const { stream, exchange } of exchanges) {
        if (!isUlid(exchange)) continue;
        const hour = Math.floor(ulidTimeMs(exchange) / SEGMENT_SLACK_MS) * SEGMENT_SLACK_MS;
        hours.set(`${stream}/${hour}`, {
          stream,
          fromSecond: secondOf(hour - SEGMENT_SLACK_MS),
          toSecond: secondOf(hour + 2 * SEGMENT_SLACK_MS),
        });
      }
      for (const options of hours.values()) {
        const listed = listSegments(store, { ...options, ...listing });
        await readInto(
          filterAsync(listed, (segment) => !isKnown(segment, false)),
          false,
          NO_TOTAL,
        );
      }
    },
    check(read) {
      const known = table.find(read.segment.place);
      if (known === null || known.checksum === crc32(read.decoded)) return;
      const { key } = read.segment;
      onUnreadable({
        key,
        line: null,
        message: `The object ${key} is not what it was when it was read before; it was read anew.`,
      });
      put(read, known.hasText);
      flush();
    },
  };
}

const NO_TOTAL = { ofSegments: null, ofBytes: null };

function totalOf(segments: readonly StoredSegment[]): Pick<ReadProgress, 'ofSegments' | 'ofBytes'> {
  return { ofSegments: segments.length, ofBytes: segments.reduce((sum, { size }) => sum + size, 0) };
}

/** A row of that time may need what came of it, or what it is the result of. */
function withResults({ since, until }: TimeRange): TimeRange {
  const moved = (time: string | null, byMs: number): string | null => {
    if (time === null) return null;
    const micros = parseMicros(time) + byMs * 1_000;
    return formatMicros(Math.min(Math.max(micros, 0), LAST_MICROS));
  };
  return { since: moved(since, -LATEST_RESULT_MS), until: moved(until, LATEST_RESULT_MS) };
}

const LAST_MICROS = parseMicros('9999-12-31T23:59:59.999999Z');

function isOnlyPlace({ users, groups, tools, methods, sessions, outcomes, text }: Filter): boolean {
  return (
    [users, groups, tools, methods, sessions, outcomes].every((names) => names.length === 0) && text === null
  );
}

function placeFilter({ servers, namespaces }: Filter): (segment: StoredSegment) => boolean {
  const server = matcherOf(servers);
  const namespace = matcherOf(namespaces);
  return ({ place }) => server(place.server) && namespace(place.namespace);
}

function matcherOf(patterns: readonly string[]): (name: string) => boolean {
  if (patterns.length === 0) return () => true;
  const all = patterns.map(
    (pattern) =>
      new RegExp(
        `^${pattern
          .split('*')
          .map((text) => RegExp.escape(text))
          .join('.*')}$`,
        's',
      ),
  );
  return (name) => all.some((one) => one.test(name));
}

/** Gives segments, the newest first, that must be read, until what the others may hold is not needed. */
async function* untilEnough(
  segments: AsyncIterable<StoredSegment>,
  enough: (unreadBeforeMs: number) => boolean,
  mustRead: (segment: StoredSegment) => boolean,
): AsyncIterable<StoredSegment> {
  let passed = 0;
  let ask = ASK_FIRST;
  for await (const segment of segments) {
    passed += 1;
    if (passed === ask) {
      ask = Math.ceil(ask * 1.25);
      // Lines of a segment are at most the slack later than its first one, and a result so much later than its call.
      if (enough(msOf(segment.place.second) + 1_000 + SEGMENT_SLACK_MS + LATEST_RESULT_MS)) return;
    }
    if (mustRead(segment)) yield segment;
  }
}

/** `YYYYMMDDTHHMMSSZ` */
function msOf(second: string): number {
  const [year, month, day, hour, minute, of] = [
    second.slice(0, 4),
    second.slice(4, 6),
    second.slice(6, 8),
    second.slice(9, 11),
    second.slice(11, 13),
    second.slice(13, 15),
  ];
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${of}Z`);
}

async function* async<T>(items: AsyncIterable<T> | Iterable<T>): AsyncIterable<T> {
  yield* items;
}

async function* filterAsync<T>(items: AsyncIterable<T>, test: (item: T) => boolean): AsyncIterable<T> {
  for await (const item of items) if (test(item)) yield item;
}
