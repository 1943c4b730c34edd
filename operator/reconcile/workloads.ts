/**
 * Owns the way from a pod to the controller that makes it anew, and how far that controller is with its newest template.
 * Invariant: what stands above a ReplicaSet is asked once in its life; all else comes from our copies.
 */
import type { DaemonSet, Deployment, StatefulSet } from 'kubernetes-types/apps/v1';
import type { Pod } from 'kubernetes-types/core/v1';
import type { Workload } from '../desired/observed.ts';
import type { KubeClient } from '../kube/client.ts';
import type { OwnerReference } from '../kube/resource.ts';
import { RESTART_ANNOTATION } from '../naming.ts';
import type { Copies } from './copies.ts';
import { REPLICA_SETS, type Stored } from './kinds.ts';

export interface Workloads {
  /**
   * By uid of the pod; pods without a controller have none.
   * @throws KubeError when the API server can't be asked about a ReplicaSet
   */
  of(pods: readonly Readonly<Stored<Pod>>[]): Promise<Map<string, Workload>>;
}

/** ReplicaSets whose owner is remembered; an entry is a few hundred bytes. */
const MAX_KNOWN = 5_000;

export function createWorkloads(client: KubeClient, copies: Copies): Workloads {
  /** By uid of a ReplicaSet: its Deployment, or itself where there is none. */
  const known = new Map<string, OwnerReference>();

  async function topOf(namespace: string, owner: OwnerReference): Promise<OwnerReference> {
    if (owner.kind !== 'ReplicaSet' || !owner.apiVersion.startsWith('apps/')) return owner;
    const before = known.get(owner.uid);
    if (before !== undefined) return before;
    const set = await client.find(REPLICA_SETS, { namespace, name: owner.name });
    // Gone or made anew since: what it belonged to can't be asked any more, and its pods are going.
    if (set?.metadata.uid !== owner.uid) return owner;
    const above = controllerOf(set) ?? owner;
    if (known.size >= MAX_KNOWN) known.delete(known.keys().next().value as string);
    known.set(owner.uid, above);
    return above;
  }

  function describe(namespace: string, top: OwnerReference): Workload {
    const plain = other(top);
    switch (top.kind) {
      case 'Deployment':
        return fromDeployment(plain, sameUid(copies.deployments.get(namespace, top.name), top));
      case 'StatefulSet':
        return fromStatefulSet(plain, sameUid(copies.statefulSets.get(namespace, top.name), top));
      case 'DaemonSet':
        return fromDaemonSet(plain, sameUid(copies.daemonSets.get(namespace, top.name), top));
      case 'Job':
        return { ...plain, kind: 'Job' };
      default:
        return plain;
    }
  }

  return {
    async of(pods) {
      const found = new Map<string, Workload>();
      for (const pod of pods) {
        const owner = controllerOf(pod);
        const { namespace = '', uid = '' } = pod.metadata;
        if (owner !== null) found.set(uid, describe(namespace, await topOf(namespace, owner)));
      }
      return found;
    },
  };
}

function controllerOf({ metadata }: Readonly<Pick<Stored<Pod>, 'metadata'>>): OwnerReference | null {
  return metadata.ownerReferences?.find(({ controller }) => controller === true) ?? null;
}

/** An object of the same name that is not the owner tells nothing about it. */
function sameUid<T extends { metadata: { uid?: string } }>(object: T | undefined, owner: OwnerReference) {
  return object?.metadata.uid === owner.uid ? object : undefined;
}

function other({ apiVersion, kind, name, uid }: OwnerReference): Workload {
  return {
    kind: 'Other',
    apiVersion,
    ownerKind: kind,
    name,
    uid,
    templateLabels: null,
    restartedFor: null,
    settled: false,
    rolls: 'byItself',
    partition: 0,
  };
}

function fromDeployment(plain: Workload, deployment: Readonly<Stored<Deployment>> | undefined): Workload {
  const { spec, status } = deployment ?? {};
  const wanted = spec?.replicas ?? 1;
  const runs =
    status?.updatedReplicas === wanted && status.replicas === wanted && status.availableReplicas === wanted;
  return {
    ...plain,
    ...templateOf(deployment),
    kind: 'Deployment',
    settled: hasSeen(deployment) && (wanted === 0 ? !status?.replicas : runs),
    rolls: spec?.paused === true ? 'paused' : 'byItself',
  };
}

function fromStatefulSet(plain: Workload, set: Readonly<Stored<StatefulSet>> | undefined): Workload {
  const { spec, status } = set ?? {};
  const wanted = spec?.replicas ?? 1;
  const partition = spec?.updateStrategy?.rollingUpdate?.partition ?? 0;
  const isNewest =
    partition === 0
      ? status?.currentRevision === status?.updateRevision
      : (status?.updatedReplicas ?? 0) >= Math.max(0, wanted - partition);
  const runs = isNewest && (status?.replicas ?? 0) === wanted && (status?.readyReplicas ?? 0) === wanted;
  return {
    ...plain,
    ...templateOf(set),
    kind: 'StatefulSet',
    settled: hasSeen(set) && runs,
    rolls: spec?.updateStrategy?.type === 'OnDelete' ? 'onDelete' : 'byItself',
    partition,
  };
}

function fromDaemonSet(plain: Workload, set: Readonly<Stored<DaemonSet>> | undefined): Workload {
  const { spec, status } = set ?? {};
  const wanted = status?.desiredNumberScheduled ?? 0;
  const runs = (status?.updatedNumberScheduled ?? 0) === wanted && (status?.numberReady ?? 0) === wanted;
  return {
    ...plain,
    ...templateOf(set),
    kind: 'DaemonSet',
    settled: hasSeen(set) && runs,
    rolls: spec?.updateStrategy?.type === 'OnDelete' ? 'onDelete' : 'byItself',
  };
}

function templateOf(
  workload: Readonly<Stored<Deployment | StatefulSet | DaemonSet>> | undefined,
): Pick<Workload, 'templateLabels' | 'restartedFor'> {
  const template = workload?.spec?.template.metadata;
  return {
    templateLabels: template?.labels ?? null,
    restartedFor: template?.annotations?.[RESTART_ANNOTATION] ?? null,
  };
}

/** Its numbers are about its newest template. */
function hasSeen(workload: Readonly<Stored<Deployment | StatefulSet | DaemonSet>> | undefined): boolean {
  const { metadata, status } = workload ?? {};
  return status?.observedGeneration !== undefined && status.observedGeneration >= (metadata?.generation ?? 0);
}
