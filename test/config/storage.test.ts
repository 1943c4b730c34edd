import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ConfigurationFlags } from '../../sidecar/config/flags.ts';
import { loadConfiguration } from '../../sidecar/config/load.ts';
import { configurationJsonSchema } from '../../sidecar/config/problems.ts';
import { parseRetention } from '../../sidecar/config/quantity.ts';

let directory: string;
let count = 0;

beforeAll(async () => {
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-storage-'));
});
afterAll(() => fs.rm(directory, { recursive: true }));

const SERVER = 'server: {url: "http://127.0.0.1:3001/mcp"}\nauth: {mode: Anonymous}\n';
const FULL = `${SERVER}storage:
  s3:
    bucket: audit-recordings
    prefix: mcp/prod
    region: eu-central-1
    endpoint: https://minio.example.com:9000/
    pathStyle: true
    caFile: ca.pem
    credentialFiles: {accessKeyId: secrets/id, secretAccessKey: /run/secrets/key, sessionToken: secrets/token}
    encryption: {type: SSE-KMS, keyId: "arn:aws:kms:eu-central-1:111122223333:key/1"}
    objectLock: {mode: COMPLIANCE, retainFor: 365d}
    storageClass: STANDARD_IA
`;

async function load(yaml: string, flags: ConfigurationFlags = {}, environment = {}) {
  count += 1;
  const file = path.join(directory, `${count}.yaml`);
  await fs.writeFile(file, yaml);
  return loadConfiguration({ file, flags, environment });
}

/** All that is wrong, without the line of the file. */
async function faultsOf(yaml: string, flags: ConfigurationFlags = {}): Promise<string[]> {
  const error: unknown = await load(yaml, flags).catch((cause: unknown) => cause);
  if (!(error instanceof Error)) throw new Error('nothing is wrong');
  return error.message
    .split('\n')
    .slice(1)
    .map((line) => line.replace(/^ {2}(?:\S+\.yaml:\d+: )?/, ''));
}

const s3 = (keys: string) => `${SERVER}storage: {s3: {${keys}}}\n`;

