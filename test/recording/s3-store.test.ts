import { randomUUID } from 'node:crypto';
import {
  DeleteObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  PutObjectLockConfigurationCommand,
  type S3Client,
  CreateBucketCommand,
} from '@aws-sdk/client-s3';
import { canaryKey } from '@mcp-recorder/recording/format/keys';
import type { S3StoreOptions } from '@mcp-recorder/recording/store/s3-options';
import { createS3Store } from '@mcp-recorder/recording/store/s3-store';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { spawnProcess } from '../support/child-process.ts';
import { type Minio, MINIO_BUCKETS, startMinio } from '../support/minio.ts';
import { type Fault, type S3Faults, type SeenRequest, s3Error, startS3Faults } from '../support/s3-faults.ts';
import { describeObjectStore, historyOf, keysOf, put, sha256Of } from './object-store-contract.ts';

const BYTES = Buffer.from('some bytes of a recording');
const HOUR_MS = 3_600_000;

let minio: Minio;
let faults: S3Faults;
let root: S3Client;
let prefix: string;
beforeAll(async () => {
  minio = await startMinio();
  faults = await startS3Faults(minio.port);
  root = minio.client();
});
afterAll(async () => {
  await faults.close();
  await minio.stop();
});
beforeEach(() => {
  prefix = `tests/${randomUUID()}`;
});
afterEach(() => faults.reset());

for (const bucket of MINIO_BUCKETS) {
  describeObjectStore(`the S3 store on the ${bucket} bucket of MinIO`, async () => ({
    store: createS3Store(minio.options(bucket, prefix)),
    // Each test has a prefix of its own; the server goes with its data.
    dispose: async () => {},
  }));
}

function storeIn(bucket: string, changes: Partial<S3StoreOptions> = {}) {
  return createS3Store({ ...minio.options(bucket, prefix), endpoint: faults.endpoint, ...changes });
}

function stored(bucket: string, key: string) {
  return root.send(
    new HeadObjectCommand({ Bucket: bucket, Key: `${prefix}/${key}`, ChecksumMode: 'ENABLED' }),
  );
}

function overwrite(bucket: string, key: string, text: string) {
  return root.send(new PutObjectCommand({ Bucket: bucket, Key: `${prefix}/${key}`, Body: text }));
}

const isPut = ({ method }: SeenRequest) => method === 'PUT';

