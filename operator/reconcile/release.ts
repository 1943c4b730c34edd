/**
 * Owns the way out of the cluster, before the operator is uninstalled: nothing of ours blocks a pod, a Service or a deletion afterwards.
 * Invariants: from its beginning no operator acts; the ways to the servers are opened before Services lead back to them; every step may be
 * made twice, and one that fails keeps no other from being made. Recorders that run go on recording until their pods are made anew.
 */
import type { Logger } from 'pino';
import type { RecordedMCPServer } from '../api/recorded-mcp-server.ts';
import { timeOf } from '../desired/conditions.ts';
import type { KubeClient } from '../kube/client.ts';
import { pause, systemClock } from '../kube/clock.ts';
import { ignoring, isKubeError } from '../kube/kube-error.ts';
import { type LeaseTimes, takeLeaseByForce } from '../kube/lease.ts';
import { type Lease, LEASES } from '../kube/lease-record.ts';
import { isRefusedForGone } from '../kube/namespace.ts';
import type { KubeObject, Resource } from '../kube/resource.ts';
import { clusterNames, FINALIZER, MANAGED_BY, MANAGED_BY_LABEL, RESOURCE_LABEL } from '../naming.ts';
import type { Settings } from '../settings.ts';
import { FOLLOWED_MS } from './admission-state.ts';
import { chartOwner, isOurs } from './cluster-objects.ts';
import {
  ADMISSION_BINDINGS,
  ADMISSION_POLICIES,
  MUTATING_WEBHOOKS,
  NETWORK_POLICIES,
  RECORDED_SERVERS,
  type Stored,
  VALIDATING_WEBHOOKS,
} from './kinds.ts';
import { leadBack, sentServices } from './release-services.ts';
import { setFinalizer, setTarget } from './writes.ts';

export interface ReleaseParts {
  client: KubeClient;
  settings: Settings;
  /** Of this process and of no other, ever. */
  holder: string;
  /** Of the operators that contend for the Lease. */
  times?: LeaseTimes;
  now(): Date;
  log: Logger;
}

/** How long no operator may act afterwards, should this process end in between (ms): it is uninstalled within it. */
const HOLD_MS = 10 * 60_000;
const ATTEMPTS = 3;

/** @returns what could not be done, for people; empty: nothing is left */
export async function release(parts: ReleaseParts): Promise<string[]> {
  const { client, settings, log } = parts;
  const { lease, serviceWebhook } = clusterNames(settings.fullname);
  /** Null: all. */
  const namespaces = settings.watchNamespaces.length === 0 ? [null] : settings.watchNamespaces;
  const left: string[] = [];
  const attempt = async (what: string, action: () => Promise<unknown>): Promise<void> => {
    for (let failures = 1; ; failures += 1) {
      try {
        await action();
        return;
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        log.warn({ failures }, `${what}: ${why}`);
        if (failures < ATTEMPTS) continue;
        left.push(`${what}: ${why}`);
        return;
      }
    }
  };
  const everywhere = async (what: string, action: (namespace: string | null) => Promise<unknown>) => {
    for (const namespace of namespaces) {
      await attempt(what, async () => {
        try {
          await action(namespace);
        } catch (error) {
          if (!(await isRefusedForGone(error, namespace, client))) throw error;
        }
      });
    }
  };
  const removeAll = (kind: Resource, but?: string) =>
    attempt(`some ${kind.plural} are still there`, () => removeOurs(parts, kind, but));

  await attempt('the operator goes on acting', () => stopOperators(parts, lease));
  await removeAll(ADMISSION_BINDINGS);
  await removeAll(ADMISSION_POLICIES);
  await removeAll(VALIDATING_WEBHOOKS);
  await removeAll(MUTATING_WEBHOOKS, serviceWebhook);
  await everywhere('some NetworkPolicies still close the ways to the servers', (namespace) =>
    removePolicies(client, namespace),
  );
  await everywhere('some Services still lead to the recorder', async (namespace) => {
    for (const service of await sentServices(client, namespace)) {
      // By the webhook, if it is there.
      await ignoring(setTarget(service, 'server', client), 'NotFound', 'Conflict');
    }
  });
  await removeAll(MUTATING_WEBHOOKS);
  await pause(systemClock, FOLLOWED_MS, new AbortController().signal);
  await everywhere('some Services still lead to the recorder', async (namespace) => {
    const resources = await listServers(client, namespace);
    for (const service of await sentServices(client, namespace)) await leadBack(service, resources, parts);
  });
  await everywhere('some RecordedMCPServers still have our finalizer', (namespace) =>
    letGo(parts, namespace),
  );
  return left;
}

