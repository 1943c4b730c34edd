/**
 * Owns which ports lead where in the pods that live now: while the way of the traffic changes, pods of the old and the new kind stand side
 * by side behind one policy.
 * Invariant: no port is opened that is the server's own in any of them.
 */
import type { PodFacts } from './pods.ts';
import type { Ports } from './ports.ts';

/** Whether the server of a recorded pod listens on the port where clients came to it before, on all addresses. */
export function exposesServer({ recorderPort }: PodFacts, { original, recorder }: Ports): boolean {
  return (recorderPort ?? recorder) !== original;
}

/** The ports on which recorders are to be reached. */
export function recorderPortsOf(pods: readonly PodFacts[], ports: Ports): number[] {
  const recorded = pods.filter(({ recorded }) => recorded);
  const listening = new Set([
    ports.recorder,
    // What another than our webhook made may name any port as its recorder's.
    ...recorded.filter(({ genuine }) => genuine).map(({ recorderPort }) => recorderPort ?? ports.recorder),
  ]);
  if (recorded.some((pod) => exposesServer(pod, ports))) listening.delete(ports.original);
  return [...listening].sort((a, b) => a - b);
}