describe('an object', () => {
  it('stands below the prefix, which the keys of the contract do not contain', async () => {
    const store = storeIn('plain');
    expect(store.location).toBe(`s3://plain/${prefix}`);
    await put(store, 'v1/a', BYTES);
    const { Contents = [] } = await root.send(
      new ListObjectsV2Command({ Bucket: 'plain', Prefix: `${prefix}/` }),
    );
    expect(Contents.map(({ Key }) => Key)).toEqual([`${prefix}/v1/a`]);
    expect(await keysOf(store.list(''))).toEqual(['v1/a']);
  });

  it('may stand at the root of the bucket', async () => {
    const store = createS3Store({ ...minio.options('plain', ''), prefix: '' });
    const key = `at-the-root-${randomUUID()}`;
    await put(store, key, BYTES);
    expect(await keysOf(store.list(key))).toEqual([key]);
    expect(store.location).toBe('s3://plain');
  });

  it('does not fit when prefix and key together are longer than S3 allows', async () => {
    const long = createS3Store({ ...minio.options('plain', 'p'.repeat(200)) });
    const key = Array.from({ length: 9 }, () => 'k'.repeat(99)).join('/');
    await expect(put(long, key, BYTES)).rejects.toMatchObject({
      code: 'invalid',
      hint: expect.stringContaining('shorter prefix'),
    });
  });

  it.each([
    ['small', BYTES],
    ['large', Buffer.alloc(3_000_000, 'x')],
  ])('(%s) is put in one signed piece with its length, its SHA-256 and the condition', async (_, bytes) => {
    await put(storeIn('plain'), 'key', bytes);
    const { headers } = faults.seen.find(isPut) as SeenRequest;
    expect(headers).toMatchObject({
      'if-none-match': '*',
      'content-length': String(bytes.length),
      'x-amz-content-sha256': sha256Of(bytes),
      'x-amz-checksum-sha256': Buffer.from(sha256Of(bytes), 'hex').toString('base64'),
    });
    for (const absent of ['expect', 'transfer-encoding', 'content-encoding', 'x-amz-trailer'])
      expect(headers).not.toHaveProperty(absent);
    expect(Object.keys(headers).filter((name) => name.startsWith('x-amz-checksum'))).toHaveLength(1);
    const signed = /SignedHeaders=([^,]+)/.exec(String(headers.authorization))?.[1]?.split(';');
    expect(signed).toEqual(
      expect.arrayContaining(['if-none-match', 'x-amz-checksum-sha256', 'x-amz-content-sha256']),
    );
  });

  it('keeps its SHA-256 with the store, which says it when the key is taken', async () => {
    const store = storeIn('plain');
    await put(store, 'key', BYTES);
    expect((await stored('plain', 'key')).ChecksumSHA256).toBe(
      Buffer.from(sha256Of(BYTES), 'hex').toString('base64'),
    );
    expect(await store.head('key')).toEqual({ key: 'key', size: BYTES.length, sha256: sha256Of(BYTES) });
    expect(await put(store, 'key', Buffer.from('other'))).toEqual({
      outcome: 'exists',
      sha256: sha256Of(BYTES),
    });
    const unasked = await store.putIfAbsent('key', BYTES, sha256Of(BYTES), undefined, false);
    expect(unasked).toEqual({ outcome: 'exists', sha256: null });
  });

  it('by somebody else without a SHA-256 is told to exist, of unknown contents', async () => {
    await overwrite('plain', 'foreign', 'not ours');
    const store = storeIn('plain');
    expect(await put(store, 'foreign', BYTES)).toEqual({ outcome: 'exists', sha256: null });
    expect(await store.head('foreign')).toEqual({ key: 'foreign', size: 8, sha256: null });
  });

  it('is refused by the store when its bytes change on the way', async () => {
    const store = storeIn('plain');
    await expect(store.putIfAbsent('key', BYTES, sha256Of(Buffer.from('other')))).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining('SHA256Mismatch'),
    });
    await expect(store.putIfAbsent('key', BYTES, 'no digest')).rejects.toMatchObject({ code: 'invalid' });
    expect(await store.head('key')).toBeNull();
  });

  it.each([
    [{ type: 'SSE-S3' }, 'AES256', undefined],
    [{ type: 'SSE-KMS', keyId: null }, 'aws:kms', undefined],
    [{ type: 'SSE-KMS', keyId: 'test-key' }, 'aws:kms', 'arn:aws:kms:test-key'],
  ] as const)('is encrypted by the store as %j says', async (encryption, algorithm, key) => {
    const store = storeIn('plain', { encryption });
    await put(store, 'key', BYTES);
    const found = await stored('plain', 'key');
    expect(found.ServerSideEncryption).toBe(algorithm);
    if (key !== undefined) expect(found.SSEKMSKeyId).toBe(key);
    expect(Buffer.from(await store.get('key'))).toEqual(BYTES);
    expect((await store.head('key'))?.sha256).toBe(sha256Of(BYTES));
  });

  it('gets the storage class that was asked for', async () => {
    await put(storeIn('plain', { storageClass: 'REDUCED_REDUNDANCY' }), 'key', BYTES);
    expect((await stored('plain', 'key')).StorageClass).toBe('REDUCED_REDUNDANCY');
  });

  it('is retained from the moment it is put, by mode and date, and can not be deleted', async () => {
    const store = storeIn('locked', { objectLock: { mode: 'COMPLIANCE', retainForMs: HOUR_MS } });
    await put(store, 'key', BYTES);
    const { ObjectLockMode, ObjectLockRetainUntilDate, VersionId } = await stored('locked', 'key');
    expect(ObjectLockMode).toBe('COMPLIANCE');
    const offMs = (ObjectLockRetainUntilDate?.getTime() ?? 0) - Date.now() - HOUR_MS;
    expect(Math.abs(offMs)).toBeLessThan(10_000);
    const deleting = root.send(
      new DeleteObjectCommand({ Bucket: 'locked', Key: `${prefix}/key`, VersionId }),
    );
    await expect(deleting).rejects.toThrow(/WORM|protected/);
    expect(await put(store, 'key', BYTES)).toEqual({ outcome: 'exists', sha256: sha256Of(BYTES) });
  });
});

