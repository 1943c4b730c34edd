/**
 * Owns what every part of a decision needs of what was observed, worked out once.
 * Invariant: nothing here decides what to do.
 */
import type { NetworkPolicy } from 'kubernetes-types/networking/v1';
import { ownedName } from '../naming.ts';
import { type Peers, rememberPeers } from './connections.ts';
import type { Observed } from './observed.ts';
import { type PodFacts, podsOf } from './pods.ts';
import { type Ports, portsOf } from './ports.ts';
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
  peers: Peers;
}

export function situationOf(observed: Observed): Situation {
  const { resource, settings, networkPolicies, memory } = observed;
  const { mine, lost } = podsOf(observed);
  const found = portsOf(resource, settings, mine);
  const ourName = ownedName(resource.metadata.name ?? '');
  return {
    observed,
    pods: mine,
    lost,
    ports: found.ports,
    portTrouble: found.refusal,
    standingPolicy: networkPolicies.find(({ metadata }) => metadata?.name === ourName) ?? null,
    otherPolicies: networkPolicies.filter(({ metadata }) => metadata?.name !== ourName),
    peers: rememberPeers(mine, memory),
  };
}
