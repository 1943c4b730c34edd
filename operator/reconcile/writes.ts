/**
 * Owns the single writes by which a decision reaches the cluster.
 * Invariant: each touches what is ours and nothing else: whole objects that belong to us, and of others' objects one annotation, one
 * finalizer, the status; each names the very object by its uid, so that none is made anew that has just gone.
 */
import { isDeepStrictEqual } from 'node:util';
import type { RecordedMCPServer } from '../api/recorded-mcp-server.ts';
import type { Workload } from '../desired/observed.ts';
import type { Plan } from '../desired/plan.ts';
import type { KubeClient } from '../kube/client.ts';
import { ignoring, isKubeError } from '../kube/kube-error.ts';
import type { KubeObject, Resource } from '../kube/resource.ts';
import { CONFIGURATION_ANNOTATION, FINALIZER, RESTART_ANNOTATION, TARGET_ANNOTATION } from '../naming.ts';
import {
  DAEMON_SETS,
  DEPLOYMENTS,
  PODS,
  RECORDED_SERVERS,
  SERVICES,
  STATEFUL_SETS,
  type Stored,
} from './kinds.ts';
import type { Written } from './written.ts';

export interface WriteParts {
  client: KubeClient;
  written: Written;
}

/** Makes one write. @returns whether it was made; what went wrong is noted, not thrown */
export type Attempt = (what: string, write: () => Promise<unknown>) => Promise<boolean>;

type StoredServer = Readonly<Stored<RecordedMCPServer>>;

const ROLLED: Record<string, Resource> = {
  Deployment: DEPLOYMENTS,
  StatefulSet: STATEFUL_SETS,
  DaemonSet: DAEMON_SETS,
};

/** Whether an object belongs to a resource: by its owner, for labels are given by anybody. */
export function isOwnedBy(
  { metadata: { uid } }: StoredServer,
  { ownerReferences = [] }: Readonly<KubeObject['metadata']>,
): boolean {
  return ownerReferences.some((owner) => owner.uid === uid);
}

/**
 * Makes the one object stand as it is wanted, and no other of the resource's. What is not its own is never deleted, whatever its name.
 * @returns whether all of it was done
 */
export async function applyOwned(
  kind: Resource,
  wanted: object | null,
  standing: readonly Readonly<KubeObject>[],
  { client, written, resource }: WriteParts & { resource: StoredServer },
  attempt: Attempt,
): Promise<boolean> {
  const object = wanted as KubeObject | null;
  for (const { metadata } of standing) {
    const { namespace = null, name, uid } = metadata;
    if (name === object?.metadata.name || !isOwnedBy(resource, metadata)) continue;
    written.forget(idOf(kind, metadata));
    const isGone = await attempt(`${kind.kind}/${name}`, () =>
      client.delete(kind, { namespace, name }, { uid }),
    );
    if (!isGone) return false;
  }
  if (object === null) return true;
  const live = standing.find(({ metadata }) => metadata.name === object.metadata.name);
  const id = idOf(kind, object.metadata);
  if (written.stands(id, object, live)) return true;
  return attempt(`${kind.kind}/${object.metadata.name}`, async () => {
    const applied = await client.apply(kind, object);
    const kept = await dropForeignFiles(kind, object, applied, client);
    written.note(id, object, live, kept.metadata.resourceVersion);
  });
}

function idOf({ kind }: Resource, { namespace, name }: KubeObject['metadata']): string {
  return `${kind} ${namespace}/${name}`;
}

/** Takes out of a ConfigMap what others put beside our files: the signature covers all of them, and a recorder refuses what it does not cover. */
async function dropForeignFiles(
  kind: Resource,
  wanted: KubeObject,
  applied: KubeObject,
  client: KubeClient,
): Promise<KubeObject> {
  const change: Record<string, Record<string, null>> = {};
  for (const field of ['data', 'binaryData']) {
    const ours = Object.keys(Reflect.get(wanted, field) ?? {});
    const foreign = Object.keys(Reflect.get(applied, field) ?? {}).filter((file) => !ours.includes(file));
    if (foreign.length > 0) change[field] = Object.fromEntries(foreign.map((file) => [file, null]));
  }
  if (Object.keys(change).length === 0) return applied;
  const { namespace = null, name } = wanted.metadata;
  return client.patch(kind, { namespace, name }, change);
}

