/**
 * Owns our copies of what the operator looks at in the cluster, one of each kind, each following the API server.
 * Invariant: nobody decides before all of them are complete once.
 */
import type { DaemonSet, Deployment, StatefulSet } from 'kubernetes-types/apps/v1';
import type { ConfigMap, Pod, Service } from 'kubernetes-types/core/v1';
import type { EndpointSlice } from 'kubernetes-types/discovery/v1';
import type { NetworkPolicy } from 'kubernetes-types/networking/v1';
import type { Logger } from 'pino';
import type { RecordedMCPServer } from '../api/recorded-mcp-server.ts';
import type { KubeClient } from '../kube/client.ts';
import { createReflector, type Reflector } from '../kube/reflector.ts';
import type { KubeObject, Resource } from '../kube/resource.ts';
import { MANAGED_BY, MANAGED_BY_LABEL } from '../naming.ts';
import {
  CONFIG_MAPS,
  DAEMON_SETS,
  DEPLOYMENTS,
  ENDPOINT_SLICES,
  NETWORK_POLICIES,
  PODS,
  RECORDED_SERVERS,
  SERVICES,
  STATEFUL_SETS,
  type Stored,
} from './kinds.ts';
import {
  trimDaemonSet,
  trimDeployment,
  trimEndpointSlice,
  trimNetworkPolicy,
  trimPod,
  trimService,
  trimStatefulSet,
} from './trim.ts';

/** Of the resources alone: what admission needs, on every replica. */
export type ServerCopy = Reflector<Stored<RecordedMCPServer>>;

/** All that a decision needs, on the replica that decides. */
export interface Copies {
  servers: ServerCopy;
  pods: Reflector<Stored<Pod>>;
  services: Reflector<Stored<Service>>;
  endpointSlices: Reflector<Stored<EndpointSlice>>;
  networkPolicies: Reflector<Stored<NetworkPolicy>>;
  /** Only those of ours. */
  configMaps: Reflector<Stored<ConfigMap>>;
  deployments: Reflector<Stored<Deployment>>;
  statefulSets: Reflector<Stored<StatefulSet>>;
  daemonSets: Reflector<Stored<DaemonSet>>;
}

/** What all copies are made of. */
export interface CopyParts {
  client: KubeClient;
  /** Empty: all. */
  namespaces: readonly string[];
  log: Logger;
}

export function followServers(parts: CopyParts): ServerCopy {
  return createReflector({ ...parts, resource: RECORDED_SERVERS });
}

/** Begins to follow all else. */
export function followAll(servers: ServerCopy, parts: CopyParts): Copies {
  const follow = <T extends KubeObject>(
    resource: Resource<T>,
    trim: (object: T) => T,
    labelSelector?: string,
  ): Reflector<T> =>
    createReflector({
      ...parts,
      resource,
      trim,
      ...(labelSelector === undefined ? {} : { labelSelector }),
    });
  return {
    servers,
    pods: follow(PODS, trimPod),
    services: follow(SERVICES, trimService),
    endpointSlices: follow(ENDPOINT_SLICES, trimEndpointSlice),
    networkPolicies: follow(NETWORK_POLICIES, trimNetworkPolicy),
    configMaps: createReflector({
      ...parts,
      resource: CONFIG_MAPS,
      labelSelector: `${MANAGED_BY_LABEL}=${MANAGED_BY}`,
    }),
    deployments: follow(DEPLOYMENTS, trimDeployment),
    statefulSets: follow(STATEFUL_SETS, trimStatefulSet),
    daemonSets: follow(DAEMON_SETS, trimDaemonSet),
  };
}

/** Resolves when every copy has been complete once. */
export async function completeOnce(copies: Copies): Promise<void> {
  await Promise.all(Object.values(copies).map(({ syncedOnce }) => syncedOnce));
}

/** Ends all copies but that of the resources, which is not the leader's alone. */
export async function closeAll(copies: Copies): Promise<void> {
  const leaders = Object.values(copies).filter((copy) => copy !== copies.servers);
  await Promise.all(leaders.map((copy) => copy.close()));
}
