/**
 * Owns how segments come out of a store, for every reader: several fetched at once, one decoded ahead of the one that is worked on.
 * Invariant: objects come in the order they were asked for, whatever arrives first; what is in memory is bounded.
 */
import { StoreError, type ObjectStore } from '../store/object-store.ts';
import { readAhead } from './read-ahead.ts';
import { decodeSegment, SegmentDamaged } from './segment-object.ts';

/** An object to be fetched. */
export interface WantedObject {
  key: string;
  /** Bytes. */
  size: number;
  /** One that the store's history names; null = the newest. */
  version: string | null;
}

export type FetchedSegment = { kind: 'decoded'; decoded: Buffer } | NotFetched;

type NotFetched =
  /** The end of a sentence that begins with the object. */
  | { kind: 'damaged'; why: string }
  /** These credentials may list it and not read it. */
  | { kind: 'denied'; error: StoreError }
  /** Removed since it was listed. */
  | { kind: 'gone' };

/** A store far away answers in 20 to 200 ms; a segment is judged or parsed in 5 to 50. */
const MAX_AHEAD = 16;
/** A recorder's object is at most 16 MiB before compression; hundreds of KB as a rule. */
const MAX_AHEAD_BYTES = 64 * 2 ** 20;

/** Compressed. Far above what a recorder stores, so that no object can exhaust the memory of who reads it. */
export const MAX_OBJECT_BYTES = 64 * 2 ** 20;

/** The wanted objects, decoded, in their order. @throws StoreError when the store itself can't be read */
export async function* fetchSegments<Wanted extends WantedObject>(
  store: ObjectStore,
  wanted: AsyncIterable<Wanted>,
  signal: AbortSignal | undefined,
): AsyncIterable<{ item: Wanted; fetched: FetchedSegment }> {
  const objects = readAhead(wanted, {
    fetch: (object, stop) => getIfThere(store, object, stop),
    sizeOf: ({ size }) => size,
    maxItems: MAX_AHEAD,
    maxBytes: MAX_AHEAD_BYTES,
    signal,
  });
  // What an object decodes to is not known before: that stage is bounded by number, and each by `decodeSegment`.
  const decoded = readAhead(objects, {
    fetch: ({ fetched }) => decodeIfThere(fetched),
    sizeOf: () => 0,
    maxItems: 1,
    maxBytes: 0,
  });
  for await (const { item, fetched } of decoded) yield { item: item.item, fetched };
}

async function getIfThere(
  store: ObjectStore,
  { key, size, version }: WantedObject,
  signal: AbortSignal,
): Promise<Uint8Array | NotFetched> {
  if (size > MAX_OBJECT_BYTES) {
    return { kind: 'damaged', why: `it has ${size} bytes, more than any segment` };
  }
  try {
    return await store.get(key, signal, version);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    // Retention may remove an object between the listing and the reading.
    if (error.code === 'not_found') return { kind: 'gone' };
    // Rights may end at a prefix: what is beside it may be read.
    if (error.code === 'denied') return { kind: 'denied', error };
    // It is this one that can't be asked for: the others may be read.
    if (error.code === 'invalid') {
      return { kind: 'damaged', why: `the store does not give it (${error.message})` };
    }
    throw error;
  }
}

async function decodeIfThere(object: Uint8Array | NotFetched): Promise<FetchedSegment> {
  if (!(object instanceof Uint8Array)) return object;
  try {
    return { kind: 'decoded', decoded: await decodeSegment(object) };
  } catch (error) {
    if (error instanceof SegmentDamaged) return { kind: 'damaged', why: error.message };
    throw error;
  }
}