describe('the history of a key', () => {
  it.each(['versioned', 'locked'])(
    'in the %s bucket keeps what was overwritten and deleted',
    async (bucket) => {
      const store = storeIn(bucket);
      await put(store, 'a', Buffer.from('first'));
      await overwrite(bucket, 'a', 'second, longer');
      await root.send(new DeleteObjectCommand({ Bucket: bucket, Key: `${prefix}/a` }));
      await put(store, 'a', Buffer.from('third'));
      await put(store, 'b', Buffer.from('gone'));
      await root.send(new DeleteObjectCommand({ Bucket: bucket, Key: `${prefix}/b` }));
      await put(store, 'c', Buffer.from('stays'));
      expect(await keysOf(store.list(''))).toEqual(['a', 'c']);
      const found = await historyOf(store.history(''));
      expect(
        found.map(({ key, versions }) => [key, ...versions.map(({ kind, size }) => `${kind} ${size}`)]),
      ).toEqual([
        ['a', 'object 5', 'object 14', 'deleted 0', 'object 5'],
        ['b', 'object 4', 'deleted 0'],
        ['c', 'object 5'],
      ]);
      const texts = [];
      for (const { key, versions } of found) {
        for (const { kind, version } of versions) {
          if (kind === 'object') texts.push(Buffer.from(await store.get(key, undefined, version)).toString());
        }
      }
      expect(texts).toEqual(['first', 'second, longer', 'third', 'gone', 'stays']);
      await expect(store.get('b')).rejects.toMatchObject({ code: 'not_found' });
      await expect(store.get('a', undefined, randomUUID())).rejects.toMatchObject({ code: 'not_found' });
      expect(await historyOf(store.history('', { startAfter: 'a' }))).toEqual(found.slice(1));
    },
  );

  it('is whole when it begins on one page and ends on the next', async () => {
    const store = storeIn('versioned');
    const keys = Array.from('abcdefghijklm');
    for (const key of keys) await put(store, key, Buffer.from('first'));
    for (let n = 1; n < 80; n += 1)
      await Promise.all(keys.map((key) => overwrite('versioned', key, 'later')));
    const found = await historyOf(store.history(''));
    expect(found.map(({ key, versions }) => [key, versions.length])).toEqual(keys.map((key) => [key, 80]));
    // A page holds 1,000: the border is in the last key.
    expect(faults.seen.filter(({ url }) => url.includes('versions'))).toHaveLength(2);
    const last = found.at(-1)?.versions ?? [];
    expect(new Set(last.map(({ version }) => version)).size).toBe(80);
    const times = last.map(({ time }) => String(time));
    expect(times).toEqual(times.toSorted());
    expect(Buffer.from(await store.get('m', undefined, last[0]?.version)).toString()).toBe('first');
  });

  /** A page as a store gives it: `v...` are versions, `d...` deletions, each with its second; the first is the latest. */
  function versionsPage(...entries: [id: string, second: number][]): Fault {
    const element = ([id, second]: [string, number], n: number) => {
      const name = id.startsWith('v') ? 'Version' : 'DeleteMarker';
      return (
        `<${name}><Key>${prefix}/a</Key>${id === 'v' ? '' : `<VersionId>${id}</VersionId>`}<IsLatest>${n === 0}</IsLatest>` +
        `<LastModified>2026-01-01T00:00:0${second}.000Z</LastModified>${name === 'Version' ? '<Size>1</Size>' : ''}</${name}>`
      );
    };
    const body = `<ListVersionsResult><Name>versioned</Name><IsTruncated>false</IsTruncated>${entries.map(element).join('')}</ListVersionsResult>`;
    return { kind: 'answer', answer: { status: 200, body } };
  }

  async function orderOf(...entries: [id: string, second: number][]) {
    faults.once(versionsPage(...entries));
    const [found] = await historyOf(storeIn('versioned').history(''));
    return found?.versions.map(({ version }) => version);
  }

  it('puts a deletion of the same second after the objects, and the latest last', async () => {
    const order = await orderOf(['v3', 0], ['d', 0], ['v2', 0], ['v1', 0]);
    expect(order).toEqual(['v1', 'v2', 'd', 'v3']);
  });

  it('keeps the order in which objects were stored, whatever their times: that of an upload in parts is of its begin', async () => {
    expect(await orderOf(['v3', 9], ['d2', 7], ['v2', 0], ['v1', 5], ['d1', 4])).toEqual([
      'd1',
      'v1',
      'v2',
      'd2',
      'v3',
    ]);
    expect(await orderOf(['d1', 9], ['v2', 0], ['v1', 5])).toEqual(['v1', 'v2', 'd1']);
  });

  it('is not believed when it names several versions and not which', async () => {
    await expect(orderOf(['v', 1], ['v', 0])).rejects.toMatchObject({ code: 'misconfigured' });
    expect(await orderOf(['v', 1])).toEqual([null]);
  });

  it('is denied to those who may list objects only', async () => {
    const store = storeIn('versioned');
    await put(store, 'a', BYTES);
    // MinIO takes the right to list for the right to list versions, even where the second is denied. AWS does not.
    faults.once(s3Error(403, 'AccessDenied'), ({ url }) => url.includes('versions'));
    await expect(historyOf(store.history(''))).rejects.toMatchObject({ code: 'denied', operation: 'list' });
  });

  it('is that of a plain listing where the store keeps no versions', async () => {
    const store = storeIn('plain');
    await put(store, 'a', BYTES);
    faults.once(s3Error(501, 'NotImplemented'), ({ url }) => url.includes('versions'));
    expect(await historyOf(store.history(''))).toEqual([
      { key: 'a', versions: [{ version: null, kind: 'object', size: BYTES.length, time: null }] },
    ]);
  });
});

