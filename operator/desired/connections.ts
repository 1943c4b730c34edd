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
    const now = look.link.answer.server.foreignConnections;
    peers[uid] =
      known?.atMs === look.atMs
        ? known
        : { atMs: look.atMs, now, before: known === undefined ? null : known.now };
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
  const nodeCounts = !enforced && !made;
  const counts = (peer: string) =>
    ofNode(peer) ? nodeCounts && (seen.before?.includes(peer) ?? false) : true;
  return {
    peers: seen.now.filter(counts),
    made,
    unconfirmed: nodeCounts && seen.before === null && seen.now.some(ofNode),
  };
}

/** Peers on the pod's own node that last longer than a probe. */
export function nodePeers({ uid, nodeAddresses }: PodFacts, { peers }: Closing): string[] {
  const { now = [], before } = peers[uid] ?? {};
  return now.filter((peer) => nodeAddresses.includes(hostOf(peer)) && before?.includes(peer) === true);
}

/** The address of a peer, which is written `10.1.2.3:41234` or `[fd00::7]:50000`. */
export function hostOf(peer: string): string {
  return peer.slice(0, peer.lastIndexOf(':')).replace(/^\[|\]$/g, '');
}
