/**
 * Owns the way of a running server into the recording: configuration, injection, Services, policy.
 * Invariant: pods are made anew only when all that a recorded pod needs is there: its configuration, admission, and where direct access is
 * closed the policy.
 */
import type { ConfigMap } from 'kubernetes-types/core/v1';
import type { NetworkPolicy } from 'kubernetes-types/networking/v1';
import { injectionHashes } from '../webhook/inject/hashes.ts';
import { configMapOf, holdsSameFiles, keptConfigMap } from './config-map.ts';
import { cutConnections } from './cut-connections.ts';
import { enforcementOf, isClosing, type Stage } from './enforcement.ts';
import { bucketOf, type Refusal } from './floors.ts';
import { injectionProblem } from './injection-problem.ts';
import { saysTheSame } from './network-policy.ts';
import type { Workload } from './observed.ts';
import type { PodFacts } from './pods.ts';
import { otherPortsOf } from './ports.ts';
import { renew, type Renewal, restartPrefix } from './renewal.ts';
import { sidecarConfiguration } from './sidecar-configuration.ts';
import type { Situation } from './situation.ts';
import { leadToRecorder, type TrafficPlan } from './traffic.ts';

export interface Adoption {
  /** Why nothing follows from the resource; what is recorded already goes on as before. */
  refusal: Refusal | null;
  /** What was asked for and is not in force. */
  refusals: Refusal[];
  configMap: ConfigMap | null;
  /** As it has to stand in this stage, whether it is to stand now or not. Null: its ports are not known. */
  policy: NetworkPolicy | null;
  stage: Stage;
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
  const { resource, settings } = observed;
  const bare = pods.filter(({ selected, recorded }) => selected && !recorded);
  const former = pods.filter(({ selected, recorded, current }) => selected && recorded && !current);
  const adoption: Adoption = {
    refusal: portTrouble,
    refusals: [],
    configMap: keptConfigMap(resource, observed.configMap),
    policy: null,
    stage: isClosing(situation, false) ? 'Enforcing' : 'Pending',
    closes: situation.standingPolicy !== null,
    traffic: { services: [], waitingFor: [], led: false, blocked: [], notes: [] },
    renewal: { restart: [], evict: [], blocked: [] },
    bare,
    former,
    servicesRightSinceMs: null,
  };
  if (ports === null) {
    // A store that there is not is told before there are pods: its owner need not start the server to learn of it.
    const found = bucketOf(resource, settings);
    if (!found.ok) adoption.refusal = found.refusal;
    return adoption;
  }

  const { linkAuthority, clusterIssuer } = observed;
  const configuration = sidecarConfiguration(resource, settings, ports, linkAuthority, clusterIssuer.known);
  adoption.refusals = [...configuration.refusals, ...otherPortsOf(resource, ports).refusals];
  if (!configuration.ok) adoption.refusal = configuration.refusal;
  else if (portTrouble === null)
    adoption.configMap = configMapOf(resource, configuration.files, observed.sign);
  const mayBegin = adoption.refusal === null;

  adoption.traffic = leadToRecorder(observed, pods, ports, isClosing(situation, mayBegin));
  const configured = adoption.configMap !== null && holdsSameFiles(adoption.configMap, observed.configMap);
  const mayInject = mayBegin && configured && observed.admissionReady;
  Object.assign(
    adoption,
    enforcementOf(situation, ports, { mayBegin, mayInject, bare, traffic: adoption.traffic }),
  );

  const { policy, closes, stage } = adoption;
  const stands =
    policy !== null && situation.standingPolicy !== null && saysTheSame(policy, situation.standingPolicy);
  // New pods come into a policy that stands, and never into one that keeps them from being reached.
  if (mayInject && (stands || !closes)) {
    adoption.renewal = renew({
      stale: [...bare, ...former],
      pods,
      wish: wishOf(situation),
      problemOf: (pod) => injectionProblem(pod, resource, settings),
      nowMs: observed.nowMs,
      refusals: observed.refusals,
    });
    if (stands && stage === 'Enforcing') cutConnections(situation, adoption.renewal);
  }
  adoption.renewal.blocked.push(...adoption.traffic.blocked);
  return adoption;
}

function wishOf({ observed: { resource, settings } }: Situation): (workload: Workload) => string {
  const value = `${restartPrefix(resource.metadata.uid ?? '')}${injectionHashes(resource, settings).resource}`;
  return () => value;
}
