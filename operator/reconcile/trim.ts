/**
 * Owns what is kept of the cluster's objects: the parts that decisions read, and no more, as clusters have many of them.
 * Invariants: a decision about the trimmed objects is the decision about the whole ones; the names and fields stay those of Kubernetes. What the
 * API server writes as null (an empty list of some kinds) is not there at all.
 */
import type { DaemonSet, Deployment, StatefulSet } from 'kubernetes-types/apps/v1';
import type { Container, ContainerStatus, Pod, PodSpec, PodStatus, Service } from 'kubernetes-types/core/v1';
import type { EndpointSlice } from 'kubernetes-types/discovery/v1';
import type { NetworkPolicy } from 'kubernetes-types/networking/v1';
import type { KubeObject, ObjectMeta } from '../kube/resource.ts';
import { SIDECAR_CONTAINER, VOLUMES } from '../naming.ts';
import { holdsLinkToken, MIRROR_ANNOTATION, NETWORK_ANNOTATIONS } from '../webhook/inject/refusals.ts';
import { SESSION_KEY } from '../webhook/inject/sidecar.ts';
import type { Stored } from './kinds.ts';

const OUR_VOLUMES: ReadonlySet<string> = new Set(Object.values(VOLUMES));

/** Annotations that decisions read: ours, and those that say that a mesh or another network takes the pod's traffic. */
const READ_ANNOTATION =
  /^(?:mcp-recorder\.dev|(?:sidecar|ambient)\.istio\.io|linkerd\.io|config\.linkerd\.io)\//;
const READ_BY_NAME: ReadonlySet<string> = new Set([MIRROR_ANNOTATION, ...NETWORK_ANNOTATIONS]);

export function trimPod(pod: Stored<Pod>): Stored<Pod> {
  const { spec, status } = pod;
  return {
    ...identityOf(pod),
    ...(spec === undefined ? {} : { spec: trimPodSpec(spec) }),
    ...(status === undefined ? {} : { status: trimPodStatus(status) }),
  } as Stored<Pod>;
}

/** With all that admission may have against such a pod. */
function trimPodSpec(spec: PodSpec): PodSpec {
  const kept = pick(
    spec,
    'hostNetwork',
    'hostPID',
    'shareProcessNamespace',
    'os',
    'nodeName',
    'terminationGracePeriodSeconds',
  );
  const { initContainers, securityContext } = spec;
  const volumes = spec.volumes?.filter((volume) => OUR_VOLUMES.has(volume.name) || holdsLinkToken(volume));
  return {
    ...kept,
    containers: spec.containers.map(trimContainer),
    ...(initContainers === undefined ? {} : { initContainers: initContainers.map(trimContainer) }),
    ...userOf(securityContext),
    ...(volumes === undefined || volumes.length === 0 ? {} : { volumes }),
  };
}

function trimContainer(container: Container): Container {
  const kept = pick(container, 'name', 'image', 'ports', 'restartPolicy') as Container;
  const mounts = container.volumeMounts?.filter(({ name }) => OUR_VOLUMES.has(name)) ?? [];
  const probes = pick(container, 'livenessProbe', 'readinessProbe', 'startupProbe');
  const sessionKey =
    container.name === SIDECAR_CONTAINER ? container.env?.filter(({ name }) => name === SESSION_KEY) : [];
  const byGrpc = Object.entries(probes).filter(([, probe]) => probe?.grpc !== undefined);
  return {
    ...kept,
    ...userOf(container.securityContext),
    ...(mounts.length === 0 ? {} : { volumeMounts: mounts }),
    ...Object.fromEntries(byGrpc),
    ...(sessionKey === undefined || sessionKey.length === 0 ? {} : { env: sessionKey }),
  };
}

function userOf(context: { runAsUser?: number } | undefined): { securityContext?: { runAsUser: number } } {
  return context?.runAsUser === undefined ? {} : { securityContext: { runAsUser: context.runAsUser } };
}

