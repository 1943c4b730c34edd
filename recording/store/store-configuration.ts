/**
 * Owns what the owner of a store asks of those who read it: the object `v1/store.json`.
 * Invariant: a demand that can't be read is an error, never no demand.
 */
import { z } from 'zod';
import { storeConfigurationKey } from '../format/keys.ts';
import { type ObjectStore, StoreError } from './object-store.ts';

export interface StoreConfiguration {
  /** Where readings are logged: `self`, `s3://BUCKET/PREFIX` or the absolute path of a directory; null: nowhere, unless the reader asks. */
  audit: string | null;
}

const SHAPE = z.strictObject({ v: z.literal(1), audit: z.string().min(1).nullable().default(null) });

/** The object is there and says nothing that this version understands. The message is a whole sentence. */
export class StoreConfigurationError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'StoreConfigurationError';
  }
}

/**
 * What the store asks for; nothing, when it has no such object.
 * @throws StoreError when it can't be read; StoreConfigurationError when it is malformed
 */
export async function readStoreConfiguration(store: ObjectStore): Promise<StoreConfiguration> {
  let bytes: Uint8Array;
  try {
    bytes = await store.get(storeConfigurationKey());
  } catch (error) {
    if (error instanceof StoreError && error.code === 'not_found') return { audit: null };
    throw error;
  }
  const parsed = SHAPE.safeParse(parseJson(bytes));
  if (parsed.success) return { audit: parsed.data.audit };
  const issue = parsed.error.issues[0];
  const where = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.join('.')}`;
  throw new StoreConfigurationError(
    `${storeConfigurationKey()} of ${store.location} is not understood${where}: needs {"v": 1, "audit": "self"}, or the store that readings are logged in instead of "self". Its owner must mend it.`,
  );
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}
