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
import { IndexReplaced, isDamaged, isIndexFailure, openIndexFile, removeIndex } from './index-file.ts';
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

/** Opens a reader. An index that can't be used is made anew. @throws when the file can't be made or opened */
export function openReader(store: ObjectStore, options: ReaderOptions): Reader {
  const { indexFile, onUnreadable, signal } = options;
  const told = createTold(onUnreadable);
  const open = (file: string | null) => openIndex(store, { ...options, onUnreadable: told }, file);
  let index = open(indexFile);
  let attempts = 0;

  /** Goes on with another index after one failed: with the file made anew, then with none. @throws the failure when that is of no use */
  function recover(failure: unknown): void {
    if (!isIndexFailure(failure) || attempts === 2) throw failure;
    attempts += 1;
    index.close();
    if (indexFile === null || attempts === 2 || !(isDamaged(failure) || failure instanceof IndexReplaced)) {
      attempts = 2;
      index = open(null);
      return;
    }
    if (isDamaged(failure)) removeIndex(indexFile);
    index = open(indexFile);
  }

  async function prepare(filter: Filter, { limit, order }: SearchOptions): Promise<void> {
    const { fill, queries, segments } = index;
    const enough =
      limit === null || order === 'oldest'
        ? null
        : (unreadBeforeMs: number): boolean => {
            const since = formatMicros(unreadBeforeMs * 1_000);
            const between = { ...filter.between, since: later(filter.between.since, since) };
            return count(queries.rows({ ...filter, between }, order), limit) === limit;
          };
    await fill.forFilter(filter, enough);
    const unknown = segments.withoutRequest(filter.between, MAX_SOUGHT);
    if (unknown.length === 0) return;
    await fill.fillBeginnings(unknown);
    // Whose they are is known now, and it may be somebody else's than was counted.
    if (enough !== null) await fill.forFilter(filter, enough);
  }

  /** The rows as far as they can be given; each try begins anew as long as none was given. */
  async function* search(filter: Filter, searching: SearchOptions): AsyncIterable<Row> {
    if (filter.text !== null) queryOfText(filter.text);
    const { limit, order } = searching;
    let given = 0;
    while (limit === null || given < limit) {
      try {
        index.check();
        await prepare(filter, searching);
        for (const row of index.queries.rows(filter, order)) {
          given += 1;
          yield row;
          if (given === limit) return;
        }
        return;
      } catch (failure) {
        if (given > 0) throw failure;
        recover(failure);
      }
    }
  }

  return {
    search,
    async gaps(filter) {
      for (;;) {
        try {
          index.check();
          await index.fill.forFilter({ ...EVERYTHING, ...filter, text: null }, null);
          return index.queries.gaps(filter);
        } catch (failure) {
          recover(failure);
        }
      }
    },
    async *exchanges(filter) {
      let from = index;
      let names = from.segments.collect();
      for await (const { exchange, stream, result } of search(filter, { limit: null, order: 'oldest' })) {
        if (from !== index) names = (from = index).segments.collect();
        const name = exchange ?? result?.exchange ?? null;
        if (name !== null) names.add(exchange === null ? (result?.stream ?? stream) : stream, name);
      }
      yield* names.inOrder();
    },
    async *readExchanges(names, wanted = {}) {
      const reading = { onUnreadable: told, ...wanted, ...(signal && { signal }) };
      const segments = createSegmentCache(store, reading, (read) => index.fill.check(read));
      for await (const name of names) {
        const read = await readWhole(store, name, index.segments.of(name), segments, reading);
        if (read !== null) yield read;
      }
    },
    close: () => index.close(),
  };
}

function openIndex(store: ObjectStore, options: ReaderOptions, file: string | null) {
  const { database, check, close } = openIndexFile(file, store.location);
  const table = createSegmentTable(database, check);
  return {
    check,
    close,
    fill: createFill({ ...options, store, table }),
    queries: createRowQueries(database),
    segments: createExchangeSegments(database),
  };
}

/** Tells of each thing once. */
function createTold(onUnreadable: ReaderOptions['onUnreadable']): ReaderOptions['onUnreadable'] {
  const told = new Set<string>();
  return (problem) => {
    const { key, line, message } = problem;
    const name = JSON.stringify([key, line ?? message]);
    if (told.has(name)) return;
    told.add(name);
    onUnreadable(problem);
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
