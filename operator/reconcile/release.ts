/**
 * Owns the way out of the cluster, before the operator is uninstalled: nothing of ours blocks a pod, a Service or a deletion afterwards.
 * Invariants: from its beginning no operator acts; the ways to the servers are opened before Services lead back to them; every step may be
 * made twice, and one that fails keeps no other from being made. Recorders that run go on recording until their pods are made anew.
 */
import type { Service } from 'kubernetes-types/core/v1';
import type { Logger } from 'pino';
import type { RecordedMCPServer } from '../api/recorded-mcp-server.ts';
import type { KubeClient } from '../kube/client.ts';
import { isKubeError } from '../kube/kube-error.ts';
import { takeLeaseByForce } from '../kube/lease.ts';
import type { KubeObject, ObjectName, Resource } from '../kube/resource.ts';
import {
  clusterNames,
  FIELD_MANAGER,
  FINALIZER,
  MANAGED_BY,
  MANAGED_BY_LABEL,
  ORIGINAL_PORTS_ANNOTATION,
  RESOURCE_LABEL,
  TARGET_ANNOTATION,
} from '../naming.ts';
import type { Settings } from '../settings.ts';
import { retarget } from '../webhook/services/retarget.ts';
import { isOurs } from './cluster-objects.ts';
import {
  ADMISSION_BINDINGS,
  ADMISSION_POLICIES,
  MUTATING_WEBHOOKS,
  NETWORK_POLICIES,
  RECORDED_SERVERS,
  SERVICES,
  type Stored,
} from './kinds.ts';

export interface ReleaseParts {
  client: KubeClient;
  settings: Settings;
  /** Of this process and of no other, ever. */
  holder: string;
  now(): Date;
  log: Logger;
}

/** How long no operator may act afterwards, should this process end in between (ms): it is uninstalled within it. */
const HOLD_MS = 10 * 60_000;
const ATTEMPTS = 3;

/** @returns what could not be done, for people; empty: nothing is left */
export async function release(parts: ReleaseParts): Promise<string[]> {
  const { client, settings, log } = parts;
  const left: string[] = [];
  const attempt = async (what: string, action: () => Promise<void>): Promise<void> => {
    for (let failures = 0; ; ) {
      try {
        await action();
        return;
      } catch (error) {
        failures += 1;
        const why = error instanceof Error ? error.message : String(error);
        log.warn({ failures }, `${what}: ${why}`);
        if (failures < ATTEMPTS) continue;
        left.push(`${what}: ${why}`);
        return;
      }
    }
  };
  const lease = { namespace: settings.namespace, name: clusterNames(settings.fullname).lease };
  await attempt('the operator goes on acting', async () => {
    await takeLeaseByForce({ client, lease, identity: parts.holder, holdMs: HOLD_MS });
  });
  const serviceWebhook = clusterNames(settings.fullname).serviceWebhook;
  const removeAll = (kind: Resource, but?: string) =>
    attempt(`some ${kind.plural} are still there`, () => removeOurs(parts, kind, but));
  await removeAll(ADMISSION_BINDINGS);
  await removeAll(ADMISSION_POLICIES);
  await removeAll(MUTATING_WEBHOOKS, serviceWebhook);
  for (const namespace of namespacesOf(settings)) {
    await attempt('some NetworkPolicies still close the ways to the servers', () =>
      removePolicies(parts, namespace),
    );
    await attempt('some Services still lead to the recorder', () => leadBack(parts, namespace));
  }
  await removeAll(MUTATING_WEBHOOKS);
  for (const namespace of namespacesOf(settings)) {
    await attempt('some RecordedMCPServers still have our finalizer', () => letGo(parts, namespace));
  }
  return left;
}

/** Where the operator acted; null: everywhere. */
function namespacesOf({ watchNamespaces }: Settings): (string | null)[] {
  return watchNamespaces.length === 0 ? [null] : watchNamespaces;
}

/** @param but the name of one to leave */
async function removeOurs({ client, settings }: ReleaseParts, kind: Resource, but?: string): Promise<void> {
  const labelSelector = `${MANAGED_BY_LABEL}=${MANAGED_BY}`;
  for (const { metadata } of await client.list(kind, { labelSelector })) {
    const { name, uid } = metadata;
    if (name !== but && isOurs(name, settings.fullname)) {
      await gone(client.delete(kind, { namespace: null, name }, { uid }));
    }
  }
}

