/**
 * Owns the way out of the recording, from the deletion of the resource to the end of its finalizer.
 * Invariants: the server's port is open before a Service leads there, and Services lead there before the recorders go, so that no call fails;
 * ten minutes after the deletion the finalizer goes whatever is left, so that nothing of ours holds a namespace up.
 */
import type { ConfigMap } from 'kubernetes-types/core/v1';
import type { NetworkPolicy } from 'kubernetes-types/networking/v1';
import { keptConfigMap } from './config-map.ts';
import { policyOf } from './enforcement.ts';
import { saysTheSame } from './network-policy.ts';
import type { Workload } from './observed.ts';
import type { Plan } from './plan.ts';
import type { PodFacts } from './pods.ts';
import { renew, type Renewal, restartPrefix } from './renewal.ts';
import { servicesOf } from './services.ts';
import type { Situation } from './situation.ts';
import { leadBack } from './traffic.ts';
import { listed } from './verdict.ts';

/** The finalizer goes at the latest so long after the deletion (ms). */
export const REMOVAL_BOUND_MS = 10 * 60_000;
/** And at the earliest so long after it (ms): what was done just before may not have been told to us yet. */
const TOLD_WITHIN_MS = 5_000;

export interface Removal {
  configMap: ConfigMap | null;
  policy: NetworkPolicy | null;
  services: Plan['services'];
  renewal: Renewal;
  /** Nothing of ours is left, or the time is over. */
  done: boolean;
  /** What is left when the time is over. */
  left: string[];
}

export function remove(situation: Situation): Removal {
  const { observed, pods, ports, standingPolicy } = situation;
  const { resource, nowMs } = observed;
  const recorded = pods.filter(({ recorded }) => recorded);
  // The promise has ended: calls go on, whichever way they come.
  const policy = standingPolicy === null || ports === null ? null : policyOf(situation, ports, [], true);
  const isOpen = policy === null || (standingPolicy !== null && saysTheSame(policy, standingPolicy));
  const facts = ports === null ? [] : servicesOf(observed, pods, ports);
  const marked = markedWorkloads(pods, resource.metadata.uid ?? '');
  const traffic = leadBack(facts, () => isOpen);
  const ledToRecorder = facts.filter(
    ({ annotated, leadsToRecorder }) => annotated !== null && leadsToRecorder,
  );
  const removal: Removal = {
    configMap: keptConfigMap(resource, observed.configMap),
    policy,
    services: traffic.services,
    renewal: { restart: [], evict: [], blocked: [] },
    done: recorded.length === 0 && traffic.waitingFor.length === 0 && marked.length === 0,
    left: [],
  };
  const sinceMs = nowMs - Date.parse(resource.metadata.deletionTimestamp ?? '');
  if (resource.status !== undefined && sinceMs < TOLD_WITHIN_MS) removal.done = false;
  if (!removal.done && sinceMs >= REMOVAL_BOUND_MS) {
    removal.left = [
      ...recorded.map(({ name }) => `Pod/${name} (has the recorder)`),
      ...traffic.waitingFor.map((name) => `Service/${name} (annotated)`),
      ...marked.map(({ ownerKind, name }) => `${ownerKind}/${name} (annotated)`),
    ];
    removal.done = true;
  }
  if (removal.done) return { ...removal, configMap: null, policy: null };
  if (observed.admissionReady && isOpen && ledToRecorder.length === 0) {
    const mark = `removed-${(resource.metadata.uid ?? '').slice(0, 8)}`;
    removal.renewal = renew({
      stale: recorded,
      pods,
      wish: (workload, stale) => wishAfter(workload, stale, mark),
      problemOf: () => null,
      nowMs,
      refusals: observed.refusals,
    });
    const toRoll = new Set(
      recorded.filter(({ terminating }) => !terminating).map(({ workload }) => workload?.uid),
    );
    // Where nothing has to be made anew, or nothing would be, the annotation goes all the same.
    const others = marked.filter(({ uid, rolls }) => !toRoll.has(uid) || rolls !== 'byItself');
    removal.renewal.restart.push(...others.map((workload) => ({ workload, restartedFor: null })));
  }
  return removal;
}

/** Workloads whose template has our restart annotation for this resource. */
function markedWorkloads(pods: readonly PodFacts[], uid: string): Workload[] {
  const found = pods.flatMap(({ workload }) =>
    workload?.restartedFor?.startsWith(restartPrefix(uid)) ? [workload] : [],
  );
  return [...new Map(found.map((workload) => [workload.uid, workload])).values()];
}

/**
 * From a template with our annotation it is taken, and the template is its owner's again. Pods of a template without one can only be made
 * anew by giving it one.
 */
function wishAfter({ restartedFor }: Workload, stale: readonly PodFacts[], mark: string): string | null {
  if (restartedFor === mark) return mark;
  const ofThisTemplate = stale.some((pod) => pod.restartedFor === restartedFor);
  return restartedFor === null && ofThisTemplate ? mark : null;
}

/** What is left, for people. */
export function leftOver({ left }: Removal): string {
  return `Removed after ${REMOVAL_BOUND_MS / 60_000} minutes with this left: ${listed(left)}. Restart these workloads.`;
}
