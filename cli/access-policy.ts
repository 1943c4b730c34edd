/**
 * Owns which rights each role needs on a bucket, as an identity policy in the language of AWS IAM, which MinIO speaks too.
 * Invariant: no role has a right that it does not use; who writes can neither read, list, delete nor, where the store can enforce it,
 * overwrite.
 */

import { READINGS } from './audit/reading-stream.ts';

export const ROLES = ['writer', 'reader', 'purger'] as const;
export type Role = (typeof ROLES)[number];
export const POLICY_STORES = ['aws', 'minio'] as const;
export type PolicyStore = (typeof POLICY_STORES)[number];

export interface AccessRequest {
  role: Role;
  store: PolicyStore;
  bucket: string;
  /** Without a slash at either end; '' = none. */
  prefix: string;
  /** The writer asks for a retention of each object. */
  objectLock: boolean;
  /** The reader logs in the same store that it reads. */
  audit: boolean;
  /** The key that encrypts the objects (SSE-KMS), if it is one of the customer's own. */
  kmsKey: string | null;
}

interface Statement {
  Sid: string;
  Effect: 'Allow' | 'Deny';
  Action: string[];
  Resource: string[];
  Condition?: Record<string, Record<string, string | string[]>>;
}

export interface AccessPolicy {
  Version: '2012-10-17';
  Statement: Statement[];
}

/** The least rights with which the role does its work. */
export function accessPolicy(request: AccessRequest): AccessPolicy {
  const statements: Record<Role, (request: AccessRequest) => Statement[]> = {
    writer: writerStatements,
    reader: readerStatements,
    purger: purgerStatements,
  };
  return { Version: '2012-10-17', Statement: statements[request.role](request) };
}

/** What the policy can't do, or its user must know; whole sentences. */
export function policyNotes({ role, store, objectLock }: AccessRequest): string[] {
  if (role === 'writer' && store === 'minio') {
    return [
      'MinIO can not forbid overwriting by a policy: who may put an object may put another over it. Use a bucket with versioning, better ' +
        'with Object Lock, where "mcp-recorder verify" finds what was overwritten.',
    ];
  }
  if (role === 'writer') {
    return [
      'The policy binds the identity that it is attached to. To forbid everyone to overwrite, put its Deny statement into the policy of the bucket, with "Principal": "*".',
    ];
  }
  if (role === 'purger' && objectLock) {
    return [
      'Objects under retention can not be deleted with it: it has no right to bypass a retention of mode GOVERNANCE.',
    ];
  }
  return [];
}

function writerStatements({ store, objectLock, kmsKey, ...place }: AccessRequest): Statement[] {
  const objects = objectsOf(place);
  return [
    {
      Sid: 'PutRecordings',
      Effect: 'Allow',
      Action: ['s3:PutObject', ...(objectLock ? ['s3:PutObjectRetention'] : [])],
      Resource: [objects],
    },
    // A put that does not ask the store to refuse a taken key. Copies must ask too. Uploads in parts are denied: what begins them and
    // carries their parts can't ask. Neither is used.
    ...(store === 'aws' ? [neverOverwrite(objects)] : []),
    {
      Sid: 'SeeHowTheBucketProtects',
      Effect: 'Allow',
      Action: ['s3:GetBucketVersioning', 's3:GetBucketObjectLockConfiguration'],
      Resource: [bucketOf(place)],
    },
    ...kmsStatements('EncryptRecordings', 'kms:GenerateDataKey', kmsKey),
  ];
}

function readerStatements({ kmsKey, audit, store, ...place }: AccessRequest): Statement[] {
  const log = `${bucketOf(place)}/${rootOf(place)}segments/cluster=${READINGS.cluster}/namespace=${READINGS.namespace}/*`;
  return [
    listStatement(place),
    {
      Sid: 'ReadRecordings',
      Effect: 'Allow',
      Action: ['s3:GetObject', 's3:GetObjectVersion'],
      Resource: [objectsOf(place)],
    },
    ...kmsStatements('DecryptRecordings', 'kms:Decrypt', kmsKey),
    ...(audit
      ? [
          { Sid: 'LogReadings', Effect: 'Allow' as const, Action: ['s3:PutObject'], Resource: [log] },
          ...(store === 'aws' ? [neverOverwrite(log)] : []),
          ...kmsStatements('EncryptReadings', 'kms:GenerateDataKey', kmsKey),
        ]
      : []),
  ];
}

function neverOverwrite(objects: string): Statement {
  return {
    Sid: 'NeverOverwrite',
    Effect: 'Deny',
    Action: ['s3:PutObject'],
    Resource: [objects],
    Condition: { Null: { 's3:if-none-match': 'true' } },
  };
}

function purgerStatements(place: AccessRequest): Statement[] {
  return [
    listStatement(place),
    {
      Sid: 'DeleteRecordings',
      Effect: 'Allow',
      Action: ['s3:DeleteObject', 's3:DeleteObjectVersion'],
      Resource: [objectsOf(place)],
    },
  ];
}

type Place = Pick<AccessRequest, 'bucket' | 'prefix'>;

function listStatement(place: Place): Statement {
  return {
    Sid: 'ListRecordings',
    Effect: 'Allow',
    Action: ['s3:ListBucket', 's3:ListBucketVersions'],
    Resource: [bucketOf(place)],
    Condition: { StringLike: { 's3:prefix': [`${rootOf(place)}*`] } },
  };
}

function kmsStatements(sid: string, action: string, kmsKey: string | null): Statement[] {
  return kmsKey === null ? [] : [{ Sid: sid, Effect: 'Allow', Action: [action], Resource: [kmsKey] }];
}

/** Below it lies all that recorders write, and nothing else. */
function rootOf({ prefix }: Place): string {
  return prefix === '' ? 'v1/' : `${prefix}/v1/`;
}

function bucketOf({ bucket }: Place): string {
  return `arn:aws:s3:::${bucket}`;
}

function objectsOf(place: Place): string {
  return `${bucketOf(place)}/${rootOf(place)}*`;
}