/**
 * Takes the Lease, and holds it until the operators are gone. Then it goes too, with the chart's ClusterRole, so that a new installation need
 * not wait for its end.
 */
async function stopOperators({ client, settings, holder, times }: ReleaseParts, name: string): Promise<void> {
  const lease = { namespace: settings.namespace, name };
  const limits = { holdMs: HOLD_MS, ...(times === undefined ? {} : { times }) };
  await takeLeaseByForce({ client, lease, identity: holder, ...limits });
  const owner = await chartOwner(client, settings.fullname);
  const taken = await client.get(LEASES, lease);
  const metadata = { ...taken.metadata, ownerReferences: [owner] };
  await client.update(LEASES, { ...taken, metadata } as Lease);
}

/** @param but the name of one to leave */
async function removeOurs({ client, settings }: ReleaseParts, kind: Resource, but?: string): Promise<void> {
  const labelSelector = `${MANAGED_BY_LABEL}=${MANAGED_BY}`;
  for (const { metadata } of await client.list(kind, { labelSelector })) {
    const { name, uid } = metadata;
    if (name === but || !isOurs(name, settings.fullname)) continue;
    await ignoring(client.delete(kind, { namespace: null, name }, { uid }), 'NotFound');
  }
}

async function removePolicies(client: KubeClient, namespace: string | null): Promise<void> {
  const labelSelector = `${MANAGED_BY_LABEL}=${MANAGED_BY},${RESOURCE_LABEL}`;
  for (const { metadata } of await client.list(NETWORK_POLICIES, { namespace, labelSelector })) {
    const { name, uid, namespace: at = null, ownerReferences = [] } = metadata;
    // Labels are given by anybody.
    if (!ownerReferences.some(({ kind }) => kind === RECORDED_SERVERS.kind)) continue;
    await ignoring(client.delete(NETWORK_POLICIES, { namespace: at, name }, { uid }), 'NotFound');
  }
}

/** Says that nobody enforces any more, and takes the finalizers off. */
async function letGo({ client, now }: ReleaseParts, namespace: string | null): Promise<void> {
  for (const resource of await listServers(client, namespace)) {
    const { namespace: at = null, name, finalizers = [] } = resource.metadata;
    await ignoring(client.applyStatus(RECORDED_SERVERS, released(resource, now())), 'NotFound');
    if (!finalizers.includes(FINALIZER)) continue;
    const live = await client.find(RECORDED_SERVERS, { namespace: at, name });
    if (live !== null) await setFinalizer(false, live, client);
  }
}

/** The resource with the status of one that nobody looks after: what was said of it before is no longer known. */
function released({ apiVersion, kind, metadata, status }: Stored<RecordedMCPServer>, now: Date): KubeObject {
  const { namespace = '', name, uid = '' } = metadata;
  const types = status?.conditions?.map(({ type }) => type) ?? ['Ready'];
  const conditions = types.map((type) => ({
    type,
    status: 'Unknown',
    reason: 'OperatorUninstalled',
    message:
      'The operator was uninstalled. Pods that have a recorder go on recording until they are made anew.',
    lastTransitionTime: timeOf(now.getTime()),
  }));
  return { apiVersion, kind, metadata: { namespace, name, uid }, status: { conditions } } as KubeObject;
}

/** None, where the definition is gone. */
async function listServers(
  client: KubeClient,
  namespace: string | null,
): Promise<Stored<RecordedMCPServer>[]> {
  try {
    return await client.list(RECORDED_SERVERS, { namespace });
  } catch (error) {
    if (isKubeError(error, 'NotFound')) return [];
    throw error;
  }
}
