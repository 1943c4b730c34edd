/**
 * Owns MinIO in a cluster: a Deployment and a Service in a namespace of its own, its buckets, its users, and reading what is stored.
 * Invariant: its data outlives its pods (a folder of the node), so that a suite may take the store away and bring it back.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { requireMinio } from '../../support/minio-binaries.ts';
import { baseImage } from './images.ts';
import { apply, kubectl, rolledOut } from './kubectl.ts';
import { freshNamespace } from './namespaces.ts';
import { forwardPort } from './port-forward.ts';
import { rigState } from './rig.ts';
import type { CommandOptions, CommandResult } from './run-command.ts';
import { isRig, runInRig } from './which-cluster.ts';

const PORT = 9000;
const BUCKET_PROCESS = path.join(import.meta.dirname, 'bucket-process.ts');
const CLI = path.join(import.meta.dirname, '../../../cli/main.ts');

/** `plain` keeps the newest object only, `versioned` every version, `locked` has Object Lock (and so versions). */
export type BucketKind = 'plain' | 'versioned' | 'locked';

export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
}

export interface MinioService {
  namespace: string;
  /** For pods: `http://minio.NAMESPACE.svc.cluster.local:9000`. */
  endpoint: string;
  root: Credentials;
  makeBucket(name: string, kind?: BucketKind): Promise<void>;
  /** A user with this policy (the JSON of S3 policies). */
  addUser(name: string, policy: object): Promise<Credentials>;
  /** Puts that would make the bucket larger are refused from now on; 0 = no limit. */
  setQuota(bucket: string, bytes: number): Promise<void>;
  /** Writes a Secret as recorded servers name it: `accessKeyId`, `secretAccessKey`. Default: root's. */
  writeSecret(namespace: string, name: string, credentials?: Credentials): Promise<void>;
  list(bucket: string, prefix?: string, as?: Credentials): Promise<{ key: string; bytes: number }[]>;
  /** The lines of all segments below a prefix, decoded, as one text. */
  lines(bucket: string, prefix: string): Promise<string>;
  get(bucket: string, key: string): Promise<Buffer>;
  put(bucket: string, key: string, text: string, as?: Credentials): Promise<void>;
  /** The project's own command line, as root of this store: `cli(['verify', 's3://recordings/x'])`. Any exit code is an answer. */
  cli(args: readonly string[]): Promise<CommandResult>;
  /** No pod: connections are refused, the data stays. */
  takeAway(): Promise<void>;
  bringBack(): Promise<void>;
}

