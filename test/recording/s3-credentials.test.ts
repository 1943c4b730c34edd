import fs from 'node:fs/promises';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { createS3Store } from '@mcp-recorder/recording/store/s3-store';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { startForwardProxy } from '../support/forward-proxy.ts';
import { type Credentials, type Minio, startMinio } from '../support/minio.ts';
import { eventually } from '../support/poll.ts';
import { put } from './object-store-contract.ts';

const BYTES = Buffer.from('some bytes of a recording');
const WRONG: Credentials = { accessKeyId: 'nobody', secretAccessKey: 'wrong-secret' };

let minio: Minio;
let right: Credentials;
let folder: string;
let tests = 0;
let prefix: string;
beforeAll(async () => {
  minio = await startMinio();
  right = { accessKeyId: minio.rootUser, secretAccessKey: minio.rootSecret };
});
afterAll(() => minio.stop());
beforeEach(async () => {
  tests += 1;
  prefix = `test-${tests}`;
  folder = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-keys-'));
  // Nothing of the machine's own configuration, and no look at an instance's metadata.
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', path.join(folder, 'credentials'));
  vi.stubEnv('AWS_CONFIG_FILE', path.join(folder, 'config'));
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_PROFILE'])
    vi.stubEnv(name, undefined);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await fs.rm(folder, { recursive: true });
});

function byFiles(
  names = { accessKeyId: 'id', secretAccessKey: 'secret', sessionToken: null as string | null },
) {
  const file = (name: string) => path.join(folder, name);
  return createS3Store({
    ...minio.options('plain', prefix),
    credentialFiles: {
      accessKeyId: file(names.accessKeyId),
      secretAccessKey: file(names.secretAccessKey),
      sessionToken: names.sessionToken === null ? null : file(names.sessionToken),
    },
  });
}

function byDefaultChain(changes = {}): ObjectStore {
  return createS3Store({ ...minio.options('plain', prefix), credentialFiles: null, ...changes });
}

const created = { outcome: 'created' };

describe('static keys in files', () => {
  it('may end with a line break', async () => {
    await fs.writeFile(path.join(folder, 'id'), `${right.accessKeyId}\n`);
    await fs.writeFile(path.join(folder, 'secret'), `${right.secretAccessKey}\r\n`);
    expect(await put(byFiles(), 'key', BYTES)).toEqual(created);
  });

  it('may have a session token', async () => {
    const session = await minio.session();
    await fs.writeFile(path.join(folder, 'id'), session.accessKeyId);
    await fs.writeFile(path.join(folder, 'secret'), session.secretAccessKey);
    await fs.writeFile(path.join(folder, 'token'), session.sessionToken);
    const names = { accessKeyId: 'id', secretAccessKey: 'secret', sessionToken: 'token' };
    expect(await put(byFiles(names), 'key', BYTES)).toEqual(created);
    await expect(put(byFiles(), 'other', BYTES)).rejects.toMatchObject({ code: 'credentials' });
  });

  it('have no session token where its file is missing, and take one that comes', async () => {
    await fs.writeFile(path.join(folder, 'id'), right.accessKeyId);
    await fs.writeFile(path.join(folder, 'secret'), right.secretAccessKey);
    const store = byFiles({ accessKeyId: 'id', secretAccessKey: 'secret', sessionToken: 'token' });
    expect(await put(store, 'key', BYTES)).toEqual(created);
    const session = await minio.session();
    await fs.writeFile(path.join(folder, 'id'), session.accessKeyId);
    await fs.writeFile(path.join(folder, 'secret'), session.secretAccessKey);
    const temporary = byFiles({ accessKeyId: 'id', secretAccessKey: 'secret', sessionToken: 'token' });
    await expect(put(temporary, 'later', BYTES)).rejects.toMatchObject({ code: 'credentials' });
    await fs.writeFile(path.join(folder, 'token'), session.sessionToken);
    expect(await put(temporary, 'later', BYTES)).toEqual(created);
  });

  it('that are missing or empty are named, and found when they come', async () => {
    const store = byFiles();
    await fs.writeFile(path.join(folder, 'secret'), '\n');
    await expect(put(store, 'key', BYTES)).rejects.toMatchObject({
      code: 'credentials',
      message: expect.stringContaining(path.join(folder, 'id')),
    });
    await fs.writeFile(path.join(folder, 'id'), right.accessKeyId);
    await expect(put(store, 'key', BYTES)).rejects.toMatchObject({
      code: 'credentials',
      message: expect.stringContaining(`${path.join(folder, 'secret')} is empty`),
    });
    await fs.writeFile(path.join(folder, 'secret'), right.secretAccessKey);
    expect(await put(store, 'key', BYTES)).toEqual(created);
  });

  /** A Secret as Kubernetes mounts it: the files are links through `..data`, which is exchanged as one. */
  async function mount(version: string, { accessKeyId, secretAccessKey }: Credentials): Promise<void> {
    await fs.mkdir(path.join(folder, version));
    await fs.writeFile(path.join(folder, version, 'id'), accessKeyId);
    await fs.writeFile(path.join(folder, version, 'secret'), secretAccessKey);
    await fs.symlink(version, path.join(folder, '..data_tmp'));
    await fs.rename(path.join(folder, '..data_tmp'), path.join(folder, '..data'));
    for (const name of ['id', 'secret'])
      await fs.symlink(`..data/${name}`, path.join(folder, name)).catch(() => {});
  }

  it('are read again when a mounted Secret is exchanged: right after a refusal', async () => {
    await mount('..v1', WRONG);
    const store = byFiles();
    await expect(put(store, 'key', BYTES)).rejects.toMatchObject({ code: 'credentials' });
    await mount('..v2', right);
    expect(await put(store, 'key', BYTES)).toEqual(created);
  });

  it('are read again when a mounted Secret is exchanged: soon, without a refusal', async () => {
    await mount('..v1', right);
    const store = byFiles();
    await put(store, 'key', BYTES);
    // As soon as the revoked key is taken up the store refuses: that shows that the file was read.
    await mount('..v2', WRONG);
    await eventually(
      async () => {
        await expect(store.get('key')).rejects.toMatchObject({ code: 'credentials' });
      },
      { withinMs: 5_000, everyMs: 50 },
    );
  });
});

