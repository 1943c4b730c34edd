/**
 * Owns what is remembered of things that others choose: the entries used last.
 * Invariant: at least as much is kept as was asked for, and at most twice as much.
 */
export interface RecentCache<Value> {
  get(key: string): Value | undefined;
  set(key: string, value: Value): void;
  delete(key: string): void;
  /** All entries, those used longest ago first. */
  entries(): [string, Value][];
}

export interface Weight {
  most: number;
  of(key: string): number;
}

/**
 * Keeps entries in two generations, the older of which is dropped whole. A Map whose entries are moved to its end at each use is rebuilt all
 * the time.
 * @param atLeast entries
 * @param weight a second bound, on the sum of what keys weigh
 */
export function createRecentCache<Value>(atLeast: number, weight?: Weight): RecentCache<Value> {
  let recent = new Map<string, Value>();
  let older = new Map<string, Value>();
  let weighs = 0;
  function set(key: string, value: Value): void {
    if (recent.size >= atLeast || (weight !== undefined && weighs >= weight.most)) {
      older = recent;
      recent = new Map();
      weighs = 0;
    }
    if (weight !== undefined && !recent.has(key)) weighs += weight.of(key);
    recent.set(key, value);
  }
  return {
    get(key) {
      const value = recent.get(key);
      if (value !== undefined) return value;
      const old = older.get(key);
      if (old !== undefined) set(key, old);
      return old;
    },
    set,
    delete(key) {
      recent.delete(key);
      older.delete(key);
    },
    entries: () => [...[...older].filter(([key]) => !recent.has(key)), ...recent],
  };
}
