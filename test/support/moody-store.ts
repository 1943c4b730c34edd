/**
 * Owns an object store whose puts wait or fail as a test says, in front of a real one.
 */
import { type ObjectStore, StoreError } from '@mcp-recorder/recording/store/object-store';

export type Mood = 'well' | 'silent' | 'held' | 'down';

export interface MoodyStore {
  store: ObjectStore;
  /** `silent`: takes requests that are never answered, not even when it is well again; `held`: that are answered then. */
  be(mood: Mood): void;
  /** Probes and puts so far. */
  readonly asked: number;
}

/** What it answers while it is down. */
export const DOWN = new StoreError('unreachable', 'put', 'any', 'Start it.', new Error('ECONNREFUSED'));

export function createMoodyStore(real: ObjectStore): MoodyStore {
  let mood: Mood = 'well';
  let asked = 0;
  let waiting: (() => void)[] = [];
  async function feel(signal?: AbortSignal): Promise<void> {
    asked += 1;
    if (mood === 'down') throw DOWN;
    if (mood === 'held') await new Promise<void>((go) => waiting.push(go));
    if (mood === 'silent') {
      await new Promise((_, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason as Error));
      });
    }
  }
  return {
    store: {
      ...real,
      async probe(signal) {
        await feel(signal);
        return real.probe(signal);
      },
      async putIfAbsent(key, bytes, sha256, signal) {
        await feel(signal);
        return real.putIfAbsent(key, bytes, sha256, signal);
      },
    },
    be(next) {
      mood = next;
      for (const go of waiting) go();
      waiting = [];
    },
    get asked() {
      return asked;
    },
  };
}