describe('a bucket as storage', () => {
  it('sets every key; its files count from the configuration file', async () => {
    expect((await load(FULL)).storage).toEqual({
      kind: 's3',
      location: 's3://audit-recordings/mcp/prod',
      s3: {
        bucket: 'audit-recordings',
        prefix: 'mcp/prod',
        region: 'eu-central-1',
        endpoint: 'https://minio.example.com:9000',
        pathStyle: true,
        caFile: path.join(directory, 'ca.pem'),
        credentialFiles: {
          accessKeyId: path.join(directory, 'secrets/id'),
          secretAccessKey: '/run/secrets/key',
          sessionToken: path.join(directory, 'secrets/token'),
        },
        encryption: { type: 'SSE-KMS', keyId: 'arn:aws:kms:eu-central-1:111122223333:key/1' },
        objectLock: { mode: 'COMPLIANCE', retainForMs: 365 * 86_400_000 },
        storageClass: 'STANDARD_IA',
      },
    });
  });

  it('needs only its name', async () => {
    expect((await load(s3('bucket: recordings'))).storage).toEqual({
      kind: 's3',
      location: 's3://recordings',
      s3: {
        bucket: 'recordings',
        prefix: '',
        region: null,
        endpoint: null,
        pathStyle: false,
        caFile: null,
        credentialFiles: null,
        encryption: null,
        objectLock: null,
        storageClass: null,
      },
    });
  });

  it('takes SSE-S3 without a key', async () => {
    const { storage } = await load(s3('bucket: recordings, encryption: {type: SSE-S3}'));
    expect(storage).toMatchObject({ s3: { encryption: { type: 'SSE-S3' } } });
  });

  it.each([
    ['prefix: a', /^storage\.s3\.bucket: missing; needs the name of a bucket: .* \(or give --store\)$/],
    ['bucket: Recordings', /^storage\.s3\.bucket: found "Recordings"; needs the name of a bucket: 3 to 63/],
    ['bucket: ab', /^storage\.s3\.bucket: /],
    ['bucket: a..b', /^storage\.s3\.bucket: /],
    ['bucket: 192.0.2.1', /^storage\.s3\.bucket: /],
    ['bucket: my_bucket', /^storage\.s3\.bucket: /],
    ['bucket: abc, prefix: /a', /^storage\.s3\.prefix: found "\/a"; needs path parts joined by single/],
    ['bucket: abc, prefix: a/', /^storage\.s3\.prefix: /],
    ['bucket: abc, prefix: a//b', /^storage\.s3\.prefix: /],
    ['bucket: abc, prefix: a/../b', /^storage\.s3\.prefix: /],
    ['bucket: abc, prefix: a/.b', /^storage\.s3\.prefix: /],
    ['bucket: abc, prefix: "a\\nb"', /^storage\.s3\.prefix: /],
    [`bucket: abc, prefix: ${'a/'.repeat(256)}a`, /^storage\.s3\.prefix: .*at most 512 bytes/],
    ['bucket: abc, region: "eu central"', /^storage\.s3\.region: .*needs a region, for example/],
    ['bucket: abc, endpoint: "minio:9000"', /^storage\.s3\.endpoint: .*needs the URL of an S3-compatible/],
    ['bucket: abc, endpoint: "ftp://minio"', /^storage\.s3\.endpoint: /],
    ['bucket: abc, endpoint: "http://minio/s3"', /^storage\.s3\.endpoint: .*without path/],
    ['bucket: abc, endpoint: "http://minio?x"', /^storage\.s3\.endpoint: /],
    ['bucket: abc, pathStyle: yes', /^storage\.s3\.pathStyle: found "yes"; needs true or false/],
    ['bucket: abc, credentialFiles: {accessKeyId: a}', /secretAccessKey: missing; needs the path of a file$/],
    ['bucket: abc, encryption: {type: AES256}', /encryption\.type: .*needs one of SSE-S3, SSE-KMS$/],
    ['bucket: abc, encryption: {type: SSE-S3, keyId: k}', /keyId: found "k"; needs no keyId with SSE-S3/],
    ['bucket: abc, objectLock: {mode: GOVERNANCE}', /retainFor: missing; needs a time such as 365d/],
    ['bucket: abc, objectLock: {mode: LEGAL, retainFor: 1d}', /mode: .*one of GOVERNANCE, COMPLIANCE$/],
    ['bucket: abc, objectLock: {mode: GOVERNANCE, retainFor: 1y}', /retainFor: found "1y"; needs a time/],
    ['bucket: abc, storageClass: cold', /storageClass: .*needs a storage class in capitals/],
    ['bucket: abc, secretAccessKey: x', /^storage\.s3\.secretAccessKey: unknown key; known here: bucket, /],
  ])('is told what is wrong with {%s}', async (keys, message) => {
    expect(await faultsOf(s3(keys))).toEqual([expect.stringMatching(message)]);
  });

  it.each([
    'bucket: abc, endpoint: "https://key:secret@minio"',
    'bucket: abc, endpoint: "https://key:sec/ret/secret@minio"',
    'bucket: abc, endpoint: "key:secret@minio"',
    'bucket: "key:secret@abc"',
    'bucket: abc, prefix: "/key:secret@abc"',
  ])('never shows a password that stands where none belongs: {%s}', async (keys) => {
    const [fault] = await faultsOf(s3(keys));
    expect(fault).toMatch(/needs /);
    expect(fault).not.toMatch(/sec/);
  });

  it.each(['s3://key:secret@bucket', 's3://key:sec/ret@bucket', 's3://key:secret/@bucket/'])(
    'nor one in the store of the command line: %s',
    async (store) => {
      const faults = await faultsOf('', { store, upstream: 'http://127.0.0.1:3001/mcp' });
      expect(faults.join()).toContain('needs the name of a bucket');
      expect(faults.join()).not.toMatch(/sec|ret@/);
    },
  );
});

describe('storage', () => {
  it.each(['{}', '{directory: a, s3: {bucket: abc}}'])('is one place: %s is refused', async (storage) => {
    expect(await faultsOf(`${SERVER}storage: ${storage}`)).toEqual([
      expect.stringMatching(/^storage: .*needs exactly one of directory \(a path\) and s3 \(a bucket\)/),
    ]);
  });

  it('keeps its spool in the state directory of the user when it is a bucket', async () => {
    const spoolOf = async (environment: Record<string, string>) =>
      (await load(s3('bucket: abc'), { name: 'github' }, environment)).recording.spool.directory;
    expect(await spoolOf({ HOME: '/home/ada' })).toBe('/home/ada/.local/state/mcp-recorder/spool/github');
    expect(await spoolOf({ HOME: '/home/ada', XDG_STATE_HOME: '/state' })).toBe(
      '/state/mcp-recorder/spool/github',
    );
    // "If an implementation encounters a relative path it should consider the path invalid and ignore it."
    expect(await spoolOf({ HOME: '/home/ada', XDG_STATE_HOME: 'state' })).toBe(
      '/home/ada/.local/state/mcp-recorder/spool/github',
    );
  });

  it('is described by the JSON Schema as by the recorder', () => {
    const validate = new Ajv2020().compile(configurationJsonSchema());
    const server = { url: 'http://127.0.0.1:3001/mcp' };
    const auth = { mode: 'Anonymous' };
    const whole = { bucket: 'abc', objectLock: { mode: 'GOVERNANCE', retainFor: '30d' } };
    expect(validate({ server, auth, storage: { s3: whole } })).toBe(true);
    expect(validate({ server, auth, storage: { s3: { bucket: 'abc', key: 'x' } } })).toBe(false);
    expect(validate({ server, auth, storage: {} })).toBe(false);
    expect(validate({ server, auth, storage: { directory: 'a', s3: whole } })).toBe(false);
  });
});

