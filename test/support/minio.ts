/**
 * Owns a real MinIO server for tests: one process on a free loopback port, its data in a fresh temporary folder.
 * Invariant: `kill` and `restart` keep port and data; `stop` leaves neither process nor files.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import {
  CreateBucketCommand,
  PutBucketVersioningCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import type { S3StoreOptions } from '@mcp-recorder/recording/store/s3-options';
import { freePort, type RunningProcess, startProcess } from './child-process.ts';
import { makeCertificates } from './certificates.ts';
import { type MinioBinaries, requireMinio } from './minio-binaries.ts';

/** `plain` keeps the newest object only, `versioned` every version, `locked` has Object Lock (and so versions). */
export const MINIO_BUCKETS = ['plain', 'versioned', 'locked'] as const;
export const MINIO_REGION = 'us-east-1';

type CredentialFiles = NonNullable<S3StoreOptions['credentialFiles']>;
export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

export interface Minio {
  /** `http://127.0.0.1:PORT`, or `https://` when certificates were asked for. */
  endpoint: string;
  port: number;
  rootUser: string;
  rootSecret: string;
  /** The authority that signed the server's certificate; null without TLS. */
  caFile: string | null;
  /**
   * How a store reaches the bucket.
   * @param credentialFiles of a user; default: root's
   */
  options(bucket: string, prefix: string, credentialFiles?: CredentialFiles): S3StoreOptions;
  /** For what tests do behind the recorder's back, as root. */
  client(): S3Client;
  /** A user with this policy (the JSON of S3 policies); the answer is its key, in files. */
  addUser(name: string, secret: string, policy: object): Promise<CredentialFiles>;
  /** Temporary credentials with the rights of this key; default: root's. */
  session(of?: Credentials): Promise<Required<Credentials>>;
  /** Writes a key into files, as a mounted Secret holds it. */
  credentialFiles(credentials: Credentials): Promise<CredentialFiles>;
  /** Puts that would make the bucket larger are refused from now on; 0 = no limit. */
  setQuota(bucket: string, bytes: number): Promise<void>;
  /** SIGSTOP and SIGCONT: connections are taken by the system meanwhile, and nobody answers. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Serves again on the same port, with the same data. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** @param tls serve HTTPS with a certificate of an authority that nobody trusts yet */
export async function startMinio({ tls = false } = {}): Promise<Minio> {
  const binaries = requireMinio();
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-minio-'));
  try {
    return await startIn(folder, binaries, tls);
  } catch (error) {
    await fs.rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function startIn(folder: string, binaries: MinioBinaries, tls: boolean): Promise<Minio> {
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const endpoint = `${tls ? 'https' : 'http'}://${address}`;
  const root: Credentials = { accessKeyId: 'root-user', secretAccessKey: randomBytes(20).toString('hex') };
  const certificates = path.join(folder, 'certificates');
  const caFile = tls ? await makeCertificates(certificates) : null;
  const authority = caFile === null ? null : await fs.readFile(caFile);
  const env = {
    MINIO_ROOT_USER: root.accessKeyId,
    MINIO_ROOT_PASSWORD: root.secretAccessKey,
    // Lets the data be a directory of the system's own disk.
    MINIO_CI_CD: '1',
    MINIO_BROWSER: 'off',
    MINIO_UPDATE: 'off',
    MINIO_KMS_SECRET_KEY: `test-key:${randomBytes(32).toString('base64')}`,
  };
  const clients: S3Client[] = [];
  let keys = 0;

  const start = (): Promise<RunningProcess> =>
    startProcess({
      program: binaries.minio,
      args: [
        'server',
        path.join(folder, 'data'),
        '--address',
        address,
        ...(tls ? ['--certs-dir', certificates] : []),
      ],
      env,
      ready: /^API: /m,
    });

  async function administer(args: string[], extra: Record<string, string> = {}): Promise<string> {
    if (tls) throw new Error('the administration of a MinIO with TLS is not built');
    const { stdout } = await promisify(execFile)(binaries.admin, args, {
      env: { ...process.env, ...env, MINIO_ENDPOINT: address, ...extra },
    });
    return stdout;
  }

  async function credentialFiles(credentials: Credentials): Promise<CredentialFiles> {
    keys += 1;
    const directory = path.join(folder, 'keys', String(keys));
    await fs.mkdir(directory, { recursive: true });
    const write = async (name: string, value: string) => {
      await fs.writeFile(path.join(directory, name), value, { mode: 0o600 });
      return path.join(directory, name);
    };
    return {
      accessKeyId: await write('access-key-id', credentials.accessKeyId),
      secretAccessKey: await write('secret-access-key', credentials.secretAccessKey),
      sessionToken:
        credentials.sessionToken === undefined
          ? null
          : await write('session-token', credentials.sessionToken),
    };
  }

  let running = await start();
  const rootFiles = await credentialFiles(root);
  const minio: Minio = {
    endpoint,
    port,
    rootUser: root.accessKeyId,
    rootSecret: root.secretAccessKey,
    caFile,
    options: (bucket, prefix, files = rootFiles) => ({
      bucket,
      prefix,
      region: MINIO_REGION,
      endpoint,
      pathStyle: true,
      caFile,
      credentialFiles: files,
      encryption: null,
      objectLock: null,
      storageClass: null,
    }),
    client() {
      const config: S3ClientConfig = {
        endpoint,
        region: MINIO_REGION,
        forcePathStyle: true,
        credentials: root,
        ...(authority === null ? {} : { requestHandler: { httpsAgent: { ca: authority } } }),
      };
      const client = new S3Client(config);
      clients.push(client);
      return client;
    },
    async addUser(name, secret, policy) {
      const file = path.join(folder, `${name}.json`);
      await fs.writeFile(file, JSON.stringify(policy));
      await administer(['add-user', name, file], { MINIO_USER_SECRET: secret });
      return await credentialFiles({ accessKeyId: name, secretAccessKey: secret });
    },
    session: async (of = root) =>
      JSON.parse(
        await administer(['session'], {
          MINIO_ROOT_USER: of.accessKeyId,
          MINIO_ROOT_PASSWORD: of.secretAccessKey,
        }),
      ),
    credentialFiles,
    async setQuota(bucket, bytes) {
      await administer(['quota', bucket, String(bytes)]);
    },
    signal: (signal) => void process.kill(running.pid, signal),
    async kill() {
      await running.stop('SIGKILL');
    },
    async restart() {
      await running.stop('SIGKILL');
      running = await start();
    },
    async stop() {
      for (const client of clients) client.destroy();
      await running.stop('SIGKILL');
      await fs.rm(folder, { recursive: true, force: true });
    },
  };
  await makeBuckets(minio.client());
  return minio;
}

async function makeBuckets(client: S3Client): Promise<void> {
  for (const Bucket of MINIO_BUCKETS) {
    await client.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: Bucket === 'locked' }));
  }
  await client.send(
    new PutBucketVersioningCommand({
      Bucket: 'versioned',
      VersioningConfiguration: { Status: 'Enabled' },
    }),
  );
}
