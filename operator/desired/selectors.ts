/**
 * Owns which pods a selector means, and which Services lead to the pods of a resource.
 * Invariant: a selector matches here exactly when it does in the API server: an entry, a policy and this code never disagree on a pod.
 */
import type { LabelSelector, LabelSelectorRequirement } from 'kubernetes-types/meta/v1';
import type { RecordedMCPServer } from '../api/recorded-mcp-server.ts';

export type Labels = Readonly<Record<string, string>>;

/** What of a pod, or of the template of pods that do not run yet, selectors look at. */
export interface Labelled {
  metadata?: { labels?: Labels };
}

/**
 * Whether a selector matches these labels; an empty one matches everything, as in Kubernetes.
 * @param labels absent counts as none
 */
export function matches(selector: LabelSelector, labels: Labels | undefined): boolean {
  const given = new Map(Object.entries(labels ?? {}));
  return (
    Object.entries(selector.matchLabels ?? {}).every(([key, value]) => given.get(key) === value) &&
    (selector.matchExpressions ?? []).every((requirement) => meets(requirement, given))
  );
}

function meets(
  { key, operator, values = [] }: LabelSelectorRequirement,
  labels: Map<string, string>,
): boolean {
  const value = labels.get(key);
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    default:
      // The schema knows no others; one that it learns later must not be read as a match.
      return false;
  }
}

/** Whether a Service's selector matches these labels. One without a selector has hand-made endpoints: it matches nothing. */
export function serviceSelects(selector: Labels | undefined, labels: Labels | undefined): boolean {
  const wanted = Object.entries(selector ?? {});
  return wanted.length > 0 && wanted.every(([key, value]) => labels?.[key] === value);
}

/**
 * Whether a Service leads to pods of a resource. Pods tell, when there are any that the resource selects; a Service that stands before its
 * pods leads to them when it names a label that the resource wants, with the same value, and none with another.
 * @param pods pods of the namespace, or templates of pods to come
 */
export function overlaps(
  serviceSelector: Labels | undefined,
  resourceSelector: LabelSelector,
  pods: readonly Labelled[],
): boolean {
  if (Object.keys(serviceSelector ?? {}).length === 0) return false;
  const own = pods
    .map(({ metadata }) => metadata?.labels)
    .filter((labels) => matches(resourceSelector, labels));
  if (own.length > 0) return own.some((labels) => serviceSelects(serviceSelector, labels));
  const wanted = resourceSelector.matchLabels ?? {};
  const shared = Object.entries(serviceSelector ?? {}).filter(([key]) => Object.hasOwn(wanted, key));
  return shared.length > 0 && shared.every(([key, value]) => wanted[key] === value);
}

/**
 * The resource whose pod this is: of those that select it the oldest, then the first by name. One that is being deleted has no pods any more.
 * @param resources all of the pod's namespace
 */
export function oldestMatching(
  resources: readonly RecordedMCPServer[],
  labels: Labels | undefined,
): RecordedMCPServer | null {
  const selecting = resources.filter(
    ({ metadata, spec }) => metadata.deletionTimestamp === undefined && matches(spec.selector, labels),
  );
  return selecting.sort(byAge)[0] ?? null;
}

/** The order in which resources came: by creation (RFC 3339 in UTC, as the API server writes it), then by name. */
export function byAge(a: RecordedMCPServer, b: RecordedMCPServer): number {
  return (
    compare(a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? '') ||
    compare(a.metadata.namespace ?? '', b.metadata.namespace ?? '') ||
    compare(a.metadata.name ?? '', b.metadata.name ?? '')
  );
}

/** By code units: the same everywhere, where `localeCompare` is not. */
function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
