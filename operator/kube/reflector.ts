/**
 * Owns a copy of the objects of one kind that follows the API server: of the whole cluster, or of some namespaces.
 * Invariants: it never stops by itself; after any doubt it compares itself with a fresh list; how old its knowledge is can be asked.
 */
import type { Logger } from 'pino';
import type { KubeClient } from './client.ts';
import { type Clock, pause, systemClock } from './clock.ts';
import { LIST_WATCH_TIMES, type ListWatchTimes, listAndWatch } from './list-watch.ts';
import type { KubeObject, Resource } from './resource.ts';
import { type ChangeListener, createStore } from './store.ts';

export interface ReflectorOptions<T extends KubeObject> {
  client: KubeClient;
  resource: Resource<T>;
  /** Empty: all. Of no meaning for a kind without namespaces. */
  namespaces: readonly string[];
  labelSelector?: string;
  fieldSelector?: string;
  /**
   * What is kept of an object, to need little memory; it may change the object. Name, namespace, uid and resource version must stay.
   * Default: all but `managedFields`.
   */
  trim?(object: T): T;
  /** How often all objects are told again, ms; 0 = never. Default: 10 minutes. */
  resyncMs?: number;
  log: Logger;
  times?: ListWatchTimes;
  clock?: Clock;
  random?(): number;
}

export interface ReflectorHealth {
  /** The copy has been complete once. */
  synced: boolean;
  /** For how long the server has not been heard of, of the namespace where it is longest (ms). In good order up to a minute. */
  silentMs: number;
  /** What fails at present; null when nothing does. */
  failure: string | null;
}

export interface Reflector<T extends KubeObject> {
  readonly resource: Resource<T>;
  /** Objects are shared: they are read, never changed. */
  get(namespace: string | null, name: string): Readonly<T> | undefined;
  /** @param namespace left out or null: all */
  list(namespace?: string | null): Readonly<T>[];
  readonly size: number;
  /** What the copy has come to; null: nothing yet. @param namespace needed where namespaces are followed one by one */
  lastSyncResourceVersion(namespace?: string): string | null;
  /** Resolves when the copy is complete for the first time. */
  readonly syncedOnce: Promise<void>;
  health(): ReflectorHealth;
  /** Told of changes from now on; what is there already is told by `list`. The answer ends it. */
  onChange(listener: ChangeListener<T>): () => void;
  /** Ends watches; resolves when nothing is told any more. */
  close(): Promise<void>;
}

const RESYNC_MS = 10 * 60_000;

interface Scope {
  namespace: string | null;
  resourceVersion: string | null;
  heardMs: number;
  failure: string | null;
}

/** Begins to follow at once. */
export function createReflector<T extends KubeObject>(options: ReflectorOptions<T>): Reflector<T> {
  const { client, resource, log, labelSelector, fieldSelector, trim = withoutManagedFields } = options;
  const { clock = systemClock, random = Math.random, times = LIST_WATCH_TIMES } = options;
  const { resyncMs = RESYNC_MS } = options;
  const stop = new AbortController();
  const store = createStore<T>((key, error) =>
    log.error({ err: error, resource: resource.plural, key }, 'a listener failed on a change'),
  );
  const isSplit = resource.namespaced && options.namespaces.length > 0;
  const namespaces = isSplit ? [...new Set(options.namespaces)] : [null];
  const scopes = namespaces.map(
    (namespace): Scope => ({ namespace, resourceVersion: null, heardMs: clock.nowMs(), failure: null }),
  );
  const complete = new Set<Scope>();
  const { promise: syncedOnce, resolve: synced } = Promise.withResolvers<void>();

  function follow(scope: Scope): Promise<void> {
    return listAndWatch<T>({
      client,
      resource,
      selection: { namespace: scope.namespace, labelSelector, fieldSelector },
      times,
      clock,
      random,
      signal: stop.signal,
      listed(objects, resourceVersion) {
        scope.resourceVersion = resourceVersion;
        store.replace(scope.namespace, objects.map(trim));
        complete.add(scope);
        if (complete.size === scopes.length) synced();
      },
      changed(type, object) {
        if (type === 'put') store.put(trim(object));
        else store.remove(object);
      },
      heard(resourceVersion) {
        scope.resourceVersion = resourceVersion ?? scope.resourceVersion;
        scope.heardMs = clock.nowMs();
      },
      followed() {
        if (scope.failure !== null)
          log.info({ resource: resource.plural }, 'the API server is followed again');
        scope.failure = null;
        scope.heardMs = clock.nowMs();
      },
      failed(error, waitMs) {
        scope.failure = error instanceof Error ? error.message : String(error);
        log.warn({ resource: resource.plural, wait_ms: Math.round(waitMs) }, scope.failure);
      },
    });
  }

  async function resync(): Promise<void> {
    while (resyncMs > 0 && !stop.signal.aborted) {
      await pause(clock, resyncMs * (1 + random() / 10), stop.signal);
      if (!stop.signal.aborted) store.tellAgain();
    }
  }

  const running = Promise.all([...scopes.map(follow), resync()]);
  return {
    resource,
    get: (namespace, name) => store.get(namespace, name),
    list: (namespace) => store.list(namespace),
    get size() {
      return store.size;
    },
    lastSyncResourceVersion: (asked) =>
      scopes.find(({ namespace }) => namespace === null || namespace === asked)?.resourceVersion ?? null,
    syncedOnce,
    health: () => ({
      synced: complete.size === scopes.length,
      silentMs: clock.nowMs() - Math.min(...scopes.map(({ heardMs }) => heardMs)),
      failure: scopes.find(({ failure }) => failure !== null)?.failure ?? null,
    }),
    onChange: (listener) => store.onChange(listener),
    async close() {
      stop.abort();
      await running;
    },
  };
}

/** The fields' owners are most of many objects, and of no use here. */
function withoutManagedFields<T extends KubeObject>(object: T): T {
  Reflect.deleteProperty(object.metadata, 'managedFields');
  return object;
}
