/**
 * Owns which pods can't be recorded, and how that is told.
 * Invariant: what would give another process a way past the recorder, or into it, is refused, never flagged; each refusal says what to change.
 */
import type { Container, Pod, Volume } from 'kubernetes-types/core/v1';
import { LINK_AUDIENCE, PORT_NAMES, SERVER_LABEL, SIDECAR_CONTAINER, VOLUMES } from '../../naming.ts';
import type { Injection } from './injection.ts';
import { ambiguousName, hasGrpcProbe, isServerPort, runningContainers } from './ports.ts';

export const MIRROR_ANNOTATION = 'kubernetes.io/config.mirror';
/** Annotations by which Multus gives a pod networks beside the cluster's, or in its place. */
export const NETWORK_ANNOTATIONS = [
  'k8s.v1.cni.cncf.io/networks',
  'v1.multus-cni.io/default-network',
] as const;

/** The message for the person or controller that made the pod. */
export function refusalMessage({ resource }: Injection, problems: readonly string[]): string {
  const { namespace, name } = resource.metadata;
  return `RecordedMCPServer ${namespace}/${name} selects this pod, but it can't be recorded. ${problems.join(' ')}`;
}

/**
 * All that is in the way, as sentences.
 * @param pod without the recorder
 * @param port the server's
 */
export function problemsOf(pod: Pod, injection: Injection, port: number, server: string): string[] {
  return [
    ...podProblems(pod, injection),
    ...containerProblems(pod, injection),
    ...portProblems(pod, injection, port, server),
  ];
}

function podProblems(pod: Pod, { resource, settings }: Injection): string[] {
  const problems: string[] = [];
  const spec = pod.spec;
  const { store } = resource.spec.storage;
  if (store !== undefined && !Object.hasOwn(settings.stores, store)) {
    const known = Object.keys(settings.stores).join(', ');
    problems.push(
      `Its storage names the store "${store}", which the platform team has not set up (there ${known === '' ? 'are none' : `is: ${known}`}). Correct spec.storage.store.`,
    );
  }
  if (pod.metadata?.annotations?.[MIRROR_ANNOTATION] !== undefined) {
    problems.push(
      'It is a static pod, which its node runs whatever the API server says. Run the server as a Deployment.',
    );
  }
  const network = NETWORK_ANNOTATIONS.find((name) => pod.metadata?.annotations?.[name] !== undefined);
  if (network !== undefined && resource.spec.traffic.mode === 'Service') {
    problems.push(
      `Its annotation ${network} gives it networks of its own, where no NetworkPolicy holds. Remove it, or move the server to loopback (spec.traffic.mode: Relocate).`,
    );
  }
  if (spec?.os?.name === 'windows') problems.push('It runs on Windows; the recorder runs on Linux only.');
  if (spec?.hostNetwork === true) {
    problems.push(
      "It has hostNetwork: its ports are the node's, where no NetworkPolicy holds. Remove spec.hostNetwork.",
    );
  }
  if (spec?.hostPID === true) {
    problems.push('It has hostPID: its processes could reach into the recorder. Remove spec.hostPID.');
  }
  if (spec?.shareProcessNamespace === true) {
    problems.push(
      'It has shareProcessNamespace: its processes could reach into the recorder. Remove spec.shareProcessNamespace.',
    );
  }
  const names = new Set<string>(Object.values(VOLUMES));
  for (const volume of spec?.volumes ?? []) {
    const { name } = volume;
    if (names.has(name)) {
      problems.push(`Its volume "${name}" has a name that belongs to the recorder. Rename the volume.`);
    }
    if (holdsLinkToken(volume)) {
      problems.push(
        `Its volume "${name}" holds a token for ${LINK_AUDIENCE}, by which only the recorder may prove itself. Remove it.`,
      );
    }
  }
  return problems;
}

/** Whether a volume gives a token by which a recorder proves itself. */
export function holdsLinkToken({ projected }: Volume): boolean {
  const sources = projected?.sources ?? [];
  return sources.some(({ serviceAccountToken }) => serviceAccountToken?.audience === LINK_AUDIENCE);
}

