/**
 * Owns the notes of the status: what does not stop the recording and should be known.
 * Invariant: each is a whole sentence; equal worlds give equal notes in the same order.
 */
import { type Flag, flagNote } from '../webhook/inject/flags.ts';
import type { Adoption } from './adoption.ts';
import { nodePeers } from './connections.ts';
import { outdatedPods } from './configuration-state.ts';
import { restrictsClients } from './foreign-policies.ts';
import type { Situation } from './situation.ts';
import { counted, listed } from './verdict.ts';

/** A status must stay small enough to be taken, however many Services its owner makes. */
const MAX_NOTES = 50;

export function notesOf(
  { observed, pods, ports, otherPolicies, closing }: Situation,
  { traffic }: Adoption,
): string[] {
  const notes = [...traffic.notes];
  const outdated = outdatedPods(pods, observed.nowMs);
  if (outdated.length > 0) {
    notes.push(
      `${counted(outdated.length, 'pod')} run${outdated.length === 1 ? 's' : ''} a recorder from before the chart was changed: restart ${listed(outdated.map(({ workload, name }) => (workload === null ? name : workload.name)))} to renew it.`,
    );
  }
  const flagged = new Map<Flag, string[]>();
  for (const { flags, name } of pods) {
    for (const flag of flags) flagged.set(flag, [...(flagged.get(flag) ?? []), name]);
  }
  for (const [flag, names] of flagged) notes.push(`${listed(names)}: ${flagNote(flag)}`);
  const fromNodes = pods.filter((pod) => pod.recorded && nodePeers(pod, closing).length > 0);
  if (fromNodes.length > 0) {
    notes.push(
      `Processes of their own nodes are connected to the server's port of ${listed(fromNodes.map(({ name }) => name))}: no NetworkPolicy stops a node. Let them use the recorder's port.`,
    );
  }
  const { clients = [] } = observed.resource.spec.traffic;
  if (ports !== null && clients.length === 0 && restrictsClients(ports.original, otherPolicies, pods)) {
    notes.push(
      "Other NetworkPolicies let only some clients come to the server's port; the recorder's is open to all. Set spec.traffic.clients.",
    );
  }
  const strays = pods.filter(({ selected }) => !selected).map(({ name }) => name);
  if (strays.length > 0)
    notes.push(`${listed(strays)} have this recorder, and the selector does not match them.`);
  const sorted = [...new Set(notes)].sort();
  if (sorted.length <= MAX_NOTES) return sorted;
  return [...sorted.slice(0, MAX_NOTES), `And ${sorted.length - MAX_NOTES} more.`];
}
