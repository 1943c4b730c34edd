/**
 * Owns what the recorders say of the configuration that they run on.
 * Invariant: a recorder that runs on another configuration than the resource asks for is never passed over.
 */
import type { PodFacts } from './pods.ts';
import { answerOf } from './probe.ts';
import { listed, quoted, type Verdict, verdict } from './verdict.ts';

/** @param digest of the configuration that recorders are to run on */
export function configurationTrouble(
  pods: readonly PodFacts[],
  digest: string | null,
  nowMs: number,
): Verdict | null {
  const pending: string[] = [];
  for (const pod of staying(pods)) {
    const heard = answerOf(pod, nowMs);
    if (!heard.ok) continue;
    const { configuration } = heard.answer;
    if (configuration.refused !== null) {
      return verdict('False', 'ConfigurationRefused', `At ${pod.name}: ${quoted(configuration.refused)}.`);
    }
    // Where a restart is needed the digest may stay that of before.
    if (configuration.digest !== digest && configuration.restartNeeded.length === 0) pending.push(pod.name);
  }
  return pending.length === 0
    ? null
    : verdict('False', 'ConfigurationPending', `Not on the newest configuration: ${listed(pending)}.`);
}

/** Pods whose recorder is as the resource wants it, and not as the chart's settings do. They are counted and left alone. */
export function outdatedPods(pods: readonly PodFacts[], nowMs: number): PodFacts[] {
  return staying(pods).filter((pod) => {
    if (!pod.current) return false;
    const heard = answerOf(pod, nowMs);
    return !pod.upToDate || (heard.ok && heard.answer.configuration.restartNeeded.length > 0);
  });
}

function staying(pods: readonly PodFacts[]): PodFacts[] {
  return pods.filter(({ recorded, terminating }) => recorded && !terminating);
}
