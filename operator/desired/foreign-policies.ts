/**
 * Owns what other NetworkPolicies of the namespace do to the pods of one resource. Policies add up: ours closes nothing that another opens.
 * Invariant: a policy that admits the server's port from anywhere is found, however it says so.
 */
import type { Pod } from 'kubernetes-types/core/v1';
import type {
  NetworkPolicy,
  NetworkPolicyIngressRule,
  NetworkPolicyPort,
} from 'kubernetes-types/networking/v1';
import { portsNamed } from './named-ports.ts';
import type { PodFacts } from './pods.ts';
import { matches } from './selectors.ts';

/** Names of the policies that admit the server's port to any of these pods. */
export function policiesThatAdmit(
  port: number,
  policies: readonly NetworkPolicy[],
  pods: readonly PodFacts[],
): string[] {
  return policies
    .filter(isForIngress)
    .filter(({ spec }) =>
      pods.some(
        ({ labels, pod }) =>
          matches(spec?.podSelector ?? {}, labels) &&
          (spec?.ingress ?? []).some((rule) => admits(rule, port, pod)),
      ),
    )
    .map(({ metadata }) => metadata?.name ?? '')
    .sort();
}

/** Whether each of these pods is closed by some policy but for what policies admit; not so when there are none. */
export function areIsolated(policies: readonly NetworkPolicy[], pods: readonly PodFacts[]): boolean {
  const closing = policies.filter(isForIngress);
  return (
    pods.length > 0 &&
    pods.every(({ labels }) => closing.some(({ spec }) => matches(spec?.podSelector ?? {}, labels)))
  );
}

/** Whether a policy lets only some clients come to the server's port. */
export function restrictsClients(
  port: number,
  policies: readonly NetworkPolicy[],
  pods: readonly PodFacts[],
): boolean {
  const rules = policies
    .filter(isForIngress)
    .flatMap(({ spec }) =>
      pods
        .filter(({ labels }) => matches(spec?.podSelector ?? {}, labels))
        .flatMap(({ pod }) => (spec?.ingress ?? []).filter((rule) => admits(rule, port, pod))),
    );
  return rules.length > 0 && rules.every(({ from = [] }) => from.length > 0);
}

/** Whether a policy admits the port, by its number, to any pod that it selects. */
export function admitsPort(port: number, { spec }: NetworkPolicy): boolean {
  return (spec?.ingress ?? []).some((rule) => admits(rule, port, {}));
}

/** Every policy is, but for those that say that they are for egress alone. */
function isForIngress({ spec }: NetworkPolicy): boolean {
  const types = spec?.policyTypes ?? [];
  return types.length === 0 || types.includes('Ingress');
}

/** Whom a rule admits does not matter: no other pod is to reach the server's port. No ports means all of them. */
function admits({ ports = [] }: NetworkPolicyIngressRule, port: number, pod: Pod): boolean {
  return ports.length === 0 || ports.some((opening) => covers(opening, port, pod));
}

function covers(
  { port: opened, endPort, protocol = 'TCP' }: NetworkPolicyPort,
  port: number,
  pod: Pod,
): boolean {
  if (protocol !== 'TCP') return false;
  if (opened === undefined) return true;
  if (typeof opened === 'number') return port >= opened && port <= (endPort ?? opened);
  return portsNamed(opened, pod).includes(port);
}