function trimPodStatus(status: PodStatus): PodStatus {
  const kept: PodStatus = pick(
    status,
    'phase',
    'podIP',
    'podIPs',
    'hostIP',
    'hostIPs',
    'reason',
    'message',
    'startTime',
    'conditions',
  );
  const { containerStatuses, initContainerStatuses } = status;
  if (containerStatuses !== undefined) kept.containerStatuses = containerStatuses.map(trimContainerStatus);
  if (initContainerStatuses !== undefined) {
    kept.initContainerStatuses = initContainerStatuses.map(trimContainerStatus);
  }
  return kept;
}

function trimContainerStatus(status: ContainerStatus): ContainerStatus {
  return pick(status, 'name', 'ready', 'started', 'restartCount', 'state', 'lastState') as ContainerStatus;
}

export function trimService(service: Stored<Service>): Stored<Service> {
  const { spec } = service;
  return {
    ...identityOf(service),
    ...(spec === undefined
      ? {}
      : { spec: pick(spec, 'type', 'selector', 'ports', 'clusterIP', 'clusterIPs', 'externalName') }),
  } as Stored<Service>;
}

export function trimEndpointSlice(slice: Stored<EndpointSlice>): Stored<EndpointSlice> {
  const { endpoints } = slice;
  return {
    ...identityOf(slice),
    ...pick(slice, 'addressType', 'ports'),
    endpoints: (endpoints ?? []).map((endpoint) => pick(endpoint, 'addresses', 'conditions', 'targetRef')),
  } as Stored<EndpointSlice>;
}

export function trimNetworkPolicy(policy: Stored<NetworkPolicy>): Stored<NetworkPolicy> {
  return { ...identityOf(policy), spec: policy.spec } as Stored<NetworkPolicy>;
}

export function trimDeployment(deployment: Stored<Deployment>): Stored<Deployment> {
  const { spec } = deployment;
  return withTemplate(deployment, { replicas: spec?.replicas, paused: spec?.paused });
}

export function trimStatefulSet(set: Stored<StatefulSet>): Stored<StatefulSet> {
  return withTemplate(set, { replicas: set.spec?.replicas, updateStrategy: set.spec?.updateStrategy });
}

export function trimDaemonSet(set: Stored<DaemonSet>): Stored<DaemonSet> {
  return withTemplate(set, { updateStrategy: set.spec?.updateStrategy });
}

/** A workload with the metadata of its pod template, its numbers, and what of its specification is named. */
function withTemplate<T extends Stored<Deployment | StatefulSet | DaemonSet>>(workload: T, spec: object): T {
  const { labels, annotations } = workload.spec?.template.metadata ?? {};
  const template = { metadata: { labels: labels ?? {}, annotations: readAnnotations(annotations) } };
  const { conditions: _, ...numbers } = (workload.status ?? {}) as Record<string, unknown>;
  return { ...identityOf(workload), spec: { ...spec, template }, status: numbers } as unknown as T;
}

/** What every object keeps. */
function identityOf({ apiVersion, kind, metadata }: KubeObject): KubeObject {
  const { annotations, ...rest } = metadata;
  const kept = pick(
    rest,
    'name',
    'namespace',
    'uid',
    'resourceVersion',
    'generation',
    'creationTimestamp',
    'deletionTimestamp',
    'labels',
    'ownerReferences',
  ) as ObjectMeta;
  if (annotations !== undefined) kept.annotations = readAnnotations(annotations);
  return { apiVersion, kind, metadata: kept };
}

function readAnnotations(annotations: Record<string, string> | undefined): Record<string, string> {
  return Object.fromEntries(
    Object.entries(annotations ?? {}).filter(
      ([name]) => READ_ANNOTATION.test(name) || READ_BY_NAME.has(name),
    ),
  );
}

/** The named fields, those that are there and not null. */
function pick<T extends object, Key extends keyof T>(object: T, ...fields: Key[]): Partial<Pick<T, Key>> {
  const kept: Partial<Pick<T, Key>> = {};
  for (const field of fields) {
    if (object[field] !== undefined && object[field] !== null) kept[field] = object[field];
  }
  return kept;
}
