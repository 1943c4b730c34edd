/**
 * Owns the way of sealed objects from the spool to the object store.
 * Invariants:
 * - an object is confirmed only when the store has said, for this very object, that it is there with this SHA-256;
 * - a key that holds other bytes is never overwritten: the object goes beside it as a further copy (`.r1` to `.r9`), and that is told.
 */
import { hash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { type ObjectStore, StoreError } from '@mcp-recorder/recording/store/object-store';
import type { SealedObject } from './spool/spool.ts';

/** Objects on their way at once. */
const IN_FLIGHT = 4;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 10_000;
const COPIES = 9;

export interface UploaderOptions {
  store: ObjectStore;
  /** The object's bytes, from the spool. */
  read(object: SealedObject): Promise<Uint8Array>;
  /** The store has it. */
  confirmed(object: SealedObject): void;
  /** Something failed and is tried again, or a key was taken by a foreign object. */
  onFailure(message: string, hint: string): void;
}

export interface Uploader {
  add(object: SealedObject): void;
  /** Objects that are not confirmed. */
  readonly waiting: number;
  /** Begins nothing any more and calls off what is on its way; resolves when that has ended. */
  close(): Promise<void>;
}

/** A random pause before the n-th retry (from 1): "full jitter", so that many recorders don't return to a store at once. */
function jitteredMs(failures: number): number {
  return Math.random() * Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS);
}

function copyKey(key: string, copy: number): string {
  return copy === 0 ? key : key.replace(/\.jsonl\.zst$/, `.r${copy}.jsonl.zst`);
}

export function createUploader(options: UploaderOptions): Uploader {
  const { store } = options;
  const queue: SealedObject[] = [];
  const running = new Set<Promise<void>>();
  const stopped = new AbortController();
  const { signal } = stopped;

  /** SHA-256 of what stands under the key, hex, read back when the store does not know it. */
  async function storedSha256(key: string): Promise<string> {
    const info = await store.head(key, signal);
    return info?.sha256 ?? hash('sha256', await store.get(key, signal), 'hex');
  }

  /** Whether the object is under this key now; false when the key holds something else. */
  async function put(object: SealedObject, key: string, bytes: Uint8Array): Promise<boolean> {
    const answer = await store.putIfAbsent(key, bytes, object.sha256, signal);
    if (answer.outcome === 'created') return true;
    return (answer.sha256 ?? (await storedSha256(key))) === object.sha256;
  }

  /** Stores it under the first key that is free or holds it already. */
  async function place(object: SealedObject): Promise<void> {
    const bytes = await options.read(object);
    for (let copy = 0; copy <= COPIES; copy += 1) {
      const key = copyKey(object.key, copy);
      if (await put(object, key, bytes)) return;
      options.onFailure(
        `${key} in ${store.location} holds an object that this recorder did not write`,
        'Somebody else writes to this part of the store. The recording goes beside it as a further copy; `verify` will name both.',
      );
    }
    throw new Error(`all ${COPIES + 1} keys of ${object.key} in ${store.location} hold foreign objects`);
  }

  async function upload(object: SealedObject): Promise<void> {
    for (let failures = 1; !signal.aborted; failures += 1) {
      try {
        await place(object);
        options.confirmed(object);
        return;
      } catch (error) {
        if (signal.aborted) return;
        const message = error instanceof Error ? error.message : String(error);
        const hint =
          error instanceof StoreError ? error.hint : 'The recorder tries again; nothing is lost meanwhile.';
        options.onFailure(message, hint);
        await pause(jitteredMs(failures), undefined, { signal }).catch(() => {});
      }
    }
  }

  function next(): void {
    while (running.size < IN_FLIGHT && queue.length > 0 && !signal.aborted) {
      const task = upload(queue.shift() as SealedObject).finally(() => {
        running.delete(task);
        next();
      });
      running.add(task);
    }
  }

  return {
    add(object) {
      queue.push(object);
      next();
    },
    get waiting() {
      return queue.length + running.size;
    },
    async close() {
      stopped.abort();
      await Promise.all(running);
    },
  };
}
