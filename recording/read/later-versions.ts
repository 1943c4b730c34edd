/**
 * Owns what is said of a segment that somebody overwrote or deleted in a store that keeps versions.
 * Invariants: a later version with the very bytes of the first is none: it was put twice, or moved to another storage class. One that
 * can't be had any more is not excused, and ends no verification.
 */
import { type ObjectStore, StoreError } from '../store/object-store.ts';
import { MAX_OBJECT_BYTES } from './fetch-segments.ts';
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
  const found = later.length === 0 ? 'same' : await compare(store, object, signal);
  if (found !== 'same') {
    const one = later.length === 1;
    const compared = found === 'different' ? '' : `, which could not be compared (${found.notCompared})`;
    changes.push({
      code: 'overwritten',
      what:
        `its object was overwritten: over the first version of ${key} lie${one ? 's' : ''} ${later.length} later ` +
        `${one ? 'one' : 'ones'}, put at ${later
          .map(({ time }) => time ?? 'an unknown time')
          .slice(0, MAX_COMPARED)
          .join(', ')}${compared}; ` +
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

/** Whether the later versions have the bytes of the first; why that can't be said any more where one of them can't be had. */
async function compare(
  store: ObjectStore,
  { key, size, version, later }: KeptObject,
  signal: AbortSignal | undefined,
): Promise<'same' | 'different' | { notCompared: string }> {
  if (later.length > MAX_COMPARED || later.some((other) => other.size !== size)) return 'different';
  if (size > MAX_OBJECT_BYTES) return { notCompared: 'each is larger than any segment' };
  let notCompared = '';
  const read = async (name: string, which: string | null): Promise<Buffer | null> => {
    try {
      return Buffer.from(await store.get(key, signal, which));
    } catch (error) {
      if (!(error instanceof StoreError) || !['not_found', 'invalid'].includes(error.code)) throw error;
      notCompared = error.code === 'invalid' ? error.message : `${name} was removed meanwhile`;
      return null;
    }
  };
  const first = await read('the first', version);
  if (first === null) return { notCompared };
  for (const { version: which } of later) {
    const other = await read('a later one', which);
    if (other !== null && !first.equals(other)) return 'different';
  }
  return notCompared === '' ? 'same' : { notCompared };
}
