/**
 * Owns verification of a store: the one function behind `mcp-recorder verify`, the crash tests and CI.
 * Invariant: every object below the segments' prefix is read exactly once and judged; a bounded number is in memory at a time.
 * A recorder may store while it runs: segments that are then found missing are looked for once more.
 */
import { parseSegmentKey, SEGMENTS_PREFIX, type SegmentKey } from '../format/keys.ts';
import { verifySegment } from '../proof/verify-segment.ts';
import { createStreamsVerifier, type StreamsReport } from '../proof/verify-streams.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { fetchSegments } from './fetch-segments.ts';
import { createKeptLister, type KeptObject } from './kept-objects.ts';
import { findChanges } from './later-versions.ts';

export interface StoreReport extends StreamsReport {
  /**
   * Whether what was overwritten or deleted could be seen: `checked`; `none` = the store keeps no versions, so there are none to see;
   * `denied` = it may keep some, which these credentials can't list.
   */
  versions: 'checked' | 'none' | 'denied';
}

export interface VerifyProgress {
  /** Objects judged so far. */
  objects: number;
  /** Their compressed bytes. */
  bytes: number;
}

export interface VerifyStoreOptions {
  /** A stream that is not closed is a finding. */
  expectClosed?: boolean;
  /** Told after each object. */
  onProgress?: (progress: VerifyProgress) => void;
  signal?: AbortSignal;
}

/**
 * Verifies all that a store holds.
 * @returns what is proven of each stream, and all that is wrong; `explained` = nothing is tampered with or unexplained
 * @throws StoreError when the store can't be read: then nothing is said about the recordings
 */
export async function verifyStore(
  store: ObjectStore,
  options: VerifyStoreOptions = {},
): Promise<StoreReport> {
  const { expectClosed = false, onProgress, signal } = options;
  const streams = createStreamsVerifier({ expectClosed });
  let versions: StoreReport['versions'] = 'none';
  const list = createKeptLister(store, () => {
    versions = 'denied';
  });
  let objects = 0;
  let bytes = 0;
  const judged = (size: number) => {
    objects += 1;
    bytes += size;
    onProgress?.({ objects, bytes });
  };

  /** The wanted segments; what is none, or has no bytes any more, is judged at once. */
  async function* readable(wanted: (place: SegmentKey) => boolean, foreignToo: boolean) {
    for await (const object of list(SEGMENTS_PREFIX, signal === undefined ? {} : { signal })) {
      if (object.versioned) versions = 'checked';
      const place = parseSegmentKey(object.key);
      if (place === null) {
        // What is none and is deleted: no reader can take it for one.
        if (foreignToo && object.current) streams.addForeign(object.key);
        if (foreignToo) judged(object.size);
      } else if (wanted(place)) {
        if (object.readable) {
          yield { ...object, place };
          continue;
        }
        await addChanges(object, place);
        judged(0);
      }
    }
  }

  async function addChanges(object: KeptObject, place: SegmentKey): Promise<void> {
    for (const { code, what } of await findChanges(store, object, signal))
      streams.addChanged(place, code, what);
  }

  async function judge(wanted: (place: SegmentKey) => boolean, foreignToo: boolean): Promise<void> {
    const fetching = fetchSegments(store, readable(wanted, foreignToo), signal);
    for await (const { item, fetched } of fetching) {
      await addChanges(item, item.place);
      // What may not be read can't be judged, and nothing but all of it proves anything.
      if (fetched.kind === 'denied') throw fetched.error;
      if (fetched.kind === 'damaged') streams.addDamaged(item.place, fetched.why);
      if (fetched.kind === 'decoded') streams.add(verifySegment(fetched.decoded, item.place));
      // `gone`: removed since it was listed. Its stream will miss it, as if it had never been listed.
      judged(item.size);
    }
  }

  await judge(() => true, true);
  const missing = missingSegments(streams.report());
  if (missing.size > 0) await judge((place) => missing.has(`${place.stream}/${place.segment}`), false);
  return { ...streams.report(), versions };
}

/** `stream/segment` of each segment that was not there when the store was listed. */
function missingSegments({ streams }: StreamsReport): Set<string> {
  const findings = streams.flatMap((stream) => stream.findings);
  const missing = findings.filter(({ code }) => code === 'missing_segment');
  return new Set(missing.map(({ stream, segment }) => `${stream}/${segment}`));
}
