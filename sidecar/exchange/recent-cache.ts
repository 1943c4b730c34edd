/**
 * Owns a bounded memory of what was used last.
 * Invariant: it keeps the entries used last, at least `atLeast` of them and at most twice as many: in two generations, the older of which
 * is dropped whole. (A Map whose entries are moved to its end at each use is rebuilt all the time.)
 */
export interface RecentCache<Value> {
  get(key: string): Value | undefined;
  set(key: string, value: Value): void;
  delete(key: string): void;
  /** All entries, those used longest ago first. */
  entries(): [string, Value][];
}

/** @param atLeast entries that are kept in any case */
export function createRecentCache<Value>(atLeast: number): RecentCache<Value> {
  let recent = new Map<string, Value>();
  let older = new Map<string, Value>();
  function set(key: string, value: Value): void {
    if (recent.size >= atLeast) {
      older = recent;
      recent = new Map();
    }
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
