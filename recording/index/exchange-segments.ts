/**
 * Owns the way from the name of an exchange to all its lines: the index says in which segments they are, those are fetched and read.
 * Invariant: decoded segments in memory are bounded, but for the lines of the one exchange that is put together.
 */
import type { DatabaseSync } from 'node:sqlite';
import { parseSegmentKey } from '../format/keys.ts';
import type { ResultLine } from '../format/line.ts';
import { parseMicros } from '../format/time.ts';
import {
  createRawLines,
  type ExchangeLine,
  isComplete,
  type ReadExchange,
  readExchange,
  type ReadExchangeOptions,
} from '../read/exchange-reader.ts';
import {
  type LinePlace,
  placesOf,
  type ReadSegment,
  type RecordedLine,
  readThese,
  type StoredSegment,
} from '../read/store-reader.ts';
import type { TimeRange } from '../read/time-range.ts';
import type { ObjectStore } from '../store/object-store.ts';
import type { ExchangeName } from './reader.ts';

/** Decoded bytes of segments that are kept for the next exchange. */
const MAX_CACHED_BYTES = 32 * 2 ** 20;

export interface ExchangeSegments {
  /** Segments with lines of the exchange, or with results of its calls, in order; empty when the index has none. */
  of(name: ExchangeName): StoredSegment[];
  /** Exchanges with calls in that time whose request is not in the index; each once, as one that is not found is not looked for again. */
  withoutRequest(between: TimeRange, limit: number): ExchangeName[];
  /** Names that are collected, each once. */
  collect(): { add(stream: string, exchange: string): void; inOrder(): Iterable<ExchangeName> };
}

export function createExchangeSegments(database: DatabaseSync): ExchangeSegments {
  const findExchange = database.prepare(`
    SELECT exchanges.id FROM streams JOIN exchanges ON exchanges.stream = streams.id
    WHERE streams.name = :stream AND exchanges.name = :exchange`);
  const findSegments = database.prepare(`
    SELECT key, size, version FROM segments WHERE id IN (
      SELECT segment FROM parts WHERE exchange = :id
      UNION SELECT results.segment FROM calls JOIN results ON results.operation = calls.operation WHERE calls.exchange = :id)
    ORDER BY number`);
  const findUnknown = database.prepare(`
    SELECT DISTINCT streams.name AS stream, exchanges.name AS exchange FROM calls
    JOIN exchanges ON exchanges.id = calls.exchange JOIN streams ON streams.id = exchanges.stream
    WHERE calls.principal IS NULL AND calls.time >= :since AND calls.time < :until`);
  const sought = new Set<string>();

  return {
    of(name) {
      const id = findExchange.get({ ...name })?.['id'];
      if (id === undefined) return [];
      return findSegments.all({ id }).flatMap((row) => {
        const { key, size, version } = row as unknown as Pick<StoredSegment, 'key' | 'size' | 'version'>;
        const place = parseSegmentKey(key);
        return place === null ? [] : [{ key, place, size, version, changed: false }];
      });
    },
    withoutRequest({ since, until }, limit) {
      const values = {
        since: since === null ? 0 : parseMicros(since),
        until: until === null ? Number.MAX_SAFE_INTEGER : parseMicros(until),
      };
      const found: ExchangeName[] = [];
      for (const row of findUnknown.iterate(values)) {
        const { stream, exchange } = row as unknown as ExchangeName;
        const name = `${stream}/${exchange}`;
        if (sought.has(name)) continue;
        sought.add(name);
        found.push({ stream, exchange });
        if (found.length === limit) break;
      }
      return found;
    },
    collect() {
      database.exec(
        'CREATE TEMP TABLE IF NOT EXISTS collected (id INTEGER PRIMARY KEY); DELETE FROM temp.collected',
      );
      const add = database.prepare(
        `INSERT OR IGNORE INTO temp.collected SELECT exchanges.id FROM exchanges JOIN streams ON streams.id = exchanges.stream
         WHERE streams.name = ? AND exchanges.name = ?`,
      );
      const ordered = database.prepare(
        `SELECT exchanges.name AS exchange, streams.name AS stream FROM temp.collected
         JOIN exchanges ON exchanges.id = collected.id JOIN streams ON streams.id = exchanges.stream
         LEFT JOIN parts ON parts.exchange = exchanges.id AND parts.time IS NOT NULL
         ORDER BY parts.time IS NULL, parts.time, streams.name, parts.seq, exchanges.name`,
      );
      return {
        add: (stream, exchange) => void add.run(stream, exchange),
        *inOrder() {
          for (const row of ordered.iterate()) yield { ...row } as unknown as ExchangeName;
        },
      };
    },
  };
}

