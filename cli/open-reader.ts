/**
 * Owns how a command opens a recording through the reading library: where its index lies, what is told while it reads, and what can't be read.
 * Invariant: an index that can't be kept costs time, never an answer.
 */
import { hash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import v8 from 'node:v8';
import type { Reader, ReaderOptions } from '@mcp-recorder/recording/index/reader';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import type { Command } from 'commander';
import { printableLine } from './printable.ts';
import { createProgress, describeReading } from './progress.ts';
import { count } from './table.ts';
import { reportUnreadable } from './unreadable.ts';

export interface IndexFlags {
  /** False with `--no-index`. */
  index?: boolean;
}

export interface ReaderFlags extends IndexFlags {
  /** Reading ends early when it is aborted, with what is known by then. */
  signal?: AbortSignal;
}

export interface OpenedReader {
  reader: Reader;
  /** Objects and lines that could not be read so far, or are not what they were. */
  unreadable(): number;
}

/** Told one by one; of more only the number is told. */
const MOST_TOLD = 20;
/** Told apart; of more each time counts. */
const MOST_KNOWN = 10_000;

export function addIndexOption(command: Command): Command {
  return command.option('--no-index', 'keep nothing of what is read for the next time');
}

/** Opens the reader, works with it, and closes it. What `use` throws is thrown. */
export async function withReader<T>(
  store: ObjectStore,
  { index = true, signal }: ReaderFlags,
  use: (opened: OpenedReader) => Promise<T>,
): Promise<T> {
  // What is read passes through and is gone: a young generation of 64 MB, as V8 would make it, is 60 MB of memory for no time.
  v8.setFlagsFromString('--semi-space-growth-factor=1');
  // SQLite is loaded only by those who need it.
  const { openReader } = await import('@mcp-recorder/recording/index/reader');
  const progress = createProgress();
  const startedMs = performance.now();
  let unreadable = 0;
  const known = new Set<string>();
  const options: Omit<ReaderOptions, 'indexFile'> = {
    onUnreadable(problem) {
      // The same is met again where something is read once more.
      if (known.has(problem.message)) return;
      if (known.size < MOST_KNOWN) known.add(problem.message);
      unreadable += 1;
      if (unreadable > MOST_TOLD) return;
      progress.done();
      reportUnreadable(problem);
    },
    onProgress: (read) => progress.update(describeReading(read, performance.now() - startedMs)),
    ...(signal === undefined ? {} : { signal }),
  };
  const file = index ? await indexFile(store.location) : null;
  const open = (indexFile: string | null): Reader => openReader(store, { ...options, indexFile });
  const reader = file === null ? open(null) : openKept(file, open);
  // A person sees rows, not how far they are, once they come.
  const quiet = <Item>(items: AsyncIterable<Item>): AsyncIterable<Item> => whenFirst(items, progress.done);
  try {
    return await use({
      reader: {
        ...reader,
        search: (...asked) => quiet(reader.search(...asked)),
        exchanges: (...asked) => quiet(reader.exchanges(...asked)),
        readExchanges: (...asked) => quiet(reader.readExchanges(...asked)),
        gaps: (...asked) => reader.gaps(...asked).finally(progress.done),
      },
      unreadable: () => unreadable,
    });
  } finally {
    progress.done();
    reader.close();
    if (unreadable > MOST_TOLD) {
      const more = count(unreadable - MOST_TOLD, 'more thing');
      process.stderr.write(`mcp-recorder: ${more} could not be read as they should be.\n`);
    }
  }
}

/**
 * The file that remembers what was read of the store, in the user's cache directory; null when none can be made there.
 * @param location of the store: each has its own file
 */
export async function indexFile(location: string): Promise<string | null> {
  const { default: envPaths } = await import('env-paths');
  const directory = path.join(envPaths('mcp-recorder', { suffix: '' }).cache, 'index');
  try {
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    fs.accessSync(directory, fs.constants.W_OK | fs.constants.X_OK);
  } catch (error) {
    tellNotKept(directory, error);
    return null;
  }
  return path.join(directory, `${hash('sha256', location, 'hex').slice(0, 32)}.sqlite`);
}

/** With the index in the file; with one that is not kept where that can't be. */
function openKept(file: string, open: (indexFile: string | null) => Reader): Reader {
  try {
    return open(file);
  } catch (error) {
    tellNotKept(file, error);
    return open(null);
  }
}

function tellNotKept(where: string, error: unknown): void {
  const why = error instanceof Error ? error.message : String(error);
  const message = `What is read can't be kept in ${where} (${why}); reading goes on without, as with --no-index.`;
  process.stderr.write(`mcp-recorder: ${printableLine(message)}\n`);
}

/** Calls back when the first item is there, or that there is none. */
async function* whenFirst<Item>(items: AsyncIterable<Item>, callBack: () => void): AsyncIterable<Item> {
  let isFirst = true;
  try {
    for await (const item of items) {
      if (isFirst) callBack();
      isFirst = false;
      yield item;
    }
  } finally {
    callBack();
  }
}
