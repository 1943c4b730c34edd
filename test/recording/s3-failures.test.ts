import fs from 'node:fs/promises';
import path from 'node:path';
import { inspect } from 'node:util';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { StoreError } from '@mcp-recorder/recording/store/object-store';
import type { S3StoreOptions } from '@mcp-recorder/recording/store/s3-options';
import { createS3Store } from '@mcp-recorder/recording/store/s3-store';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { makeCertificates } from '../support/certificates.ts';
import { freePort } from '../support/child-process.ts';
import { startForwardProxy } from '../support/forward-proxy.ts';
import { type Minio, startMinio } from '../support/minio.ts';
import { type Fault, type S3Faults, s3Error, startS3Faults } from '../support/s3-faults.ts';
import { openSilentPort } from '../support/silent-port.ts';
import { keysOf, put, sha256Of } from './object-store-contract.ts';

const SHORT = { connectMs: 300, idleMs: 300 };
const BYTES = Buffer.from('some bytes of a recording');

let minio: Minio;
let faults: S3Faults;
let tests = 0;
let prefix: string;
beforeAll(async () => {
  minio = await startMinio();
  faults = await startS3Faults(minio.port);
});
afterAll(async () => {
  await faults.close();
  await minio.stop();
});
beforeEach(() => {
  tests += 1;
  prefix = `test-${tests}`;
});
afterEach(() => {
  faults.reset();
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

/** The store behind the faults, or as `changes` say. */
function storeWith(changes: Partial<S3StoreOptions> = {}, limits = { connectMs: 3_000, idleMs: 5_000 }) {
  return createS3Store({ ...minio.options('plain', prefix), endpoint: faults.endpoint, ...changes }, limits);
}

async function failureOf(work: Promise<unknown>): Promise<StoreError> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StoreError);
  return error as StoreError;
}

async function rejects(work: Promise<unknown>, expected: Partial<Record<keyof StoreError, unknown>>) {
  const failure = await failureOf(work);
  expect(failure).toMatchObject(expected);
  expect(failure.hint).toMatch(/^[A-Z].*\.$/);
  expect(failure.message.length).toBeLessThan(600);
  return failure;
}

