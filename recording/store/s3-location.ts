/**
 * Owns how an S3-compatible store is named by people: `s3://bucket/prefix`, its endpoint and its region.
 * Invariant: what passes here can stand in a host name or a path as it is; faults are told before anything is connected to.
 */
import { isPrefix } from '../format/keys.ts';

export interface S3Location {
  bucket: string;
  /** Without a slash at either end; '' = none. */
  prefix: string;
}

export const BUCKET_EXPECTED =
  'the name of a bucket: 3 to 63 characters of a-z, 0-9, "." and "-", beginning and ending with a letter or a digit';
export const PREFIX_EXPECTED =
  'path parts joined by single slashes, none at either end, none that begins with a dot, at most 512 bytes';
export const ENDPOINT_EXPECTED =
  'the URL of an S3-compatible store, for example https://minio.example.com:9000, without path, query, user name and password';
export const REGION_EXPECTED = 'a region, for example eu-central-1';
export const LOCATION_EXPECTED = 's3://BUCKET or s3://BUCKET/PREFIX';

/**
 * Text that was given and can't be used, for the message that says so. Credentials stand before an @, as in `s3://KEY:SECRET@bucket`:
 * what is near one is not repeated.
 * @param near all that was given with it
 */
export function quoteGiven(text: string, near: string = text): string {
  return near.includes('@') || text.includes('@')
    ? 'text with an @, not repeated because it may hold a password'
    : JSON.stringify(text);
}

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const IP_ADDRESS = /^\d+\.\d+\.\d+\.\d+$/;
/** Of the keys that follow a prefix and its slash. */
export const LONGEST_KEY_BYTES = 314;
/** A key of S3 has 1,024 bytes at most. */
const MAX_PREFIX_BYTES = 512;
const REGION = /^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/;

export function isBucket(name: string): boolean {
  return BUCKET.test(name) && !name.includes('..') && !IP_ADDRESS.test(name);
}

/** Whether the keys of a store may begin with it. Tools show keys as paths, so nothing in it may hide or move. */
export function isStorePrefix(prefix: string): boolean {
  return (
    isPrefix(prefix) &&
    !/(?:^|\/)\./.test(prefix) &&
    !/[\p{Cc}\\]/u.test(prefix) &&
    prefix.isWellFormed() &&
    Buffer.byteLength(prefix) <= MAX_PREFIX_BYTES
  );
}

/** Region names end up in host names and signatures. Stores of one's own mostly take any. */
export function isRegion(region: string): boolean {
  return REGION.test(region);
}

/** The endpoint as its origin, or null when it is none. A path would be cut off by some stores and kept by others. */
export function parseEndpoint(text: string): string | null {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return null;
  const bare = url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  return bare && url.pathname === '/' ? url.origin : null;
}

/**
 * Splits `s3://bucket/prefix` without judging its parts; one slash at the end may be there, as file tools write it.
 * @returns null when the text does not begin with `s3://`
 */
export function splitS3Location(text: string): S3Location | null {
  const match = /^s3:\/\/([^/]*)(?:\/(.*))?$/is.exec(text);
  if (match === null) return null;
  return { bucket: match[1] ?? '', prefix: (match[2] ?? '').replace(/\/$/, '') };
}
