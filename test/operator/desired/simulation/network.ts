/**
 * Owns who reaches which port in the simulated cluster, by the text of the NetworkPolicy API and written apart from the operator's own reading.
 * Invariant: as in Kubernetes, a pod that no policy selects is open, and policies add up.
 */
import type { Pod } from 'kubernetes-types/core/v1';
import type { LabelSelector } from 'kubernetes-types/meta/v1';
import type { NetworkPolicy, NetworkPolicyPeer } from 'kubernetes-types/networking/v1';

/** Where a connection comes from: a namespace, as its name label says. */
export type Origin = 'mcp-recorder-system' | 'clients';

/** Whether the policies let a connection through to the port. */
export function isAdmitted(
  from: Origin,
  pod: Pod,
  port: number,
  policies: readonly NetworkPolicy[],
): boolean {
  const selecting = policies.filter(
    ({ spec }) =>
      selects(spec?.podSelector ?? {}, pod.metadata?.labels ?? {}) &&
      (spec?.policyTypes ?? ['Ingress']).includes('Ingress'),
  );
  if (selecting.length === 0) return true;
  return selecting.some(({ spec }) =>
    (spec?.ingress ?? []).some((rule) => {
      const fits = (rule.ports ?? []).some((opening) => {
        if ((opening.protocol ?? 'TCP') !== 'TCP') return false;
        if (opening.port === undefined) return true;
        if (typeof opening.port === 'string') return namedPort(pod, opening.port) === port;
        return port >= opening.port && port <= (opening.endPort ?? opening.port);
      });
      const portFits = (rule.ports ?? []).length === 0 || fits;
      return (
        portFits && ((rule.from ?? []).length === 0 || (rule.from ?? []).some((peer) => isPeer(peer, from)))
      );
    }),
  );
}

function isPeer({ namespaceSelector, podSelector, ipBlock }: NetworkPolicyPeer, from: Origin): boolean {
  if (ipBlock !== undefined) return true;
  if (namespaceSelector === undefined) return podSelector === undefined;
  return selects(namespaceSelector, { 'kubernetes.io/metadata.name': from });
}

/** Equality is all that the simulated policies use. */
function selects({ matchLabels = {} }: LabelSelector, labels: Record<string, string>): boolean {
  return Object.entries(matchLabels).every(([key, value]) => labels[key] === value);
}

/** As the endpoint controller looks a name up: containers first, then sidecars. */
export function namedPort(pod: Pod, name: string): number | null {
  const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const found = all.flatMap(({ ports = [] }) => ports).find((port) => port.name === name);
  return found?.containerPort ?? null;
}