describe('the default chain', () => {
  it('finds nothing: the hint says where it looks', async () => {
    const failure = await put(byDefaultChain(), 'key', BYTES).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'credentials',
      message: expect.stringContaining('Could not load credentials'),
      hint: expect.stringContaining('environment'),
    });
  });

  it('takes the environment, with a session token', async () => {
    const session = await minio.session();
    vi.stubEnv('AWS_ACCESS_KEY_ID', session.accessKeyId);
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', session.secretAccessKey);
    vi.stubEnv('AWS_SESSION_TOKEN', session.sessionToken);
    expect(await put(byDefaultChain(), 'key', BYTES)).toEqual(created);
  });

  it('takes shared files, and reads them again after a refusal', async () => {
    const write = ({ accessKeyId, secretAccessKey }: Credentials) =>
      fs.writeFile(
        path.join(folder, 'credentials'),
        `[recorder]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`,
      );
    vi.stubEnv('AWS_PROFILE', 'recorder');
    await write(WRONG);
    const store = byDefaultChain();
    await expect(put(store, 'key', BYTES)).rejects.toMatchObject({ code: 'credentials' });
    await write(right);
    expect(await put(store, 'key', BYTES)).toEqual(created);
  });

  it('takes the region of the profile, or any where the store is not AWS', async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', right.accessKeyId);
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', right.secretAccessKey);
    vi.stubEnv('AWS_REGION', undefined);
    expect(await put(byDefaultChain({ region: null }), 'key', BYTES)).toEqual(created);
    await expect(put(byDefaultChain({ region: null, endpoint: null }), 'key', BYTES)).rejects.toMatchObject({
      code: 'misconfigured',
      hint: expect.stringContaining('region'),
    });
  });

  /** Answers every request with `body`, and remembers what it was asked. */
  async function startKeyService(
    body: () => string,
  ): Promise<{ url: string; seen: string[]; close(): void }> {
    const seen: string[] = [];
    const server = http.createServer((request, response) => {
      let text = '';
      request.on('data', (bytes: Buffer) => (text += bytes.toString()));
      request.on('end', () => {
        seen.push(`${request.method} ${request.url} ${request.headers.authorization ?? ''} ${text}`);
        response.end(body());
      });
    });
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    return {
      url: `http://127.0.0.1:${port}`,
      seen,
      close: () => {
        server.closeAllConnections();
        server.close();
      },
    };
  }

  it('asks the container for credentials, and again when they are refused', async () => {
    let keys: Credentials = WRONG;
    const inAnHour = new Date(Date.now() + 3_600_000).toISOString();
    const service = await startKeyService(() =>
      JSON.stringify({
        AccessKeyId: keys.accessKeyId,
        SecretAccessKey: keys.secretAccessKey,
        Token: keys.sessionToken ?? '',
        Expiration: inAnHour,
      }),
    );
    await fs.writeFile(path.join(folder, 'token'), 'container-token');
    vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', `${service.url}/keys`);
    vi.stubEnv('AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE', path.join(folder, 'token'));
    try {
      const store = byDefaultChain();
      await expect(put(store, 'key', BYTES)).rejects.toMatchObject({ code: 'credentials' });
      keys = await minio.session();
      expect(await put(store, 'key', BYTES)).toEqual(created);
      expect(await put(store, 'other', BYTES)).toEqual(created);
      expect(service.seen).toEqual(Array.from({ length: 2 }, () => 'GET /keys container-token '));
    } finally {
      service.close();
    }
  });

  it('exchanges the token of a web identity, through the proxy as everything', async () => {
    const session = await minio.session();
    const inAnHour = new Date(Date.now() + 3_600_000).toISOString();
    const service = await startKeyService(
      () =>
        `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>${session.accessKeyId}</AccessKeyId><SecretAccessKey>${session.secretAccessKey}</SecretAccessKey><SessionToken>${session.sessionToken}</SessionToken><Expiration>${inAnHour}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
    );
    const proxy = await startForwardProxy();
    await fs.writeFile(path.join(folder, 'token'), 'web-identity-token');
    vi.stubEnv('AWS_WEB_IDENTITY_TOKEN_FILE', path.join(folder, 'token'));
    vi.stubEnv('AWS_ROLE_ARN', 'arn:aws:iam::123456789012:role/recorder');
    vi.stubEnv('AWS_ENDPOINT_URL_STS', service.url);
    vi.stubEnv('HTTP_PROXY', proxy.url);
    try {
      expect(await put(byDefaultChain(), 'key', BYTES)).toEqual(created);
      expect(service.seen).toEqual([expect.stringContaining('web-identity-token')]);
      expect(proxy.seen).toEqual([
        `POST ${service.url}/`,
        expect.stringContaining(`PUT ${minio.endpoint}/plain/${prefix}/key`),
      ]);
    } finally {
      service.close();
      await proxy.close();
    }
  });
});
