/**
 * Owns reading a recording by what people ask for: rows that match a filter, and exchanges with all their lines.
 * Invariants: what is answered is what a reading of every line would answer, whatever was in the index before; the index holds nothing that
 * the store does not, and may be deleted at any time; memory does not grow with the store.
 */
import { formatMicros } from '../format/time.ts';
import type { ReadExchange } from '../read/exchange-reader.ts';
import type { Unreadable } from '../read/store-reader.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { createExchangeSegments, createSegmentCache, readWhole } from './exchange-segments.ts';
import { createFill } from './fill.ts';
import { EVERYTHING, type Filter } from './filter.ts';
import { openIndexFile } from './index-file.ts';
import { createRowQueries } from './row-queries.ts';
import { createSegmentTable } from './segment-table.ts';
import { queryOfText } from './text.ts';
import type { PlacedGap, Row } from './row.ts';

export interface ReaderOptions {
  /** A file of SQLite that remembers what was read; null: nothing is kept after `close`. */
  indexFile: string | null;
  /** Told of each object and line that can't be read; the others are. */
  onUnreadable(problem: Unreadable): void;
  /** Told while segments are read into the index. */
  onProgress?(progress: ReadProgress): void;
  /** When it is aborted no more is read: what is known by then is answered. */
  signal?: AbortSignal;
}

export interface ReadProgress {
  /** Segments that were read, of as many as are known to be needed (null: that is not known). */
  segments: number;
  ofSegments: number | null;
  /** Their compressed bytes. */
  bytes: number;
  ofBytes: number | null;
}

export interface SearchOptions {
  /** Rows at most; null: all. Only as much of the store is read as it takes. */
  limit: number | null;
  /** By time, then by stream and seq. */
  order: 'newest' | 'oldest';
}

/** Names an exchange. */
export interface ExchangeName {
  exchange: string;
  stream: string;
}

export interface Reader {
  /** The rows that match; one search at a time. @throws StoreError when the store itself can't be read; NoWords */
  search(filter: Filter, options: SearchOptions): AsyncIterable<Row>;
  /** What was not recorded in that time and place, oldest first. @throws StoreError */
  gaps(filter: Pick<Filter, 'between' | 'servers' | 'namespaces'>): Promise<PlacedGap[]>;
  /** The exchanges of the rows that match, each once, in the order in which they began. @throws StoreError */
  exchanges(filter: Filter): AsyncIterable<ExchangeName>;
  /** Each exchange with all its lines, in the order they are asked for. One of which no line is found is left out. @throws StoreError */
  readExchanges(
    names: AsyncIterable<ExchangeName> | Iterable<ExchangeName>,
    wanted?: { raw?: boolean },
  ): AsyncIterable<ReadExchange>;
  close(): void;
}

/** Exchanges whose request is looked for in one search at most. */
const MAX_SOUGHT = 10_000;

/** Opens a reader. An index that can't be used is made anew. */
export function openReader(store: ObjectStore, options: ReaderOptions): Reader {
  const { indexFile, onUnreadable, signal } = options;
  const { database, close } = openIndexFile(indexFile, store.location);
  const table = createSegmentTable(database);
  const fill = createFill({ ...options, store, table });
  const queries = createRowQueries(database);
  const findSegments = createExchangeSegments(database);
  /** Exchanges whose request was looked for: where it is not found it is not looked for again. */
  const sought = new Set<string>();

  async function prepare(filter: Filter, { limit, order }: SearchOptions): Promise<void> {
    const enough =
      limit === null || order === 'oldest'
        ? null
        : (unreadBeforeMs: number): boolean => {
            const since = formatMicros(unreadBeforeMs * 1_000);
            const between = { ...filter.between, since: later(filter.between.since, since) };
            return count(queries.rows({ ...filter, between }, order), limit) === limit;
          };
    await fill.fill(filter, enough);
    const unknown = findSegments.withoutRequest(filter.between, MAX_SOUGHT).filter(({ stream, exchange }) => {
      const name = `${stream}/${exchange}`;
      if (sought.has(name)) return false;
      sought.add(name);
      return true;
    });
    if (unknown.length > 0) await fill.fillBeginnings(unknown);
  }

  async function* search(filter: Filter, searching: SearchOptions): AsyncIterable<Row> {
    if (filter.text !== null) queryOfText(filter.text);
    await prepare(filter, searching);
    const { limit, order } = searching;
    let left = limit ?? Number.POSITIVE_INFINITY;
    if (left === 0) return;
    for (const row of queries.rows(filter, order)) {
      yield row;
      left -= 1;
      if (left === 0) return;
    }
  }

  return {
    search,
    async gaps(filter) {
      await fill.fill({ ...EVERYTHING, ...filter, text: null }, null);
      return queries.gaps(filter);
    },
    async *exchanges(filter) {
      const names = findSegments.collect();
      for await (const { exchange, stream, result } of search(filter, { limit: null, order: 'oldest' })) {
        const name = exchange ?? result?.exchange ?? null;
        if (name !== null) names.add(exchange === null ? (result?.stream ?? stream) : stream, name);
      }
      yield* names.inOrder();
    },
    async *readExchanges(names, wanted = {}) {
      const reading = { onUnreadable, ...wanted, ...(signal && { signal }) };
      const segments = createSegmentCache(store, reading, fill.check);
      for await (const name of names) {
        const read = await readWhole(store, name, findSegments.of(name), segments, reading);
        if (read !== null) yield read;
      }
    },
    close,
  };
}

function later(one: string | null, other: string): string {
  return one === null || one < other ? other : one;
}

function count(rows: Iterable<unknown>, most: number): number {
  let found = 0;
  for (const _row of rows) {
    found += 1;
    if (found === most) break;
  }
  return found;
}
