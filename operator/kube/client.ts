/**
 * Owns the verbs of the Kubernetes API, for any kind of object.
 * Invariants: one call is one request, never tried again here; it has a deadline; a failure is a KubeError (or the reason of the caller's signal).
 */
import type { Access } from './access.ts';
import { addressOf, type Place } from './call-address.ts';
import { isKubeError, KubeError } from './kube-error.ts';
import { apiVersionOf, ISSUER_PATHS, type KubeObject, type ObjectName, type Resource } from './resource.ts';
import { type CallCount, createTransport, type KubeRequest, nameOf } from './transport.ts';
import { type WatchEvent, watchEvents } from './watch-events.ts';

export interface CallOptions {
  signal?: AbortSignal | undefined;
  /** For the whole call, ms; default 30 s. */
  timeoutMs?: number;
}

export interface Selection {
  /** Null or left out: all namespaces. */
  namespace?: string | null;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
}

export interface PageOptions extends Selection, CallOptions {
  /** At most so many objects; left out: all. */
  limit?: number;
  /** Of the page before. */
  continue?: string | undefined;
  /** Left out: the newest state. */
  resourceVersion?: string;
}

export interface Page<T> {
  items: T[];
  resourceVersion: string;
  /** What to ask the next page with; null: this is the last. */
  continue: string | null;
}

export interface WatchOptions extends Selection {
  /** What has been seen already. */
  resourceVersion: string;
  /** When the server ends the watch. */
  timeoutSeconds: number;
  /** The longest silence; bookmarks come about once a minute. */
  idleMs: number;
  signal?: AbortSignal | undefined;
  /** Called when the server has accepted the watch. */
  opened?(): void;
}

export interface ChangeOptions extends CallOptions {
  /** Who owns the fields; default: the client's. */
  fieldManager?: string;
  subresource?: string;
}

export interface DeleteOptions extends CallOptions {
  propagation?: 'Background' | 'Foreground' | 'Orphan';
  /** Delete this very object, not one that took its name. */
  uid?: string | undefined;
  /** Delete it only as it was seen. */
  resourceVersion?: string | undefined;
  gracePeriodSeconds?: number;
}

/** What the API server says of a token. */
export interface TokenFacts {
  authenticated: boolean;
  /** `system:serviceaccount:tools:default`; empty when it is not authenticated. */
  username: string;
  groups: readonly string[];
  /** `authentication.kubernetes.io/pod-name`, `.../pod-uid` and others, of a token bound to a pod. */
  extra: Readonly<Record<string, readonly string[]>>;
  /** Which of the asked audiences the token is for. */
  audiences: readonly string[];
  /** Why it is not authenticated, where the server says so. */
  error: string | null;
}

/** The API server as issuer of service account tokens. */
export interface TokenIssuer {
  /** As the claim `iss` of its tokens has it. */
  issuer: string;
  /** Its public keys (RFC 7517). */
  keys: Record<string, unknown>[];
}

