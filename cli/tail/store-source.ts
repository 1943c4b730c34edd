/**
 * Owns following a store: segments are found by listing again and again, and read when they are new.
 * Invariants: each segment is read once, whenever it comes: keys sort by the time of what was recorded, and after an outage of hours segments
 * come under old keys, so a wide look goes back behind what was seen; what is remembered of it is small. A store that is away is waited for.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Line } from '@mcp-recorder/recording/format/line';
import {
  listSegments,
  readThese,
  type ReadSegment,
  type StoredSegment,
  type Unreadable,
} from '@mcp-recorder/recording/read/store-reader';
import { secondOf } from '@mcp-recorder/recording/read/time-range';
import { type ObjectStore, StoreError } from '@mcp-recorder/recording/store/object-store';
import { createRanges, type Ranges } from './ranges.ts';
import type { Ordering } from './ordering.ts';

export interface StoreSourceOptions {
  store: ObjectStore;
  ordering: Ordering;
  /** Nothing that was recorded before this is asked for (ms since the epoch). */
  fromMs: number;
  /** What is there at the start is not shown. */
  onlyNew: boolean;
  /** Whether a segment may hold something that is wanted. */
  wants(segment: StoredSegment): boolean;
  onUnreadable(problem: Unreadable): void;
  /** Told, in a sentence, that the store does not answer, and that it does again. */
  say(message: string): void;
  /** Resolves when more may be shown. */
  ready(): Promise<void>;
  signal: AbortSignal;
}

export interface StoreSource {
  /** The first look; returns when it was read. @throws StoreError */
  begin(): Promise<void>;
  /** Follows until the signal. */
  follow(): Promise<void>;
  /** A segment was shown on another way: it need not be read. */
  haveSeen(stream: string, segment: number): void;
}

const LOOK_MS = 1_000;
/** A look goes back so far behind now: clocks differ, and segments take a moment to come. */
const NEAR_MS = 120_000;
/** A wide look goes back to the start, this far at most. */
const WIDE_MS = 7 * 86_400_000;
const WIDE_EVERY_MS = 15_000;
/** A wide look that took long is made less often. */
const WIDE_SHARE = 20;
const SLACK_MS = 3_600_000;
const MAX_BACKOFF_MS = 10_000;
const MAX_STREAMS = 10_000;
/** Segments that are put in the order of their times at once. */
const MAX_SORTED = 20_000;

export function createStoreSource(options: StoreSourceOptions): StoreSource {
  const { store, ordering, fromMs, wants, say, signal } = options;
  const floorMs = fromMs - SLACK_MS;
  /** Numbers of the segments of each stream that were seen. */
  const seen = new Map<string, Ranges>();
  /** Segments whose first line must wait for others, with that line's `seq`. */
  const deferred = new Map<string, number>();
  /** Damaged ones are told once. */
  const told = new Set<string>();
  let nextWideMs = 0;

  function haveSeen(stream: string, segment: number): void {
    let numbers = seen.get(stream);
    if (numbers === undefined) {
      numbers = createRanges();
      seen.set(stream, numbers);
      const [oldest] = seen.keys();
      if (seen.size > MAX_STREAMS && oldest !== undefined) seen.delete(oldest);
    }
    numbers.add(segment, segment + 1);
  }

  function isNew({ key, place }: StoredSegment): boolean {
    if (seen.get(place.stream)?.has(place.segment) === true || told.has(key)) return false;
    const firstSeq = deferred.get(key);
    return firstSeq === undefined || !ordering.mustWait(place.stream, firstSeq);
  }

  async function* unseen(lookFromMs: number): AsyncIterable<StoredSegment[]> {
    let found: StoredSegment[] = [];
    for await (const segment of listSegments(store, { fromSecond: secondOf(lookFromMs), signal })) {
      if (!isNew(segment)) continue;
      if (!wants(segment)) haveSeen(segment.place.stream, segment.place.segment);
      else found.push(segment);
      if (found.length === MAX_SORTED) {
        yield found;
        found = [];
      }
    }
    yield found;
  }

  /** Shows it, unless it waits for an earlier one. */
  function take({ segment, lines }: ReadSegment): void {
    const { stream, segment: number, cluster, namespace, server } = segment.place;
    let first: number | null = null;
    for (const { line, bytes } of lines()) {
      if (first === null) {
        first = line.seq;
        // The first segment has the first line; of a stream that began before, what comes is where it begins for us.
        ordering.begin(stream, line.seq, false);
        if (ordering.mustWait(stream, line.seq)) {
          ordering.waits(stream, line.seq);
          // The earlier one may be under an older key.
          nextWideMs = 0;
          deferred.set(segment.key, line.seq);
          return;
        }
      }
      // Its memory is that of the whole segment.
      ordering.offer({ place: { cluster, namespace, server }, stream, seq: line.seq, bytes });
    }
    haveSeen(stream, number);
  }

  async function read(segments: StoredSegment[]): Promise<void> {
    const inTime = segments.sort((a, b) => compare(orderOf(a), orderOf(b)));
    const onUnreadable = (problem: Unreadable): void => {
      if (problem.line === null) told.add(problem.key);
      options.onUnreadable(problem);
    };
    // Those that still wait are put there again; one that is gone is not waited with.
    for (const { key } of inTime) deferred.delete(key);
    for await (const segment of readThese(store, from(inTime), { onUnreadable, signal })) {
      await options.ready();
      take(segment);
    }
  }

  async function look(lookFromMs: number): Promise<void> {
    for await (const segments of unseen(lookFromMs)) if (segments.length > 0) await read(segments);
  }

  async function lookAround(): Promise<void> {
    const nowMs = Date.now();
    if (nowMs < nextWideMs) return await look(Math.max(floorMs, nowMs - NEAR_MS));
    await look(Math.max(floorMs, nowMs - WIDE_MS));
    nextWideMs = Date.now() + Math.max(WIDE_EVERY_MS, (Date.now() - nowMs) * WIDE_SHARE);
  }

  return {
    haveSeen,
    async begin() {
      if (!options.onlyNew) return await lookAround();
      for await (const segments of unseen(floorMs)) {
        for (const { place } of segments) haveSeen(place.stream, place.segment);
      }
    },
    async follow() {
      let failures = 0;
      while (!signal.aborted) {
        try {
          await lookAround();
          if (failures > 0) say(`${store.location} answers again; what was stored meanwhile is shown.`);
          failures = 0;
        } catch (error) {
          if (signal.aborted) return;
          if (!(error instanceof StoreError)) throw error;
          failures += 1;
          if (failures === 1)
            say(`${store.location} can't be read now: ${error.message}. It is asked again.`);
          // What came under other keys meanwhile is not near any more.
          nextWideMs = 0;
        }
        ordering.tick();
        const waitMs = Math.min(MAX_BACKOFF_MS, LOOK_MS * 2 ** Math.max(0, failures - 1));
        await pause(waitMs, undefined, { signal }).catch(() => {});
      }
    },
  };
}

function orderOf({ place }: StoredSegment): string {
  return `${place.second} ${place.stream} ${String(place.segment).padStart(12, '0')}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

async function* from<T>(items: readonly T[]): AsyncIterable<T> {
  yield* items;
}

/** What a line that was shown tells of a segment that need not be read; null: nothing. */
export function segmentShown(line: Line, ordering: Ordering): number | null {
  if (line.type !== 'seal') return null;
  const { segment, first_seq } = line.seal;
  return ordering.wereShown(line.stream, first_seq, line.seq + 1) ? segment : null;
}
