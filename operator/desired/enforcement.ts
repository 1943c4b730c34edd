/**
 * Owns when direct access is closed, and by which policy.
 * Invariants: with `Rolling` it is closed only when no pod and no Service needs it any more; once closed it is not opened again before the
 * resource is deleted, whatever happens to pods, Services, the policy or the status.
 */
import type { NetworkPolicy } from 'kubernetes-types/networking/v1';
import { admitsPort, areIsolated } from './foreign-policies.ts';
import { networkPolicyOf } from './network-policy.ts';
import type { PodFacts } from './pods.ts';
import { otherPortsOf, type Ports } from './ports.ts';
import { recorderPortsOf } from './shapes.ts';
import type { Situation } from './situation.ts';
import type { TrafficPlan } from './traffic.ts';

/** Proxies of the cluster follow a changed Service within this time (ms); then nobody needs the old port. */
export const PROXIES_FOLLOW_MS = 5_000;

export type Stage = 'Pending' | 'Injecting' | 'Retargeting' | 'Enforcing';

export interface Enforcement {
  /** How far the way in has come. */
  stage: Stage;
  /** As it has to stand in this stage, should it stand. */
  policy: NetworkPolicy;
  /** It is to stand now. */
  closes: boolean;
  servicesRightSinceMs: number | null;
}

/** Direct access was closed before, or its owner wants it closed first. */
export function isClosing({ observed: { resource } }: Situation, mayBegin: boolean): boolean {
  const { phase } = resource.status ?? {};
  const closedBefore = phase === 'Enforcing' || phase === 'Enforced';
  return closedBefore || (mayBegin && resource.spec.adoption === 'Immediate');
}

export function enforcementOf(
  situation: Situation,
  ports: Ports,
  now: { mayBegin: boolean; mayInject: boolean; bare: readonly PodFacts[]; traffic: TrafficPlan },
): Enforcement {
  const { observed, pods, standingPolicy, otherPolicies } = situation;
  const { nowMs, memory } = observed;
  const staysBare = now.bare.some(({ terminating }) => !terminating);
  const servicesRight = now.traffic.waitingFor.length === 0;
  const servicesRightSinceMs = servicesRight ? (memory?.servicesRightSinceMs ?? nowMs) : null;
  const followed =
    servicesRightSinceMs !== null && (!now.traffic.led || nowMs - servicesRightSinceMs >= PROXIES_FOLLOW_MS);
  const stage = stageOf(situation, now, staysBare, followed);
  // Where other policies close these pods already, ours only adds ports, and without it nobody would reach the recorder's.
  const onlyAdds = now.mayBegin && areIsolated(otherPolicies, pods);
  // A policy that stands is kept: should the status be lost, it remembers.
  const closes = stage === 'Enforcing' || standingPolicy !== null || onlyAdds;
  const stillOpen =
    stage !== 'Enforcing' && (standingPolicy === null || admitsPort(ports.original, standingPolicy));
  return { stage, policy: policyOf(situation, ports, now.bare, stillOpen), closes, servicesRightSinceMs };
}

function stageOf(
  situation: Situation,
  { mayBegin, mayInject }: { mayBegin: boolean; mayInject: boolean },
  staysBare: boolean,
  followed: boolean,
): Stage {
  if (isClosing(situation, mayBegin)) return 'Enforcing';
  if (!mayInject) return 'Pending';
  if (staysBare || situation.pods.length === 0) return 'Injecting';
  return followed ? 'Enforcing' : 'Retargeting';
}

/** @param stillOpen the server's port stays open beside the recorder's */
export function policyOf(
  { observed, pods, lost }: Situation,
  ports: Ports,
  bare: readonly PodFacts[],
  stillOpen: boolean,
): NetworkPolicy {
  const { resource, settings } = observed;
  const recorder = new Set(recorderPortsOf(pods, ports));
  if (stillOpen) recorder.add(ports.original);
  return networkPolicyOf(resource, settings, {
    recorder: [...recorder].sort((a, b) => a - b),
    status: ports.status,
    others: otherPortsOf(resource, ports).open,
    // Pods of another resource must not come under this policy.
    closesUnrecorded:
      !stillOpen && resource.spec.adoption === 'Immediate' && bare.length > 0 && lost.size === 0,
  });
}