/** Touches one annotation of a Service and nothing else: the webhook does the rest in the same request, and the ports stay their owner's. */
export async function setTarget(
  { metadata }: Readonly<KubeObject>,
  target: 'recorder' | 'server' | null,
  client: KubeClient,
): Promise<void> {
  const { namespace = null, name, uid } = metadata;
  if (target === null) {
    await client.patch(
      SERVICES,
      { namespace, name },
      { metadata: { annotations: { [TARGET_ANNOTATION]: null } } },
    );
    return;
  }
  const annotations = { [TARGET_ANNOTATION]: target };
  const touched = { namespace: namespace as string, name, uid: uid as string, annotations };
  await client.apply(SERVICES, { apiVersion: 'v1', kind: 'Service', metadata: touched });
}

/** Sets the restart annotation of a pod template; null takes it away. Either way the controller makes the pods anew. */
export async function restartWorkload(
  namespace: string,
  { kind, apiVersion, name, uid }: Workload,
  restartedFor: string | null,
  client: KubeClient,
): Promise<void> {
  const resource = ROLLED[kind];
  if (resource === undefined) return;
  const annotations = restartedFor === null ? {} : { [RESTART_ANNOTATION]: restartedFor };
  const object = {
    apiVersion,
    kind,
    metadata: { namespace, name, uid },
    spec: { template: { metadata: { annotations } } },
  };
  await client.apply(resource, object);
}

/** Sets one annotation of a pod and nothing else. Its kubelet looks at it then, and brings the ConfigMap as it stands. */
export async function touchPod(
  { namespace, name, uid }: { namespace: string; name: string; uid: string },
  digest: string,
  client: KubeClient,
): Promise<void> {
  const metadata = { uid, annotations: { [CONFIGURATION_ANNOTATION]: digest } };
  await client.patch(PODS, { namespace, name }, { metadata });
}

/** @returns the resource as it stands then; null when it is gone */
export async function writeStatus(
  { status }: Plan,
  resource: StoredServer,
  { client, written }: WriteParts,
): Promise<StoredServer | null> {
  const { namespace, name, uid } = resource.metadata;
  const id = `status ${uid}`;
  const wanted = JSON.parse(JSON.stringify(status)) as object;
  if (isDeepStrictEqual(wanted, resource.status) || written.stands(id, wanted, resource)) return resource;
  const { apiVersion, kind } = resource;
  const object = { apiVersion, kind, metadata: { namespace, name, uid }, status: wanted } as KubeObject;
  try {
    const applied = await client.applyStatus(RECORDED_SERVERS, object);
    written.note(id, wanted, resource, applied.metadata.resourceVersion);
    return applied;
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}

/** @throws KubeError Conflict when the resource changed since it was read: it is then decided anew */
export async function setFinalizer(
  isWanted: boolean,
  { metadata }: StoredServer,
  client: KubeClient,
): Promise<void> {
  const { finalizers = [], namespace = null, name, resourceVersion, deletionTimestamp } = metadata;
  if (finalizers.includes(FINALIZER) === isWanted) return;
  // The API server takes no new finalizer for what is being deleted.
  if (isWanted && deletionTimestamp !== undefined) return;
  const others = finalizers.filter((finalizer) => finalizer !== FINALIZER);
  const change = { resourceVersion, finalizers: isWanted ? [...others, FINALIZER] : others };
  await ignoring(client.patch(RECORDED_SERVERS, { namespace, name }, { metadata: change }), 'NotFound');
}

/** What the write was about is no longer there, or another has its name: the next decision will not be about it. */
export function isGone(error: unknown): boolean {
  return isKubeError(error, 'NotFound', 'Conflict');
}
