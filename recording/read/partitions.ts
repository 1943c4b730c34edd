/**
 * Owns finding segments by time without listing all keys: partitions are found by skipping, and within one keys sort by time.
 * Invariant: no segment whose first line is in the wanted time is left out; which those are, time-range.ts says.
 */
import { parseSegmentKey, SEGMENTS_PREFIX } from '../format/keys.ts';
import { compareKeys } from '../store/object-key.ts';
import type { KeptObject, ListKept } from './kept-objects.ts';

/** Whole seconds as they stand in keys, `YYYYMMDDTHHMMSSZ`; null = no bound. */
export interface SecondRange {
  from: string | null;
  /** Included. */
  to: string | null;
}

/**
 * How far from a line the first line of its segment may be: a segment is cut after seconds, an hour is far above what a stalled disk or
 * machine has made of that, and what a time zone that was mistaken makes of a clock.
 */
export const SEGMENT_SLACK_MS = 3_600_000;

/** Above every key that continues its prefix as ours do: a partition is left behind by listing after it. */
const LAST = '~';

/** Keys that are asked for where one is wanted: the store may hold others before it, and a key is whole only when the next is seen. */
const FEW = 4;
/** Keys that are asked for first where a time ends. */
const SOME = 100;

/** `v1/segments/cluster=c/namespace=n/server=s/` of each server that has a segment, found with one listing each. @throws StoreError */
export async function* listPartitions(list: ListKept, signal?: AbortSignal): AsyncIterable<string> {
  for (let after = ''; ; ) {
    const partition = await firstPartition(list, after, signal);
    if (partition === null) return;
    yield partition;
    after = `${partition}date=${LAST}`;
  }
}

async function firstPartition(
  list: ListKept,
  startAfter: string,
  signal: AbortSignal | undefined,
): Promise<string | null> {
  for await (const { key } of list(SEGMENTS_PREFIX, optionsOf(startAfter, signal, FEW))) {
    const place = parseSegmentKey(key);
    // What is no segment says nothing of a partition; `verify` names it.
    if (place !== null) return key.slice(0, key.lastIndexOf('date='));
  }
  return null;
}

/** The objects of one partition whose key is of a second in the range, in order. @throws StoreError */
export async function* listRange(
  list: ListKept,
  partition: string,
  { from, to }: SecondRange,
  signal?: AbortSignal,
): AsyncIterable<KeptObject> {
  const startAfter = from === null ? '' : startOf(partition, from);
  const end = to === null ? null : `${startOf(partition, to)}${LAST}`;
  // Where the range ends, the store does not know: a thousand keys of a partition may be months.
  const firstPage = end === null ? undefined : SOME;
  for await (const object of list(partition, optionsOf(startAfter, signal, firstPage))) {
    if (end !== null && compareKeys(object.key, end) > 0) return;
    yield object;
  }
}

/** The date (`YYYY-MM-DD`) of the last segment before `before` in a partition, or null; found with few listings. */
export async function lastDate(
  list: ListKept,
  partition: string,
  before: string,
  signal?: AbortSignal,
): Promise<string | null> {
  const dateAfter = async (startAfter: string): Promise<string | null> => {
    for await (const { key } of list(partition, optionsOf(startAfter, signal, FEW))) {
      const date = parseSegmentKey(key)?.date;
      if (date !== undefined) return date < before ? date : null;
    }
    return null;
  };
  let found = await dateAfter('');
  if (found === null) return null;
  let low = dayOf(found);
  let high = dayOf(before);
  // The last date is in [low, high). Recordings mostly go on until now, so today is tried first; then ever further from what is
  // there, until one date is too late; from then on the rest is halved.
  let probe = Math.min(dayOf(new Date().toISOString().slice(0, 10)), high - 1);
  for (let step = 1, tooLate = false; low + 1 < high; step *= 2) {
    probe = Math.min(Math.max(probe, low + 1), high - 1);
    const date = await dateAfter(`${partition}date=${textOf(probe)}`);
    if (date === null) {
      high = probe;
      tooLate = true;
    } else {
      found = date;
      low = dayOf(date);
    }
    probe = tooLate ? (low + high) >> 1 : low + step;
  }
  return found;
}

/** Partitions whose newest segment is looked for at once. */
const MAX_BEGINNING = 16;
/** Segments of an hour that are held while it is gone through from its end. */
const MAX_HELD = 1_000;

/**
 * The objects of all partitions, the newest first, as far back as they are asked for: dates are gone through from the last one.
 * @throws StoreError
 */