describe('an answer of the store', () => {
  it.each<[string, Fault, Partial<StoreError>]>([
    ['AccessDenied', s3Error(403, 'AccessDenied'), { code: 'denied' }],
    ['ExpiredToken', s3Error(400, 'ExpiredToken'), { code: 'credentials' }],
    ['InvalidToken', s3Error(400, 'InvalidToken'), { code: 'credentials' }],
    ['InvalidAccessKeyId', s3Error(403, 'InvalidAccessKeyId'), { code: 'credentials' }],
    ['SignatureDoesNotMatch', s3Error(403, 'SignatureDoesNotMatch'), { code: 'credentials' }],
    ['NoSuchBucket', s3Error(404, 'NoSuchBucket'), { code: 'misconfigured' }],
    ['RequestTimeTooSkewed', s3Error(403, 'RequestTimeTooSkewed'), { code: 'clock_skew' }],
    ['SlowDown', s3Error(503, 'SlowDown'), { code: 'throttled' }],
    ['a bare 429', { kind: 'answer', answer: { status: 429 } }, { code: 'throttled' }],
    ['InternalError', s3Error(500, 'InternalError'), { code: 'failed' }],
    ['a bare 502', { kind: 'answer', answer: { status: 502 } }, { code: 'failed' }],
    ['a bare 504', { kind: 'answer', answer: { status: 504 } }, { code: 'failed' }],
    ['ConditionalRequestConflict', s3Error(409, 'ConditionalRequestConflict'), { code: 'failed' }],
    ['QuotaExceeded', s3Error(403, 'QuotaExceeded'), { code: 'full' }],
    ['XMinioStorageFull', s3Error(507, 'XMinioStorageFull'), { code: 'full' }],
    ['BadDigest', s3Error(400, 'BadDigest'), { code: 'invalid' }],
    ['XAmzContentChecksumMismatch', s3Error(400, 'XAmzContentChecksumMismatch'), { code: 'invalid' }],
    ['an unknown code', s3Error(418, 'Teapot'), { code: 'invalid' }],
    ['a code of the key service', s3Error(400, 'KMS.DisabledException'), { code: 'misconfigured' }],
  ])('%s becomes a code, and its name stays in the message', async (name, fault, expected) => {
    faults.once(fault);
    const failure = await rejects(put(storeWith(), 'a/key', BYTES), {
      operation: 'put',
      key: 'a/key',
      ...expected,
    });
    expect(failure.message).toContain('put a/key failed');
    expect(failure.message).toContain(fault.kind === 'answer' ? `HTTP ${fault.answer.status}` : '');
    if (/^[A-Z]/.test(name)) expect(failure.message).toContain(name);
    expect(faults.seen).toHaveLength(1);
  });

  it('is of another region: the hint names the one that the store said', async () => {
    const redirect = s3Error(
      301,
      'PermanentRedirect',
      'elsewhere',
      '<Endpoint>bucket.s3.eu-west-3.amazonaws.com</Endpoint>',
    );
    faults.once(redirect);
    await rejects(put(storeWith(), 'key', BYTES), {
      code: 'misconfigured',
      hint: expect.stringContaining('bucket.s3.eu-west-3.amazonaws.com'),
    });
    faults.once({ kind: 'answer', answer: { status: 307, headers: { 'x-amz-bucket-region': 'eu-west-3' } } });
    await rejects(put(storeWith(), 'key', BYTES), {
      code: 'misconfigured',
      hint: expect.stringContaining('region is eu-west-3'),
    });
    faults.once(s3Error(400, 'AuthorizationHeaderMalformed', 'wrong', '<Region>ap-south-1</Region>'));
    await rejects(keysOf(storeWith().list('')), {
      code: 'misconfigured',
      operation: 'list',
      hint: expect.stringContaining('region is ap-south-1'),
    });
    faults.once({ kind: 'answer', answer: { status: 301, headers: { 'x-amz-bucket-region': 'eu-west-3' } } });
    await rejects(storeWith().head('key'), {
      code: 'misconfigured',
      operation: 'head',
      hint: expect.stringContaining('region is eu-west-3'),
    });
  });

  const page = '<!doctype html><html><body><p>Sign in & go on<br></body></html>';
  it.each([
    ['a page with 200', { status: 200, headers: { 'content-type': 'text/html' }, body: page }],
    ['well-formed XML that is no S3', { status: 200, body: '<html><body>Welcome</body></html>' }],
    ['an empty 200', { status: 200 }],
    ['a page with 404', { status: 404, headers: { 'content-type': 'text/html' }, body: page }],
    ['text with 400', { status: 400, body: 'Client sent an HTTP request to an HTTPS server.' }],
    ['a redirect to a login', { status: 302, headers: { location: 'http://127.0.0.1/login' } }],
  ])('that is none of S3 (%s) confirms nothing', async (_, answer) => {
    faults.always({ kind: 'answer', answer });
    const store = storeWith();
    await rejects(put(store, 'key', BYTES), { code: 'misconfigured' });
    await rejects(store.get('key'), { code: 'misconfigured' });
    await rejects(keysOf(store.list('')), { code: 'misconfigured' });
    await rejects(store.probe(), { code: 'misconfigured' });
    // An answer to HEAD has no body to tell by: only one that claims the object is known for false.
    if (answer.status === 200) await rejects(store.head('key'), { code: 'misconfigured' });
  });

  it('that is a page of a proxy with 502 is the proxy fault, not the configuration', async () => {
    faults.once({ kind: 'answer', answer: { status: 502, body: page } });
    await rejects(put(storeWith(), 'key', BYTES), { code: 'failed' });
  });

  it('that confirms another SHA-256 is not believed', async () => {
    const headers = { etag: '"x"', 'x-amz-checksum-sha256': Buffer.alloc(32).toString('base64') };
    faults.once({ kind: 'answer', answer: { status: 200, headers } });
    await rejects(put(storeWith(), 'key', BYTES), { code: 'invalid' });
  });

  it('that refuses an absent object as one that is there is not believed', async () => {
    // As a gateway did that had the condition the wrong way round.
    faults.once(s3Error(412, 'PreconditionFailed'));
    await rejects(put(storeWith(), 'key', BYTES), {
      code: 'failed',
      hint: expect.stringContaining('If-None-Match wrong'),
    });
  });

  it('gives away no key, token or signature, whatever the store repeats of the request', async () => {
    const { accessKeyId, secretAccessKey, sessionToken } = await minio.session();
    const credentialFiles = await minio.credentialFiles({ accessKeyId, secretAccessKey, sessionToken });
    const more = `<Token-0>${sessionToken}</Token-0><StringToSign>AWS4-HMAC-SHA256 x</StringToSign>`;
    const message = `Signature=abcdef0123 Credential=${accessKeyId}/x token: ${sessionToken}`;
    faults.once(s3Error(403, 'SignatureDoesNotMatch', message, more));
    const failure = await failureOf(put(storeWith({ credentialFiles }), 'key', BYTES));
    const everything = inspect(failure, { depth: 10, showHidden: true, getters: true });
    for (const secret of [
      secretAccessKey,
      sessionToken,
      accessKeyId,
      'AWS4-HMAC',
      'abcdef0123',
      'authorization',
    ])
      expect(everything).not.toContain(secret);
  });
});

