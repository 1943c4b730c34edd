/**
 * Owns verification of a store: the one function behind `mcp-recorder verify`, the crash tests and CI.
 * Invariant: every object below the segments' prefix is read exactly once and judged; a bounded number is in memory at a time.
 * A recorder may store while it runs: segments that are then found missing are looked for once more.
 */
import { parseSegmentKey, SEGMENTS_PREFIX, type SegmentKey } from '../format/keys.ts';
import { verifySegment } from '../proof/verify-segment.ts';
import { createStreamsVerifier, type StreamsReport } from '../proof/verify-streams.ts';
import { StoreError, type ObjectInfo, type ObjectStore } from '../store/object-store.ts';
import { decodeSegment, SegmentDamaged } from './segment-object.ts';

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

/** Objects read ahead while one is judged: the judging is one core's work, the reading waits for the store. */
const READ_AHEAD = 3;

type Fetched =
  | { kind: 'foreign' }
  | { kind: 'decoded'; place: SegmentKey; decoded: Buffer }
  | { kind: 'damaged'; place: SegmentKey; why: string }
  | { kind: 'gone' };

interface FetchedObject {
  info: ObjectInfo;
  fetched: Fetched;
}

/**
 * Verifies all that a store holds.
 * @returns what is proven of each stream, and all that is wrong; `explained` = nothing is tampered with or unexplained
 * @throws StoreError when the store can't be read: then nothing is said about the recordings
 */
export async function verifyStore(
  store: ObjectStore,
  options: VerifyStoreOptions = {},
): Promise<StreamsReport> {
  const { expectClosed = false, onProgress, signal } = options;
  const streams = createStreamsVerifier({ expectClosed });
  let objects = 0;
  let bytes = 0;
  const judge = ({ info, fetched }: FetchedObject) => {
    if (fetched.kind === 'foreign') streams.addForeign(info.key);
    if (fetched.kind === 'damaged') streams.addDamaged(fetched.place, fetched.why);
    if (fetched.kind === 'decoded') streams.add(verifySegment(fetched.decoded, fetched.place));
    // `gone`: removed since it was listed. Its stream will miss it, as if it had never been listed.
    objects += 1;
    bytes += info.size;
    onProgress?.({ objects, bytes });
  };
  for await (const object of fetchAhead(store, () => true, signal)) judge(object);
  const report = streams.report();
  const missing = missingSegments(report);
  if (missing.size === 0) return report;
  const wanted = (key: string) => {
    const place = parseSegmentKey(key);
    return place !== null && missing.has(`${place.stream}/${place.segment}`);
  };
  for await (const object of fetchAhead(store, wanted, signal)) judge(object);
  return streams.report();
}

/** `stream/segment` of each segment that was not there when the store was listed. */
function missingSegments({ streams }: StreamsReport): Set<string> {
  const findings = streams.flatMap((stream) => stream.findings);
  const missing = findings.filter(({ code }) => code === 'missing_segment');
  return new Set(missing.map(({ stream, segment }) => `${stream}/${segment}`));
}

/** The wanted objects below the segments' prefix in the order of their keys, a few of them fetched before they are asked for. */
async function* fetchAhead(
  store: ObjectStore,
  wanted: (key: string) => boolean,
  signal: AbortSignal | undefined,
): AsyncIterable<FetchedObject> {
  const ahead: { info: ObjectInfo; fetching: Promise<Fetched> }[] = [];
  for await (const info of store.list(SEGMENTS_PREFIX, signal === undefined ? {} : { signal })) {
    if (!wanted(info.key)) continue;
    const fetching = fetchSegment(store, info.key, signal);
    // An error is met when its turn comes; until then it must not end the process as unhandled.
    fetching.catch(() => {});
    ahead.push({ info, fetching });
    const first = ahead.length > READ_AHEAD ? ahead.shift() : undefined;
    if (first !== undefined) yield { info: first.info, fetched: await first.fetching };
  }
  for (const { info, fetching } of ahead) yield { info, fetched: await fetching };
}

async function fetchSegment(
  store: ObjectStore,
  key: string,
  signal: AbortSignal | undefined,
): Promise<Fetched> {
  const place = parseSegmentKey(key);
  if (place === null) return { kind: 'foreign' };
  try {
    return { kind: 'decoded', place, decoded: await decodeSegment(await store.get(key, signal)) };
  } catch (error) {
    if (error instanceof SegmentDamaged) return { kind: 'damaged', place, why: error.message };
    if (error instanceof StoreError && error.code === 'not_found') return { kind: 'gone' };
    throw error;
  }
}
