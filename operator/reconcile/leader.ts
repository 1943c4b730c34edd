/**
 * Owns what only the replica that leads does: its copies of the cluster, the looks at pods, and the queue of all that is to be reconciled.
 * Invariants: no resource is reconciled before the copies are complete; a change makes work for the keys that it is news for, many changes in
 * a short time make it once; after `close` nothing is written any more.
 */
import type { Logger } from 'pino';
import { type IdentityCopy, keepIdentity } from '../identity.ts';
import type { KubeClient } from '../kube/client.ts';
import type { EventEmitter } from '../kube/events.ts';
import { KubeError } from '../kube/kube-error.ts';
import { createQueue } from '../kube/queue.ts';
import type { Reflector } from '../kube/reflector.ts';
import { type KubeObject, keyOf } from '../kube/resource.ts';
import { createLooks } from '../link/look.ts';
import { createTokenProofs } from '../link/token.ts';
import type { OperatorMetrics } from '../metrics.ts';
import { LINK_AUDIENCE } from '../naming.ts';
import type { Settings } from '../settings.ts';
import { sessionKeyOf } from '../webhook/certificates.ts';
import { createAdmissionState, FOLLOWED_MS } from './admission-state.ts';
import { tellAffected } from './affected.ts';
import { followClusterObjects } from './cluster-copies.ts';
import { followClusterIssuer } from './cluster-issuer.ts';
import { chartOwner, createClusterObjects } from './cluster-objects.ts';
import { closeAll, completeOnce, type Copies, followAll, type ServerCopy } from './copies.ts';
import { createResourceReconciler } from './resources.ts';
import { createWorkloads } from './workloads.ts';
import { createWritten } from './written.ts';

export interface LeaderParts {
  client: KubeClient;
  settings: Settings;
  servers: ServerCopy;
  identity: IdentityCopy;
  metrics: OperatorMetrics;
  events: EventEmitter;
  log: Logger;
}

export interface Leader {
  readonly pods: Copies['pods'];
  /** Copies of the cluster that have to follow it. */
  readonly copies: readonly Pick<Reflector<KubeObject>, 'health' | 'resource'>[];
  readonly queueDepth: number;
  readonly queueFailing: number;
  /** Finishes what is under way, and begins nothing more. */
  close(): Promise<void>;
}

/** Keys of the items that are no resource; no resource's key is like them. */
const CLUSTER = '@cluster';
const IDENTITY = '@identity';

/** Reconciles at one time: they wait for the API server most of their time. */
const CONCURRENCY = 8;
/** The least time between the beginnings of two reconciles of one key that changes call for (ms). */
const PACE_MS = 250;
/** Changes that belong together come together (ms). */
const GATHER_MS = 20;