describe('a listing', () => {
  it('that does not come in byte order is an error, not a wrong answer', async () => {
    const contents = ['b', 'a'].map(
      (key) => `<Contents><Key>${prefix}/${key}</Key><Size>1</Size></Contents>`,
    );
    const body = `<ListBucketResult><Name>plain</Name><IsTruncated>false</IsTruncated>${contents.join('')}</ListBucketResult>`;
    faults.once({ kind: 'answer', answer: { status: 200, body } });
    await expect(keysOf(storeIn('plain').list(''))).rejects.toMatchObject({
      code: 'misconfigured',
      hint: expect.stringContaining('byte order'),
    });
  });

  it('that says that more follows, and not what, is an error, not the end', async () => {
    const body = `<ListBucketResult><Name>plain</Name><IsTruncated>true</IsTruncated><Contents><Key>${prefix}/a</Key><Size>1</Size></Contents></ListBucketResult>`;
    faults.once({ kind: 'answer', answer: { status: 200, body } });
    await expect(keysOf(storeIn('plain').list(''))).rejects.toMatchObject({
      code: 'misconfigured',
      message: expect.stringContaining('what follows'),
    });
  });

  it('reads keys that XML can not carry, and those of a store that ignores the wish for URL encoding', async () => {
    const store = storeIn('plain');
    const keys = ['a\tb', 'a b', 'a%20b', 'a&<b>', 'a+b'];
    for (const key of keys) await put(store, key, BYTES);
    expect(await keysOf(store.list(''))).toEqual(keys);
    const body = `<ListBucketResult><Name>plain</Name><IsTruncated>false</IsTruncated><Contents><Key>${prefix}/a+b%20c</Key><Size>1</Size></Contents></ListBucketResult>`;
    faults.once({ kind: 'answer', answer: { status: 200, body } });
    expect(await keysOf(store.list(''))).toEqual(['a+b%20c']);
  });
});

