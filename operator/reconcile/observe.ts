/**
 * Owns what is known about one resource at the time of a decision, put together from our copies of the cluster and from the looks at its pods.
 * Invariant: nothing is asked of the API server here but what stands above a ReplicaSet that was never seen.
 */
import type { Memory, Observed } from '../desired/observed.ts';
import { isWorthALook, recorderPortOf } from '../desired/pods.ts';
import { type Labelled, matches } from '../desired/selectors.ts';
import type { Looks, LookTarget } from '../link/look.ts';
import { ownedName, SERVER_LABEL } from '../naming.ts';
import type { Settings } from '../settings.ts';
import { type KubeObject, nameOfKey } from '../kube/resource.ts';
import type { Standing } from './carry-out.ts';
import type { Copies } from './copies.ts';
import type { Workloads } from './workloads.ts';
import { isOwnedBy } from './writes.ts';

/** What one decision leaves to the next, in this process only. */
export interface Remembered {
  memory: Memory | null;
  refusals: ReadonlyMap<string, string>;
}

export interface ObserveParts {
  copies: Copies;
  workloads: Workloads;
  looks: Looks;
  settings: Settings;
  /** Whether admission is as it should be for the resource, and has been for long enough. */
  admissionReady(key: string): boolean;
  clusterIssuer(): Observed['clusterIssuer'];
  linkAuthority(): string;
  sessionKey(namespace: string, name: string): string;
  sign(namespace: string, name: string, files: Record<string, string>): string;
  nowMs(): number;
}

/** @returns null when there is no such resource (any more) */
export async function observe(
  key: string,
  remembered: Remembered,
  parts: ObserveParts,
): Promise<{ observed: Observed; standing: Standing } | null> {
  const { namespace, name } = nameOfKey(key);
  const { copies } = parts;
  const resource = copies.servers.get(namespace, name);
  if (resource === undefined || namespace === null) return null;
  const { uid } = resource.metadata;
  const isOurs = ({ metadata }: Labelled) =>
    metadata?.labels?.[SERVER_LABEL] === name || matches(resource.spec.selector, metadata?.labels);
  const pods = copies.pods.list(namespace).filter(isOurs);
  const services = copies.services.list(namespace);
  const networkPolicies = copies.networkPolicies.list(namespace);
  const configMap = copies.configMaps.get(namespace, ownedName(name)) ?? null;
  const workloads = await parts.workloads.of(pods);
  const observed: Observed = {
    resource,
    nowMs: parts.nowMs(),
    settings: parts.settings,
    siblings: copies.servers.list(namespace).filter(({ metadata }) => metadata.uid !== uid),
    pods,
    workloads,
    services,
    endpointSlices: copies.endpointSlices.list(namespace),
    networkPolicies,
    configMap,
    looks: parts.looks.of(key),
    admissionReady: parts.admissionReady(key),
    refusals: remembered.refusals,
    memory: remembered.memory,
    clusterIssuer: parts.clusterIssuer(),
    linkAuthority: parts.linkAuthority(),
    sessionKey: parts.sessionKey(namespace, name),
    sign: (files) => parts.sign(namespace, name, files),
  };
  const isOwned = ({ metadata }: Readonly<KubeObject>) =>
    metadata.name === ownedName(name) || isOwnedBy(resource, metadata);
  const standing: Standing = {
    resource,
    configMaps: copies.configMaps.list(namespace).filter(isOwned),
    networkPolicies: networkPolicies.filter(isOwned),
    services,
  };
  return { observed, standing };
}

/**
 * The pods to look at: those that have a recorder and an address.
 * @param original where clients came to the server before, as it was decided; undefined when it is not known: then there is nothing to try
 */
export function lookTargets(
  { resource, pods, settings }: Observed,
  original: number | undefined,
): LookTarget[] {
  if (original === undefined) return [];
  const { spec, metadata } = resource;
  const targets: LookTarget[] = [];
  for (const pod of pods) {
    const { podIP: host, podIPs = [] } = pod.status ?? {};
    const isRecorded = pod.metadata?.labels?.[SERVER_LABEL] === metadata.name;
    if (!isRecorded || host === undefined || !isWorthALook(pod)) continue;
    const { namespace = '', name = '', uid = '' } = pod.metadata ?? {};
    const addresses = [...new Set([host, ...podIPs.flatMap(({ ip }) => ip ?? [])])];
    // The pod's own shape tells, not the resource's: its recorder stands where clients come, or beside the server.
    const isRelocated = recorderPortOf(pod) === original;
    const serverPort = isRelocated ? (spec.traffic.relocate?.port ?? null) : original;
    const { status: statusPort } = settings.sidecar.ports;
    targets.push({ namespace, name, uid, host, addresses, statusPort, serverPort });
  }
  return targets;
}
