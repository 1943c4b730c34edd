/**
 * Owns which version of an object counts: the first one, which its recorder put. What came later is told, not read.
 * Invariant: an object that somebody overwrote or deleted is listed as it was first, as long as the store keeps its versions and
 * lets them be listed. Where it does not, that is told once and the newest are listed.
 */
import { StoreError, type ListOptions, type ObjectStore, type ObjectVersion } from '../store/object-store.ts';
import type { WantedObject } from './fetch-segments.ts';

/** An object and what happened to it since it was first put. */
export interface KeptObject extends WantedObject {
  /** Versions that were put over it, oldest first. */
  later: ObjectVersion[];
  /** The first deletion; null when there is none. */
  deletion: ObjectVersion | null;
  /** Whether there are bytes to read. If not, a deletion is all that is left. */
  readable: boolean;
  /** Whether who reads without naming a version finds it. */
  current: boolean;
  /** Whether the store keeps versions of it. */
  versioned: boolean;
}

/** Lists as `ObjectStore.list` does. @throws StoreError */
export type ListKept = (prefix: string, options?: ListOptions) => AsyncIterable<KeptObject>;

/** @param onUnknown told once when versions can't be listed, with the reason */
export function createKeptLister(store: ObjectStore, onUnknown: (why: StoreError) => void): ListKept {
  let versions = true;
  return async function* listKept(prefix, options = {}) {
    if (versions) {
      let begun = false;
      try {
        for await (const { key, versions: all } of store.history(prefix, options)) {
          begun = true;
          yield keptOf(key, all);
        }
        return;
      } catch (error) {
        if (begun || !(error instanceof StoreError) || error.code !== 'denied') throw error;
        versions = false;
        onUnknown(error);
      }
    }
    for await (const { key, size } of store.list(prefix, options)) {
      yield {
        key,
        size,
        version: null,
        later: [],
        deletion: null,
        readable: true,
        current: true,
        versioned: false,
      };
    }
  };
}

function keptOf(key: string, versions: readonly ObjectVersion[]): KeptObject {
  const objects = versions.filter(({ kind }) => kind === 'object');
  const deletion = versions.find(({ kind }) => kind === 'deleted') ?? null;
  const [first, ...later] = objects;
  // An object that nobody touched is read without naming its version, which takes fewer rights.
  const version = later.length > 0 || deletion !== null ? (first?.version ?? null) : null;
  return {
    key,
    size: first?.size ?? 0,
    version,
    later,
    deletion,
    readable: first !== undefined,
    current: versions.at(-1)?.kind === 'object',
    // `null` is what S3 calls the only version of an object in a bucket without versions.
    versioned: versions.some((one) => one.version !== null && one.version !== 'null'),
  };
}