describe('the probe', () => {
  it.each([
    ['plain', null, { immutability: 'Conditional', versioned: false, notes: [] }],
    ['versioned', null, { immutability: 'Conditional', versioned: true, notes: [] }],
    ['locked', null, { immutability: 'Conditional', versioned: true, notes: [] }],
    ['locked', 'COMPLIANCE', { immutability: 'Locked', versioned: true, notes: [] }],
    [
      'locked',
      'GOVERNANCE',
      { immutability: 'Locked', versioned: true, notes: [expect.stringContaining('GOVERNANCE')] },
    ],
  ] as const)('of the %s bucket with retention %s says so, twice', async (bucket, mode, facts) => {
    const objectLock = mode === null ? null : { mode, retainForMs: HOUR_MS };
    const store = storeIn(bucket, { objectLock });
    expect(await store.probe()).toEqual(facts);
    expect(await store.probe()).toEqual(facts);
    expect(await storeIn(bucket, { objectLock }).probe()).toEqual(facts);
    const [canary] = await historyOf(store.history(''));
    expect(canary).toMatchObject({ key: canaryKey(), versions: [{ kind: 'object' }] });
  });

  it('counts the retention that the bucket gives by default', async () => {
    const bucket = 'locked-by-default';
    await root.send(new CreateBucketCommand({ Bucket: bucket, ObjectLockEnabledForBucket: true }));
    await root.send(
      new PutObjectLockConfigurationCommand({
        Bucket: bucket,
        ObjectLockConfiguration: {
          ObjectLockEnabled: 'Enabled',
          Rule: { DefaultRetention: { Mode: 'COMPLIANCE', Days: 1 } },
        },
      }),
    );
    expect(await storeIn(bucket).probe()).toEqual({ immutability: 'Locked', versioned: true, notes: [] });
  });

  it('works with the right to put alone, and notes what it could not see', async () => {
    const credentialFiles = await minio.addUser('prober', 'prober-secret', {
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Action: ['s3:PutObject', 's3:PutObjectRetention'],
          Resource: ['arn:aws:s3:::versioned/*', 'arn:aws:s3:::locked/*'],
        },
      ],
    });
    expect(await storeIn('versioned', { credentialFiles }).probe()).toEqual({
      immutability: 'Conditional',
      versioned: null,
      notes: [expect.stringContaining('Object Lock'), expect.stringContaining('versioning')],
    });
    const objectLock = { mode: 'COMPLIANCE', retainForMs: HOUR_MS } as const;
    const facts = await storeIn('locked', { credentialFiles, objectLock }).probe();
    expect(facts).toMatchObject({ immutability: 'Locked', versioned: null });
    expect(facts.notes).toContainEqual(expect.stringContaining('accepted the retention'));
  });

  it('finds a store that takes the condition and does not keep it; keys are asked for first from then on', async () => {
    const store = storeIn('plain');
    // MinIO's refusal is turned into a confirmation: what a store says that ignores the condition.
    const created = { status: 200, headers: { etag: '"ignored"' } };
    faults.always({ kind: 'replace', answer: (status) => (status === 412 ? created : null) }, isPut);
    const facts = await store.probe();
    expect(facts).toMatchObject({ immutability: 'None', versioned: false });
    expect(facts.notes).toEqual([expect.stringContaining('If-None-Match')]);
    expect(await store.probe()).toEqual(facts);
    await put(store, 'key', BYTES);
    faults.seen.length = 0;
    expect(await put(store, 'key', Buffer.from('other'))).toEqual({
      outcome: 'exists',
      sha256: sha256Of(BYTES),
    });
    expect(faults.seen.filter(isPut)).toEqual([]);
  });

  it('says when somebody else wrote the canary', async () => {
    await overwrite('plain', canaryKey(), 'not the canary');
    const store = storeIn('plain');
    // A foreign object without a SHA-256 can't be told from one of a store that keeps none.
    expect((await store.probe()).notes).toEqual([]);
    await root.send(
      new PutObjectCommand({
        Bucket: 'plain',
        Key: `${prefix}/${canaryKey()}`,
        Body: 'not the canary',
        ChecksumAlgorithm: 'SHA256',
      }),
    );
    expect((await store.probe()).notes).toEqual([expect.stringContaining('Somebody else')]);
  });
});

