/**
 * Owns the end of connections from before the policy, which cuts none that is established: their pods are evicted.
 * Invariant: no pod is evicted for a connection that its successor would have as well: one that was made although the port is closed, or to a
 * pod that can still be connected to.
 */
import { foreignPeers } from './connections.ts';
import { evictOne, lateOnes } from './eviction.ts';
import { answerOf } from './probe.ts';
import { hindranceOf, type Renewal } from './renewal.ts';
import type { Situation } from './situation.ts';

/** Kinds of owners for which an eviction is no way to make a pod anew. */
const LASTING: ReadonlySet<string | null> = new Set(['NakedPods', 'JobPods', 'StaticPods']);

/** Adds the next pod to evict, unless pods are being made anew anyway. */
export function cutConnections({ observed, pods, closing }: Situation, renewal: Renewal): void {
  if (renewal.restart.length > 0 || renewal.evict.length > 0) return;
  const connected = pods.filter((pod) => {
    if (!pod.recorded || pod.terminating || pod.look?.dial === 'connected') return false;
    const { peers, made } = foreignPeers(pod, closing);
    return answerOf(pod, observed.nowMs).ok && peers.length > 0 && !made;
  });
  const candidates = connected.filter((pod) => !LASTING.has(hindranceOf(pod)));
  for (const pod of connected) {
    const reason = hindranceOf(pod);
    if (reason !== null && LASTING.has(reason)) {
      renewal.blocked.push({ reason, cause: `${pod.name} has direct connections.` });
    }
  }
  const others = pods.filter((pod) => !connected.includes(pod));
  const why = 'a connection past its recorder is established';
  evictOne({ candidates, others, stale: connected, refusals: observed.refusals, why }, renewal);
  if (connected.length > 0) renewal.blocked.push(...lateOnes(others, observed.nowMs));
}