describe('the flags of a store', () => {
  it('are enough without a file', () => {
    const { storage, recording } = loadConfiguration({
      flags: {
        upstream: 'http://a',
        anonymous: true,
        store: 's3://recordings/mcp/',
        s3Endpoint: 'http://127.0.0.1:9000',
        s3Region: 'us-east-1',
        s3PathStyle: true,
        s3Ca: 'ca.pem',
        commit: 'ObjectStorage',
        maxUploadLag: '3s',
        onFailure: 'Open',
      },
    });
    expect(storage).toMatchObject({
      location: 's3://recordings/mcp',
      s3: {
        bucket: 'recordings',
        prefix: 'mcp',
        endpoint: 'http://127.0.0.1:9000',
        region: 'us-east-1',
        pathStyle: true,
        caFile: path.resolve('ca.pem'),
      },
    });
    expect(recording).toMatchObject({ commit: 'ObjectStorage', maxUploadLagMs: 3_000, onFailure: 'Open' });
  });

  it('take the place of the directory in the file, and the other way round', async () => {
    const bucket = await load(`${SERVER}storage: {directory: a}`, { store: 's3://other' });
    expect(bucket.storage).toMatchObject({ kind: 's3', location: 's3://other' });
    const folder = await load(FULL, { store: '/rec' });
    expect(folder.storage).toEqual({ kind: 'directory', location: '/rec', directory: '/rec' });
  });

  it('name another bucket and prefix, and leave the rest of the file in force', async () => {
    const { storage } = await load(FULL, { store: 's3://other' });
    expect(storage).toMatchObject({
      location: 's3://other',
      s3: { prefix: '', region: 'eu-central-1', storageClass: 'STANDARD_IA' },
    });
  });

  it('are named in the problem', async () => {
    expect(await faultsOf(SERVER, { store: 's3://', s3Endpoint: 'minio', maxUploadLag: '0s' })).toEqual([
      expect.stringMatching(/^--store: found ""; needs the name of a bucket/),
      expect.stringMatching(/^--s3-endpoint: found "minio"; needs the URL/),
      '--max-upload-lag: found "0s"; needs at least 1s',
    ]);
    expect(await faultsOf(SERVER, { store: 'gs://bucket' })).toEqual([
      '--store: found "gs://bucket"; needs the path of a directory (an object store is given by s3, or by --store s3://BUCKET/PREFIX)',
    ]);
    expect(await faultsOf(s3('bucket: abc'), { commit: 'Disk', onFailure: 'closed' })).toEqual([
      '--commit: found "Disk"; needs one of Spool, ObjectStorage',
      '--on-failure: found "closed"; needs one of Closed, Open',
    ]);
  });

  it('that only a bucket takes are refused with a directory, and not ignored', async () => {
    const flags = { store: 'rec', s3PathStyle: true, s3Ca: 'ca.pem' };
    expect(await faultsOf(SERVER, flags)).toEqual([
      '--s3-path-style: needs a store s3://BUCKET or s3://BUCKET/PREFIX; this recording goes to a directory',
      '--s3-ca: needs a store s3://BUCKET or s3://BUCKET/PREFIX; this recording goes to a directory',
    ]);
  });
});

describe('a retention', () => {
  it.each([
    ['1d', 86_400_000],
    ['8760h', 31_536_000_000],
    ['1h30m', 5_400_000],
    ['36500d', 3_153_600_000_000],
  ])('%s is read as %i ms', (text, value) => {
    expect(parseRetention(text)).toEqual({ ok: true, value });
  });

  it.each(['', '0d', '59s', '36501d', '876001h', '1.5d', '1d12h', '30'])('%j is refused', (text) => {
    expect(parseRetention(text)).toMatchObject({ ok: false, expected: expect.stringContaining('365d') });
  });
});
