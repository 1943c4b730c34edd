/**
 * Owns what is said of a segment that somebody overwrote or deleted in a store that keeps versions.
 * Invariant: a later version with the very bytes of the first is none: it was put twice, or moved to another storage class.
 */
import type { ObjectStore } from '../store/object-store.ts';
import type { KeptObject } from './kept-objects.ts';

export interface Change {
  code: 'overwritten' | 'deleted';
  /** The end of a sentence that begins with the segment. */
  what: string;
}

/** Later versions that are compared with the first. */
const MAX_COMPARED = 10;

/** What happened to the object after it was first put; empty when nothing did. @throws StoreError */
export async function findChanges(
  store: ObjectStore,
  object: KeptObject,
  signal: AbortSignal | undefined,
): Promise<Change[]> {
  const { key, later, deletion, readable, current } = object;
  const changes: Change[] = [];
  if (later.length > 0 && (await differs(store, object, signal))) {
    const one = later.length === 1;
    changes.push({
      code: 'overwritten',
      what:
        `its object was overwritten: over the first version of ${key} lie${one ? 's' : ''} ${later.length} later ` +
        `${one ? 'one' : 'ones'}, put at ${later
          .map(({ time }) => time ?? 'an unknown time')
          .slice(0, MAX_COMPARED)
          .join(', ')}; ` +
        'judged is the first',
    });
  }
  if (deletion !== null) {
    const when = deletion.time ?? 'an unknown time';
    const left = readable
      ? `what was stored first is still there and is what is judged${current ? '; it was stored again since' : ''}`
      : 'nothing of it is left';
    changes.push({
      code: 'deleted',
      what: `its object ${key} was deleted at ${when}, by a person or by a retention rule, which the store does not say; ${left}`,
    });
  }
  return changes;
}

async function differs(
  store: ObjectStore,
  { key, size, version, later }: KeptObject,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (later.length > MAX_COMPARED || later.some((other) => other.size !== size)) return true;
  const first = Buffer.from(await store.get(key, signal, version));
  for (const other of later) {
    if (!first.equals(await store.get(key, signal, other.version))) return true;
  }
  return false;
}
