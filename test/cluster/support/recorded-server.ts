/**
 * Owns the `RecordedMCPServer` of a suite, as the owner of a namespace would apply it, and what it says of itself.
 */
import type { Condition, RecordedMCPServer } from '../../../operator/api/recorded-mcp-server.ts';
import { getJson, kubectl, type KubernetesObject, listJson, type Pod } from './kubectl.ts';
import { waitFor } from './wait-for.ts';

export type Recorded = KubernetesObject & RecordedMCPServer;
type Status = 'True' | 'False' | 'Unknown';

/** The Secret that the chart's store names in the tests; it is in the namespace of each recorded server. */
export const CREDENTIALS_SECRET = 'recordings-credentials';
/** Long enough for pods to be replaced under load on a slow machine. */
const READY_MS = 180_000;

/** The resource as a person would write it. */
export function recordedServer(namespace: string, name: string, app: string, spec: object = {}): object {
  return {
    apiVersion: 'mcp-recorder.dev/v1alpha1',
    kind: 'RecordedMCPServer',
    metadata: { name, namespace },
    spec: {
      selector: { matchLabels: { app } },
      storage: { store: 'default' },
      auth: { mode: 'Anonymous' },
      ...spec,
    },
  };
}

export function getRecorded(namespace: string, name: string): Promise<Recorded> {
  return getJson<Recorded>('recordedmcpserver', name, namespace);
}

export function conditionOf({ status }: Recorded, type: string): Condition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}

/** What it says, one line a condition: for messages of tests. */
export function describeConditions({ status }: Recorded): string {
  const lines = (status?.conditions ?? []).map(
    ({ type, status: is, reason, message }) => `${type}=${is} ${reason}: ${message}`,
  );
  return [`phase ${status?.phase ?? 'none'}`, ...lines].join('\n');
}

/** Waits for a condition. @returns the resource as it was then @throws with all conditions as they were last */
export async function waitForCondition(
  namespace: string,
  name: string,
  type: string,
  wanted: { status: Status | Status[]; reason?: string | RegExp },
  deadlineMs = READY_MS,
): Promise<Recorded> {
  const statuses = [wanted.status].flat();
  let last: Recorded | null = null;
  try {
    return await waitFor(
      `${namespace}/${name}: ${type} becomes ${statuses.join(' or ')} ${wanted.reason ?? ''}`,
      async () => {
        last = await getRecorded(namespace, name);
        const { status, reason = '', observedGeneration } = conditionOf(last, type) ?? {};
        const right =
          statuses.some((one) => one === status) &&
          observedGeneration === last.metadata.generation &&
          (wanted.reason === undefined || new RegExp(wanted.reason).test(reason));
        return right ? last : null;
      },
      { deadlineMs, everyMs: 300 },
    );
  } catch (error) {
    const said = last === null ? 'it was never read' : describeConditions(last);
    throw new Error(`${(error as Error).message}\n${said}`, { cause: error });
  }
}

export function waitForReady(namespace: string, name: string, deadlineMs = READY_MS): Promise<Recorded> {
  return waitForCondition(namespace, name, 'Ready', { status: 'True' }, deadlineMs);
}

/** Pods that live, of a label `app`. */
export async function livingPods(namespace: string, app: string): Promise<Pod[]> {
  const pods = await listJson<Pod>('pods', namespace, `app=${app}`);
  return pods.filter(({ metadata }) => metadata['deletionTimestamp'] === undefined);
}

export function hasSidecar({ spec }: Pod): boolean {
  return spec.initContainers?.some(({ name }) => name === 'mcp-recorder') === true;
}

/** Makes the pods of a workload anew and waits until that is done. */
export async function restart(namespace: string, workload: string): Promise<void> {
  await kubectl(['rollout', 'restart', '-n', namespace, workload]);
  await kubectl(['rollout', 'status', '-n', namespace, workload, '--timeout=120s'], { timeoutMs: 130_000 });
}
