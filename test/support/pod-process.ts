/**
 * Owns the recorder as it runs in a pod: `sidecar/pod.ts` in a process of its own, with the environment, the mounts and the certificates
 * that the operator gives it.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { S3StoreOptions } from '@mcp-recorder/recording/store/s3-options';
import { type Exit, type SpawnedProcess, spawnProcess } from './child-process.ts';
import { type MountedConfig, mountConfig } from './delivery.ts';
import { askOverTls, createAuthority, type ClientCertificate, type TlsAnswer } from './operator-authority.ts';
import { eventually } from './poll.ts';

const ENTRY = fileURLToPath(new URL('../../sidecar/pod.ts', import.meta.url));
/** Node's flags as the image runs it with: those of the first line. */
const FLAGS = (readFileSync(ENTRY, 'utf8').split('\n', 1)[0] ?? '')
  .split(' ')
  .filter((word) => word.startsWith('--'));

/** What runs as the recorder. */
export interface PodProgram {
  /** Default: this Node. */
  program?: string;
  args: readonly string[];
  env?: Record<string, string>;
}

type Section = Record<string, unknown>;

/** What is mounted and told before the process is there. */
export interface PodSetting {
  directory: string;
  mounted: MountedConfig;
  tokenFile: string;
  drainPath: string;
  environment: Record<string, string>;
  operator: ClientCertificate;
  /** The configuration as the operator writes it. @param change sections that differ */
  config(change?: Record<string, Section>): Section;
  /** Signs and delivers it, as JSON, which YAML takes. */
  deliver(config?: Section, files?: Record<string, string>): Promise<void>;
  /** Starts the process, and does not wait. */
  spawn(environment?: Record<string, string>): SpawnedProcess;
  /** Starts the process, and waits until it listens. */
  start(): Promise<PodProcess>;
  remove(): Promise<void>;
}

export interface PodProcess {
  process: SpawnedProcess;
  /** Where clients connect. */
  origin: string;
  port: number;
  /** Asks the status port. @param as null: without a certificate */
  ask(path: string, as?: ClientCertificate | null): Promise<TlsAnswer>;
  status(): Promise<PodStatus>;
  link(): Promise<Section & { status: PodStatus; configuration: Section; server: Section }>;
  ready(): Promise<void>;
  stop(signal?: NodeJS.Signals): Promise<Exit>;
}

export interface PodStatus {
  configuration: string;
  draining: boolean;
  stream: string;
  gate: { state: string; reason: string | null };
  reload: { restart_needed: string[]; refused: string | null };
  watermarks: { synced: number; acked: number };
}

/**
 * @param upstream origin of the server; `store`: a bucket, or by default a directory
 * @param program default: the sources
 */
export async function setUpPod(
  upstream: string,
  store: S3StoreOptions | null = null,
  program: PodProgram = { args: [...FLAGS, ENTRY] },
): Promise<PodSetting> {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-pod-'));
  const mounted = await mountConfig(path.join(directory, 'config'));
  const authority = await createAuthority();
  const operator = await authority.issue();
  const tokenFile = path.join(directory, 'token');
  await fs.writeFile(tokenFile, 'header.claims.signature\n');
  const drainPath = `/drain/${randomBytes(16).toString('hex')}`;
  const environment = {
    POD_NAME: 'github-mcp-6c9f-x2x7k',
    POD_UID: '7f1c0d9e-5b1a-4a51-9a2e-0d6b0a7a1f42',
    POD_NAMESPACE: mounted.namespace,
    MCP_RECORDER_SERVER: mounted.server,
    MCP_RECORDER_IMAGE: 'registry.example/mcp-recorder@sha256:5f70bf18',
    MCP_RECORDER_CONFIG_KEYS: mounted.publicKeyText,
    MCP_RECORDER_DRAIN_PATH: drainPath,
    MCP_RECORDER_SESSION_KEY: Buffer.alloc(32, 7).toString('base64'),
    MCP_RECORDER_CONFIG_DIRECTORY: mounted.directory,
    MCP_RECORDER_TOKEN_FILE: tokenFile,
  };

  const config = (change: Record<string, Section> = {}): Section => {
    const whole: Record<string, unknown> = {
      name: mounted.server,
      cluster: 'prod',
      namespace: mounted.namespace,
      listen: '127.0.0.1:0',
      server: { url: `${upstream}/` },
      auth: { mode: 'Anonymous' },
      storage: store === null ? { directory: path.join(directory, 'store') } : { s3: s3Section(store) },
      recording: { spool: { directory: path.join(directory, 'spool') } },
      status: { listen: '127.0.0.1:0', tls: true, operatorCa: authority.pem },
      drain: { timeout: '15s' },
    };
    for (const [key, section] of Object.entries(change)) {
      whole[key] = { ...(whole[key] as Section | undefined), ...section };
    }
    return whole;
  };

  function spawn(changed: Record<string, string> = {}): SpawnedProcess {
    return spawnProcess({
      ...program,
      env: { ...program.env, ...environment, ...changed },
      ready: /"listen":"127\.0\.0\.1:(\d+)","status":"127\.0\.0\.1:(\d+)"/,
    });
  }

  return {
    directory,
    mounted,
    tokenFile,
    drainPath,
    environment,
    operator,
    config,
    deliver: (given = config(), files = {}) =>
      mounted.deliver({ 'config.yaml': JSON.stringify(given, null, 1), ...files }),
    spawn,
    async start() {
      const process = spawn();
      const [, port = '', statusPort = ''] = await process.ready;
      const ask = (asked: string, as: ClientCertificate | null = operator) =>
        askOverTls(`https://127.0.0.1:${statusPort}${asked}`, as);
      const json = async (asked: string) => JSON.parse((await ask(asked)).body);
      return {
        process,
        origin: `http://127.0.0.1:${port}`,
        port: Number(port),
        ask,
        status: () => json('/status'),
        link: () => json('/link'),
        ready: async () => {
          await eventually(async () => (await ask('/readyz', null)).status === 200, { withinMs: 20_000 });
        },
        stop: (signal) => process.stop(signal),
      };
    },
    remove: () => fs.rm(directory, { recursive: true, force: true }),
  };
}

function s3Section({ bucket, prefix, region, endpoint, credentialFiles, caFile }: S3StoreOptions): Section {
  const { accessKeyId, secretAccessKey } = credentialFiles as NonNullable<typeof credentialFiles>;
  return {
    bucket,
    prefix,
    region,
    endpoint,
    pathStyle: true,
    credentialFiles: { accessKeyId, secretAccessKey },
    ...(caFile === null ? {} : { caFile: 'store-ca.crt' }),
  };
}
