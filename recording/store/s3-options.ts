/**
 * Owns what can be said about an S3-compatible store: which bucket, how it is reached, and what each object gets.
 */

export interface S3StoreOptions {
  bucket: string;
  /** All keys begin with it; path parts joined by single slashes, no slash at either end. '' = none. */
  prefix: string;
  /** Null: from the environment (AWS_REGION, profile); a store of one's own mostly takes any. */
  region: string | null;
  /** URL of a store other than AWS; null = AWS. */
  endpoint: string | null;
  /** The bucket's name in the path instead of the host name: most stores other than AWS. */
  pathStyle: boolean;
  /** PEM file of certificate authorities that are trusted beside the system's; null = none. */
  caFile: string | null;
  /** What `caFile` holds now, from who has checked it; a change counts from the next request on. Without it the file is read. */
  readCa?: () => string;
  /** Files that hold a static key, one value each, read again when they change. Null: the default chain of AWS SDKs. */
  credentialFiles: { accessKeyId: string; secretAccessKey: string; sessionToken: string | null } | null;
  /** Encryption by the store; null = the bucket's default. */
  encryption: { type: 'SSE-S3' } | { type: 'SSE-KMS'; keyId: string | null } | null;
  /** Retention of each object, from the moment it is put; the bucket must have Object Lock. Null: the bucket's default. */
  objectLock: { mode: 'GOVERNANCE' | 'COMPLIANCE'; retainForMs: number } | null;
  /** Null: the bucket's default. */
  storageClass: string | null;
}

/** How people name the store, and commands take it. */
export function s3Location({ bucket, prefix }: Pick<S3StoreOptions, 'bucket' | 'prefix'>): string {
  return prefix === '' ? `s3://${bucket}` : `s3://${bucket}/${prefix}`;
}
