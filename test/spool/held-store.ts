/**
 * Owns an object store whose puts wait until the test lets them go, one by one or all.
 */
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { createMemoryStore } from './memory-store.ts';

export interface HeldStore {
  store: ObjectStore;
  objects: Map<string, Uint8Array>;
  /** Keys whose puts wait, oldest first. */
  readonly waiting: string[];
  /** Lets the put of this place in `waiting` go. */
  release(place: number): void;
  /** Lets all go, and all that come. */
  open(): void;
}

export function createHeldStore(): HeldStore {
  const real = createMemoryStore();
  let held: { key: string; go: () => void }[] = [];
  let isOpen = false;
  return {
    objects: real.objects,
    store: {
      ...real,
      async putIfAbsent(key, bytes, sha256, signal) {
        if (!isOpen) {
          await new Promise<void>((go, stop) => {
            held.push({ key, go });
            signal?.addEventListener('abort', () => stop(signal.reason as Error));
          });
        }
        return real.putIfAbsent(key, bytes, sha256, signal);
      },
    },
    get waiting() {
      return held.map(({ key }) => key);
    },
    release(place) {
      held.splice(place, 1)[0]?.go();
    },
    open() {
      isOpen = true;
      for (const { go } of held) go();
      held = [];
    },
  };
}
