/**
 * Owns finding out what an S3 store does for the objects of this writer.
 * Invariant: only what was seen is claimed; what could not be seen is a note, and only a store that takes no object is an error.
 */
import {
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { canaryKey } from '../format/keys.ts';
import { CANARY_BYTES, CANARY_SHA256 } from './canary.ts';
import { type Immutability, type StoreFacts } from './object-store.ts';
import type { S3Connection } from './s3-connection.ts';
import { answerOf } from './s3-failure.ts';
import type { S3Place } from './s3-list.ts';
import type { S3StoreOptions } from './s3-options.ts';
import type { S3Put } from './s3-put.ts';

/** The bucket's Object Lock: `default` = it retains objects that ask for nothing; `unknown` = the store does not tell this writer. */
type Lock = { state: 'none' | 'unknown' } | { state: 'enabled' | 'default'; mode: string | null };

export async function probeS3(
  connection: S3Connection,
  put: S3Put,
  place: S3Place,
  { objectLock }: S3StoreOptions,
  signal?: AbortSignal,
): Promise<StoreFacts> {
  const notes: string[] = [];
  const key = canaryKey();

  const putCanary = () =>
    put.putIfAbsent({ operation: 'probe', key, path: place.root + key }, CANARY_BYTES, CANARY_SHA256, signal);

  async function conditionHolds(): Promise<boolean> {
    const first = await putCanary();
    // Without the condition the answer `exists` is by asking before, and proves nothing.
    const second = first.outcome === 'exists' ? first : await putCanary();
    if (second.outcome === 'exists' && ![null, CANARY_SHA256].includes(second.sha256))
      notes.push(`Somebody else wrote ${key}: what is in this store may not be the recorder's alone.`);
    if (second.outcome === 'exists' && put.conditionKnown === true) return true;
    put.distrustCondition();
    notes.push(
      'The store does not keep If-None-Match: of two writers of a key at once the second replaces the first.',
    );
    return false;
  }

  async function ask<T>(
    send: (client: S3Client, http: { abortSignal?: AbortSignal }) => Promise<T>,
    what: string,
  ) {
    try {
      return await connection.ask('probe', key, signal, send);
    } catch (error) {
      const answer = answerOf(error);
      if (answer === null) throw error;
      if (answer.s3Code === 'ObjectLockConfigurationNotFoundError') return null;
      notes.push(
        answer.status === 403
          ? `These credentials may not read ${what} of the bucket.`
          : `The store does not tell ${what} of the bucket (${answer.s3Code ?? `HTTP ${answer.status}`}).`,
      );
      return undefined;
    }
  }

  async function lockOfBucket(): Promise<Lock> {
    const answer = await ask(
      (client, http) => client.send(new GetObjectLockConfigurationCommand({ Bucket: place.bucket }), http),
      'the Object Lock configuration',
    );
    if (answer === undefined) return { state: 'unknown' };
    const configuration = answer?.ObjectLockConfiguration;
    if (configuration?.ObjectLockEnabled !== 'Enabled') return { state: 'none' };
    const mode = configuration.Rule?.DefaultRetention?.Mode ?? null;
    return { state: mode === null ? 'enabled' : 'default', mode };
  }

  async function versioned(lock: Lock): Promise<boolean | null> {
    // Object Lock can't be had without versions.
    if (lock.state === 'enabled' || lock.state === 'default') return true;
    const answer = await ask(
      (client, http) => client.send(new GetBucketVersioningCommand({ Bucket: place.bucket }), http),
      'the versioning',
    );
    return answer === undefined ? null : answer?.Status === 'Enabled';
  }

  const conditional = await conditionHolds();
  const lock = await lockOfBucket();
  const isVersioned = await versioned(lock);

  function immutability(): Immutability {
    const otherwise = conditional ? 'Conditional' : 'None';
    if (objectLock === null) return lock.state === 'default' ? 'Locked' : otherwise;
    if (lock.state !== 'none') return 'Locked';
    notes.push(
      'The store took objects with a retention and says that the bucket has no Object Lock: nothing is retained.',
    );
    return otherwise;
  }
  const found = immutability();
  if (found === 'Locked') {
    const mode = objectLock?.mode ?? ('mode' in lock ? lock.mode : null);
    if (mode === 'GOVERNANCE')
      notes.push('The retention is of mode GOVERNANCE: credentials with the right to bypass it can end it.');
    if (lock.state === 'unknown')
      notes.push('That the store retains objects is taken from its having accepted the retention.');
  }
  return { immutability: found, versioned: isVersioned, notes };
}