describe('a store that does not know a header', () => {
  const knows =
    (name: string) =>
    ({ method, headers }: SeenRequest) =>
      method === 'PUT' && name in headers;

  it('of the condition gets none any more, is asked for the key first, and is found to be None', async () => {
    const store = storeIn('plain');
    faults.always(
      s3Error(501, 'NotImplemented', 'unknown header', '<Header>If-None-Match</Header>'),
      knows('if-none-match'),
    );
    expect(await put(store, 'key', BYTES)).toEqual({ outcome: 'created' });
    expect((await store.head('key'))?.sha256).toBe(sha256Of(BYTES));
    faults.seen.length = 0;
    expect(await put(store, 'key', Buffer.from('other'))).toEqual({
      outcome: 'exists',
      sha256: sha256Of(BYTES),
    });
    expect(await put(store, 'other', BYTES)).toEqual({ outcome: 'created' });
    expect(faults.seen.map(({ method }) => method)).toEqual(['HEAD', 'HEAD', 'PUT']);
    expect(await store.probe()).toMatchObject({ immutability: 'None' });
  });

  it('of the checksum keeps the condition', async () => {
    const store = storeIn('plain');
    faults.always(s3Error(501, 'NotImplemented'), knows('x-amz-checksum-sha256'));
    expect(await put(store, 'key', BYTES)).toEqual({ outcome: 'created' });
    expect(await put(store, 'key', BYTES)).toEqual({ outcome: 'exists', sha256: null });
    expect(await store.probe()).toMatchObject({ immutability: 'Conditional' });
  });

  it('that has kept the condition once is never written to without it', async () => {
    const store = storeIn('plain');
    await put(store, 'key', BYTES);
    await put(store, 'key', BYTES);
    faults.always(s3Error(501, 'NotImplemented'), knows('if-none-match'));
    await expect(put(store, 'other', BYTES)).rejects.toMatchObject({ code: 'misconfigured' });
    expect(await store.head('other')).toBeNull();
  });

  it('is not what a proxy in between says with a bare 501', async () => {
    const store = storeIn('plain');
    faults.once({ kind: 'answer', answer: { status: 501 } });
    await expect(put(store, 'key', BYTES)).rejects.toMatchObject({ code: 'misconfigured' });
    expect(faults.seen).toHaveLength(1);
  });
});

describe('a process', () => {
  it('ends by itself when it has finished, although connections are kept', async () => {
    const options = minio.options('plain', prefix);
    const script = `
      import { createS3Store } from '@mcp-recorder/recording/store/s3-store';
      const store = createS3Store(${JSON.stringify(options)});
      await store.probe();
      await store.get('${canaryKey()}');
      console.log('finished');
    `;
    const child = spawnProcess({ args: ['--input-type=module', '-e', script], ready: /finished/ });
    await child.ready;
    const finishedMs = performance.now();
    expect(await child.exited).toEqual({ code: 0, signal: null });
    expect(performance.now() - finishedMs).toBeLessThan(2_000);
  });
});
