/**
 * Owns the knowledge of which resources' pods admission asks our webhook about, and since when.
 * Invariant: `ready` is said only when what is wanted has stood for so long that every API server has it.
 */

export interface AdmissionState {
  /** @param wanted null: there is no such resource (any more). @returns whether that is news */
  want(key: string, wanted: boolean | null): boolean;
  /** What is wanted; null: nothing was said yet. */
  wanted(key: string): boolean | null;
  /** The webhook configurations stand with entries for these resources and no others. @returns those for which that is news */
  stands(keys: ReadonlySet<string>): string[];
  /** The webhook configurations do not stand, or somebody changed them. */
  broken(): void;
  ready(key: string): boolean;
}

/** An API server follows a changed configuration within 130 ms (measured); several ones, under load, within this (ms). */
export const FOLLOWED_MS = 1_000;

export function createAdmissionState(nowMs: () => number): AdmissionState {
  const wants = new Map<string, boolean>();
  /** When each resource's entry came, or was first seen to be absent. */
  const since = new Map<string, { isIn: boolean; atMs: number }>();
  return {
    want(key, wanted) {
      const before = wants.get(key) ?? null;
      if (wanted === null) {
        since.delete(key);
        wants.delete(key);
      } else wants.set(key, wanted);
      return before !== wanted;
    },
    wanted: (key) => wants.get(key) ?? null,
    stands(keys) {
      const news: string[] = [];
      for (const key of new Set([...keys, ...wants.keys(), ...since.keys()])) {
        const isIn = keys.has(key);
        if (since.get(key)?.isIn === isIn) continue;
        since.set(key, { isIn, atMs: nowMs() });
        news.push(key);
      }
      return news;
    },
    broken: () => since.clear(),
    ready(key) {
      const entry = since.get(key);
      return entry !== undefined && entry.isIn === wants.get(key) && nowMs() - entry.atMs >= FOLLOWED_MS;
    },
  };
}
