/**
 * Owns a store of a million segments that are made up when they are asked for; it counts what is asked.
 */
import { compareKeys } from '@mcp-recorder/recording/store/object-key';
import { keySecond, segmentKey } from '@mcp-recorder/recording/format/keys';
import { formatMicros } from '@mcp-recorder/recording/format/time';
import type { ListOptions, ObjectStore } from '@mcp-recorder/recording/store/object-store';

/** In the order of their keys: a hyphen is less than the slash behind the name. */
const SERVERS = ['a', 'b-2', 'b', 'c', 'd'];
const FIRST_DAY_MS = Date.UTC(2026, 0, 1);
const DAYS = 20;
/** One every eight seconds. */
const A_DAY = 10_000;
const A_SERVER = DAYS * A_DAY;
export const VAST_SEGMENTS = SERVERS.length * A_SERVER;

export interface VastStore extends ObjectStore {
  /** Listings begun, and keys that were given out by them. */
  asked: { listings: number; keys: number };
}

/** `<time of day>`, as it stands in keys, of each segment of a day. */
const TIMES = Array.from({ length: A_DAY }, (_, n) => keySecond(formatMicros(n * 8_000_000)).slice(8));
const FOLDERS = SERVERS.flatMap((server, number) =>
  Array.from({ length: DAYS }, (_, day) => {
    const stream = `01KAH3M8ZK4T9V2B6XN5R0WCE${number}`;
    const time = formatMicros((FIRST_DAY_MS + day * 86_400_000) * 1_000);
    const key = segmentKey({ cluster: 'c', namespace: 'n', server, time, stream, segment: 0 });
    return { before: key.slice(0, key.indexOf('T00')), after: `-${stream}-` };
  }),
);

/** The key of the nth object in the store's order. */
function keyAt(n: number): string {
  const { before, after } = FOLDERS[Math.floor(n / A_DAY)] as (typeof FOLDERS)[number];
  const number = String(n % A_SERVER).padStart(12, '0');
  return `${before}${TIMES[n % A_DAY]}${after}${number}.jsonl.zst`;
}

/** @param object what each key holds */
export function createVastStore(object: Uint8Array): VastStore {
  const asked = { listings: 0, keys: 0 };
  const firstAfter = (bound: string, included: boolean): number => {
    let low = 0;
    let high = VAST_SEGMENTS;
    while (low < high) {
      const middle = (low + high) >> 1;
      const order = compareKeys(keyAt(middle), bound);
      if (order > 0 || (included && order === 0)) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  async function* list(prefix: string, { startAfter = '', signal }: ListOptions = {}) {
    asked.listings += 1;
    for (
      let n = Math.max(firstAfter(prefix, true), firstAfter(startAfter, false));
      n < VAST_SEGMENTS;
      n += 1
    ) {
      signal?.throwIfAborted();
      const key = keyAt(n);
      if (!key.startsWith(prefix)) return;
      asked.keys += 1;
      yield { key, size: object.length, sha256: null };
    }
  }
  return {
    asked,
    location: 'vast',
    list,
    async *history(prefix, options) {
      for await (const { key, size } of list(prefix, options)) {
        yield { key, versions: [{ version: null, kind: 'object', size, time: null }] };
      }
    },
    get: async () => object,
    head: async () => null,
    putIfAbsent: () => Promise.reject(new Error('nothing can be put here')),
    probe: () => Promise.reject(new Error('nothing can be put here')),
  };
}
