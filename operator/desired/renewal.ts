/**
 * Owns how pods are made anew: which workload is restarted, which pod is evicted, and what nobody can do but a person.
 * Invariants: one workload, and one evicted pod, at a time, and the next only when the one before has come back; the annotation's value
 * follows from the wish alone, so that another leader wishes the same and nothing is restarted twice.
 */
import type { Refusal } from './floors.ts';
import type { Workload } from './observed.ts';
import type { Plan } from './plan.ts';
import type { PodFacts } from './pods.ts';
import type { Reason } from './reasons.ts';
import { listed, quoted } from './verdict.ts';

export interface Renewal {
  restart: Plan['restart'];
  evict: Plan['evict'];
  blocked: Refusal[];
}

/** A pod that its restarted workload has left as it was is evicted, but not in the moment when it is only seen late (ms). */
const LEFTOVER_AFTER_MS = 60_000;
/** A pod with the recorder that is not ready after so long holds a rollout up (ms). */
const READY_WITHIN_MS = 180_000;

/** How the values of the restart annotation begin that are for the resource with this uid. */
export function restartPrefix(uid: string): string {
  return `${uid.slice(0, 8)}-`;
}

/**
 * @param stale pods that have to be made anew
 * @param pods all of the resource
 * @param wish value of the restart annotation for a workload with these stale pods; null takes it away
 */
export function renew(
  stale: readonly PodFacts[],
  pods: readonly PodFacts[],
  wish: (workload: Workload, stale: readonly PodFacts[]) => string | null,
  {
    nowMs,
    refusals,
    problemOf,
  }: {
    nowMs: number;
    refusals: ReadonlyMap<string, string>;
    /** Why admission would refuse a pod that is made like this one; null: it would not. */
    problemOf: (pod: PodFacts) => string | null;
  },
): Renewal {
  const renewal: Renewal = { restart: [], evict: [], blocked: [] };
  const toRestart: Workload[] = [];
  const toEvict: PodFacts[] = [];
  const hindered = new Map<Reason, string[]>();
  const hinder = (reason: Reason, name: string) =>
    hindered.set(reason, [...(hindered.get(reason) ?? []), name]);
  const problems = new Set<string>();
  const wishFor = (workload: Workload) =>
    wish(
      workload,
      stale.filter((pod) => pod.workload?.uid === workload.uid && !pod.terminating),
    );
  let rolling = false;

  for (const pod of stale) {
    if (pod.terminating) continue;
    const { workload, name } = pod;
    const hindrance = hindranceOf(pod);
    const problem = workload === null ? null : problemOf(pod);
    if (problem !== null) problems.add(`${nameOf(workload)}: ${quoted(problem)}.`);
    else if (hindrance !== null) hinder(hindrance, workload === null ? name : nameOf(workload));
    else if (workload === null || workload.kind === 'Other') toEvict.push(pod);
    else if (workload.restartedFor !== wishFor(workload)) {
      if (!toRestart.some(({ uid }) => uid === workload.uid)) toRestart.push(workload);
    } else if (!workload.settled || pod.restartedFor !== workload.restartedFor) rolling = true;
    else if (nowMs - pod.createdMs >= LEFTOVER_AFTER_MS) toEvict.push(pod);
  }

  const next = toRestart.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))[0];
  if (next !== undefined && !rolling) {
    const refused = refusals.get(nameOf(next));
    if (refused !== undefined) {
      renewal.blocked.push({ reason: 'RestartRefused', cause: `${nameOf(next)}: ${quoted(refused)}.` });
    }
    renewal.restart.push({ workload: next, restartedFor: wishFor(next) });
  }
  const others = pods.filter(({ uid }) => !stale.some((pod) => pod.uid === uid));
  if (next === undefined && !rolling) evictOne(toEvict, others, stale, renewal, refusals);
  const late = others.filter(
    (pod) => pod.recorded && !pod.terminating && !pod.ready && nowMs - pod.readySinceMs >= READY_WITHIN_MS,
  );
  for (const { name } of late) if (stale.length > 0) hinder('NewPodsNotReady', name);
  for (const cause of problems) renewal.blocked.push({ reason: 'InjectionRefused', cause });
  for (const [reason, names] of hindered) renewal.blocked.push({ reason, cause: `${listed(names)}.` });
  return renewal;
}

/** Why neither a restart nor an eviction would make this pod anew; null: one does. */
function hindranceOf({ workload, name }: PodFacts): Reason | null {
  if (workload === null) return 'NakedPods';
  if (workload.kind === 'Job') return 'JobPods';
  if (workload.ownerKind === 'Node') return 'StaticPods';
  if (workload.rolls === 'paused') return 'PausedDeployment';
  if (workload.rolls === 'onDelete') return 'OnDeleteStrategy';
  if (workload.partition > 0 && ordinalOf(name) < workload.partition) return 'PartitionedStatefulSet';
  return null;
}

/**
 * Adds the next pod to evict, when all that were made anew before are ready and none is still going. Pods that are not ready anyway go
 * first.
 */
export function evictOne(
  candidates: readonly PodFacts[],
  others: readonly PodFacts[],
  stale: readonly PodFacts[],
  { evict, blocked }: Renewal,
  refusals: ReadonlyMap<string, string>,
  why = 'it runs without the recorder that the resource asks for',
): void {
  const busy =
    [...others, ...stale].some(({ terminating }) => terminating) || others.some(({ ready }) => !ready);
  const pod = candidates.find(({ ready }) => !ready) ?? candidates[0];
  if (pod === undefined || busy) return;
  const refused = refusals.get(`Pod/${pod.name}`);
  if (refused !== undefined)
    blocked.push({ reason: 'EvictionRefused', cause: `Pod ${pod.name}: ${quoted(refused)}.` });
  evict.push({ name: pod.name, uid: pod.uid, why });
}

function nameOf(workload: Workload | null): string {
  if (workload === null) return '';
  const { ownerKind, name } = workload;
  return `${ownerKind}/${name}`;
}

function ordinalOf(pod: string): number {
  return Number(/-(\d+)$/.exec(pod)?.[1] ?? Number.POSITIVE_INFINITY);
}
