/**
 * Owns the project as a platform team installs it: images by the real Dockerfiles, the chart by helm, one store in MinIO.
 * Invariant: it is installed once a run and shared by all suites; a suite that takes it away says so, and the next one installs it again.
 */
import path from 'node:path';
import { buildImage } from './images.ts';
import { kubectl, listJson, type Pod } from './kubectl.ts';
import { deployMinio, type MinioService } from './minio-service.ts';
import { CREDENTIALS_SECRET } from './recorded-server.ts';
import { runInRig } from './which-cluster.ts';
import type { CommandResult } from './run-command.ts';
import { waitFor } from './wait-for.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const CHART = path.join(ROOT, 'helm/mcp-recorder');
export const OPERATOR_NAMESPACE = 'mcp-recorder-system';
export const RELEASE = 'mcp-recorder';
const BUCKET = 'recordings';

export interface Release {
  minio: MinioService;
  /** `s3://…`, as reading commands take it. */
  store: string;
  /** Changes values; waits until the operator runs with them. */
  upgrade(values: Record<string, string>): Promise<void>;
  uninstall(): Promise<CommandResult>;
  /** Pods of the operator that live. */
  operatorPods(): Promise<Pod[]>;
  /** How many replicas the operator has; waits until it is so. */
  scaleOperator(replicas: number): Promise<void>;
}

let images: Promise<{ sidecar: string; operator: string }> | null = null;
let minio: Promise<MinioService> | null = null;

async function buildImages(): Promise<{ sidecar: string; operator: string }> {
  const build = (part: 'sidecar' | 'operator') =>
    buildImage({
      name: `mcp-recorder-${part}`,
      dockerfile: path.join(ROOT, `Dockerfile.${part}`),
      context: ROOT,
    });
  // One after the other: both take their packages through the same cache.
  return { sidecar: await build('sidecar'), operator: await build('operator') };
}

/** Installs the chart, or brings what is installed to these values. @param values over those of the suites, as `--set KEY=VALUE` */
export async function installRelease(values: Record<string, string> = {}): Promise<Release> {
  images ??= buildImages();
  minio ??= deployMinio({ [BUCKET]: 'plain' });
  const [{ sidecar, operator }, store] = [await images, await minio];
  const base: Record<string, string> = {
    cluster: 'test',
    ...imageValues('sidecar', sidecar),
    ...imageValues('operator', operator),
    'stores.default.s3.bucket': BUCKET,
    'stores.default.s3.region': 'us-east-1',
    'stores.default.s3.endpoint': store.endpoint,
    'stores.default.s3.pathStyle': 'true',
    'stores.default.s3.credentialsSecret': CREDENTIALS_SECRET,
    'policy.allowInlineStorage': 'true',
    'policy.allowFailOpen': 'true',
  };
  let current = { ...base, ...values };
  const upgrade = async (): Promise<void> => {
    const set = Object.entries(current).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
    await helm([
      'upgrade',
      '--install',
      RELEASE,
      CHART,
      '--create-namespace',
      '--wait',
      '--timeout=120s',
      ...set,
    ]);
  };
  await upgrade();
  const allOperators = () =>
    listJson<Pod>('pods', OPERATOR_NAMESPACE, 'app.kubernetes.io/component=operator');
  return {
    minio: store,
    store: `s3://${BUCKET}`,
    async upgrade(changed) {
      current = { ...current, ...changed };
      await upgrade();
      // Replicas that are going still answer for some seconds, by the values from before.
      await waitFor('the operators from before are gone', async () => (await allOperators()).every(stays), {
        deadlineMs: 60_000,
      });
    },
    uninstall: () => helm(['uninstall', RELEASE, '--wait', '--timeout=120s']),
    operatorPods: async () => (await allOperators()).filter(stays),
    async scaleOperator(replicas) {
      await kubectl(['scale', '-n', OPERATOR_NAMESPACE, 'deployment', RELEASE, `--replicas=${replicas}`]);
      await waitFor(
        `${replicas} operators run`,
        async () => {
          const pods = await allOperators();
          const ready = pods.filter(({ status }) =>
            status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
          );
          return pods.length === replicas && ready.length === replicas;
        },
        { deadlineMs: 60_000 },
      );
    },
  };
}

function stays({ metadata }: Pod): boolean {
  return metadata['deletionTimestamp'] === undefined;
}

function imageValues(part: string, reference: string): Record<string, string> {
  const at = reference.lastIndexOf(':');
  return {
    [`${part}.image.repository`]: reference.slice(0, at),
    [`${part}.image.tag`]: reference.slice(at + 1),
  };
}

function helm(args: readonly string[]): Promise<CommandResult> {
  return runInRig(['helm', '-n', OPERATOR_NAMESPACE, ...args], { timeoutMs: 180_000 });
}