function containerProblems(pod: Pod, { settings }: Injection): string[] {
  const volumes = new Set<string>(Object.values(VOLUMES));
  const podUser = pod.spec?.securityContext?.runAsUser;
  return allContainers(pod).flatMap((container) => {
    const { name, securityContext, volumeMounts = [] } = container;
    const problems: string[] = [];
    if (name === SIDECAR_CONTAINER) {
      problems.push(
        `It has a container "${SIDECAR_CONTAINER}" that the webhook has not made. Remove it (the recorder is added by itself), or rename it.`,
      );
    }
    if ((securityContext?.runAsUser ?? podUser) === settings.sidecar.uid) {
      problems.push(
        `Its container "${name}" runs as user ${settings.sidecar.uid}, which is the recorder's. Give it another runAsUser.`,
      );
    }
    const mounted = volumeMounts.find((mount) => volumes.has(mount.name));
    if (mounted !== undefined) {
      problems.push(
        `Its container "${name}" mounts "${mounted.name}", a volume of the recorder's that no other container may see. Remove the mount.`,
      );
    }
    return problems;
  });
}

function portProblems(pod: Pod, { resource, settings }: Injection, port: number, server: string): string[] {
  const problems: string[] = [];
  const { mode, relocate } = resource.spec.traffic;
  const { recorder, status } = settings.sidecar.ports;
  const running = pod.spec === undefined ? [] : runningContainers(pod.spec);
  const taken: Map<number, string> = new Map([[status, "the recorder's status port"]]);
  if (mode === 'Service') taken.set(recorder, "the recorder's port");
  const use = taken.get(port);
  if (use !== undefined) {
    problems.push(
      `Its server listens on port ${port}, which is ${use}. Let the server listen on another port, or ask the platform team to change sidecar.ports.`,
    );
  }
  if (mode === 'Relocate' && relocate !== undefined) {
    if (relocate.port === port || relocate.port === status) {
      const whose =
        relocate.port === port ? "the server's own, which the recorder takes" : "the recorder's status port";
      problems.push(`spec.traffic.relocate.port is ${relocate.port}: ${whose}. Choose another.`);
    }
    taken.set(relocate.port, 'the port that the server is moved to');
    const asked = running.find((container) => hasGrpcProbe(container, port));
    if (asked !== undefined) {
      problems.push(
        `Its container "${asked.name}" has a gRPC probe on port ${port}, which the recorder takes and can't carry. Probe by HTTP or exec, or use mode Service.`,
      );
    }
  }
  for (const container of running) {
    for (const declared of container.ports ?? []) {
      const conflict = isServerPort(declared, port) ? undefined : taken.get(declared.containerPort);
      if (conflict !== undefined && (declared.protocol ?? 'TCP') === 'TCP') {
        problems.push(
          `Its container "${container.name}" declares port ${declared.containerPort}, which is ${conflict}. Use another port there.`,
        );
      }
      if (isServerPort(declared, port) && (declared.hostPort ?? 0) !== 0) {
        problems.push(
          `Its container "${container.name}" opens the server's port ${port} on the node (hostPort ${declared.hostPort}): a way past the recorder. Remove hostPort and use a Service.`,
        );
      }
    }
  }
  const ambiguous = ambiguousName(pod, port);
  if (ambiguous !== null) {
    problems.push(
      `The port name "${ambiguous}" stands for the server's port ${port} (container "${server}") and for another one: Services that target the name would lead there. Rename one of the two.`,
    );
  }
  const reserved = Object.values(PORT_NAMES).find((name) =>
    running.some(({ ports = [] }) => ports.some((declared) => declared.name === name)),
  );
  if (reserved !== undefined) {
    problems.push(`Its port name "${reserved}" belongs to the recorder. Rename the port.`);
  }
  return problems;
}

function allContainers(pod: Pod): Container[] {
  return [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
}

/** Why a pod that only carries our label is refused. @param namespace where it is to be made */
export function unselectedMessage(namespace: string, value: string): string {
  return `The label ${SERVER_LABEL} marks pods that are recorded, and only the recorder's webhook sets it: no RecordedMCPServer of namespace ${namespace} selects this pod (the label says "${value}"). Remove the label from the pod or its template.`;
}
