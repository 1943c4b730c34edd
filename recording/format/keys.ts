/**
 * Owns every key of an object store and how it is read back; nothing else builds or splits one.
 * Invariant: keys of one partition sort by the time of their first line, and `parseSegmentKey(segmentKey(x))` is x.
 * The prefix of a store in its bucket is not part of them: an adapter puts it before every key and takes it off again.
 */
import { isTime } from './time.ts';
import { isUlid } from './ulid.ts';

export const SEGMENTS_PREFIX = 'v1/segments/';

/** The version of this format, as keys begin with it. */
export const FORMAT_VERSION = 1;

/** The version of the format that a key is of; null: of none. */
export function formatVersionOf(key: string): number | null {
  const version = /^v([1-9]\d{0,3})\//.exec(key)?.[1];
  return version === undefined ? null : Number(version);
}

const NAME = /^[a-z0-9.-]{1,63}$/;
const MAX_SEGMENT = 999_999_999_999;

/** Where a segment belongs in the store. */
export interface SegmentPlace {
  cluster: string;
  namespace: string;
  server: string;
  /** Time of the segment's first line; the key keeps its date and second. */
  time: string;
  stream: string;
  segment: number;
  /** Number of a further copy (1 to 9): the key without it held something that could not be compared. 0 = none. */
  copy?: number;
}

export interface SegmentKey {
  cluster: string;
  namespace: string;
  server: string;
  /** `YYYY-MM-DD`, UTC. */
  date: string;
  /** `YYYYMMDDTHHMMSSZ`. */
  second: string;
  stream: string;
  segment: number;
  copy: number;
}

/** Whether a cluster, namespace or server may be called so: it stands in keys as `name=value`. */
export function isName(name: unknown): name is string {
  return typeof name === 'string' && NAME.test(name);
}

/** Whether all keys of a store may begin with it: path parts joined by single slashes; '' = none. */
export function isPrefix(prefix: string): boolean {
  if (prefix === '') return true;
  return prefix.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

/** The key of a segment's object. @throws RangeError when a part does not fit the format */
export function segmentKey(place: SegmentPlace): string {
  const { cluster, namespace, server, time, stream, segment, copy = 0 } = place;
  for (const [what, name] of Object.entries({ cluster, namespace, server })) {
    if (!isName(name)) throw new RangeError(`${what} ${JSON.stringify(name)} must be 1 to 63 of a-z 0-9 . -`);
  }
  if (!isTime(time)) throw new RangeError(`segment time ${JSON.stringify(time)} is no line time`);
  if (!isUlid(stream)) throw new RangeError(`stream ${JSON.stringify(stream)} is no ULID`);
  if (!Number.isSafeInteger(segment) || segment < 0 || segment > MAX_SEGMENT) {
    throw new RangeError(`segment number ${segment} must be 0 to ${MAX_SEGMENT}`);
  }
  if (!Number.isInteger(copy) || copy < 0 || copy > 9) throw new RangeError(`copy ${copy} must be 0 to 9`);
  const date = time.slice(0, 10);
  const number = String(segment).padStart(12, '0');
  return (
    `${SEGMENTS_PREFIX}cluster=${cluster}/namespace=${namespace}/server=${server}/date=${date}/` +
    `${keySecond(time)}-${stream}-${number}${copy === 0 ? '' : `.r${copy}`}.jsonl.zst`
  );
}

const SEGMENT_KEY =
  /^v1\/segments\/cluster=(?<cluster>[a-z0-9.-]{1,63})\/namespace=(?<namespace>[a-z0-9.-]{1,63})\/server=(?<server>[a-z0-9.-]{1,63})\/date=(?<date>\d{4}-\d{2}-\d{2})\/(?<second>\d{8}T\d{6}Z)-(?<stream>[0-7][0-9A-HJKMNP-TV-Z]{25})-(?<segment>\d{12})(?:\.r(?<copy>[1-9]))?\.jsonl\.zst$/;

/** What a segment's key says, or null when the key is none: a copy of one that lies elsewhere in the store is none. */
export function parseSegmentKey(key: string): SegmentKey | null {
  const parts = SEGMENT_KEY.exec(key)?.groups;
  if (parts === undefined) return null;
  const { cluster = '', namespace = '', server = '', date = '', second = '', stream = '' } = parts;
  if (second.slice(0, 8) !== date.replaceAll('-', '') || !isSecond(date, second)) return null;
  return {
    cluster,
    namespace,
    server,
    date,
    second,
    stream,
    segment: Number(parts['segment']),
    copy: Number(parts['copy'] ?? 0),
  };
}

/** Whether a date and a second of the form of keys are a time: readers count days by them. `Date` takes 30 February for 2 March. */
function isSecond(date: string, second: string): boolean {
  const text = `${date}T${second.slice(9, 11)}:${second.slice(11, 13)}:${second.slice(13, 15)}.000Z`;
  const ms = Date.parse(text);
  return !Number.isNaN(ms) && new Date(ms).toISOString() === text;
}

/** The second of a line's time as it stands in keys: `YYYYMMDDTHHMMSSZ`. */
export function keySecond(time: string): string {
  return `${time.slice(0, 10).replaceAll('-', '')}T${time.slice(11, 19).replaceAll(':', '')}Z`;
}

/** The object that idle recorders put conditionally to see whether the store still takes objects. */
export function canaryKey(): string {
  return 'v1/canary';
}

/** The object in which the owner of a store says how it is to be read (docs/operations.md). */
export function storeConfigurationKey(): string {
  return 'v1/store.json';
}