export function startLeading(parts: LeaderParts): Leader {
  const { client, settings, servers, identity, metrics, log } = parts;
  const nowMs = () => performance.now();
  const wallMs = () => Date.now();
  const copies = followAll(servers, { client, namespaces: settings.watchNamespaces, log });
  const clusterCopies = followClusterObjects(client, log);
  const admission = createAdmissionState(nowMs);
  const written = createWritten(nowMs);
  const begun = new Map<string, number>();
  const looks = createLooks({
    secureContext() {
      const current = identity.current();
      if (current === null) throw new Error('the operator has no identity yet');
      return current.linkContext;
    },
    proofs: createTokenProofs({ review: (token) => client.tokenReview(token, [LINK_AUDIENCE]), nowMs }),
    changed: (key) => affect(key),
    finished: metrics.looked,
    nowMs: wallMs,
    random: Math.random,
  });
  const issuer = followClusterIssuer({
    client,
    changed() {
      for (const server of servers.list())
        if (server.spec.auth?.kubernetes !== undefined) affect(keyOf(server));
    },
    log,
  });
  const cluster = createClusterObjects({
    client,
    settings,
    servers,
    copies: clusterCopies,
    written,
    admission,
    identity: identity.current,
    changed: (key) => affectLater(key, FOLLOWED_MS),
    log,
  });
  const resources = createResourceReconciler({
    client,
    written,
    copies,
    workloads: createWorkloads(client, copies),
    looks,
    settings,
    admissionReady: admission.ready,
    clusterIssuer: () => issuer.current,
    linkAuthority: () => identity.current()?.authorities ?? '',
    sessionKey(namespace, name) {
      const current = identity.current();
      return current === null ? '' : sessionKeyOf(current.data, namespace, name);
    },
    sign: (namespace, name, files) => identity.current()?.sign(namespace, name, files) ?? '',
    nowMs: wallMs,
    wantAdmission(key, wanted) {
      if (admission.want(key, wanted)) affect(CLUSTER);
    },
    events: parts.events,
    log,
  });
  const queue = createQueue({
    concurrency: CONCURRENCY,
    async reconcile(key, signal) {
      begun.set(key, nowMs());
      if (key === CLUSTER) return cluster.reconcile(signal);
      if (key === IDENTITY) return renewIdentity();
      // Nothing is configured without a signature; the identity's arrival calls for all keys again.
      if (identity.current() === null) return null;
      const againMs = await resources.reconcile(key, signal);
      if (againMs === null) begun.delete(key);
      return againMs;
    },
    failed(key, error, failures, waitMs) {
      const facts = { key, failures, wait_ms: Math.round(waitMs) };
      if (error instanceof KubeError) log.warn(facts, error.message);
      // A mistake of ours: where it happened is what helps.
      else log.error({ ...facts, err: error }, 'a reconcile failed');
    },
    ended: (key, tookMs, outcome) =>
      metrics.reconciled(key.startsWith('@') ? 'cluster' : 'resource', outcome, tookMs),
  });

  async function renewIdentity(): Promise<number> {
    const owner = await chartOwner(client, settings.fullname);
    const published = cluster.publishedAuthorities();
    const known = identity.current();
    return keepIdentity({ client, settings, log, known, published, owner, now: new Date() });
  }

  function affect(key: string): void {
    const sinceMs = nowMs() - (begun.get(key) ?? Number.NEGATIVE_INFINITY);
    queue.addAfter(key, Math.max(GATHER_MS, PACE_MS - sinceMs));
  }

  /** A time of its own: what else calls for the key meanwhile comes too early. */
  function affectLater(key: string, ms: number): void {
    const timer = setTimeout(() => {
      timers.delete(timer);
      affect(key);
    }, ms);
    timers.add(timer);
  }

  const timers = new Set<NodeJS.Timeout>();
  let closed = false;
  const ends: (() => void)[] = [];
  async function begin(): Promise<void> {
    await Promise.all(Object.values(clusterCopies).map(({ syncedOnce }) => syncedOnce));
    if (closed) return;
    for (const copy of Object.values(clusterCopies)) ends.push(copy.onChange(() => affect(CLUSTER)));
    ends.push(identity.onTouched(() => affect(IDENTITY)));
    // Without waiting for the rest: where the definition is missing, no copy of resources is ever complete, and policies refuse every pod.
    queue.add(IDENTITY);
    queue.add(CLUSTER);
    await Promise.all([completeOnce(copies), issuer.askedOnce]);
    if (closed) return;
    ends.push(tellAffected(copies, affect));
    ends.push(
      servers.onChange((_, before, now) => {
        if (before === undefined || now === undefined) affect(CLUSTER);
      }),
      identity.onChange(() => {
        affect(CLUSTER);
        for (const server of servers.list()) affect(keyOf(server));
      }),
    );
    affect(CLUSTER);
    for (const server of servers.list()) queue.add(keyOf(server));
    log.info({ resources: servers.size }, 'reconciling');
  }
  void begin();

  return {
    pods: copies.pods,
    copies: [...Object.values(copies), ...Object.values(clusterCopies)],
    get queueDepth() {
      return queue.depth;
    },
    get queueFailing() {
      return queue.failing;
    },
    async close() {
      closed = true;
      for (const end of ends) end();
      for (const timer of timers) clearTimeout(timer);
      issuer.close();
      await Promise.all([queue.close(), looks.stop()]);
      await Promise.all([closeAll(copies), ...Object.values(clusterCopies).map((copy) => copy.close())]);
    },
  };
}