/** A decoded segment with the places of each exchange's lines. */
interface CachedSegment {
  read: ReadSegment;
  places: ReadonlyMap<string, LinePlace[]>;
}

/** Gives the lines of a segment that name an exchange; none when it is gone or damaged, which is told. */
export type SegmentCache = (segment: StoredSegment, exchange: string) => Promise<Iterable<RecordedLine>>;

export function createSegmentCache(
  store: ObjectStore,
  options: ReadExchangeOptions,
  onRead: (read: ReadSegment) => void,
): SegmentCache {
  const cached = new Map<string, CachedSegment>();
  let bytes = 0;

  async function find(segment: StoredSegment): Promise<CachedSegment | null> {
    const found = cached.get(segment.key);
    if (found !== undefined) return found;
    for await (const read of readThese(store, one(segment), options)) {
      onRead(read);
      // The oldest go first, so that there is room for the new one.
      bytes += read.decoded.length;
      for (const [key, { read: old }] of cached) {
        if (bytes <= MAX_CACHED_BYTES) break;
        cached.delete(key);
        bytes -= old.decoded.length;
      }
      const made = { read, places: placesByExchange(read.decoded) };
      cached.set(segment.key, made);
      return made;
    }
    return null;
  }

  return async (segment, exchange) => {
    const { read, places } = (await find(segment)) ?? {};
    return read?.linesAt(places?.get(exchange) ?? []) ?? [];
  };
}

/** A name in a line. In a body quotes are escaped: there it would read `\"exchange\"`. */
const NAMED = /"(?:call_)?exchange":"[0-9A-Z]{26}"/g;
const ULID_LENGTH = 26;

/** Where the lines that name an exchange stand; looking for each exchange by itself would go through all bytes each time. */
function placesByExchange(decoded: Buffer): Map<string, LinePlace[]> {
  const places = new Map<string, LinePlace[]>();
  for (const place of placesOf(decoded)) {
    // One byte a character: names are ASCII, and places in the text are places in the bytes.
    for (const { 0: named, index } of decoded.toString('latin1', place.start, place.end).matchAll(NAMED)) {
      const end = place.start + index + named.length - 1;
      // Not a part of the line's text, which it would keep in memory.
      const exchange = decoded.toString('latin1', end - ULID_LENGTH, end);
      const of = places.get(exchange);
      if (of === undefined) places.set(exchange, [place]);
      else if (of.at(-1) !== place) of.push(place);
    }
  }
  return places;
}

/** All lines of an exchange. @param segments where the index has it; empty: it is looked for by the time in its id */
export async function readWhole(
  store: ObjectStore,
  { exchange, stream }: ExchangeName,
  segments: readonly StoredSegment[],
  read: SegmentCache,
  options: ReadExchangeOptions,
): Promise<ReadExchange | null> {
  const lines = new Map<number, ExchangeLine>();
  const resultsElsewhere: ResultLine[] = [];
  const raw = createRawLines(options);
  let first = null as StoredSegment | null;
  for (const segment of segments) {
    for (const { line, bytes } of await read(segment, exchange)) {
      if (!('exchange' in line)) continue;
      if (line.exchange === exchange && line.part !== null) {
        lines.set(line.part, line);
        raw.add(line.part, bytes);
        first ??= segment;
      } else if (line.type === 'result' && line.call_exchange === exchange) {
        resultsElsewhere.push(line);
        raw.addLate(bytes);
      }
    }
  }
  if (first === null) return await readExchange(store, exchange, options);
  return {
    exchange,
    stream,
    segment: first,
    lines: [...lines.values()].toSorted((a, b) => (a.part ?? 0) - (b.part ?? 0)),
    raw: raw.inOrder(),
    resultsElsewhere,
    complete: isComplete(lines),
  };
}

async function* one<T>(item: T): AsyncIterable<T> {
  yield item;
}
