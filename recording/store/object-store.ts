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

/** One of the versions that a versioned store keeps under a key. */
export interface ObjectVersion {
  /** The store's name for it; null in a store that keeps no versions. */
  version: string | null;
  /** `deleted`: the key was deleted here; the versions before it can still be read. */
  kind: 'object' | 'deleted';
  /** Bytes; 0 for `deleted`. */
  size: number;
  /** When the store took it, RFC 3339; null when it does not say. */
  time: string | null;
}

/** All that a store keeps under one key, oldest first; at least one. */
export interface ObjectHistory {
  key: string;
  versions: ObjectVersion[];
}

/**
 * What a store does for what is in it.
 * `Locked`: what this writer puts can't be changed or deleted before its retention ends (S3 Object Lock), whatever credentials are used.
 * `Conditional`: a put onto a key that is taken is refused when the writer asks so, as this one always does; others may overwrite.
 * `None`: not even that.
 */
export type Immutability = 'Locked' | 'Conditional' | 'None';

/** What a probe has found out. */
export interface StoreFacts {
  immutability: Immutability;
  /** Whether overwritten and deleted objects are kept as versions; null when the store does not tell this writer. */
  versioned: boolean | null;
  /** Whole sentences on what could not be found out or is weaker than it may look; empty when there is nothing to say. */
  notes: string[];
}

export interface ListOptions {
  /** Only keys that sort strictly after this one. */
  startAfter?: string;
  /** How many keys the store's first answer needs to hold, for who may stop after few; what follows comes as the store gives it. */
  firstPage?: number;
  signal?: AbortSignal;
}

export interface ObjectStore {
  /** For messages to people: `s3://bucket/prefix` or a directory's path. */
  readonly location: string;
  /**
   * Stores `bytes` under `key` unless the key is taken. When this resolves with `created` the object is durable.
   * @param sha256 hex SHA-256 of `bytes`; a store that receives other bytes must refuse them.
   * @param compare false: nobody asks what stands under a key that is taken, so that no second request is made to find out
   * @throws StoreError
   */
  putIfAbsent(
    key: string,
    bytes: Uint8Array,
    sha256: string,
    signal?: AbortSignal,
    compare?: boolean,
  ): Promise<PutOutcome>;
  /**
   * The whole object.
   * @param version one that `history` named; else the newest
   * @throws StoreError with code `not_found` when there is none
   */
  get(key: string, signal?: AbortSignal, version?: string | null): Promise<Uint8Array>;
  /** What is known of the object, or null when there is none. @throws StoreError */
  head(key: string, signal?: AbortSignal): Promise<ObjectInfo | null>;
  /** All objects whose key starts with `prefix`, by key in byte order, with bounded memory. @throws StoreError */
  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo>;
  /**
   * As `list`, with every version of each key, those of deleted keys included: what was first under a key is found although somebody
   * overwrote or deleted it. @throws StoreError with code `denied` when these credentials may list objects but not versions
   */
  history(prefix: string, options?: ListOptions): AsyncIterable<ObjectHistory>;
  /**
   * Finds out, by putting the canary object, whether this store takes objects and what it does for them.
   * @throws StoreError when it can't be written to
   */
  probe(signal?: AbortSignal): Promise<StoreFacts>;
}

/**
 * `not_found` no such object. `denied` these credentials may not. `credentials` expired, unknown or absent. `clock_skew` this machine's clock
 * and the store's differ too much. `misconfigured` no such bucket, another region, no S3 there, a certificate that is not trusted.
 * `unreachable` no connection. `timeout` no answer in time. `throttled` the store asks for less. `full` no space. `invalid` the request itself
 * is wrong. `failed` the store reported a fault of its own.
 */
export type StoreErrorCode =
  | 'not_found'
  | 'denied'
  | 'credentials'
  | 'clock_skew'
  | 'misconfigured'
  | 'unreachable'
  | 'timeout'
  | 'throttled'
  | 'full'
  | 'invalid'
  | 'failed';

/** What failed, on which object, why, and what the operator can do about it. */
export class StoreError extends Error {
  readonly code: StoreErrorCode;
  readonly operation: 'put' | 'get' | 'head' | 'list' | 'probe';
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