describe('a proxy whose URL holds a password', () => {
  it('is not repeated when that URL can not be used, nor when a message names it', async () => {
    // Not encoded, so that the host seems to be `user` and the port `hunter2`.
    vi.stubEnv('HTTP_PROXY', 'http://user:hunter2/more@proxy.invalid:3128');
    const unusable = await rejects(put(storeWith({ endpoint: 'http://store.invalid' }), 'key', BYTES), {
      code: 'misconfigured',
      hint: expect.stringContaining('HTTP_PROXY'),
    });
    vi.unstubAllEnvs();
    faults.once(s3Error(500, 'InternalError', 'no way through http://user:hunt@er2/more@proxy:3128, sorry'));
    const named = await rejects(put(storeWith(), 'key', BYTES), {
      message: expect.stringContaining('proxy:3128, sorry'),
    });
    for (const failure of [unusable, named])
      expect(inspect(failure, { depth: 10, showHidden: true, getters: true })).not.toMatch(/hunt|er2|more/);
  });
});

describe('AWS, to a reader who may not list', () => {
  it('denies an absent object', async () => {
    faults.once(s3Error(403, 'AccessDenied'));
    await rejects(storeWith().get('absent'), { code: 'denied', hint: expect.stringContaining('absent') });
    faults.once({ kind: 'answer', answer: { status: 403 } });
    await rejects(storeWith().head('absent'), { code: 'denied', hint: expect.stringContaining('absent') });
  });
});

