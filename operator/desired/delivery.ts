/**
 * Owns which pods are touched so that their kubelets look at them now: a kubelet brings a changed ConfigMap into a pod when it looks at the pod
 * the next time, about once a minute, and it looks at once when the pod changes.
 * Invariant: a pod is touched once for a configuration, and only when that configuration stands and its recorder was heard to run on another.
 */
import type { Plan } from './plan.ts';
import type { PodFacts } from './pods.ts';
import { answerOf } from './probe.ts';

/** @param digest of the configuration that stands in the cluster and that recorders are to run on; null: none does */
export function podsToTouch(pods: readonly PodFacts[], digest: string | null, nowMs: number): Plan['touch'] {
  if (digest === null) return [];
  return pods
    .filter((pod) => {
      if (!pod.recorded || !pod.runs || pod.terminating || pod.touchedFor === digest) return false;
      const heard = answerOf(pod, nowMs);
      if (!heard.ok) return false;
      const { configuration } = heard.answer;
      return configuration.digest !== digest && configuration.restartNeeded.length === 0;
    })
    .map(({ name, uid }) => ({ name, uid, digest }));
}
