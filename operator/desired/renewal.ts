/**
 * Owns how pods are made anew: which workload is restarted, which pod is evicted, and what nobody can do but a person.
 * Invariants: one workload, and one evicted pod, at a time, and the next only when the one before has come back; the annotation's value
 * follows from the wish alone, so that another leader wishes the same and nothing is restarted twice.
 */
import { evictOne, isUnsettled, lateOnes } from './eviction.ts';
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

export interface RenewalInput {
  /** Pods that have to be made anew. */
  stale: readonly PodFacts[];
  /** All of the resource. */
  pods: readonly PodFacts[];
  /** Value of the restart annotation for a workload with these stale pods; null takes it away. */
  wish(workload: Workload, stale: readonly PodFacts[]): string | null;
  /** Why admission would refuse a pod that is made like this one; null: it would not. */
  problemOf(pod: PodFacts): string | null;
  nowMs: number;
  /** As observed. */
  refusals: ReadonlyMap<string, string>;
}

/** A pod that its restarted workload has left as it was is evicted, but not in the moment when it is only seen late (ms). */
const LEFTOVER_AFTER_MS = 60_000;

export function renew(input: RenewalInput): Renewal {
  const { stale, pods, wish, problemOf, nowMs, refusals } = input;
  const renewal: Renewal = { restart: [], evict: [], blocked: [] };
  const toRestart = new Map<string, { workload: Workload; restartedFor: string | null }>();
  const toEvict: PodFacts[] = [];
  const hindered = new Map<Reason, string[]>();
  const problems = new Set<string>();
  let rolling = false;

  for (const pod of stale) {
    if (pod.terminating) continue;
    const { workload, name } = pod;
    const hindrance = hindranceOf(pod);
    const problem = workload === null ? null : problemOf(pod);
    if (workload !== null && problem !== null) problems.add(`${nameOf(workload)}: ${quoted(problem)}.`);
    else if (hindrance !== null || workload === null) {
      const reason = hindrance ?? 'NakedPods';
      hindered.set(reason, [...(hindered.get(reason) ?? []), workload === null ? name : nameOf(workload)]);
    } else if (workload.kind === 'Other') toEvict.push(pod);
    else {
      const siblings = stale.filter((one) => one.workload?.uid === workload.uid && !one.terminating);
      const restartedFor = wish(workload, siblings);
      if (workload.restartedFor !== restartedFor) toRestart.set(workload.uid, { workload, restartedFor });
      else if (!workload.settled || pod.restartedFor !== workload.restartedFor) rolling = true;
      else if (nowMs - pod.createdMs >= LEFTOVER_AFTER_MS) toEvict.push(pod);
    }
  }
  for (const cause of problems) renewal.blocked.push({ reason: 'InjectionRefused', cause });
  for (const [reason, names] of hindered) renewal.blocked.push({ reason, cause: `${listed(names)}.` });

  const others = pods.filter(({ uid }) => !stale.some((pod) => pod.uid === uid));
  const fresh = workloadsOf(others).filter((workload) => !toRestart.has(workload.uid));
  rolling ||=
    stale.length > 0 && fresh.some((workload) => workload.restartedFor !== null && isUnsettled(workload));
  if (toRestart.size > 0) {
    if (!rolling) restartOne([...toRestart.values()], refusals, renewal);
  } else if (!rolling) evictOne({ candidates: toEvict, others, stale, refusals }, renewal);
  if (stale.length > 0) renewal.blocked.push(...troublesOf(workloadsOf(pods)), ...lateOnes(others, nowMs));
  return renewal;
}

/** Restarts the first workload by name; those whose restart was refused come last. */
function restartOne(
  candidates: Plan['restart'],
  refusals: ReadonlyMap<string, string>,
  renewal: Renewal,
): void {
  const sorted = candidates.toSorted((a, b) => (nameOf(a.workload) < nameOf(b.workload) ? -1 : 1));
  const refused = sorted.filter(({ workload }) => refusals.has(nameOf(workload)));
  for (const { workload } of refused) {
    const cause = `${nameOf(workload)}: ${quoted(refusals.get(nameOf(workload)) ?? '')}.`;
    renewal.blocked.push({ reason: 'RestartRefused', cause });
  }
  const next = sorted.find((candidate) => !refused.includes(candidate)) ?? sorted[0];
  if (next !== undefined) renewal.restart.push(next);
}

/** Why neither a restart nor an eviction would make this pod anew; null: one does. */
export function hindranceOf({ workload, name }: PodFacts): Reason | null {
  if (workload === null) return 'NakedPods';
  if (workload.kind === 'Job') return 'JobPods';
  if (workload.ownerKind === 'Node') return 'StaticPods';
  if (workload.rolls === 'paused') return 'PausedDeployment';
  if (workload.rolls === 'onDelete') return 'OnDeleteStrategy';
  if (workload.partition > 0 && ordinalOf(name) < workload.partition) return 'PartitionedStatefulSet';
  return null;
}

function troublesOf(workloads: readonly Workload[]): Refusal[] {
  return workloads.flatMap((workload): Refusal[] =>
    workload.trouble == null
      ? []
      : [{ reason: 'RolloutFailing', cause: `${nameOf(workload)}: ${quoted(workload.trouble)}.` }],
  );
}

function workloadsOf(pods: readonly PodFacts[]): Workload[] {
  return [
    ...new Map(
      pods.flatMap(({ workload }) => (workload === null ? [] : [[workload.uid, workload]])),
    ).values(),
  ];
}

function nameOf({ ownerKind, name }: Workload): string {
  return `${ownerKind}/${name}`;
}

function ordinalOf(pod: string): number {
  return Number(/-(\d+)$/.exec(pod)?.[1] ?? Number.POSITIVE_INFINITY);
}

/** How the values of the restart annotation begin that are for the resource with this uid. */
export function restartPrefix(uid: string): string {
  return `${uid.slice(0, 8)}-`;
}
