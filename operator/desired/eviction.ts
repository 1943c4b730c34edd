/**
 * Owns which pod is evicted next.
 * Invariant: one at a time, and none while another is going or has not come back: evictions are asked for one by one, so that no more calls
 * than those of one pod have to find another, with or without a disruption budget.
 */
import type { Refusal } from './floors.ts';
import type { Workload } from './observed.ts';
import type { Plan } from './plan.ts';
import type { PodFacts } from './pods.ts';
import { listed, quoted } from './verdict.ts';

/** A pod with the recorder that is not ready after so long holds everything up (ms). */
const READY_WITHIN_MS = 180_000;

export interface EvictionInput {
  candidates: readonly PodFacts[];
  /** Pods that stay. */
  others: readonly PodFacts[];
  /** Pods that have to go, the candidates among them. */
  stale: readonly PodFacts[];
  refusals: ReadonlyMap<string, string>;
  /** The end of a sentence that begins with the pod. */
  why?: string;
}

/** What is told of pods that were made anew and do not become ready. */
export function lateOnes(others: readonly PodFacts[], nowMs: number): Refusal[] {
  const late = others.filter(
    (pod) => pod.recorded && !pod.terminating && !pod.ready && nowMs - pod.readySinceMs >= READY_WITHIN_MS,
  );
  return late.length === 0
    ? []
    : [{ reason: 'NewPodsNotReady', cause: `${listed(late.map(({ name }) => name))}.` }];
}

/** Pods that are not ready anyway go first, and those whose eviction was refused last. */
export function evictOne(
  {
    candidates,
    others,
    stale,
    refusals,
    why = 'it runs without the recorder that the resource asks for',
  }: EvictionInput,
  { evict, blocked }: { evict: Plan['evict']; blocked: Refusal[] },
): void {
  const refused = candidates.filter(({ name }) => refusals.has(`Pod/${name}`));
  for (const { name } of refused) {
    const cause = `Pod ${name}: ${quoted(refusals.get(`Pod/${name}`) ?? '')}.`;
    blocked.push({ reason: 'EvictionRefused', cause });
  }
  const allowed = candidates.filter((pod) => !refused.includes(pod));
  const next = allowed.find(({ ready }) => !ready) ?? allowed[0] ?? refused[0];
  const all = [...others, ...stale];
  const isBusy =
    all.some(({ terminating }) => terminating) || others.some(({ ready }) => !ready) || lacksPods(all);
  if (next !== undefined && !isBusy) evict.push({ name: next.name, uid: next.uid, why });
}

/** A workload that has not come back yet, and is going to. */
export function isUnsettled({ kind, settled, rolls, partition }: Workload): boolean {
  return kind !== 'Other' && kind !== 'Job' && !settled && rolls === 'byItself' && partition === 0;
}

/** A StatefulSet makes a pod anew only when the former is gone: in between, those that are there are ready, and it is not settled. */
function lacksPods(pods: readonly PodFacts[]): boolean {
  return pods.some(({ workload }) => {
    if (workload === null || !isUnsettled(workload)) return false;
    return pods.every((pod) => pod.workload?.uid !== workload.uid || pod.ready);
  });
}