async function removePolicies({ client }: ReleaseParts, namespace: string | null): Promise<void> {
  const labelSelector = `${MANAGED_BY_LABEL}=${MANAGED_BY},${RESOURCE_LABEL}`;
  for (const { metadata } of await client.list(NETWORK_POLICIES, { namespace, labelSelector })) {
    const { name, uid, namespace: at = null } = metadata;
    await gone(client.delete(NETWORK_POLICIES, { namespace: at, name }, { uid }));
  }
}

async function leadBack(parts: ReleaseParts, namespace: string | null): Promise<void> {
  const { client } = parts;
  const resources = await listServers(client, namespace);
  for (const service of await client.list(SERVICES, { namespace })) {
    const annotations = service.metadata.annotations ?? {};
    if (
      annotations[TARGET_ANNOTATION] === undefined &&
      annotations[ORIGINAL_PORTS_ANNOTATION] === undefined
    ) {
      continue;
    }
    await gone(leadServiceBack(parts, service, resources));
  }
}

/** By our webhook, which then leaves the ports to their owner; where that does not answer, by hand. */
async function leadServiceBack(
  { client, settings, log }: ReleaseParts,
  { metadata }: Readonly<Stored<Service>>,
  resources: readonly Stored<RecordedMCPServer>[],
): Promise<void> {
  const { namespace = null, name, uid } = metadata;
  const at = { namespace, name };
  const annotations = { [TARGET_ANNOTATION]: 'server' };
  const touched = { namespace: namespace ?? '', name, uid: uid ?? '', annotations };
  const asked = { apiVersion: 'v1', kind: 'Service', metadata: touched };
  const answered = await client.apply(SERVICES, asked).catch((error: unknown) => {
    if (isKubeError(error, 'NotFound', 'Conflict')) throw error;
    log.warn(
      { service: `${namespace}/${name}` },
      `the webhook for Services does not answer: ${String(error)}`,
    );
    return client.get(SERVICES, at);
  });
  const serverPort = serverPortOf(answered, resources);
  const back = retarget(answered, {
    target: 'server',
    serverPort,
    recorderPorts: [settings.sidecar.ports.recorder],
  });
  const isBack = JSON.stringify(back.spec?.ports) === JSON.stringify(answered.spec?.ports);
  const change = {
    metadata: {
      resourceVersion: answered.metadata.resourceVersion,
      annotations: { [TARGET_ANNOTATION]: null, [ORIGINAL_PORTS_ANNOTATION]: null },
    },
    ...(isBack ? {} : { spec: { ports: back.spec?.ports } }),
  };
  await client.patch(SERVICES, at, change, { fieldManager: FIELD_MANAGER });
}

/** The server's port behind a Service, where all resources of its namespace agree. What the webhook kept beside the port comes first anyway. */
function serverPortOf(
  { metadata }: Readonly<KubeObject>,
  resources: readonly Stored<RecordedMCPServer>[],
): number | null {
  const ports = resources
    .filter((resource) => resource.metadata.namespace === metadata.namespace)
    .map(({ spec, status }) => spec.server.port ?? status?.serverPort);
  const [port, ...others] = new Set(ports);
  return others.length === 0 ? (port ?? null) : null;
}

/** Says that nobody enforces any more, and takes the finalizers off. */
async function letGo({ client, now }: ReleaseParts, namespace: string | null): Promise<void> {
  for (const resource of await listServers(client, namespace)) {
    const { namespace: at = null, name, finalizers = [] } = resource.metadata;
    await gone(client.applyStatus(RECORDED_SERVERS, released(resource, now())));
    if (!finalizers.includes(FINALIZER)) continue;
    // Read again: the status is another version.
    await gone(takeFinalizerOff(client, { namespace: at, name }));
  }
}

async function takeFinalizerOff(client: KubeClient, at: ObjectName): Promise<void> {
  const { metadata } = await client.get(RECORDED_SERVERS, at);
  const { finalizers = [], resourceVersion } = metadata;
  const others = finalizers.filter((finalizer) => finalizer !== FINALIZER);
  await client.patch(RECORDED_SERVERS, at, { metadata: { finalizers: others, resourceVersion } });
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
    lastTransitionTime: `${now.toISOString().slice(0, 19)}Z`,
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

async function gone(change: Promise<unknown>): Promise<void> {
  try {
    await change;
  } catch (error) {
    if (!isKubeError(error, 'NotFound')) throw error;
  }
}
