/**
 * Owns what the platform team's bounds make of what the owner of a namespace asks for.
 * Invariant: what is in force is never looser than the bounds, whatever is asked for; each difference is told.
 */
import { parseDuration } from '@mcp-recorder/sidecar/config/quantity';
import type { RecordedMCPServer, S3Storage } from '../api/recorded-mcp-server.ts';
import type { Settings, StoreSettings } from '../settings.ts';
import { credentialsSecret } from '../webhook/inject/storage.ts';
import type { Reason } from './reasons.ts';

/** Something asked for that is not granted. */
export interface Refusal {
  reason: Reason;
  /** Whole sentences. */
  cause: string;
}

/** A bucket, wherever it was described. */
export interface Bucket extends Omit<StoreSettings, 'credentialsSecret'> {
  /** A Secret holds its credentials. */
  hasSecret: boolean;
}

export type RecordingInForce = RecordedMCPServer['spec']['recording'];

/** The bucket that the resource means, or why it gets none. */
export function bucketOf(
  { spec: { storage } }: RecordedMCPServer,
  { stores, policy }: Settings,
): { ok: true; bucket: Bucket } | { ok: false; refusal: Refusal } {
  const { store, s3 } = storage;
  if (s3 !== undefined) {
    if (policy.allowInlineStorage) return { ok: true, bucket: bucketOfResource(s3) };
    const cause = 'spec.storage.s3 is given, and the platform team allows only its own stores.';
    return { ok: false, refusal: { reason: 'InlineStorageNotAllowed', cause } };
  }
  const found = store === undefined || !Object.hasOwn(stores, store) ? undefined : stores[store];
  if (found !== undefined) {
    const { credentialsSecret, ...bucket } = found.s3;
    return { ok: true, bucket: { ...bucket, hasSecret: credentialsSecret !== undefined } };
  }
  const known = Object.keys(stores).sort().join(', ');
  const cause = `There is no store ${JSON.stringify(store ?? '')}; ${known === '' ? 'the platform team has set up none' : `known stores: ${known}`}.`;
  return { ok: false, refusal: { reason: 'UnknownStore', cause } };
}

/** Where the recording goes and by which keys, for people. */
export function describeStore(resource: RecordedMCPServer, settings: Settings): string {
  const found = bucketOf(resource, settings);
  if (!found.ok) return 'not known';
  const { bucket, endpoint } = found.bucket;
  const secret = credentialsSecret(resource, settings);
  const keys = secret === null ? "with the pod's own identity" : `with the keys in the Secret ${secret}`;
  return `the bucket ${bucket} at ${endpoint ?? 'AWS'}, ${keys}`;
}

function bucketOfResource({ credentialsSecretRef, ...bucket }: S3Storage): Bucket {
  return { ...bucket, hasSecret: credentialsSecretRef !== undefined };
}

/** How is recorded: as asked for, or as the bounds want it where that is stricter. */
export function recordingInForce(
  { spec: { recording } }: RecordedMCPServer,
  { policy }: Settings,
): { recording: RecordingInForce; refusals: Refusal[] } {
  const inForce = { ...recording };
  const refusals: Refusal[] = [];
  if (recording.onFailure === 'Open' && !policy.allowFailOpen) {
    inForce.onFailure = 'Closed';
    refusals.push({
      reason: 'FailOpenNotAllowed',
      cause: 'recording.onFailure is Open, and the platform team allows only Closed, which is in force.',
    });
  }
  if (isLonger(recording.maxUploadLag, policy.maxUploadLag)) {
    inForce.maxUploadLag = policy.maxUploadLag;
    refusals.push({
      reason: 'UploadLagTooLong',
      cause: `recording.maxUploadLag is ${recording.maxUploadLag}, and the platform team allows at most ${policy.maxUploadLag}, which is in force.`,
    });
  }
  if (recording.commit === 'Spool' && policy.minimumCommit === 'ObjectStorage') {
    inForce.commit = 'ObjectStorage';
    refusals.push({
      reason: 'CommitTooWeak',
      cause: 'recording.commit is Spool, and the platform team asks for ObjectStorage, which is in force.',
    });
  }
  return { recording: inForce, refusals };
}

/** What can't be read counts as too long. */
function isLonger(asked: string, bound: string): boolean {
  const [first, second] = [parseDuration(asked), parseDuration(bound)];
  return !first.ok || !second.ok || first.value > second.value;
}
