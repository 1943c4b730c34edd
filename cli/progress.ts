/**
 * Owns the one line that says how far long work is.
 * Invariant: nothing is written unless a person watches (a terminal on stderr) and waits (more than a second).
 */
import type { ReadProgress } from '@mcp-recorder/recording/index/reader';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { storeWithGet } from './store-with-get.ts';
import { count, formatDuration } from './table.ts';

const PATIENCE_MS = 1_000;
const EVERY_MS = 100;

export interface Progress {
  /** Shows the text in place of the one before. */
  update(text: string): void;
  /** Removes the line. */
  done(): void;
}

/** @param to standard error, where it mixes with no output */
export function createProgress(
  to: Pick<NodeJS.WriteStream, 'isTTY' | 'columns' | 'write'> = process.stderr,
  nowMs = Date.now,
): Progress {
  let nextMs = nowMs() + PATIENCE_MS;
  let shown = false;
  let latest = '';
  let timer: NodeJS.Timeout | null = null;
  const show = (): void => {
    nextMs = nowMs() + EVERY_MS;
    shown = true;
    // Some terminals say that they have no columns.
    to.write(`\r\u001b[K${latest.slice(0, (to.columns || 80) - 1)}`);
  };
  const unschedule = (): void => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
  };
  return {
    update(text) {
      if (!to.isTTY) return;
      latest = text;
      if (nowMs() >= nextMs) {
        unschedule();
        show();
        return;
      }
      // What comes next may take long.
      timer ??= setTimeout(() => {
        timer = null;
        show();
      }, nextMs - nowMs()).unref();
    },
    done() {
      unschedule();
      if (shown) to.write('\r\u001b[K');
      shown = false;
    },
  };
}

/** `12 of 340 objects, 8.0 of 120.3 MiB, 16.1 MiB/s, 7 s left`. @param forMs since it began */
export function describeReading(read: ReadProgress, forMs: number): string {
  const { segments, ofSegments, bytes, ofBytes } = read;
  const mib = (of: number): string => (of / 2 ** 20).toFixed(1);
  const rate = `${mib(bytes / (Math.max(forMs, 1) / 1_000))} MiB/s`;
  if (ofSegments === null || ofBytes === null) {
    return `${count(segments, 'object')}, ${mib(bytes)} MiB read, ${rate}`;
  }
  const leftMs = bytes === 0 ? null : (forMs * (ofBytes - bytes)) / bytes;
  const left = leftMs === null ? '' : `, ${formatLeft(leftMs)} left`;
  return `${segments} of ${count(ofSegments, 'object')}, ${mib(bytes)} of ${mib(ofBytes)} MiB, ${rate}${left}`;
}

/** Whole seconds: nobody knows it better. */
function formatLeft(leftMs: number): string {
  const seconds = Math.ceil(leftMs / 1_000);
  return seconds < 60 ? `${seconds} s` : formatDuration(seconds * 1_000_000);
}

/** The store, with each object that is read from it shown as progress. */
export function watchReads(store: ObjectStore, progress: Progress): ObjectStore {
  let objects = 0;
  return storeWithGet(store, async (...get) => {
    const bytes = await store.get(...get);
    objects += 1;
    progress.update(`${count(objects, 'object')} read`);
    return bytes;
  });
}
