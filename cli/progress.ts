/**
 * Owns the one line that says how far long work is.
 * Invariant: nothing is written unless a person watches (a terminal on stderr) and waits (more than a second).
 */
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { count } from './table.ts';

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
  return {
    update(text) {
      if (!to.isTTY || nowMs() < nextMs) return;
      nextMs = nowMs() + EVERY_MS;
      shown = true;
      // Some terminals say that they have no columns.
      to.write(`\r\u001b[K${text.slice(0, (to.columns || 80) - 1)}`);
    },
    done() {
      if (shown) to.write('\r\u001b[K');
      shown = false;
    },
  };
}

/** The store, with each object that is read from it shown as progress. */
export function watchReads(store: ObjectStore, progress: Progress): ObjectStore {
  let objects = 0;
  return {
    location: store.location,
    putIfAbsent: (...put) => store.putIfAbsent(...put),
    head: (...head) => store.head(...head),
    list: (...list) => store.list(...list),
    history: (...history) => store.history(...history),
    probe: (...probe) => store.probe(...probe),
    async get(...get) {
      const bytes = await store.get(...get);
      objects += 1;
      progress.update(`${count(objects, 'object')} read`);
      return bytes;
    },
  };
}
