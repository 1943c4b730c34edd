import { hash, randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import {
  DeleteObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { verifyStore } from '@mcp-recorder/recording/read/verify-store';
import type { S3StoreOptions } from '@mcp-recorder/recording/store/s3-options';
import { createS3Store } from '@mcp-recorder/recording/store/s3-store';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accessPolicy, ROLES } from '../../cli/access-policy.ts';
import { createStreamBuilder, store } from '../recording/stream-builder.ts';
import { startProcess } from '../support/child-process.ts';
import { startFixtureServer } from '../support/fixture-server.ts';
import { MINIO_BUCKETS, MINIO_REGION, type Minio, startMinio } from '../support/minio.ts';
import { run } from './command.ts';
import { STREAM } from './recorded.ts';

/** What the command prints, and what it says beside it. */
async function print(...words: string[]): Promise<{ policy: object; notes: string }> {
  const { code, stdout, stderr } = await run('bucket-policy', ...words);
  expect(code).toBe(0);
  return { policy: JSON.parse(stdout), notes: stderr };
}

const KEY = 'arn:aws:kms:eu-central-1:111122223333:key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0';
const OBJECTS = 'arn:aws:s3:::audit/mcp/prod/v1/*';

describe('mcp-recorder bucket-policy', () => {
  it('gives a writer on AWS the right to put new objects, and no other', async () => {
    const { policy, notes } = await print('s3://audit/mcp/prod', '--role', 'writer');
    expect(policy).toEqual({
      Version: '2012-10-17',
      Statement: [
        { Sid: 'PutRecordings', Effect: 'Allow', Action: ['s3:PutObject'], Resource: [OBJECTS] },
        {
          Sid: 'NeverOverwrite',
          Effect: 'Deny',
          Action: ['s3:PutObject'],
          Resource: [OBJECTS],
          Condition: { Null: { 's3:if-none-match': 'true' } },
        },
        {
          Sid: 'SeeHowTheBucketProtects',
          Effect: 'Allow',
          Action: ['s3:GetBucketVersioning', 's3:GetBucketObjectLockConfiguration'],
          Resource: ['arn:aws:s3:::audit'],
        },
      ],
    });
    expect(notes).toContain('"Principal": "*"');
  });

  it('adds the rights for a retention and for a key of the KMS', async () => {
    const more = ['--object-lock', '--kms-key', KEY];
    const writer = await print('s3://audit/mcp/prod', '--role', 'writer', ...more);
    expect(writer.policy).toMatchObject({
      Statement: [
        { Action: ['s3:PutObject', 's3:PutObjectRetention'] },
        {},
        {},
        { Effect: 'Allow', Action: ['kms:GenerateDataKey'], Resource: [KEY] },
      ],
    });
    const reader = await print(
      '--bucket',
      'audit',
      '--prefix',
      'mcp/prod',
      '--role',
      'reader',
      ...more.slice(1),
    );
    expect(reader.policy).toMatchObject({
      Statement: [
        {
          Action: ['s3:ListBucket', 's3:ListBucketVersions'],
          Resource: ['arn:aws:s3:::audit'],
          Condition: { StringLike: { 's3:prefix': ['mcp/prod/v1/*'] } },
        },
        { Action: ['s3:GetObject', 's3:GetObjectVersion'], Resource: [OBJECTS] },
        { Action: ['kms:Decrypt'], Resource: [KEY] },
      ],
    });
    const purger = await print('s3://audit', '--role', 'purger', '--object-lock');
    expect(purger.policy).toMatchObject({
      Statement: [
        { Condition: { StringLike: { 's3:prefix': ['v1/*'] } } },
        { Action: ['s3:DeleteObject', 's3:DeleteObjectVersion'], Resource: ['arn:aws:s3:::audit/v1/*'] },
      ],
    });
    expect(purger.notes).toContain('no right to bypass');
  });

  it('says that MinIO can not forbid overwriting', async () => {
    const { policy, notes } = await print('s3://audit', '--role', 'writer', '--for', 'minio');
    expect(JSON.stringify(policy)).not.toContain('if-none-match');
    expect(notes).toContain('MinIO can not forbid overwriting by a policy');
  });

  it('is explained right by right in docs/bucket-policies.md', async () => {
    const page = await fs.readFile(path.join(import.meta.dirname, '../../docs/bucket-policies.md'), 'utf8');
    const place = { bucket: 'audit', prefix: '', objectLock: true, audit: true, kmsKey: KEY };
    for (const role of ROLES) {
      const rows = page.split('\n').filter((row) => row.startsWith(`| ${role} |`));
      const explained = rows.flatMap((row) => row.match(/(?:s3|kms):[A-Z]\w+/g) ?? []);
      const granted = accessPolicy({ ...place, role, store: 'aws' }).Statement.flatMap(
        ({ Action }) => Action,
      );
      expect(new Set(explained)).toEqual(new Set(granted));
    }
  });

  it.each([
    [['s3://audit'], "required option '--role <role>' not specified"],
    [['--role', 'writer'], 'Which bucket? Give --bucket, or s3://BUCKET'],
    [['s3://audit', '--bucket', 'b', '--role', 'writer'], 'not both'],
    [['./audit', '--role', 'writer'], 'The store "./audit" is no bucket'],
    [['s3://Audit', '--role', 'writer'], 'The bucket "Audit" can\'t be'],
    [['s3://audit/*', '--role', 'writer'], 'The prefix "*" can\'t be'],
    [['s3://audit/${aws:username}', '--role', 'writer'], "can't be: needs path parts"],
    [['s3://audit', '--role', 'admin'], 'Allowed choices are writer, reader, purger'],
    [['s3://audit', '--role', 'purger', '--kms-key', KEY], '--kms-key says nothing of a purger'],
    [['s3://audit', '--role', 'reader', '--object-lock'], '--object-lock says nothing of a reader'],
    [['s3://audit', '--role', 'writer', '--audit'], '--audit says nothing of a writer'],
    [['s3://audit', '--role', 'reader', '--kms-key', 'alias/k'], '--kms-key needs the ARN of a key'],
  ])('refuses %j with what would be right', async (words, message) => {
    const { code, stdout, stderr } = await run('bucket-policy', ...words);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
  });
});

describe('on MinIO, with the printed policy', () => {
  let minio: Minio;
  beforeAll(async () => {
    minio = await startMinio();
  });
  afterAll(() => minio.stop());

  /** A user who has what the command prints, below a prefix of its own. */
  async function userOf(role: string, bucket: string, prefix: string) {
    const lock = role === 'reader' ? [] : ['--object-lock'];
    const words = [`s3://${bucket}/${prefix}`, '--role', role, '--for', 'minio', ...lock];
    const files = await minio.addUser(
      `${role}-${prefix.slice(0, 8)}`,
      randomUUID(),
      (await print(...words)).policy,
    );
    const client = new S3Client({
      endpoint: minio.endpoint,
      region: MINIO_REGION,
      forcePathStyle: true,
      credentials: {
        accessKeyId: await fs.readFile(files.accessKeyId, 'utf8'),
        secretAccessKey: await fs.readFile(files.secretAccessKey, 'utf8'),
      },
    });
    return { client, options: minio.options(bucket, prefix, files) };
  }

  const denied = expect.objectContaining({ name: 'StoreError', code: 'denied' });
  const bytes = Buffer.from('anything');
  const put = (options: S3StoreOptions, key: string) =>
    createS3Store(options).putIfAbsent(key, bytes, hash('sha256', bytes, 'hex'));
  const closedStream = () =>
    createStreamBuilder({ stream: STREAM, startMs: Date.UTC(2026, 10, 21, 8) }).segment([], { last: true });

  it.each(MINIO_BUCKETS)('a writer does all its work in the %s bucket, and nothing else', async (bucket) => {
    const prefix = randomUUID();
    const { client, options } = await userOf('writer', bucket, prefix);
    const locked = bucket === 'locked';
    const target = createS3Store({
      ...options,
      objectLock: locked ? { mode: 'GOVERNANCE', retainForMs: 60_000 } : null,
    });
    const segment = closedStream();

    expect(await target.probe()).toMatchObject({
      immutability: locked ? 'Locked' : 'Conditional',
      versioned: bucket !== 'plain',
    });
    await store(target, segment);
    // A second put of the same key, as after a lost answer: taken, and by what can't be read.
    expect(await put(options, segment.key)).toEqual({ outcome: 'exists', sha256: null });

    const place = { Bucket: bucket, Key: `${prefix}/${segment.key}` };
    await expect(target.get(segment.key)).rejects.toEqual(denied);
    await expect(Array.fromAsync(target.list('v1/'))).rejects.toEqual(denied);
    await expect(Array.fromAsync(target.history('v1/'))).rejects.toEqual(denied);
    await expect(put(options, 'elsewhere')).rejects.toEqual(denied);
    await expect(put({ ...options, prefix: 'other' }, 'v1/segments/x')).rejects.toEqual(denied);
    await expect(client.send(new DeleteObjectCommand(place))).rejects.toMatchObject({ name: 'AccessDenied' });
    const root = createS3Store(minio.options(bucket, prefix));
    const { Versions } = await minio
      .client()
      .send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: place.Key }));
    const version = { ...place, VersionId: Versions?.[0]?.VersionId };
    await expect(client.send(new DeleteObjectCommand(version))).rejects.toMatchObject({
      name: 'AccessDenied',
    });
    expect(await verifyStore(root)).toMatchObject({ explained: true, streams: [{ state: 'complete' }] });

    // What MinIO can't forbid, and what is found where versions are kept.
    await client.send(new PutObjectCommand({ ...place, Body: 'forged' }));
    const report = await verifyStore(root);
    expect(report.explained).toBe(false);
    expect(report.streams[0]?.findings.map(({ code }) => code)).toEqual([
      bucket === 'plain' ? 'damaged' : 'overwritten',
    ]);
    client.destroy();
  });

  it('a recorder with the rights of a writer records, stores all and ends with 0', async () => {
    const prefix = randomUUID();
    const { client, options } = await userOf('writer', 'versioned', prefix);
    client.destroy();
    const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-policy-'));
    const server = await startFixtureServer();
    const { accessKeyId, secretAccessKey } = options.credentialFiles ?? {};
    const configuration = {
      name: 'fixture',
      listen: '127.0.0.1:0',
      server: { url: server.url },
      auth: { mode: 'Anonymous' },
      storage: {
        s3: {
          bucket: 'versioned',
          prefix,
          region: MINIO_REGION,
          endpoint: minio.endpoint,
          pathStyle: true,
          credentialFiles: { accessKeyId, secretAccessKey },
        },
      },
      recording: { spool: { directory: 'spool' } },
    };
    const file = path.join(directory, 'recorder.json');
    try {
      await fs.writeFile(file, JSON.stringify(configuration));
      const args = [path.join(import.meta.dirname, '../../cli/main.ts'), 'record', '--config', file];
      const recorder = await startProcess({ args, ready: /Ctrl-C or SIGTERM/ });
      const url = /clients connect to +(\S+)/.exec(recorder.stdout())?.[1] ?? '';
      const mcp = new Client({ name: 'test', version: '1.0.0' });
      await mcp.connect(new StreamableHTTPClientTransport(new URL(url)));
      await mcp.listTools();
      await mcp.close();
      const { code } = await recorder.stop('SIGTERM');
      expect([code, recorder.output()]).toEqual([0, expect.stringContaining('Verify with')]);
    } finally {
      await server.close();
      await fs.rm(directory, { recursive: true });
    }
    const report = await verifyStore(createS3Store(minio.options('versioned', prefix)), {
      expectClosed: true,
    });
    expect(report).toMatchObject({ explained: true, streams: [{ state: 'complete' }] });
  });

  it('a reader verifies, first versions too, and can neither put nor delete', async () => {
    const prefix = randomUUID();
    const segment = closedStream();
    await store(createS3Store(minio.options('versioned', prefix)), segment);
    const { client, options } = await userOf('reader', 'versioned', prefix);
    const target = createS3Store(options);
    const place = { Bucket: 'versioned', Key: `${prefix}/${segment.key}` };
    await minio.client().send(new PutObjectCommand({ ...place, Body: 'forged' }));
    const report = await verifyStore(target);
    expect(report.streams[0]?.findings.map(({ code }) => code)).toEqual(['overwritten']);
    await expect(put(options, 'v1/segments/x')).rejects.toEqual(denied);
    await expect(target.probe()).rejects.toEqual(denied);
    await expect(client.send(new DeleteObjectCommand(place))).rejects.toMatchObject({ name: 'AccessDenied' });
    const other = createS3Store({ ...options, prefix: 'other' });
    await expect(Array.fromAsync(other.list('v1/segments/'))).rejects.toEqual(denied);
    client.destroy();
  });

  it('a purger deletes for good what it lists, and can neither read nor put', async () => {
    const prefix = randomUUID();
    const segment = closedStream();
    await store(createS3Store(minio.options('versioned', prefix)), segment);
    const { client, options } = await userOf('purger', 'versioned', prefix);
    const target = createS3Store(options);
    await expect(target.get(segment.key)).rejects.toEqual(denied);
    await expect(put(options, 'v1/segments/x')).rejects.toEqual(denied);
    const place = { Bucket: 'versioned', Key: `${prefix}/${segment.key}` };
    await client.send(new DeleteObjectCommand(place));
    for await (const { versions } of target.history('v1/segments/')) {
      for (const { version } of versions) {
        await client.send(new DeleteObjectCommand({ ...place, VersionId: version ?? undefined }));
      }
    }
    expect(await Array.fromAsync(target.history('v1/segments/'))).toEqual([]);
    const foreign = new DeleteObjectCommand({ Bucket: 'versioned', Key: 'other/v1/segments/x' });
    await expect(client.send(foreign)).rejects.toMatchObject({ name: 'AccessDenied' });
    client.destroy();
  });
});
