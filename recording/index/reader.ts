/**
 * Owns reading a recording by what people ask for: rows that match a filter, and exchanges with all their lines.
 * Invariants: what is answered is what a reading of every line would answer, whatever was in the index before; the index holds nothing that
 * the store does not, and may be deleted at any time; memory does not grow with the store.
 */
import type { ReadExchange } from '../read/exchange-reader.ts';
import type { Unreadable } from '../read/store-reader.ts';
import type { ObjectStore } from '../store/object-store.ts';
import type { Filter } from './filter.ts';
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
  /** The rows that match. @throws StoreError when the store itself can't be read */
  search(filter: Filter, options: SearchOptions): AsyncIterable<Row>;
  /** What was not recorded in that time and place, oldest first. @throws StoreError */
  gaps(filter: Pick<Filter, 'between' | 'servers' | 'namespaces'>): Promise<PlacedGap[]>;
  /** The exchanges of the rows that match, each once, in the order in which they began. @throws StoreError */
  exchanges(filter: Filter): AsyncIterable<ExchangeName>;
  /** Each exchange with all its lines, in the order they are asked for. One of which no line is found is left out. @throws StoreError */
  readExchanges(names: AsyncIterable<ExchangeName> | Iterable<ExchangeName>): AsyncIterable<ReadExchange>;
  close(): void;
}

/** @throws StoreError; an index that can't be used is made anew */
export declare function openReader(store: ObjectStore, options: ReaderOptions): Promise<Reader>;
