/**
 * Owns which resources a change in the cluster is news for.
 * Invariant: a resource that would be decided otherwise after the change is among them; too many cost time, one too few waits for the
 * next regular look.
 */
import type { EndpointSlice } from 'kubernetes-types/discovery/v1';
import { type Labels, matches } from '../desired/selectors.ts';
import { type KubeObject, keyOf } from '../kube/resource.ts';
import { RESOURCE_LABEL, SERVER_LABEL } from '../naming.ts';
import type { Copies } from './copies.ts';

/** Told of every resource that has to be decided anew. */
export type Affect = (key: string) => void;

/** Listens to all copies. The answer ends it. */
export function tellAffected(copies: Copies, affect: Affect): () => void {
  const { servers, pods, services, endpointSlices, networkPolicies, configMaps } = copies;
  const both = <T extends KubeObject>(tell: (object: Readonly<T>) => void) => {
    return (_: string, before: Readonly<T> | undefined, now: Readonly<T> | undefined): void => {
      if (before !== undefined) tell(before);
      if (now !== undefined && now !== before) tell(now);
    };
  };
  const ofPod = ({ metadata }: Readonly<KubeObject>): void => {
    const { namespace = '', labels } = metadata;
    const marked = labels?.[SERVER_LABEL];
    if (marked !== undefined) affect(`${namespace}/${marked}`);
    ofLabels(copies, namespace, labels, affect);
  };
  const ofNamespace = ({ metadata }: Readonly<KubeObject>): void => {
    const owner = metadata.labels?.[RESOURCE_LABEL];
    if (owner !== undefined) affect(`${metadata.namespace}/${owner}`);
    else for (const server of servers.list(metadata.namespace)) affect(keyOf(server));
  };
  const ofTemplate = (object: Readonly<KubeObject>): void => {
    const { spec } = object as { spec?: { template?: { metadata?: { labels?: Labels } } } };
    ofLabels(copies, object.metadata.namespace ?? '', spec?.template?.metadata?.labels, affect);
  };
  const ends = [
    servers.onChange((key, before, now) => {
      affect(key);
      // One that came or went may take pods from others, or leave them.
      const isOther = before?.metadata.deletionTimestamp !== now?.metadata.deletionTimestamp;
      const { metadata, spec } = (now ?? before) as NonNullable<typeof now>;
      if (before !== undefined && now !== undefined && !isOther) return;
      for (const pod of pods.list(metadata.namespace)) {
        if (matches(spec.selector, pod.metadata.labels)) ofPod(pod);
      }
    }),
    pods.onChange(both(ofPod)),
    services.onChange(both(ofNamespace)),
    networkPolicies.onChange(both(ofNamespace)),
    configMaps.onChange(both(ofNamespace)),
    endpointSlices.onChange(both((slice) => ofEndpoints(copies, slice, ofPod))),
    copies.deployments.onChange(both(ofTemplate)),
    copies.statefulSets.onChange(both(ofTemplate)),
    copies.daemonSets.onChange(both(ofTemplate)),
  ];
  return () => {
    for (const end of ends) end();
  };
}

/** Resources whose selector matches. */
function ofLabels({ servers }: Copies, namespace: string, labels: Labels | undefined, affect: Affect): void {
  for (const server of servers.list(namespace)) {
    if (matches(server.spec.selector, labels)) affect(keyOf(server));
  }
}

/** Pods that a slice leads to, by name or by address. */
function ofEndpoints(
  { pods, servers }: Copies,
  { metadata, endpoints }: Readonly<EndpointSlice & KubeObject>,
  tell: (pod: Readonly<KubeObject>) => void,
): void {
  if (servers.list(metadata.namespace).length === 0) return;
  const names = new Set(endpoints.map(({ targetRef }) => targetRef?.name));
  const addresses = new Set(endpoints.flatMap((endpoint) => endpoint.addresses));
  for (const pod of pods.list(metadata.namespace)) {
    if (names.has(pod.metadata.name) || addresses.has(pod.status?.podIP ?? '')) tell(pod);
  }
}
