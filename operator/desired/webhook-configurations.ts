/**
 * Owns which pods and Services the API server asks our webhook about.
 * Invariant: an entry concerns one resource's pods, or pods that carry our label, and nothing else, so that a dead operator stands in nobody
 * else's way. The oldest resources come first: a new one moves no entry to another object, and a deleted one moves them to objects of lower
 * number only. So objects written in their order, surplus ones deleted last, leave no moment in which a resource has no entry.
 */
import type { LabelSelector, ObjectMeta, OwnerReference } from 'kubernetes-types/meta/v1';
import type {
  MutatingWebhook,
  MutatingWebhookConfiguration,
  RuleWithOperations,
  WebhookClientConfig,
} from 'kubernetes-types/admissionregistration/v1';
import type { RecordedMCPServer } from '../api/recorded-mcp-server.ts';
import { clusterNames, MANAGED_BY, MANAGED_BY_LABEL, SERVER_LABEL } from '../naming.ts';
import type { Settings } from '../settings.ts';
import { byAge } from './selectors.ts';

/** etcd takes 1.5 MB an object; 200 entries with small selectors were 584 KB (measured). */
export const MAX_ENTRIES = 100;
/** Selectors are their owners' to write, up to 90 KB each: all of an object together (characters of JSON). */
const MAX_SELECTORS = 500_000;
const PODS_TIMEOUT_SECONDS = 5;
const SERVICES_TIMEOUT_SECONDS = 3;
/** The Service's port; the webhook itself listens on `settings.webhook.port`. */
const SERVICE_PORT = 443;

export const WEBHOOK_PATHS = { pods: '/pods', services: '/services', resources: '/resources' } as const;

/**
 * The configuration objects, in the order in which they are to be written.
 * @param resources of all namespaces; those that are being deleted have no entry any more
 * @param caBundle PEM
 * @param clusterRole the chart's, which takes them with it when it goes
 */
export function webhookConfigurations(
  resources: readonly RecordedMCPServer[],
  settings: Settings,
  caBundle: string,
  clusterRole: { name: string; uid: string },
): MutatingWebhookConfiguration[] {
  const names = clusterNames(settings.fullname);
  const living = resources.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const entry = webhook(settings, caBundle);
  const pods = [markerEntry(entry, settings), ...living.toSorted(byAge).map((one) => podsEntry(entry, one))];
  const objects = inObjects(pods).map((entries, index) =>
    configuration(names.podWebhooks(index), entries, clusterRole),
  );
  // Services of a resource that is being deleted are put back by the webhook too.
  const namespaces = [...new Set(resources.map(({ metadata }) => metadata.namespace ?? ''))].sort();
  if (namespaces.length === 0) return objects;
  return [...objects, configuration(names.serviceWebhook, [servicesEntry(entry, namespaces)], clusterRole)];
}

/** Where the API server finds one of the webhook's paths. */
export function clientConfigOf(
  { webhook: { service }, namespace }: Settings,
  caBundle: string,
  path: string,
): WebhookClientConfig {
  return {
    caBundle: Buffer.from(caBundle).toString('base64'),
    service: { namespace, name: service, path, port: SERVICE_PORT },
  };
}

type Entry = (
  own: Pick<MutatingWebhook, 'name' | 'failurePolicy' | 'rules' | 'timeoutSeconds'> & Scope,
) => MutatingWebhook;
interface Scope {
  path: string;
  namespaceSelector: LabelSelector;
  objectSelector: LabelSelector;
}

/** What all entries have in common; every default of the API server's is written out. */
function webhook(settings: Settings, caBundle: string): Entry {
  return ({ path, ...own }) => ({
    ...own,
    clientConfig: clientConfigOf(settings, caBundle, path),
    admissionReviewVersions: ['v1'],
    matchPolicy: 'Equivalent',
    reinvocationPolicy: 'IfNeeded',
    sideEffects: 'None',
  });
}

function podsEntry(entry: Entry, { metadata, spec }: RecordedMCPServer): MutatingWebhook {
  return entry({
    name: `${metadata.name}.${metadata.namespace}.pods.mcp-recorder.dev`,
    path: WEBHOOK_PATHS.pods,
    rules: [rule('pods', ['CREATE'])],
    // The API server labels each namespace with its name.
    namespaceSelector: inNamespaces([metadata.namespace ?? '']),
    objectSelector: spec.selector,
    failurePolicy: 'Fail',
    timeoutSeconds: PODS_TIMEOUT_SECONDS,
  });
}

/** Who makes a pod with our label by hand is asked for the same as everyone. */
function markerEntry(entry: Entry, { watchNamespaces }: Settings): MutatingWebhook {
  return entry({
    name: 'marked.pods.mcp-recorder.dev',
    path: WEBHOOK_PATHS.pods,
    rules: [rule('pods', ['CREATE'])],
    namespaceSelector: watchNamespaces.length === 0 ? {} : inNamespaces(watchNamespaces),
    objectSelector: { matchExpressions: [{ key: SERVER_LABEL, operator: 'Exists' }] },
    failurePolicy: 'Fail',
    timeoutSeconds: PODS_TIMEOUT_SECONDS,
  });
}

/** Ignored when it fails: a Service that leads past the recorder meets the NetworkPolicy. */
function servicesEntry(entry: Entry, namespaces: readonly string[]): MutatingWebhook {
  return entry({
    name: 'services.mcp-recorder.dev',
    path: WEBHOOK_PATHS.services,
    rules: [rule('services', ['CREATE', 'UPDATE'])],
    namespaceSelector: inNamespaces(namespaces),
    objectSelector: {},
    failurePolicy: 'Ignore',
    timeoutSeconds: SERVICES_TIMEOUT_SECONDS,
  });
}

/** The published types know neither `resources` nor `scope` of a rule. */
export function rule(
  resource: string,
  operations: string[],
): RuleWithOperations & { resources: string[]; scope: string } {
  return { apiGroups: [''], apiVersions: ['v1'], resources: [resource], operations, scope: 'Namespaced' };
}

export function inNamespaces(values: readonly string[]): LabelSelector {
  return { matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: [...values] }] };
}

function configuration(
  name: string,
  webhooks: MutatingWebhook[],
  clusterRole: { name: string; uid: string },
): MutatingWebhookConfiguration {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: ownedByRole(name, clusterRole),
    webhooks,
  };
}

/** Goes with the chart's ClusterRole. */
export function ownedByRole(name: string, { name: role, uid }: { name: string; uid: string }): ObjectMeta {
  const owner: OwnerReference = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    name: role,
    uid,
  };
  return { name, labels: { [MANAGED_BY_LABEL]: MANAGED_BY }, ownerReferences: [owner] };
}

/**
 * Fills one object after the other. What counts of an entry never changes in its life, so that none moves when certificates are renewed; and
 * less before it never moves it to a later object.
 */
function inObjects(entries: readonly MutatingWebhook[]): MutatingWebhook[][] {
  const objects: MutatingWebhook[][] = [];
  let selectors = 0;
  for (const entry of entries) {
    const size = JSON.stringify(entry.objectSelector).length;
    const last = objects.at(-1);
    if (last === undefined || last.length >= MAX_ENTRIES || selectors + size > MAX_SELECTORS) {
      objects.push([entry]);
      selectors = size;
    } else {
      last.push(entry);
      selectors += size;
    }
  }
  return objects;
}
