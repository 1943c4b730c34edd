/**
 * Owns objects kept in a bucket of an S3-compatible store.
 * Invariant: a put is confirmed only by an answer that an S3 store gives, and no request is repeated behind the caller's back.
 */
import { GetObjectCommand, HeadObjectCommand } from '@aws-sdk/client-s3';
import { requireKey } from './object-key.ts';
import { type ListOptions, type ObjectStore, StoreError } from './object-store.ts';
import { createS3Connection, S3_TIME_LIMITS, type S3TimeLimits } from './s3-connection.ts';
import { answerOf, notS3 } from './s3-failure.ts';
import { historyOfS3, listS3, type S3Place } from './s3-list.ts';
import { s3Location, type S3StoreOptions } from './s3-options.ts';
import { probeS3 } from './s3-probe.ts';
import { createS3Put, keptSha256 } from './s3-put.ts';

const MAX_KEY_BYTES = 1024;

/**
 * A store in a bucket, below a prefix. Nothing is connected before the first call; there is nothing to close: idle connections keep no
 * process alive.
 */
export function createS3Store(options: S3StoreOptions, limits: S3TimeLimits = S3_TIME_LIMITS): ObjectStore {
  const place: S3Place = {
    bucket: options.bucket,
    root: options.prefix === '' ? '' : `${options.prefix}/`,
  };
  const connection = createS3Connection(options, limits);
  const put = createS3Put(connection, options);

  /** The key in the bucket. */
  function pathOf(operation: 'put' | 'get' | 'head', key: string): string {
    requireKey(operation, key);
    const path = place.root + key;
    if (Buffer.byteLength(path) > MAX_KEY_BYTES) {
      const hint = `Prefix and key together are longer than ${MAX_KEY_BYTES} bytes: use a shorter prefix.`;
      throw new StoreError('invalid', operation, key, hint);
    }
    return path;
  }

  async function get(key: string, signal?: AbortSignal, version?: string | null): Promise<Uint8Array> {
    const path = pathOf('get', key);
    return await connection.ask('get', key, signal, async (client, http) => {
      const command = new GetObjectCommand({
        Bucket: place.bucket,
        Key: path,
        ...(version == null ? {} : { VersionId: version }),
      });
      const { Body, ETag, ContentLength } = await client.send(command, http);
      if (Body === undefined || ETag === undefined) throw notS3('get', key, 'success without an ETag');
      const bytes = await Body.transformToByteArray();
      if (ContentLength !== undefined && bytes.length !== ContentLength) {
        throw Object.assign(new Error(`${bytes.length} of ${ContentLength} bytes arrived`), {
          code: 'ECONNRESET',
        });
      }
      return bytes;
    });
  }

  async function head(key: string, signal?: AbortSignal) {
    const path = pathOf('head', key);
    const command = new HeadObjectCommand({ Bucket: place.bucket, Key: path, ChecksumMode: 'ENABLED' });
    try {
      const found = await connection.ask('head', key, signal, (client, http) => client.send(command, http));
      if (found.ETag === undefined) throw notS3('head', key, 'success without an ETag');
      return { key, size: found.ContentLength ?? 0, sha256: keptSha256(found) };
    } catch (error) {
      const answer = answerOf(error);
      if (answer?.status === 404 && [null, 'NoSuchKey'].includes(answer.s3Code)) return null;
      throw error;
    }
  }

  return {
    location: s3Location(options),
    async putIfAbsent(key, bytes, sha256, signal, compare) {
      const target = { operation: 'put' as const, key, path: pathOf('put', key) };
      return await put.putIfAbsent(target, bytes, sha256, signal, compare);
    },
    get,
    head,
    list: (prefix: string, listing: ListOptions = {}) => listS3(connection, place, prefix, listing),
    history: (prefix: string, listing: ListOptions = {}) => historyOfS3(connection, place, prefix, listing),
    probe: (signal) => probeS3(connection, put, place, options, signal),
  };
}
