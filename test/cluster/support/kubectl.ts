/**
 * Owns the way to the cluster's API: kubectl, as a person uses it.
 * Invariant: what fails carries kubectl's own words.
 */
import { type CommandOptions, type CommandResult } from './run-command.ts';
import { runInRig } from './which-cluster.ts';

export interface KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    generation?: number;
    creationTimestamp?: string;
    deletionTimestamp?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    finalizers?: string[];
  };
  [field: string]: unknown;
}

/** A Pod, as far as the suites look at it. */
export interface Pod extends KubernetesObject {
  spec: {
    nodeName?: string;
    containers: { name: string; image: string }[];
    initContainers?: { name: string; image: string; restartPolicy?: string }[];
  };
  status: {
    phase?: string;
    podIP?: string;
    conditions?: { type: string; status: string; reason?: string; message?: string }[];
    containerStatuses?: ContainerStatus[];
    initContainerStatuses?: ContainerStatus[];
  };
}

interface ContainerStatus {
  name: string;
  ready: boolean;
  restartCount: number;
  containerID?: string;
  state: object;
}

/** @throws as runCommand does */
export function kubectl(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return runInRig(['kubectl', ...args], options);
}

/**
 * Applies what a person would: YAML, or objects.
 * @param args more of kubectl's own, as `--server-side`, `--namespace=x`
 */
export async function apply(
  manifest: string | object | readonly object[],
  args: readonly string[] = [],
): Promise<string> {
  const { stdout } = await kubectl(['apply', '-f', '-', ...args], { stdin: manifestText(manifest) });
  return stdout;
}

function manifestText(manifest: string | object | readonly object[]): string {
  if (typeof manifest === 'string') return manifest;
  const items = Array.isArray(manifest) ? manifest : [manifest];
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}

/** One object: `getJson('pod', 'a', 'tools')`. @throws when it is not there, with kubectl's words */
export async function getJson<T extends KubernetesObject = KubernetesObject>(
  resource: string,
  name: string,
  namespace?: string,
): Promise<T> {
  const { stdout } = await kubectl(['get', resource, name, ...within(namespace), '-o', 'json']);
  return JSON.parse(stdout);
}

/** All objects that match: `listJson('pods', 'tools', 'app=web')`. @param namespace default: all of them */
export async function listJson<T extends KubernetesObject = KubernetesObject>(
  resource: string,
  namespace?: string,
  selector?: string,
): Promise<T[]> {
  const where = namespace === undefined ? ['--all-namespaces'] : within(namespace);
  const which = selector === undefined ? [] : ['--selector', selector];
  const { stdout } = await kubectl(['get', resource, ...where, ...which, '-o', 'json']);
  return JSON.parse(stdout).items;
}

function within(namespace: string | undefined): string[] {
  return namespace === undefined ? [] : ['--namespace', namespace];
}

/** Runs a command in a container, with `options.stdin` as its input. @throws as runCommand does; the exit code is the command's own */
export function inPod(
  namespace: string,
  pod: string,
  container: string,
  command: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const interactive = options.stdin === undefined ? [] : ['--stdin'];
  return kubectl(['exec', ...interactive, '-n', namespace, pod, '-c', container, '--', ...command], options);
}

/**
 * What a container wrote.
 * @param pod a pod, or `deployment/NAME`
 * @param previous of the container that ran before the last restart
 */
export async function logs(
  namespace: string,
  pod: string,
  container: string,
  { previous = false, tail = -1 } = {},
): Promise<string> {
  const args = ['-n', namespace, pod, '-c', container, `--tail=${tail}`, ...(previous ? ['--previous'] : [])];
  return (await kubectl(['logs', ...args])).stdout;
}

/** Waits until a Deployment, StatefulSet or DaemonSet has rolled out: `rolledOut('tools', 'deployment/web')`. */
export async function rolledOut(namespace: string, workload: string, deadlineMs = 60_000): Promise<void> {
  await kubectl(['rollout', 'status', '-n', namespace, workload, `--timeout=${deadlineMs}ms`], {
    timeoutMs: deadlineMs + 10_000,
  });
}
