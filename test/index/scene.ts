/**
 * Owns a small recording in a directory of the test's own, and readers of it.
 * Invariant: readers are closed before the directory is removed.
 */
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createUlidFactory } from '@mcp-recorder/recording/format/ulid';
import { EVERYTHING, type Filter } from '@mcp-recorder/recording/index/filter';
import { openReader, type Reader, type ReaderOptions } from '@mcp-recorder/recording/index/reader';
import type { Row } from '@mcp-recorder/recording/index/row';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { type BuiltSegment, objectOf, store as put } from '../recording/stream-builder.ts';

export const START_MS = Date.parse('2026-11-21T08:40:00Z');
export const STREAM = '01KAH3M8ZK4T9V2B6XN5R0WCEA';
export const OTHER_STREAM = '01KAH3M8ZK4T9V2B6XN5R0WCEB';

export interface Scene {
  directory: string;
  store: ObjectStore;
  indexFile: string;
  /** Sentences of what could not be read, since the last call. */
  told(): string[];
  /** Segments that were read into indexes, since the last call. */
  segmentsRead(): number;
  newId(): string;
  open(options?: Partial<ReaderOptions>): Reader;
  put(...segments: readonly BuiltSegment[]): Promise<void>;
  fileOf(segment: BuiltSegment): string;
  /** Stores other lines under the key of a segment. */
  overwrite(segment: BuiltSegment, lines: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

export async function createScene(): Promise<Scene> {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-index-'));
  const root = path.join(directory, 'recording');
  await fs.mkdir(root);
  const store = createDirectoryStore(root);
  const readers: Reader[] = [];
  const indexFile = path.join(directory, 'cache', 'index', 'one.sqlite');
  let told: string[] = [];
  let read = 0;
  const fileOf = ({ key }: BuiltSegment) => path.join(root, key);
  return {
    directory,
    store,
    indexFile,
    fileOf,
    told: () => told.splice(0),
    segmentsRead: () => {
      const since = read;
      read = 0;
      return since;
    },
    newId: createUlidFactory(() => START_MS),
    open(options = {}) {
      const reader = openReader(store, {
        indexFile,
        onUnreadable: ({ message }) => told.push(message),
        onProgress: () => (read += 1),
        ...options,
      });
      readers.push(reader);
      return reader;
    },
    put: (...segments) => put(store, ...segments),
    overwrite: (segment, lines) => fs.writeFile(fileOf(segment), objectOf(lines)),
    async close() {
      for (const reader of readers) reader.close();
      told = [];
      await fs.rm(directory, { recursive: true });
    },
  };
}

/** The rows that match, oldest first unless asked otherwise. */
export function rowsOf(
  reader: Reader,
  filter: Partial<Filter> = {},
  options: { limit?: number; order?: 'newest' | 'oldest' } = {},
): Promise<Row[]> {
  const { limit = null, order = 'oldest' } = options;
  return Array.fromAsync(reader.search({ ...EVERYTHING, ...filter }, { limit, order }));
}

/** Targets of the rows' calls. */
export async function targetsOf(...asked: Parameters<typeof rowsOf>): Promise<(string | null)[]> {
  return (await rowsOf(...asked)).map(({ call, result }) => (call ?? result)?.target ?? null);
}
