/**
 * Owns how an object of the Kubernetes API is addressed: what kind it is, its path on the server, and its key in our maps.
 * Invariant: no path of the API server is put together anywhere else.
 */

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  /** RFC 3339, whole seconds. */
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
}

/** What all objects have. What else one has is said by an interface that extends this one, where it is used. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}

/** A kind of object, and where the API serves it. */
export interface Resource<T extends KubeObject = KubeObject> {
  /** Empty: the core group. */
  group: string;
  version: string;
  plural: string;
  kind: string;
  namespaced: boolean;
  /** Never there: it tells the compiler what objects of this kind look like. */
  shape?: T;
}

/** Which object. `namespace` is null for kinds that have none. */
export interface ObjectName {
  namespace: string | null;
  name: string;
}

/** `apps/v1`, `v1`. */
export function apiVersionOf({ group, version }: Resource): string {
  return group === '' ? version : `${group}/${version}`;
}

/**
 * The path of a collection, of an object, or of a subresource.
 * @param at.namespace null: all namespaces, or a kind without
 * @throws when an object of a namespaced kind is named without its namespace: the path would lead elsewhere
 */
export function resourcePath(
  resource: Resource,
  at: { namespace: string | null; name?: string; subresource?: string },
): string {
  if (resource.namespaced && at.namespace === null && at.name !== undefined) {
    throw new Error(`${resource.plural} ${at.name}: a ${resource.kind} has a namespace, and none was given`);
  }
  const root = resource.group === '' ? ['api'] : ['apis', resource.group];
  const scope = resource.namespaced && at.namespace !== null ? ['namespaces', at.namespace] : [];
  const object = at.name === undefined ? [] : [at.name];
  const below = at.subresource === undefined ? [] : [at.subresource];
  const parts = [...root, resource.version, ...scope, resource.plural, ...object, ...below];
  return `/${parts.map(encodeURIComponent).join('/')}`;
}

/** Paths that belong to no kind: what the API server says of itself as issuer of service account tokens (OpenID Connect Discovery 1.0). */
export const ISSUER_PATHS = {
  discovery: '/.well-known/openid-configuration',
  keys: '/openid/v1/jwks',
} as const;

/** `namespace/name`, or the name of an object without namespace. */
export function keyOf({ metadata: { namespace, name } }: KubeObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** The way back from `keyOf`. */
export function nameOfKey(key: string): ObjectName {
  const slash = key.indexOf('/');
  return slash < 0
    ? { namespace: null, name: key }
    : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
