/**
 * Owns which connections to the server's port count as ways past the recorder.
 * Invariant: one that lasts is never overlooked. The kubelet's probes come from the pod's own node and last for milliseconds, so a peer there
 * counts when two looks in a row have it; every other peer counts at once.
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

/** The peers that count, and whether others may yet turn out to. */
export function foreignPeers(
  { uid, nodeAddresses }: PodFacts,
  peers: Peers,
): { lasting: string[]; unconfirmed: boolean } {
  const seen = peers[uid];
  if (seen === undefined) return { lasting: [], unconfirmed: false };
  const ofNode = (peer: string) => nodeAddresses.includes(hostOf(peer));
  const lasting = seen.now.filter((peer) => !ofNode(peer) || (seen.before?.includes(peer) ?? false));
  return { lasting, unconfirmed: seen.before === null && seen.now.some(ofNode) };
}

/** The address of a peer, which is written `10.1.2.3:41234` or `[fd00::7]:50000`. */
export function hostOf(peer: string): string {
  return peer.slice(0, peer.lastIndexOf(':')).replace(/^\[|\]$/g, '');
}
