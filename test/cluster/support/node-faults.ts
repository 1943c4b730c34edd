/**
 * Owns what suites do to the node behind Kubernetes' back, on the rig only: signals to a component or to a container's process.
 * Invariant: a component that is killed comes back after a second; one that is stopped stays so until SIGCONT, or the rig's end.
 */
import path from 'node:path';
import { getJson, type Pod } from './kubectl.ts';
import { rigScript, rigState } from './rig.ts';
import { runCommand } from './run-command.ts';
import { isRig } from './which-cluster.ts';

export type Signal = 'SIGKILL' | 'SIGSTOP' | 'SIGCONT';
export type Component =
  | 'calico'
  | 'containerd'
  | 'etcd'
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kube-proxy'
  | 'kube-scheduler'
  | 'kubelet';

/**
 * SIGSTOP of `calico`: policies in force stay, new ones do not come. The API server is to be killed with SIGKILL: SIGTERM drains it for a
 * minute.
 * @throws on a given cluster
 */
export async function signalComponent(component: Component, signal: Signal): Promise<void> {
  const pidFile = path.join(rigState(), 'run', `${component}.pid`);
  await onNode(['sh', '-c', `kill -s ${signal.slice(3)} "$(cat ${pidFile})"`]);
}

/**
 * A signal to a container's first process; one that is killed, the kubelet starts again.
 * @throws on a given cluster, or when it does not run
 */
export async function signalContainer(
  namespace: string,
  pod: string,
  container: string,
  signal: Signal,
): Promise<void> {
  const { status } = await getJson<Pod>('pod', pod, namespace);
  const statuses = [...(status.containerStatuses ?? []), ...(status.initContainerStatuses ?? [])];
  const id = statuses.find(({ name }) => name === container)?.containerID?.replace('containerd://', '');
  if (id === undefined) throw new Error(`${namespace}/${pod} has no container ${container} that runs`);
  await onNode(['ctr', '-a', '/run/rig/ctd.sock', '-n', 'k8s.io', 'tasks', 'kill', '-s', signal, id]);
}

async function onNode(command: readonly string[]): Promise<void> {
  if (!isRig()) throw new Error('only the rig lets a suite into its node');
  await runCommand([rigScript('in-rig'), '--all', ...command]);
}
