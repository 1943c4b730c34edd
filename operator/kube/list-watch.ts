/**
 * Owns following one collection of the API server: list, watch from there, and list again whenever what was seen may have a hole.
 * Invariants: it goes on until its signal aborts, whatever fails; a silent connection is given up; after a failure it waits, longer each time.
 */
import { type BackoffRange, backoffMs } from './backoff.ts';
import { PAGE_LIMIT, type KubeClient, type Page, type Selection } from './client.ts';
import { type Clock, pause } from './clock.ts';
import { isExpired, isKubeError, KubeError } from './kube-error.ts';
import { isRefusedForGone } from './namespace.ts';
import type { KubeObject, Resource } from './resource.ts';

export interface ListWatchTimes {
  /** The server ends a watch after this, or up to a quarter more (s). */
  watchSeconds: number;
  /**
   * The longest silence of a watch (ms). Bookmarks come once a minute, but not before the server has seen a change of this kind; a watch
   * without them is begun again where it was.
   */
  idleMs: number;
  retry: BackoffRange;
  /** A watch that lasted so long counts as success (ms). */
  settledMs: number;
}

export const LIST_WATCH_TIMES: ListWatchTimes = {
  watchSeconds: 240,
  idleMs: 70_000,
  retry: { firstMs: 500, longestMs: 30_000 },
  settledMs: 30_000,
};

/** A watch that ends sooner, with nothing in it, was not one (ms). */
const SHORTEST_WATCH_MS = 1_000;

export interface ListWatchOptions<T extends KubeObject> {
  client: KubeClient;
  resource: Resource<T>;
  selection: Selection;
  times: ListWatchTimes;
  clock: Clock;
  /** 0 to 1. */
  random(): number;
  signal: AbortSignal;
  /** All there is, as of this version; null: there is no such namespace. */
  listed(objects: T[], resourceVersion: string | null): void;
  /** One change, in order. */
  changed(type: 'put' | 'removed', object: T): void;
  /** The server was heard of. @param resourceVersion what has been seen up to now; null: no more than before */
  heard(resourceVersion: string | null): void;
  /** A watch stands, or there is nothing to watch: nothing fails at present. */
  followed(): void;
  /** What failed; it is tried again after the wait. */
  failed(error: unknown, waitMs: number): void;
}

/** Follows the collection. Resolves when the signal aborts, and never rejects. */
export async function listAndWatch<T extends KubeObject>(options: ListWatchOptions<T>): Promise<void> {
  const { client, resource, selection, times, clock, random, signal } = options;
  const { namespace } = selection;
  let failures = 0;

  /** @param limit objects a page; 0 = all at once */
  async function listPages(limit: number): Promise<{ items: T[]; resourceVersion: string }> {
    const items: T[] = [];
    let from: string | undefined;
    for (;;) {
      const page: Page<T> = await client.listPage(resource, {
        ...selection,
        ...(limit === 0 ? {} : { limit }),
        continue: from,
        signal,
      });
      items.push(...page.items);
      options.heard(null);
      if (page.continue === null) return { items, resourceVersion: page.resourceVersion };
      from = page.continue;
    }
  }

  async function list(): Promise<string> {
    const { items, resourceVersion } = await listPages(PAGE_LIMIT).catch((error: unknown) => {
      // The pages took longer than the server keeps its versions.
      if (isExpired(error)) return listPages(0);
      throw error;
    });
    options.listed(items, resourceVersion);
    return resourceVersion;
  }

  /** One watch, to its end. @returns the version that it has come to */
  async function watch(from: string): Promise<string> {
    const startMs = clock.nowMs();
    let resourceVersion = from;
    let events = 0;
    const timeoutSeconds = Math.round(times.watchSeconds * (1 + random() / 4));
    const { idleMs } = times;
    let isOpen = false;
    const opened = () => {
      isOpen = true;
      options.followed();
    };
    try {
      const limits = { timeoutSeconds, idleMs, signal, opened };
      for await (const event of client.watch(resource, { ...selection, resourceVersion, ...limits })) {
        const { type, object } = event;
        events += 1;
        resourceVersion = object.metadata.resourceVersion ?? resourceVersion;
        if (type !== 'BOOKMARK') options.changed(type === 'DELETED' ? 'removed' : 'put', object);
        options.heard(resourceVersion);
      }
    } catch (error) {
      if (clock.nowMs() - startMs >= times.settledMs) failures = 0;
      // A connection that says nothing may be dead or may have nothing to say. The next one tells, and leaves nothing out.
      if (isOpen && isKubeError(error, 'TimedOut')) return resourceVersion;
      throw error;
    }
    if (events === 0 && clock.nowMs() - startMs < SHORTEST_WATCH_MS) {
      const call = `watch ${resource.plural}${namespace ? ` in ${namespace}` : ''}`;
      const message = 'the watch ended at once, without an event';
      throw new KubeError({ call, status: null, reason: 'Unreachable', message });
    }
    failures = 0;
    options.heard(resourceVersion);
    return resourceVersion;
  }

  /** The namespace is gone, and with it the right to ask: it is empty, until it comes again. */
  async function isGone(error: unknown): Promise<boolean> {
    if (!(await isRefusedForGone(error, namespace ?? null, client, signal)) || signal.aborted) return false;
    options.listed([], null);
    options.followed();
    failures = 0;
    await pause(clock, times.retry.longestMs, signal);
    return true;
  }

  while (!signal.aborted) {
    try {
      let resourceVersion = await list();
      while (!signal.aborted) resourceVersion = await watch(resourceVersion);
    } catch (error) {
      if (await isGone(error)) continue;
      if (signal.aborted) return;
      failures += 1;
      const askedMs = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
      const waitMs = Math.max(backoffMs(failures, times.retry, random), askedMs);
      options.failed(error, waitMs);
      await pause(clock, waitMs, signal);
    }
  }
}
