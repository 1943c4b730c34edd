/**
 * Owns the contract with an object store: what recordings need of one, and nothing else.
 * Invariant: an object is whole or absent, and is never overwritten through this contract.
 * Every adapter passes test/recording/object-store-contract.ts.
 */

/** What a store knows of an object without reading it. */
export interface ObjectInfo {
  key: string;
  /** Bytes. */
  size: number;
  /** SHA-256 of the object's bytes, hex; null when the store does not keep it. */
  sha256: string | null;
}

export type PutOutcome =
  /** Durable now, by this call. */
  | { outcome: 'created' }
  /** An object with this key was there before; nothing was changed. `sha256` is the one found, null when unknown. */
  | { outcome: 'exists'; sha256: string | null };

export interface ListOptions {
  /** Only keys that sort strictly after this one. */
  startAfter?: string;
  signal?: AbortSignal;
}

export interface ObjectStore {
  /** For messages to people: `s3://bucket/prefix` or a directory's path. */
  readonly location: string;
  /**
   * Stores `bytes` under `key` unless the key is taken. When this resolves with `created` the object is durable.
   * @param sha256 hex SHA-256 of `bytes`; a store that receives other bytes must refuse them.
   * @throws StoreError
   */
  putIfAbsent(key: string, bytes: Uint8Array, sha256: string, signal?: AbortSignal): Promise<PutOutcome>;
  /** The whole object. @throws StoreError with code `not_found` when there is none */
  get(key: string, signal?: AbortSignal): Promise<Uint8Array>;
  /** What is known of the object, or null when there is none. @throws StoreError */
  head(key: string, signal?: AbortSignal): Promise<ObjectInfo | null>;
  /** All objects whose key starts with `prefix`, by key in byte order, with bounded memory. @throws StoreError */
  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo>;
}

export type StoreErrorCode = 'not_found' | 'denied' | 'unreachable' | 'full' | 'invalid' | 'failed';

/** What failed, on which object, why, and what the operator can do about it. */
export class StoreError extends Error {
  readonly code: StoreErrorCode;
  readonly operation: 'put' | 'get' | 'head' | 'list';
  readonly key: string;
  readonly hint: string;

  constructor(
    code: StoreErrorCode,
    operation: StoreError['operation'],
    key: string,
    hint: string,
    cause?: unknown,
  ) {
    const why = cause instanceof Error ? `: ${cause.message}` : '';
    super(`${operation} ${key} failed (${code})${why}`, { cause });
    this.name = 'StoreError';
    this.code = code;
    this.operation = operation;
    this.key = key;
    this.hint = hint;
  }
}
