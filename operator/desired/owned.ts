/**
 * Owns what the objects of one resource have in common: their name, their labels, and that they go with it.
 * Invariant: garbage collection takes each of them when the resource is gone.
 */
import type { ObjectMeta } from 'kubernetes-types/meta/v1';
import type { RecordedMCPServer } from '../api/recorded-mcp-server.ts';
import { MANAGED_BY, MANAGED_BY_LABEL, ownedName, RESOURCE_LABEL } from '../naming.ts';

export function ownedMetadata({ apiVersion, kind, metadata }: RecordedMCPServer): ObjectMeta {
  const { name = '', namespace = '', uid = '' } = metadata;
  return {
    name: ownedName(name),
    namespace,
    labels: { [MANAGED_BY_LABEL]: MANAGED_BY, [RESOURCE_LABEL]: name },
    ownerReferences: [{ apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true }],
  };
}
