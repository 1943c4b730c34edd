/**
 * Owns the answer to whether any other pod can come past the recorder.
 * Invariant: `True` only when our policy stands as wanted, no other policy opens the server's port, every selected pod is under ours, and
 * each pod that runs was tried within the last 45 s with a witness: its own recorder, proven, that saw the server listen and nobody connected.
 */
import type { NetworkPolicy } from 'kubernetes-types/networking/v1';
import { areIsolated, policiesThatAdmit } from './foreign-policies.ts';
import { type Closing, foreignPeers, hostOf } from './connections.ts';
import { saysTheSame } from './network-policy.ts';
import type { LinkAnswer, Observed } from './observed.ts';
import type { PodFacts } from './pods.ts';
import type { Ports } from './ports.ts';
import type { Reason } from './reasons.ts';
import { exposesServer } from './shapes.ts';
import { counted, listed, quoted, type Verdict, verdict } from './verdict.ts';

/** An older look says nothing about now (ms). */
export const LOOK_COUNTS_MS = 45_000;

export interface ProbeInput {
  observed: Observed;
  /** Of the resource. */
  pods: readonly PodFacts[];
  ports: Ports;
  /** As it has to stand. */
  policy: NetworkPolicy;
  /** The one that stands under its name. */
  standing: NetworkPolicy | null;
  otherPolicies: readonly NetworkPolicy[];
  /** Looks from before it say nothing of who came in until then. */
  closing: Closing;
  /** The ConfigMap stands under our signature. */
  configurationSigned: boolean;
}

/** What a proven recorder said within the last 45 s; else why it does not count. */
export function answerOf(
  { look, genuine }: PodFacts,
  nowMs: number,
): { ok: true; answer: LinkAnswer } | { ok: false; reason: Reason; why: string | null } {
  if (!genuine)
    return { ok: false, reason: 'SidecarUnproven', why: "it was not made by the operator's webhook" };
  if (look === null || nowMs - look.atMs > LOOK_COUNTS_MS)
    return { ok: false, reason: 'ProbeStale', why: null };
  if (!look.link.ok) return { ok: false, reason: 'OperatorCannotReachPod', why: quoted(look.link.why) };
  if (!look.link.answer.proven) return { ok: false, reason: 'SidecarUnproven', why: null };
  return { ok: true, answer: look.link.answer };
}

/** Whether the policies, as they stand, close the server's port of all these pods to everyone; else why not. */
export function openByPolicy({
  pods,
  ports,
  standing,
  otherPolicies,
}: Pick<ProbeInput, 'pods' | 'ports' | 'standing' | 'otherPolicies'>): Verdict | null {
  if (standing === null)
    return verdict('False', 'PolicyMissing', "The recorder's NetworkPolicy is not there.");
  const { name } = standing.metadata ?? {};
  const ways = waysPast(pods, ports);
  const left = ways.find((way) => opens(standing, way));
  if (left !== undefined) {
    const cause = `NetworkPolicy ${name} was changed, and does not close the server's port ${left.port}.`;
    return verdict('False', 'PolicyChanged', cause);
  }
  for (const { port, pods: exposed } of ways) {
    const admitting = policiesThatAdmit(port, otherPolicies, exposed);
    if (admitting.length === 0) continue;
    const cause = `NetworkPolicies that admit the server's port ${port}: ${listed(admitting)}.`;
    return verdict('False', 'OtherPolicyAllows', cause);
  }
  return null;
}

/** A port by which servers could be reached past their recorders, and the pods where that is so. */
interface Way {
  port: number;
  pods: PodFacts[];
}

/** A server that was to move to loopback, and was seen to listen on all addresses of its pod, is as exposed as one that never moved. */
function waysPast(pods: readonly PodFacts[], ports: Ports): Way[] {
  const recorded = pods.filter(({ recorded }) => recorded);
  const seenOpen = ({ look }: PodFacts) =>
    look?.link.ok === true && look.link.answer.server.listens === 'any';
  const ways = [
    { port: ports.original, pods: recorded.filter((pod) => exposesServer(pod, ports)) },
    { port: ports.server, pods: recorded.filter((pod) => !exposesServer(pod, ports) && seenOpen(pod)) },
  ];
  return ways.filter(({ pods }) => pods.length > 0);
}

