/**
 * Owns which connections to the server's port count as ways past the recorder.
 * Invariant: one from before the closing that lasts is never overlooked. The kubelet's probes come from the pod's own node and last for
 * milliseconds, so a peer there counts only when two looks in a row have it; and a node always reaches its pods, so that connections from
 * there count only while they may be clients' from before (through a port of the node).
 */
import type { Memory } from './observed.ts';
import type { PodFacts } from './pods.ts';

export type Peers = Memory['peers'];

/** What the looks of these pods leave to the next decision. */
export function rememberPeers(pods: readonly PodFacts[], memory: Memory | null): Peers {
  const peers: Record<string, Peers[string]> = {};
  for (const { uid, look } of pods) {
    const known = memory?.peers[uid];
    if (look === null || !look.link.ok) {
      if (known !== undefined) peers[uid] = known;
      continue;
    }
    const seen = { atMs: look.atMs, peers: look.link.answer.server.foreignConnections };
    const before = known === undefined ? null : { atMs: known.atMs, peers: known.peers };
    peers[uid] = known?.atMs === look.atMs ? known : { ...seen, before };
  }
  return peers;
}

export interface Foreign {
  /** Peers that count. */
  peers: string[];
  /** Made although the port was closed; else they are from before. */
  made: boolean;
  /** Another look may find more. */
  unconfirmed: boolean;
}

export interface Closing {
  peers: Peers;
  /** Since when policies close the port. */
  closedSinceMs: number | null;
  /** It has been enforced without a break until now: what was there before has gone. */
  enforced: boolean;
}

export function foreignPeers(
  { uid, nodeAddresses, createdMs }: PodFacts,
  { peers, closedSinceMs, enforced }: Closing,
): Foreign {
  const seen = peers[uid];
  const made = closedSinceMs !== null && createdMs >= closedSinceMs;
  if (seen === undefined) return { peers: [], made, unconfirmed: false };
  const ofNode = (peer: string) => nodeAddresses.includes(hostOf(peer));
  const others = seen.peers.filter((peer) => !ofNode(peer));
  if (enforced || made) return { peers: others, made, unconfirmed: false };
  const lasting = seen.peers.filter((peer) => ofNode(peer) && (seen.before?.peers.includes(peer) ?? false));
  // A look at the closed port without this peer: it came later, and so past the policy, as nodes do.
  const isKnownLater =
    seen.before !== null && seen.before.atMs >= (closedSinceMs ?? Number.POSITIVE_INFINITY);
  const unconfirmed = !isKnownLater && seen.peers.length > others.length + lasting.length;
  return { peers: [...others, ...lasting], made, unconfirmed };
}

/** Peers on the pod's own node that last longer than a probe. */
export function nodePeers({ uid, nodeAddresses }: PodFacts, { peers }: Closing): string[] {
  const { peers: now = [], before } = peers[uid] ?? {};
  return now.filter((peer) => nodeAddresses.includes(hostOf(peer)) && before?.peers.includes(peer) === true);
}

/** The address of a peer, which is written `10.1.2.3:41234` or `[fd00::7]:50000`. */
export function hostOf(peer: string): string {
  return peer.slice(0, peer.lastIndexOf(':')).replace(/^\[|\]$/g, '');
}