export interface KubeClient {
  /** @throws KubeError NotFound */
  get<T extends KubeObject>(resource: Resource<T>, at: ObjectName, options?: CallOptions): Promise<T>;
  /** As `get`, and null where there is none. */
  find<T extends KubeObject>(resource: Resource<T>, at: ObjectName, options?: CallOptions): Promise<T | null>;
  listPage<T extends KubeObject>(resource: Resource<T>, options?: PageOptions): Promise<Page<T>>;
  /** All of them, 500 a page, each page with its own deadline. */
  list<T extends KubeObject>(resource: Resource<T>, options?: Selection & CallOptions): Promise<T[]>;
  /** @throws KubeError AlreadyExists */
  create<T extends KubeObject>(
    resource: Resource<T>,
    object: KubeObject,
    options?: ChangeOptions,
  ): Promise<T>;
  /** Replaces the whole object. @throws KubeError Conflict when its resource version is not the newest */
  update<T extends KubeObject>(
    resource: Resource<T>,
    object: KubeObject,
    options?: ChangeOptions,
  ): Promise<T>;
  /**
   * Server-side apply: creates the object or changes its fields that are given.
   * @param options.force default true: takes fields that others own
   */
  apply<T extends KubeObject>(
    resource: Resource<T>,
    object: KubeObject,
    options?: ChangeOptions & { force?: boolean },
  ): Promise<T>;
  /** `apply` on the subresource `status`. */
  applyStatus<T extends KubeObject>(
    resource: Resource<T>,
    object: KubeObject,
    options?: ChangeOptions & { force?: boolean },
  ): Promise<T>;
  /** A JSON merge patch (RFC 7386): null removes a field. */
  patch<T extends KubeObject>(
    resource: Resource<T>,
    at: ObjectName,
    change: object,
    options?: ChangeOptions,
  ): Promise<T>;
  /** Resolves when the deletion is accepted; finalizers and grace periods go on after it. */
  delete(resource: Resource, at: ObjectName, options?: DeleteOptions): Promise<void>;
  /**
   * Asks for the eviction of a pod.
   * @throws KubeError TooManyRequests when a disruption budget forbids it now
   */
  evict(pod: ObjectName, options?: CallOptions & { uid?: string | undefined }): Promise<void>;
  tokenReview(token: string, audiences: readonly string[], options?: CallOptions): Promise<TokenFacts>;
  /**
   * Who issues the tokens of service accounts, and with which keys.
   * @throws KubeError; `Unreadable` for an answer without issuer or keys
   */
  tokenIssuer(options?: CallOptions): Promise<TokenIssuer>;
  /** The events after a resource version, until the server ends the watch. @throws KubeError, an expired version included */
  watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>>;
  /** The calls since the start. */
  counts(): CallCount[];
  /** Ends all connections; calls under way fail. */
  close(): Promise<void>;
}

export const PAGE_LIMIT = 500;
const TIMEOUT_MS = 30_000;
const PODS: Resource = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true };
const TOKEN_REVIEWS: Resource = {
  group: 'authentication.k8s.io',
  version: 'v1',
  plural: 'tokenreviews',
  kind: 'TokenReview',
  namespaced: false,
};

