/**
 * Owns what is said of recordings that a newer version of mcp-recorder wrote into the same store.
 * Invariant: it is said once for each format, and costs a reader of a store without any one listing.
 */
import { type ObjectStore, StoreError } from '../store/object-store.ts';
import type { Unreadable } from './store-reader.ts';

/** Formats that are looked for: a store with other things whose keys begin so is not gone through. */
const MAX_SOUGHT = 8;
/** Above every key that continues its prefix as ours do. */
const LAST = '~';

export interface NewerFormats {
  /** Tells of objects under the prefixes of later formats. @throws StoreError */
  tell(signal: AbortSignal | undefined): Promise<void>;
}

/** The end of a sentence that begins with what was written so. */
export function describeNewer(format: number): string {
  return `was written by a newer version of mcp-recorder (format ${format}; this one reads format 1)`;
}

export function createNewerFormats(
  store: ObjectStore,
  onUnreadable: (problem: Unreadable) => void,
): NewerFormats {
  let looked = false;
  return {
    async tell(signal) {
      if (looked) return;
      looked = true;
      let after = `v1/${LAST}`;
      for (let sought = 0; sought < MAX_SOUGHT; sought += 1) {
        const key = await firstAfter(store, after, signal);
        const [, format] = (key === null ? null : /^v(\d{1,6})\/segments\//.exec(key)) ?? [];
        if (key === null) return;
        if (format !== undefined && Number(format) > 1) {
          const prefix = `v${format}/`;
          onUnreadable({
            key: prefix,
            line: null,
            message: `What is under ${prefix} ${describeNewer(Number(format))}.`,
          });
        }
        after = `${key.split('/', 1)[0]}/${LAST}`;
      }
    },
  };
}

async function firstAfter(
  store: ObjectStore,
  startAfter: string,
  signal: AbortSignal | undefined,
): Promise<string | null> {
  try {
    for await (const { key } of store.list('v', { startAfter, ...(signal && { signal }) })) return key;
  } catch (error) {
    // Who may list only what he reads can't see it, nor read it.
    if (signal?.aborted !== true && !(error instanceof StoreError && error.code === 'denied')) throw error;
  }
  return null;
}
