/**
 * Owns the way of a running server into the recording: configuration, injection, Services, policy, in the order that its owner chose.
 * Invariants: with `Rolling` direct access is closed only when no pod and no Service needs it any more; once closed it is never opened again
 * before the resource is deleted, whatever happens to pods, Services or the policy itself.
 */
import type { ConfigMap } from 'kubernetes-types/core/v1';
import type { NetworkPolicy } from 'kubernetes-types/networking/v1';
import { injectionHashes } from '../webhook/inject/hashes.ts';
import { configMapOf, holdsSameFiles, keptConfigMap } from './config-map.ts';
import { foreignPeers } from './connections.ts';
import type { Refusal } from './floors.ts';
import { areIsolated } from './foreign-policies.ts';
import { injectionProblem } from './injection-problem.ts';
import { networkPolicyOf, saysTheSame } from './network-policy.ts';
import type { Workload } from './observed.ts';
import type { PodFacts } from './pods.ts';
import { otherPortsOf } from './ports.ts';
import { answerOf } from './probe.ts';
import { evictOne, renew, type Renewal } from './renewal.ts';
import { recorderPortsOf } from './shapes.ts';
import { sidecarConfiguration } from './sidecar-configuration.ts';
import type { Situation } from './situation.ts';
import { leadToRecorder, type TrafficPlan } from './traffic.ts';

/** Proxies of the cluster follow a changed Service within this time (ms); then nobody needs the old port. */
export const PROXIES_FOLLOW_MS = 5_000;

export interface Adoption {
  /** Why nothing follows from the resource; what is recorded already goes on as before. */
  refusal: Refusal | null;
  /** What was asked for and is not in force. */
  refusals: Refusal[];
  configMap: ConfigMap | null;
  /** As it has to stand, whether its time has come or not. Null: its ports are not known. */
  policy: NetworkPolicy | null;
  /** How far the way in has come. */
  stage: 'Pending' | 'Injecting' | 'Retargeting' | 'Enforcing';
  /** The policy is to stand now. */
  closes: boolean;
  traffic: TrafficPlan;
  renewal: Renewal;
  /** Pods that run, or will, without a recorder. */
  bare: PodFacts[];
  /** Pods whose recorder is of the resource as it was before. */
  former: PodFacts[];
  servicesRightSinceMs: number | null;
}

export function adopt(situation: Situation): Adoption {
  const { observed, pods, ports, portTrouble } = situation;
  const { resource, settings, nowMs, memory } = observed;
  const bare = pods.filter(({ selected, recorded }) => selected && !recorded);
  const former = pods.filter(({ selected, recorded, current }) => selected && recorded && !current);
  const adoption: Adoption = {
    refusal: portTrouble,
    refusals: [],
    configMap: keptConfigMap(resource, observed.configMap),
    policy: null,
    stage: wasClosed(situation) ? 'Enforcing' : 'Pending',
    closes: situation.standingPolicy !== null,
    traffic: { services: [], waitingFor: [], led: false, blocked: [], notes: [] },
    renewal: { restart: [], evict: [], blocked: [] },
    bare,
    former,
    servicesRightSinceMs: null,
  };
  if (ports === null) return adoption;

  const configuration = sidecarConfiguration(resource, settings, ports, observed.linkAuthority);
  const others = otherPortsOf(resource, ports);
  adoption.refusals = [...configuration.refusals, ...others.refusals];
  if (!configuration.ok) adoption.refusal = configuration.refusal;
  else if (portTrouble === null)
    adoption.configMap = configMapOf(resource, configuration.files, observed.sign);
  const mayBegin = adoption.refusal === null;

  const closedBefore = wasClosed(situation);
  const immediate = resource.spec.adoption === 'Immediate' && mayBegin;
  adoption.policy = networkPolicyOf(resource, settings, {
    recorder: recorderPortsOf(pods, ports),
    status: ports.status,
    others: others.open,
    closesUnrecorded: resource.spec.adoption === 'Immediate' && bare.length > 0 && situation.lost.size === 0,
  });
  adoption.traffic = leadToRecorder(observed, pods, ports, closedBefore || immediate);
  const staysBare = bare.some(({ terminating }) => !terminating);
  const servicesRight = !staysBare && adoption.traffic.waitingFor.length === 0;
  adoption.servicesRightSinceMs = servicesRight ? (memory?.servicesRightSinceMs ?? nowMs) : null;
  const followed =
    adoption.servicesRightSinceMs !== null &&
    (!adoption.traffic.led || nowMs - adoption.servicesRightSinceMs >= PROXIES_FOLLOW_MS);
  const configured = adoption.configMap !== null && holdsSameFiles(adoption.configMap, observed.configMap);
  const ready = mayBegin && configured && observed.admissionReady;

  if (closedBefore || immediate) adoption.stage = 'Enforcing';
  else if (!ready) adoption.stage = 'Pending';
  else if (staysBare || pods.length === 0) adoption.stage = 'Injecting';
  else adoption.stage = followed ? 'Enforcing' : 'Retargeting';
  // Where other policies close these pods already, ours only adds the recorder's ports, and without it nobody would reach them.
  const onlyAdds = mayBegin && areIsolated(situation.otherPolicies, pods);
  adoption.closes = adoption.stage === 'Enforcing' || situation.standingPolicy !== null || onlyAdds;

  const policyStands =
    situation.standingPolicy !== null && saysTheSame(adoption.policy, situation.standingPolicy);
  if (ready && (policyStands || !(immediate || onlyAdds))) {
    adoption.renewal = renew([...bare, ...former], pods, wishOf(situation), {
      nowMs,
      refusals: observed.refusals,
      problemOf: (pod) => injectionProblem(pod, resource, settings),
    });
    if (policyStands && adoption.stage === 'Enforcing') evictConnected(situation, adoption.renewal);
  }
  adoption.renewal.blocked.push(...adoption.traffic.blocked);
  return adoption;
}

/** Direct access was closed before, and stays so. A policy that stands is kept in any case: should the status be lost, it is not. */
function wasClosed({ observed: { resource } }: Situation): boolean {
  const { phase, enforcedSince } = resource.status ?? {};
  return phase === 'Enforcing' || phase === 'Enforced' || enforcedSince !== undefined;
}

function wishOf({ observed: { resource, settings } }: Situation): (workload: Workload) => string {
  const uid = (resource.metadata.uid ?? '').slice(0, 8);
  const value = `${uid}-${injectionHashes(resource, settings).resource}`;
  return () => value;
}

/** A policy cuts no connection that is established: pods that still have one to their server go, one after the other. */
function evictConnected({ observed, pods, peers }: Situation, renewal: Renewal): void {
  if (renewal.restart.length > 0 || renewal.evict.length > 0) return;
  const connected = pods.filter(
    (pod) =>
      pod.recorded &&
      !pod.terminating &&
      answerOf(pod, observed.nowMs).ok &&
      foreignPeers(pod, peers).lasting.length > 0,
  );
  const lasting = connected.filter(({ workload }) => workload === null || workload.kind === 'Job');
  for (const { name, workload } of lasting) {
    renewal.blocked.push({
      reason: workload === null ? 'NakedPods' : 'JobPods',
      cause: `${name} has direct connections.`,
    });
  }
  const candidates = connected.filter((pod) => !lasting.includes(pod));
  const others = pods.filter((pod) => !connected.includes(pod));
  evictOne(
    candidates,
    others,
    connected,
    renewal,
    observed.refusals,
    'a connection past its recorder is established',
  );
}
