/**
 * Owns which recorders have to answer, and what they said.
 * Invariant: a recorder that runs and was not heard within the last 45 s is told, never passed over.
 */
import type { LinkStatus } from './observed.ts';
import type { PodFacts } from './pods.ts';
import { answerOf } from './probe.ts';
import type { Reason } from './reasons.ts';
import { listed, type Verdict, verdict } from './verdict.ts';

export interface Heard {
  /** Of the pod. */
  name: string;
  status: LinkStatus;
}

/** Those of pods that run and stay. `silent`: what is to be said when the words of all would be needed; null: all were heard. */
export function listen(pods: readonly PodFacts[], nowMs: number): { heard: Heard[]; silent: Verdict | null } {
  const asked = pods.filter(({ recorded, runs, terminating }) => recorded && runs && !terminating);
  const heard: Heard[] = [];
  const silent = new Map<Reason, string[]>();
  for (const pod of asked) {
    const answer = answerOf(pod, nowMs);
    if (!answer.ok) silent.set(answer.reason, [...(silent.get(answer.reason) ?? []), pod.name]);
    else heard.push({ name: pod.name, status: answer.answer.status });
  }
  if (asked.length === 0)
    return { heard, silent: verdict('Unknown', 'NoPods', 'No pod with a recorder runs.') };
  const [first] = [...silent].sort(([a], [b]) => (a < b ? -1 : 1));
  if (first === undefined) return { heard, silent: null };
  return { heard, silent: verdict('Unknown', first[0], `No word from the recorder in ${listed(first[1])}.`) };
}
