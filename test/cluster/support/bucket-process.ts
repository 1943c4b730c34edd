/**
 * Owns what suites do to the buckets of a MinIO in a cluster, as a program: it runs where the cluster can be reached.
 *   make NAME plain|versioned|locked   makes a bucket, unless it is there
 *   list BUCKET PREFIX                 prints the objects as JSON: [{"key", "bytes"}]
 *   get BUCKET KEY                     prints the object's bytes as base64
 *   lines BUCKET PREFIX                prints the decoded lines of all segments, in the order of their keys
 *   put BUCKET KEY                     stores standard input
 * The endpoint and the key come from S3_ENDPOINT, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
 */
import { text } from 'node:stream/consumers';
import { zstdDecompressSync } from 'node:zlib';
import {
  CreateBucketCommand,
  GetObjectCommand,
  paginateListObjectsV2,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';

const [action = '', bucket = '', last = ''] = process.argv.slice(2);
const endpoint = process.env['S3_ENDPOINT'] ?? '';
const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true });

async function make(): Promise<void> {
  const ObjectLockEnabledForBucket = last === 'locked';
  try {
    await client.send(new CreateBucketCommand({ Bucket: bucket, ObjectLockEnabledForBucket }));
  } catch (error) {
    if ((error as Error).name !== 'BucketAlreadyOwnedByYou') throw error;
  }
  if (last !== 'versioned') return;
  const VersioningConfiguration = { Status: 'Enabled' } as const;
  await client.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }));
}

async function list(): Promise<void> {
  const objects = [];
  for await (const page of paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: last })) {
    for (const { Key, Size } of page.Contents ?? []) objects.push({ key: Key, bytes: Size });
  }
  process.stdout.write(JSON.stringify(objects));
}

async function get(): Promise<void> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: last }));
  process.stdout.write((await Body?.transformToString('base64')) ?? '');
}

async function lines(): Promise<void> {
  const keys = [];
  for await (const page of paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: last })) {
    for (const { Key = '' } of page.Contents ?? []) if (Key.endsWith('.jsonl.zst')) keys.push(Key);
  }
  for (const key of keys.sort()) {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    process.stdout.write(zstdDecompressSync((await Body?.transformToByteArray()) ?? new Uint8Array()));
  }
}

async function put(): Promise<void> {
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: last, Body: await text(process.stdin) }));
}

const actions: Record<string, () => Promise<void>> = { make, list, get, lines, put };
const act = actions[action];
if (act === undefined) throw new Error(`${action} is none of ${Object.keys(actions).join(', ')}`);
await act();