describe('MinIO itself', () => {
  it('does not know the access key, or not this secret', async () => {
    const unknown = await minio.credentialFiles({ accessKeyId: 'nobody', secretAccessKey: 'wrong-secret' });
    await rejects(put(storeWith({ credentialFiles: unknown }), 'key', BYTES), {
      code: 'credentials',
      message: expect.stringContaining('InvalidAccessKeyId'),
    });
    const wrong = await minio.credentialFiles({
      accessKeyId: minio.rootUser,
      secretAccessKey: 'wrong-secret',
    });
    await rejects(put(storeWith({ credentialFiles: wrong }), 'key', BYTES), {
      code: 'credentials',
      message: expect.stringContaining('SignatureDoesNotMatch'),
    });
  });

  it('has no such bucket', async () => {
    const store = storeWith({ bucket: 'no-such-bucket' });
    const expected = { code: 'misconfigured', hint: expect.stringContaining('no such bucket') };
    await rejects(put(store, 'key', BYTES), expected);
    await rejects(store.get('key'), expected);
    await rejects(store.head('key'), expected);
    await rejects(keysOf(store.list('')), expected);
    await rejects(store.probe(), { ...expected, operation: 'probe' });
  });

  it('has no Object Lock on the bucket where retention is asked for', async () => {
    const store = storeWith({ objectLock: { mode: 'COMPLIANCE', retainForMs: 60_000 } });
    const expected = { code: 'misconfigured', hint: expect.stringContaining('no Object Lock') };
    await rejects(put(store, 'key', BYTES), expected);
    await rejects(store.probe(), expected);
  });

  it('does not know the storage class', async () => {
    await rejects(put(storeWith({ storageClass: 'NO_SUCH_CLASS' }), 'key', BYTES), {
      code: 'misconfigured',
      message: expect.stringContaining('InvalidStorageClass'),
    });
  });

  it('has no room left in the quota of the bucket', async () => {
    await minio.setQuota('plain', 1_000);
    await rejects(put(storeWith(), 'key', Buffer.alloc(5_000)), { code: 'full' });
    await minio.setQuota('plain', 0);
    expect(await put(storeWith(), 'key', Buffer.alloc(5_000))).toEqual({ outcome: 'created' });
  });

  it('denies what a policy does not allow', async () => {
    const writer = await minio.addUser('narrow-writer', 'narrow-secret', {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: ['s3:PutObject'], Resource: ['arn:aws:s3:::plain/test-*'] }],
    });
    const reader = await minio.addUser('narrow-reader', 'narrow-secret', {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::plain/*'] }],
    });
    const writing = storeWith({ credentialFiles: writer });
    expect(await put(writing, 'key', BYTES)).toEqual({ outcome: 'created' });
    expect(await put(writing, 'key', BYTES)).toEqual({ outcome: 'exists', sha256: null });
    await rejects(writing.get('key'), { code: 'denied', operation: 'get' });
    await rejects(writing.head('key'), { code: 'denied', operation: 'head' });
    await rejects(keysOf(writing.list('')), { code: 'denied', operation: 'list' });
    const reading = storeWith({ credentialFiles: reader });
    expect(Buffer.from(await reading.get('key'))).toEqual(BYTES);
    // Here MinIO tells more than AWS, which denies absence to those who may not list.
    await rejects(reading.get('absent'), { code: 'not_found', operation: 'get' });
    expect(await reading.head('absent')).toBeNull();
    await rejects(put(reading, 'other', BYTES), { code: 'denied', operation: 'put' });
    await rejects(reading.probe(), { code: 'denied', operation: 'probe' });
  });

  it.each([3_600_000, -3_600_000])(
    'has another time (%d ms): said once, then signed with the time of the store',
    async (offsetMs) => {
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + offsetMs });
      const store = storeWith({ bucket: 'locked', objectLock: { mode: 'GOVERNANCE', retainForMs: 600_000 } });
      await rejects(put(store, 'key', BYTES), {
        code: 'clock_skew',
        message: expect.stringContaining('RequestTimeTooSkewed'),
        hint: expect.stringContaining('NTP'),
      });
      expect(await put(store, 'key', BYTES)).toEqual({ outcome: 'created' });
      vi.useRealTimers();
      const retained = faults.seen.at(-1)?.headers['x-amz-object-lock-retain-until-date'];
      expect(Math.abs(Date.parse(String(retained)) - Date.now() - 600_000)).toBeLessThan(10_000);
      // And back again, when the clock has been set right.
      await rejects(store.get('key'), { code: 'clock_skew' });
      expect(Buffer.from(await store.get('key'))).toEqual(BYTES);
    },
  );

  it('is gone and comes back on the same store object', async () => {
    const store = createS3Store(minio.options('plain', prefix));
    await put(store, 'one', BYTES);
    await minio.kill();
    await rejects(put(store, 'two', BYTES), { code: 'unreachable' });
    await rejects(store.get('one'), {
      code: 'unreachable',
      message: expect.stringContaining('ECONNREFUSED'),
    });
    await minio.restart();
    expect(await put(store, 'two', BYTES)).toEqual({ outcome: 'created' });
    expect(await keysOf(store.list(''))).toEqual(['one', 'two']);
  });
});

describe('the way to the store', () => {
  it('ends at a closed port', async () => {
    const port = await freePort();
    const failure = await rejects(put(storeWith({ endpoint: `http://localhost:${port}` }), 'key', BYTES), {
      code: 'unreachable',
      hint: expect.stringContaining('endpoint'),
    });
    expect(failure.message).toContain('ECONNREFUSED');
  });

  it('has a name that is not to be resolved', async () => {
    // A label longer than 63 bytes: refused before anybody is asked.
    const endpoint = `http://${'x'.repeat(64)}.invalid:9000`;
    await rejects(put(storeWith({ endpoint }), 'key', BYTES), {
      code: 'unreachable',
      hint: expect.stringContaining('resolved'),
    });
  });

  it('takes no connection', async () => {
    const { port, close } = await openSilentPort();
    try {
      const started = performance.now();
      await rejects(put(storeWith({ endpoint: `http://127.0.0.1:${port}` }, SHORT), 'key', BYTES), {
        code: 'unreachable',
        message: expect.stringContaining('did not establish a connection'),
      });
      expect(performance.now() - started).toBeLessThan(2_000);
    } finally {
      close();
    }
  });

  it('ends in silence: before the answer, and in the middle of a body', async () => {
    const store = storeWith({}, SHORT);
    faults.once({ kind: 'silence' });
    await rejects(put(store, 'key', BYTES), { code: 'timeout', hint: expect.stringContaining('silent') });
    await put(store, 'key', Buffer.alloc(300_000, 'x'));
    faults.once({ kind: 'stall-answer', afterBytes: 100_000 });
    await rejects(store.get('key'), { code: 'timeout', operation: 'get' });
  });

  it('leads through a proxy that never answers', async () => {
    const proxy = await startForwardProxy({ silent: true });
    vi.stubEnv('HTTPS_PROXY', proxy.url);
    try {
      const started = performance.now();
      await rejects(put(storeWith({ endpoint: 'https://store.invalid' }, SHORT), 'key', BYTES), {
        code: 'unreachable',
      });
      expect(performance.now() - started).toBeLessThan(2_000);
      expect(proxy.seen).toEqual(['CONNECT store.invalid:443']);
    } finally {
      await proxy.close();
    }
  });

  it.each(['http', 'https'])('leads through a proxy that asks for credentials: %s', async (scheme) => {
    const proxy = await startForwardProxy({ refuses: true });
    vi.stubEnv(`${scheme.toUpperCase()}_PROXY`, proxy.url);
    try {
      await rejects(put(storeWith({ endpoint: `${scheme}://store.invalid` }), 'key', BYTES), {
        code: 'misconfigured',
        message: expect.stringContaining('407'),
        hint: expect.stringContaining('asks for credentials'),
      });
    } finally {
      await proxy.close();
    }
  });

  it('is cut before the server hears of it', async () => {
    faults.once({ kind: 'cut' });
    await rejects(put(storeWith(), 'key', BYTES), { code: 'unreachable' });
    expect(await storeWith().head('key')).toBeNull();
  });

  it('loses the answer to a put: the next attempt finds the object with its SHA-256', async () => {
    const store = storeWith();
    faults.once({ kind: 'lose-answer' });
    await rejects(put(store, 'key', BYTES), { code: 'unreachable' });
    expect(await put(store, 'key', BYTES)).toEqual({ outcome: 'exists', sha256: sha256Of(BYTES) });
  });

  it('is cut in the middle of a body: nothing shorter is taken for the object', async () => {
    const store = storeWith();
    await put(store, 'key', Buffer.alloc(300_000, 'x'));
    faults.once({ kind: 'cut-answer', afterBytes: 100_000 });
    await rejects(store.get('key'), { code: 'unreachable' });
  });

  it('is https where http is spoken, and the other way round', async () => {
    const endpoint = minio.endpoint.replace('http:', 'https:');
    await rejects(put(storeWith({ endpoint }), 'key', BYTES), {
      code: 'misconfigured',
      hint: expect.stringContaining('http or https'),
    });
  });

  it('is called off by a signal: its reason comes back at once, and the next call works', async () => {
    const store = storeWith();
    const works: ((signal: AbortSignal) => Promise<unknown>)[] = [
      (signal) => put(store, 'key', BYTES, signal),
      (signal) => store.get('key', signal),
      (signal) => store.head('key', signal),
      (signal) => keysOf(store.list('', { signal })),
      (signal) => store.probe(signal),
    ];
    for (const work of works) {
      faults.reset();
      faults.once({ kind: 'silence' });
      const stop = new AbortController();
      const reason = new Error('shutting down');
      const ended = work(stop.signal).catch((error: unknown) => error);
      await vi.waitFor(() => expect(faults.seen).toHaveLength(1), { interval: 2 });
      stop.abort(reason);
      expect(await ended).toBe(reason);
    }
    expect(await put(store, 'key', BYTES)).toEqual({ outcome: 'created' });
  });
});

describe('TLS', () => {
  let secure: Minio;
  beforeAll(async () => {
    secure = await startMinio({ tls: true });
  });
  afterAll(() => secure.stop());

  it('is trusted by the CA file, beside the authorities of the system', async () => {
    const store = createS3Store(secure.options('plain', prefix));
    expect(await put(store, 'key', BYTES)).toEqual({ outcome: 'created' });
    expect(Buffer.from(await store.get('key'))).toEqual(BYTES);
  });

  it('is not trusted without it', async () => {
    const store = createS3Store({ ...secure.options('plain', prefix), caFile: null });
    await rejects(put(store, 'key', BYTES), {
      code: 'misconfigured',
      hint: expect.stringContaining('CA file'),
    });
  });

  it('is trusted as soon as the CA file is the right one', async () => {
    const options = secure.options('plain', prefix);
    const right = await fs.readFile(String(options.caFile));
    const caFile = path.join(path.dirname(String(options.credentialFiles?.accessKeyId)), 'ca.crt');
    const store: ObjectStore = createS3Store({ ...options, caFile });
    await rejects(put(store, 'key', BYTES), {
      code: 'misconfigured',
      message: expect.stringContaining(caFile),
    });
    await fs.writeFile(caFile, 'no certificate');
    await rejects(put(store, 'key', BYTES), {
      code: 'misconfigured',
      message: expect.stringContaining('no PEM certificate'),
    });
    await fs.copyFile(await makeCertificates(path.join(path.dirname(caFile), 'other')), caFile);
    await rejects(put(store, 'key', BYTES), {
      code: 'misconfigured',
      hint: expect.stringContaining('signed'),
    });
    await fs.writeFile(caFile, right);
    expect(await put(store, 'key', BYTES)).toEqual({ outcome: 'created' });
  });

  it('is trusted by what stands in the place of the CA file, from the next request on and no longer', async () => {
    const options = secure.options('plain', prefix);
    const right = await fs.readFile(String(options.caFile), 'utf8');
    const other = await fs.readFile(
      await makeCertificates(path.join(path.dirname(String(options.caFile)), 'o')),
      'utf8',
    );
    let given = right;
    const store = createS3Store({ ...options, caFile: '/not/read', readCa: () => given });
    expect(await put(store, 'one', BYTES)).toEqual({ outcome: 'created' });
    given = other;
    await rejects(put(store, 'two', BYTES), { code: 'misconfigured' });
    given = `${other}${right}`;
    expect(await put(store, 'two', BYTES)).toEqual({ outcome: 'created' });
  });

  it('goes through the tunnel of a proxy, except to hosts of NO_PROXY', async () => {
    const proxy = await startForwardProxy();
    try {
      vi.stubEnv('HTTPS_PROXY', proxy.url);
      expect(await put(createS3Store(secure.options('plain', prefix)), 'one', BYTES)).toEqual({
        outcome: 'created',
      });
      expect(proxy.seen).toEqual([`CONNECT 127.0.0.1:${secure.port}`]);
      vi.stubEnv('NO_PROXY', '127.0.0.1');
      await put(createS3Store(secure.options('plain', prefix)), 'two', BYTES);
      expect(proxy.seen).toHaveLength(1);
    } finally {
      await proxy.close();
    }
  });

  it('is not spoken where the endpoint says http', async () => {
    const endpoint = secure.endpoint.replace('https:', 'http:');
    await rejects(put(createS3Store({ ...secure.options('plain', prefix), endpoint }), 'key', BYTES), {
      code: 'misconfigured',
      hint: expect.stringContaining('http or https'),
    });
  });
});
