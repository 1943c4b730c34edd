/**
 * Owns putting an object into an S3 store only where its key is free.
 * Invariant: a store that has once kept the condition is never written to without it; one that does not know it is asked first whether
 * the key is taken, where that may be asked.
 */
import { type HeadObjectCommandOutput, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { type PutOutcome, StoreError } from './object-store.ts';
import type { S3Connection } from './s3-connection.ts';
import { answerOf, notS3 } from './s3-failure.ts';
import type { S3StoreOptions } from './s3-options.ts';

export interface S3Put {
  /** @param path the key in the bucket; `key` is what messages name */
  putIfAbsent(
    target: { operation: 'put' | 'probe'; key: string; path: string },
    bytes: Uint8Array,
    sha256: string,
    signal?: AbortSignal,
    compare?: boolean,
  ): Promise<PutOutcome>;
  /** Whether the store knows the condition: null before that is known. */
  readonly conditionKnown: boolean | null;
  /** The store was seen to take the condition and not to keep it: keys are asked for first from now on. */
  distrustCondition(): void;
}

interface Form {
  /** `If-None-Match: *`. */
  conditional: boolean;
  /** `x-amz-checksum-sha256`, which the store keeps. The signature covers the SHA-256 of the body in any case. */
  checksum: boolean;
}
/** Tried in this order by a store's first answer `NotImplemented`: better without a kept sum than without the condition. */
const FORMS: readonly Form[] = [
  { conditional: true, checksum: true },
  { conditional: true, checksum: false },
  { conditional: false, checksum: true },
  { conditional: false, checksum: false },
];

/** Hex of the SHA-256 that a store keeps of a whole object; null when it keeps none, or sums of the parts of an upload. */
export function keptSha256({
  ChecksumSHA256 = '',
}: Pick<HeadObjectCommandOutput, 'ChecksumSHA256'>): string | null {
  return /^[A-Za-z0-9+/]{43}=$/.test(ChecksumSHA256)
    ? Buffer.from(ChecksumSHA256, 'base64').toString('hex')
    : null;
}

/** Told that the key is taken, the caller might drop its own copy: that must not rest on a store that then knows of no object. */
function contradiction(operation: StoreError['operation'], key: string): StoreError {
  const hint =
    'The store refused the object as one that is there, and then said that there is none. Either somebody deletes objects of the recorder, or the store gets If-None-Match wrong.';
  return new StoreError('failed', operation, key, hint, new Error('HTTP 412 to PUT, then HTTP 404 to HEAD'));
}

export function createS3Put(connection: S3Connection, options: S3StoreOptions): S3Put {
  const { bucket, encryption, objectLock, storageClass } = options;
  let conditionKnown: boolean | null = null;
  /** What the store has taken once is what it gets from then on. */
  let settled: Form | null = null;

  function command(path: string, bytes: Uint8Array, sha256: string, { conditional, checksum }: Form) {
    const put = new PutObjectCommand({
      Bucket: bucket,
      Key: path,
      Body: bytes,
      ContentLength: bytes.length,
      ...(conditional ? { IfNoneMatch: '*' } : {}),
      ...(checksum
        ? { ChecksumAlgorithm: 'SHA256', ChecksumSHA256: Buffer.from(sha256, 'hex').toString('base64') }
        : {}),
      ...(encryption === null
        ? {}
        : { ServerSideEncryption: encryption.type === 'SSE-S3' ? 'AES256' : 'aws:kms' }),
      ...(encryption?.type === 'SSE-KMS' && encryption.keyId !== null
        ? { SSEKMSKeyId: encryption.keyId }
        : {}),
      ...(objectLock === null
        ? {}
        : {
            ObjectLockMode: objectLock.mode,
            ObjectLockRetainUntilDate: new Date(connection.storeTimeMs() + objectLock.retainForMs),
          }),
      ...(storageClass === null ? {} : { StorageClass: storageClass as 'STANDARD' }),
    });
    // The signer takes the body's SHA-256 from here, and does not compute it again on the thread that serves exchanges.
    put.middlewareStack.add(
      (next) => (args) => {
        const request = args.request as { headers: Record<string, string> };
        request.headers['x-amz-content-sha256'] = sha256;
        return next(args);
      },
      { step: 'build', name: 'knownPayloadSha256' },
    );
    return put;
  }

  /** What stands under the key: null when nothing does, `unreadable` when these credentials may not ask. */
  async function standing(
    key: string,
    path: string,
    signal?: AbortSignal,
  ): Promise<{ sha256: string | null } | 'unreadable' | null> {
    try {
      const found = await connection.ask('head', key, signal, (client, http) =>
        client.send(new HeadObjectCommand({ Bucket: bucket, Key: path, ChecksumMode: 'ENABLED' }), http),
      );
      return { sha256: keptSha256(found) };
    } catch (error) {
      const status = answerOf(error)?.status;
      if (status === 403) return 'unreadable';
      if (status === 404) return null;
      throw error;
    }
  }

  async function putIfAbsent(
    { operation, key, path }: Parameters<S3Put['putIfAbsent']>[0],
    bytes: Uint8Array,
    sha256: string,
    signal?: AbortSignal,
    compare = true,
  ): Promise<PutOutcome> {
    const digest = sha256.toLowerCase();
    if (!/^[0-9a-f]{64}$/.test(digest)) {
      throw new StoreError(
        'invalid',
        operation,
        key,
        'What was announced is no SHA-256 in hexadecimal digits.',
      );
    }
    let refusal: unknown;
    for (const form of settled === null ? FORMS : [settled]) {
      if (!form.conditional) {
        const found = await standing(key, path, signal);
        if (found !== null && found !== 'unreadable') return { outcome: 'exists', ...found };
      }
      try {
        const answer = await connection.ask(operation, key, signal, (client, http) =>
          client.send(command(path, bytes, digest, form), http),
        );
        if (answer.ETag === undefined) throw notS3(operation, key, 'success without an ETag');
        const kept = keptSha256(answer);
        if (kept !== null && kept !== digest) {
          const hint = 'The store confirmed another SHA-256 than that of the object: do not trust it.';
          throw new StoreError('invalid', operation, key, hint);
        }
        if (!form.conditional) conditionKnown = false;
        settled = form;
        return { outcome: 'created' };
      } catch (error) {
        const answer = answerOf(error);
        if (form.conditional && answer?.status === 412) {
          // The probe has seen that a refusal means what it says.
          if (!compare) return { outcome: 'exists', sha256: null };
          const found = await standing(key, path, signal);
          if (found === null) throw contradiction(operation, key);
          conditionKnown = true;
          settled = form;
          return { outcome: 'exists', sha256: found === 'unreadable' ? null : found.sha256 };
        }
        // A proxy's own 501 has no such code, and must not cost the condition.
        if (answer?.s3Code !== 'NotImplemented') throw error;
        refusal = error;
      }
    }
    throw refusal;
  }

  return {
    putIfAbsent,
    distrustCondition() {
      conditionKnown = false;
      settled = { conditional: false, checksum: settled?.checksum ?? true };
    },
    get conditionKnown() {
      return conditionKnown;
    },
  };
}
