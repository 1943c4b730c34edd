/**
 * Owns whether a namespace exists.
 * Invariant: what can't be found out counts as there: only what is known to be gone is left out of anything.
 */
import type { KubeClient } from './client.ts';
import { isKubeError } from './kube-error.ts';
import type { Resource } from './resource.ts';

const NAMESPACES: Resource = {
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
};

/**
 * Whether something was refused because its namespace is gone. Rights that were given in a namespace go with it, and then the API server says
 * Forbidden, not NotFound.
 */
export async function isRefusedForGone(
  error: unknown,
  namespace: string | null,
  client: KubeClient,
  signal?: AbortSignal,
): Promise<boolean> {
  if (namespace === null || !isKubeError(error, 'Forbidden')) return false;
  try {
    return (await client.find(NAMESPACES, { namespace: null, name: namespace }, { signal })) === null;
  } catch {
    return false;
  }
}