export async function* listNewestFirst(
  list: ListKept,
  range: SecondRange,
  signal?: AbortSignal,
): AsyncIterable<KeptObject> {
  const partitions = await Array.fromAsync(listPartitions(list, signal));
  const heads: { objects: AsyncIterator<KeptObject>; next: IteratorResult<KeptObject> }[] = [];
  const waiting = partitions.entries();
  const begin = async () => {
    for (const [index, partition] of waiting) {
      const objects = backwards(list, partition, range, signal)[Symbol.asyncIterator]();
      heads[index] = { objects, next: await objects.next() };
    }
  };
  await Promise.all(Array.from({ length: MAX_BEGINNING }, begin));
  for (;;) {
    let newest = null as (typeof heads)[number] | null;
    let newestSecond = '';
    for (const head of heads) {
      if (head.next.done === true) continue;
      const second = parseSegmentKey(head.next.value.key)?.second ?? '';
      if (newest !== null && second <= newestSecond) continue;
      newest = head;
      newestSecond = second;
    }
    if (newest === null || newest.next.done === true) return;
    yield newest.next.value;
    newest.next = await newest.objects.next();
  }
}

async function* backwards(
  list: ListKept,
  partition: string,
  { from, to }: SecondRange,
  signal: AbortSignal | undefined,
): AsyncIterable<KeptObject> {
  const start = from === null ? '' : startOf(partition, from);
  const end = to === null ? `${partition}date=${LAST}` : `${startOf(partition, to)}${LAST}`;
  // With a time far off, the year 9999 is after all dates.
  let before = to === null ? '9999-12-31' : textOf(dayOf(dateOf(to)) + 1);
  for (let date = await lastDate(list, partition, before, signal); date !== null; ) {
    for await (const object of backwardsThrough(list, partition, date, end, signal)) {
      if (compareKeys(object.key, start) < 0) return;
      yield object;
    }
    before = date;
    date = await lastDate(list, partition, before, signal);
  }
}

/**
 * The segments of a date whose key is below `end`, the last one first. Listings only go forwards: so the date is gone through by the
 * hour from its end, in larger steps where there is nothing.
 */
async function* backwardsThrough(
  list: ListKept,
  partition: string,
  date: string,
  end: string,
  signal: AbortSignal | undefined,
): AsyncIterable<KeptObject> {
  const prefix = `${partition}date=${date}/`;
  const atHour = (hour: number) =>
    hour === 24
      ? `${prefix}${LAST}`
      : `${prefix}${date.replaceAll('-', '')}T${String(hour).padStart(2, '0')}`;
  let bound = compareKeys(end, atHour(24)) < 0 ? end : atHour(24);
  for (let hour = 24, hours = 1; hour > 0; ) {
    const from = Math.max(0, hour - hours);
    const held = await lastBelow(list, prefix, from === 0 ? '' : atHour(from), bound, signal);
    yield* held.toReversed();
    const oldest = held[0];
    hours = oldest === undefined ? hours * 2 : 1;
    const isFull = oldest !== undefined && held.length === MAX_HELD;
    // Hours after the bound are empty, and leave it where it is.
    if (isFull) bound = oldest.key;
    else if (compareKeys(atHour(from), bound) < 0) bound = atHour(from);
    hour = isFull ? hourOf(oldest.key) + 1 : from;
  }
}

/** The last segments below `prefix` whose key is after `startAfter` and below `bound`, in order; at most `MAX_HELD`. */
async function lastBelow(
  list: ListKept,
  prefix: string,
  startAfter: string,
  bound: string,
  signal: AbortSignal | undefined,
): Promise<KeptObject[]> {
  // After the bound nothing is wanted: where that is before the start, there is nothing to ask for.
  if (compareKeys(startAfter, bound) >= 0) return [];
  let held: KeptObject[] = [];
  for await (const object of list(prefix, optionsOf(startAfter, signal))) {
    if (compareKeys(object.key, bound) >= 0) break;
    if (parseSegmentKey(object.key) === null) continue;
    held.push(object);
    if (held.length >= 2 * MAX_HELD) held = held.slice(-MAX_HELD);
  }
  return held.slice(-MAX_HELD);
}

function hourOf(key: string): number {
  return Number(parseSegmentKey(key)?.second.slice(9, 11) ?? 0);
}

function startOf(partition: string, second: string): string {
  return `${partition}date=${dateOf(second)}/${second}`;
}

function dateOf(second: string): string {
  return `${second.slice(0, 4)}-${second.slice(4, 6)}-${second.slice(6, 8)}`;
}

function optionsOf(startAfter: string, signal: AbortSignal | undefined, firstPage?: number) {
  return {
    ...(startAfter === '' ? {} : { startAfter }),
    ...(firstPage === undefined ? {} : { firstPage }),
    ...(signal === undefined ? {} : { signal }),
  };
}

const DAY_MS = 86_400_000;

function dayOf(date: string): number {
  return Math.floor(Date.parse(`${date}T00:00:00Z`) / DAY_MS);
}

function textOf(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}
