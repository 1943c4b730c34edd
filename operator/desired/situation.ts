/**
 * Owns what every part of a decision needs of what was observed, worked out once.
 * Invariant: nothing here decides what to do.
 */
import type { NetworkPolicy } from 'kubernetes-types/networking/v1';
import { ownedName } from '../naming.ts';
import { type Closing, rememberPeers } from './connections.ts';
import type { Observed } from './observed.ts';
import { type PodFacts, podsOf } from './pods.ts';
import { type Ports, portsOf } from './ports.ts';
import { openByPolicy } from './probe.ts';
import type { Refusal } from './floors.ts';

export interface Situation {
  observed: Observed;
  pods: PodFacts[];
  lost: ReadonlyMap<string, string[]>;
  /** Null: they can't be told, and never were. */
  ports: Ports | null;
  /** Why the ports can't be told from the pods as they are. */
  portTrouble: Refusal | null;
  /** The policy that stands under our name. */
  standingPolicy: NetworkPolicy | null;
  otherPolicies: NetworkPolicy[];
  closing: Closing;
}

export function situationOf(observed: Observed): Situation {
  const { resource, settings, networkPolicies, memory } = observed;
  const { mine, lost } = podsOf(observed);
  const found = portsOf(resource, settings, mine);
  const ourName = ownedName(resource.metadata.name ?? '');
  const standing = networkPolicies.find(({ metadata }) => metadata?.name === ourName) ?? null;
  const otherPolicies = networkPolicies.filter(({ metadata }) => metadata?.name !== ourName);
  const { ports } = found;
  const isClosed = ports !== null && openByPolicy({ pods: mine, ports, standing, otherPolicies }) === null;
  return {
    observed,
    pods: mine,
    lost,
    ports,
    portTrouble: found.refusal,
    standingPolicy: standing,
    otherPolicies,
    closing: {
      peers: rememberPeers(mine, memory),
      closedSinceMs: isClosed ? (memory?.closedSinceMs ?? observed.nowMs) : null,
      enforced: resource.status?.enforcedSince !== undefined,
    },
  };
}