/** @param options.fieldManager who owns the fields that are written, unless a call says otherwise */
export function createClient(options: { access: Access; fieldManager: string }): KubeClient {
  const { access, fieldManager } = options;
  const transport = createTransport(access);

  async function call<T>(
    verb: Parameters<typeof addressOf>[0],
    resource: Resource,
    at: Place,
    { timeoutMs = TIMEOUT_MS, ...rest }: CallOptions & Pick<KubeRequest, 'query' | 'body' | 'contentType'>,
  ): Promise<T> {
    return (await transport.send({ ...addressOf(verb, resource, at), ...rest }, timeoutMs)) as T;
  }

  async function listPage<T extends KubeObject>(
    resource: Resource<T>,
    { namespace = null, limit, resourceVersion, ...rest }: PageOptions = {},
  ): Promise<Page<T>> {
    const { labelSelector, fieldSelector, continue: from, ...limits } = rest;
    const query = { labelSelector, fieldSelector, limit, continue: from, resourceVersion };
    const answer = await call<ListAnswer<T>>('list', resource, { namespace }, { ...limits, query });
    // Items of a list come without the two fields that say what they are.
    const what = { apiVersion: apiVersionOf(resource), kind: resource.kind };
    return {
      items: (answer.items ?? []).map((item) => ({ ...what, ...item })),
      resourceVersion: answer.metadata.resourceVersion,
      continue: answer.metadata.continue || null,
    };
  }

  function write<T extends KubeObject>(
    verb: 'create' | 'update' | 'apply',
    resource: Resource<T>,
    object: KubeObject,
    {
      fieldManager: manager = fieldManager,
      subresource,
      force,
      ...limits
    }: ChangeOptions & { force?: boolean },
  ): Promise<T> {
    const { namespace = null, name } = object.metadata;
    return call<T>(
      verb,
      resource,
      { namespace, name, subresource },
      {
        ...limits,
        query: { fieldManager: manager, force },
        body: object,
        ...(verb === 'apply' ? { contentType: 'application/apply-patch+yaml' } : {}),
      },
    );
  }

  const client: KubeClient = {
    get: (resource, at, options = {}) => call('get', resource, at, options),
    async find(resource, at, options) {
      try {
        return await client.get(resource, at, options);
      } catch (error) {
        if (isKubeError(error, 'NotFound')) return null;
        throw error;
      }
    },
    listPage,
    async list(resource, options = {}) {
      const items = [];
      let from: string | undefined;
      do {
        const page = await listPage(resource, { ...options, limit: PAGE_LIMIT, continue: from });
        items.push(...page.items);
        from = page.continue ?? undefined;
      } while (from !== undefined);
      return items;
    },
    create: (resource, object, options = {}) => write('create', resource, object, options),
    update: (resource, object, options = {}) => write('update', resource, object, options),
    apply: (resource, object, options = {}) => write('apply', resource, object, { force: true, ...options }),
    applyStatus: (resource, object, options = {}) =>
      write('apply', resource, object, { force: true, ...options, subresource: 'status' }),
    patch: (resource, at, change, { fieldManager: manager = fieldManager, subresource, ...limits } = {}) =>
      call(
        'patch',
        resource,
        { ...at, subresource },
        {
          ...limits,
          query: { fieldManager: manager },
          body: change,
          contentType: 'application/merge-patch+json',
        },
      ),
    async delete(resource, at, { propagation, uid, resourceVersion, gracePeriodSeconds, ...limits } = {}) {
      const body = {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        propagationPolicy: propagation,
        gracePeriodSeconds,
        preconditions: { uid, resourceVersion },
      };
      await call('delete', resource, at, { ...limits, body });
    },
    async evict(pod, { uid, ...limits } = {}) {
      const body = {
        apiVersion: 'policy/v1',
        kind: 'Eviction',
        metadata: pod,
        deleteOptions: { preconditions: { uid } },
      };
      await call('create', PODS, { ...pod, subresource: 'eviction' }, { ...limits, body });
    },
    async tokenReview(token, audiences, options = {}) {
      const body = {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token, audiences },
      };
      const at = { namespace: null };
      const { status } = await call<TokenAnswer>('create', TOKEN_REVIEWS, at, { ...options, body });
      return {
        authenticated: status.authenticated === true,
        username: status.user?.username ?? '',
        groups: status.user?.groups ?? [],
        extra: status.user?.extra ?? {},
        audiences: status.audiences ?? [],
        error: status.error || null,
      };
    },
    async tokenIssuer({ timeoutMs = TIMEOUT_MS, signal } = {}) {
      const ask = (path: string) =>
        transport.send(
          { verb: 'get', resource: path, object: '', method: 'GET', path, accept: '*/*', signal },
          timeoutMs,
        );
      const { issuer } = (await ask(ISSUER_PATHS.discovery)) as { issuer?: unknown };
      const { keys } = (await ask(ISSUER_PATHS.keys)) as { keys?: unknown };
      if (typeof issuer === 'string' && Array.isArray(keys) && keys.length > 0) return { issuer, keys };
      throw new KubeError({
        call: `get ${ISSUER_PATHS.keys}`,
        status: 200,
        reason: 'Unreadable',
        message: 'an issuer and its keys are missing',
      });
    },
    watch(resource, { namespace = null, idleMs, signal, opened, ...rest }) {
      const request: KubeRequest = {
        ...addressOf('watch', resource, { namespace }),
        query: { ...rest, watch: true, allowWatchBookmarks: true },
        signal,
      };
      return watchEvents(nameOf(request), transport.stream(request, idleMs, opened));
    },
    counts: () => transport.counts(),
    close: () => transport.close(),
  };
  return client;
}

interface ListAnswer<T> {
  metadata: { resourceVersion: string; continue?: string };
  items?: T[] | null;
}

interface TokenAnswer {
  status: {
    authenticated?: boolean;
    user?: { username?: string; groups?: string[]; extra?: Record<string, string[]> };
    audiences?: string[];
    error?: string;
  };
}