export function directAccess(input: ProbeInput): Verdict {
  const { pods, policy, standing } = input;
  const open = openByPolicy(input);
  if (open !== null || standing === null) return open as Verdict;
  const bare = pods.filter(({ runs, recorded }) => runs && !recorded);
  if (bare.length > 0) {
    const names = listed(bare.map(({ name }) => name));
    return bare.some(({ injected }) => injected)
      ? verdict('False', 'PodUnmarked', `Pods without the recorder's label: ${names}.`)
      : verdict('False', 'PodUnrecorded', `Pods without a recorder: ${names}.`);
  }
  const running = pods.filter(({ runs }) => runs);
  if (running.length === 0) return verdict('Unknown', 'NoPods', 'No selected pod runs.');
  const worst = worstOf(running.map((pod) => ({ name: pod.name, ...findingOf(pod, input) })));
  if (worst !== null) return worst;
  if (!saysTheSame(policy, standing)) {
    const cause = `NetworkPolicy ${standing.metadata?.name} is not as it has to be, though it closes the server's port.`;
    return verdict('Unknown', 'PolicyChanged', cause);
  }
  if (!input.configurationSigned) {
    const cause = "The recorders' ConfigMap is missing, or is not as the operator signed it.";
    return verdict('Unknown', 'ConfigurationChanged', cause);
  }
  return verdict(
    'True',
    'Blocked',
    `No direct connection to any of ${counted(running.length, 'pod')} is possible.`,
  );
}

/** Whether a policy leaves the port of one of these pods open by itself. */
function opens(policy: NetworkPolicy, { port, pods }: Way): boolean {
  return (
    pods.some((pod) => !areIsolated([policy], [pod])) || policiesThatAdmit(port, [policy], pods).length > 0
  );
}

/** What is found at a pod; the order is that in which findings are told. */
const FINDINGS = {
  DirectConnectionSucceeded: 'False',
  DirectConnectionsMade: 'False',
  DirectConnectionsRemain: 'False',
  SidecarUnproven: 'Unknown',
  OperatorCannotReachPod: 'Unknown',
  ProbeStale: 'Unknown',
  ConfigurationPending: 'Unknown',
  ServerNotListening: 'Unknown',
  ServerOnLoopback: 'Unknown',
  ConnectionUnconfirmed: 'Unknown',
} as const satisfies Partial<Record<Reason, Verdict['status']>>;

interface Finding {
  reason: keyof typeof FINDINGS | null;
  why?: string | null;
}

function findingOf(pod: PodFacts, { observed, ports, closing }: ProbeInput): Finding {
  const { look } = pod;
  const { closedSinceMs } = closing;
  if (look === null || closedSinceMs === null || look.atMs < closedSinceMs) return { reason: 'ProbeStale' };
  const isFresh = observed.nowMs - look.atMs <= LOOK_COUNTS_MS;
  // Connected proves it open, whoever answers on the status port.
  if (isFresh && look.dial === 'connected') return { reason: 'DirectConnectionSucceeded' };
  const heard = answerOf(pod, observed.nowMs);
  if (!heard.ok) return { reason: heard.reason as keyof typeof FINDINGS, why: heard.why };
  const { server } = heard.answer;
  const foreign = foreignPeers(pod, closing);
  if (foreign.peers.length > 0) {
    const why = `from ${listed(foreign.peers.map(hostOf))}`;
    return { reason: foreign.made ? 'DirectConnectionsMade' : 'DirectConnectionsRemain', why };
  }
  const relocated = !exposesServer(pod, ports);
  if (server.port !== (relocated ? ports.server : ports.original)) return { reason: 'ConfigurationPending' };
  if (server.listens === 'none') {
    // A server that has ended in a pod that goes away listens no more.
    return { reason: pod.terminating ? null : 'ServerNotListening', why: `port ${server.port}` };
  }
  if (foreign.unconfirmed) return { reason: 'ConnectionUnconfirmed' };
  if (server.listens === 'loopback') return { reason: relocated ? null : 'ServerOnLoopback' };
  return { reason: look.dial === 'not-tried' ? 'ProbeStale' : null };
}

const SENTENCES: Record<keyof typeof FINDINGS, string> = {
  DirectConnectionSucceeded: 'A direct connection to the server succeeded',
  DirectConnectionsMade: 'Direct connections to the server were made although the policies close its port',
  DirectConnectionsRemain: 'Direct connections to the server are established',
  SidecarUnproven: 'The recorder did not prove in which pod it runs',
  OperatorCannotReachPod: 'The recorder does not answer the operator',
  ProbeStale: 'Not tried within the last 45 s',
  ConfigurationPending: 'The recorder watches another port than the resource says',
  ServerNotListening: "Nothing listens on the server's port",
  ServerOnLoopback: 'The server listens on loopback only',
  ConnectionUnconfirmed: 'A connection from the node may be a probe or a client',
};

function worstOf(findings: (Finding & { name: string })[]): Verdict | null {
  for (const reason of Object.keys(FINDINGS) as (keyof typeof FINDINGS)[]) {
    const found = findings.filter((finding) => finding.reason === reason);
    if (found.length === 0) continue;
    const why = found.find(({ why }) => why != null)?.why;
    const cause = `${SENTENCES[reason]} at ${listed(found.map(({ name }) => name))}${why == null ? '' : ` (${why})`}.`;
    return verdict(FINDINGS[reason], reason, cause);
  }
  return null;
}
