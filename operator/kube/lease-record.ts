/**
 * Owns what a Lease says, and each change of it: compare-and-swap, one request each.
 * Invariant: a Lease is changed only as it was last seen; who comes second gets a Conflict.
 */
import type { KubeClient } from './client.ts';
import { type Clock, microTime } from './clock.ts';
import { isKubeError } from './kube-error.ts';
import type { KubeObject, Resource } from './resource.ts';

export interface Lease extends KubeObject {
  spec?: {
    /** Left out: nobody. */
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

export interface LeaseName {
  namespace: string;
  name: string;
}

export const LEASES: Resource<Lease> = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
};

/** Who holds it; null: nobody. */
export function holderOf(lease: Lease | null): string | null {
  return lease?.spec?.holderIdentity || null;
}

/**
 * Makes `identity` the holder of a Lease, as it was seen, or renews it.
 * @param seen null: there was none
 * @param holdMs how long others are to leave it alone after each renewal
 * @throws KubeError Conflict or AlreadyExists when it has changed since
 */
export function writeHolder(
  client: KubeClient,
  lease: LeaseName,
  seen: Lease | null,
  write: { identity: string; holdMs: number; clock: Clock; timeoutMs: number; signal?: AbortSignal },
): Promise<Lease> {
  const { identity, holdMs, clock, timeoutMs, signal } = write;
  const now = microTime(clock);
  const isOurs = holderOf(seen) === identity;
  const transitions = seen?.spec?.leaseTransitions ?? 0;
  const spec = {
    holderIdentity: identity,
    leaseDurationSeconds: Math.max(1, Math.ceil(holdMs / 1000)),
    acquireTime: isOurs ? (seen?.spec?.acquireTime ?? now) : now,
    renewTime: now,
    leaseTransitions: seen === null || isOurs ? transitions : transitions + 1,
  };
  const what = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };
  const limits = { timeoutMs, signal };
  return seen === null
    ? client.create(LEASES, { ...what, metadata: { ...lease }, spec } as Lease, limits)
    : client.update(LEASES, { ...seen, ...what, spec: { ...seen.spec, ...spec } } as Lease, limits);
}

/** Gives it up, so that the next need not wait. Nothing is done when somebody else holds it. */
export async function clearHolder(
  client: KubeClient,
  lease: LeaseName,
  write: { identity: string; clock: Clock; timeoutMs: number },
): Promise<void> {
  const { identity, clock, timeoutMs } = write;
  for (;;) {
    const seen = await client.find(LEASES, lease, { timeoutMs });
    if (seen === null || holderOf(seen) !== identity) return;
    const { holderIdentity: _, ...spec } = seen.spec ?? {};
    const released = { ...seen, spec: { ...spec, leaseDurationSeconds: 1, renewTime: microTime(clock) } };
    try {
      await client.update(LEASES, released as Lease, { timeoutMs });
      return;
    } catch (error) {
      if (!isKubeError(error, 'Conflict')) throw error;
    }
  }
}