/** @param buckets made at once; default: `recordings`, plain */
export async function deployMinio(
  buckets: Record<string, BucketKind> = { recordings: 'plain' },
): Promise<MinioService> {
  const image = await baseImage('minio');
  const namespace = await freshNamespace('minio');
  const root: Credentials = { accessKeyId: 'root-user', secretAccessKey: randomBytes(20).toString('hex') };
  await apply(manifests(namespace, image, root));
  await rolledOut(namespace, 'deployment/minio');

  /** Runs a command while the store can be reached at an address of this machine. */
  const reach = async (
    command: (address: string) => readonly string[],
    options: (address: string) => CommandOptions,
  ): Promise<CommandResult> => {
    const forward = await forwardPort(namespace, 'service/minio', PORT);
    try {
      return await runInRig(command(forward.address), options(forward.address));
    } finally {
      await forward.stop();
    }
  };
  const bucketProcess = async (args: readonly string[], as: Credentials = root, stdin = '') => {
    const { stdout } = await reach(
      () => [process.execPath, BUCKET_PROCESS, ...args],
      (address) => ({ stdin, env: { ...environment(as), S3_ENDPOINT: `http://${address}` } }),
    );
    return stdout;
  };
  const administer = (args: readonly string[], env: Record<string, string> = {}) => {
    const asRoot = { MINIO_ROOT_USER: root.accessKeyId, MINIO_ROOT_PASSWORD: root.secretAccessKey };
    return reach(
      () => [requireMinio().admin, ...args],
      (address) => ({ env: { ...env, ...asRoot, MINIO_ENDPOINT: address } }),
    );
  };

  const minio: MinioService = {
    namespace,
    endpoint: `http://minio.${namespace}.svc.cluster.local:${PORT}`,
    root,
    async makeBucket(name, kind = 'plain') {
      await bucketProcess(['make', name, kind]);
    },
    async addUser(name, policy) {
      const secretAccessKey = randomBytes(20).toString('hex');
      const file = path.join(os.tmpdir(), `mcp-recorder-policy-${randomUUID()}.json`);
      await fs.writeFile(file, JSON.stringify(policy));
      try {
        await administer(['add-user', name, file], { MINIO_USER_SECRET: secretAccessKey });
      } finally {
        await fs.rm(file, { force: true });
      }
      return { accessKeyId: name, secretAccessKey };
    },
    async setQuota(bucket, bytes) {
      await administer(['quota', bucket, String(bytes)]);
    },
    async writeSecret(inNamespace, name, credentials = root) {
      const metadata = { name, namespace: inNamespace };
      await apply({ apiVersion: 'v1', kind: 'Secret', metadata, stringData: credentials });
    },
    list: async (bucket, prefix = '', as = root) =>
      JSON.parse(await bucketProcess(['list', bucket, prefix], as)),
    get: async (bucket, key) => Buffer.from(await bucketProcess(['get', bucket, key]), 'base64'),
    lines: (bucket, prefix) => bucketProcess(['lines', bucket, prefix]),
    async put(bucket, key, text, as = root) {
      await bucketProcess(['put', bucket, key], as, text);
    },
    cli: (args) =>
      reach(
        (address) => [
          process.execPath,
          CLI,
          ...args,
          '--s3-endpoint',
          `http://${address}`,
          '--s3-path-style',
        ],
        () => ({ env: { ...environment(root), NO_COLOR: '1' }, mayFail: true }),
      ),
    async takeAway() {
      await kubectl(['scale', '-n', namespace, 'deployment/minio', '--replicas=0']);
      await kubectl(['wait', '-n', namespace, '--for=delete', 'pod', '-l', 'app=minio', '--timeout=30s']);
    },
    async bringBack() {
      await kubectl(['scale', '-n', namespace, 'deployment/minio', '--replicas=1']);
      await rolledOut(namespace, 'deployment/minio');
    },
  };
  for (const [name, kind] of Object.entries(buckets)) await minio.makeBucket(name, kind);
  return minio;
}

/** As the tools of S3 take it. */
function environment({ accessKeyId, secretAccessKey }: Credentials): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_REGION: 'us-east-1',
  };
}

function manifests(namespace: string, image: string, root: Credentials): object[] {
  const metadata = { name: 'minio', namespace };
  const labels = { app: 'minio' };
  // On the rig it goes with the rig.
  const folder = path.join(isRig() ? rigState() : '/tmp/mcp-recorder', 'minio', namespace);
  const env = {
    MINIO_ROOT_USER: root.accessKeyId,
    MINIO_ROOT_PASSWORD: root.secretAccessKey,
    MINIO_BROWSER: 'off',
    MINIO_UPDATE: 'off',
    // Lets the data be a directory of the system's own disk.
    MINIO_CI_CD: '1',
    MINIO_KMS_SECRET_KEY: `test-key:${randomBytes(32).toString('base64')}`,
  };
  const container = {
    name: 'minio',
    image,
    imagePullPolicy: 'IfNotPresent',
    args: ['server', '/data', '--address', `:${PORT}`],
    env: Object.entries(env).map(([name, value]) => ({ name, value })),
    readinessProbe: { httpGet: { path: '/minio/health/ready', port: PORT }, periodSeconds: 1 },
    volumeMounts: [{ name: 'data', mountPath: '/data' }],
  };
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        // Two of them on one folder would be one too many.
        strategy: { type: 'Recreate' },
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            terminationGracePeriodSeconds: 2,
            containers: [container],
            volumes: [{ name: 'data', hostPath: { path: folder, type: 'DirectoryOrCreate' } }],
          },
        },
      },
    },
    { apiVersion: 'v1', kind: 'Service', metadata, spec: { selector: labels, ports: [{ port: PORT }] } },
  ];
}
