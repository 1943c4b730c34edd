/**
 * Owns the life of one replica: its parts are made, joined and ended here, and nowhere else.
 * Invariants: every replica answers the webhook, the one that holds the Lease reconciles; when told to end, a replica first stops to be
 * asked, finishes what it writes, hands over the Lease, and ends when nobody waits for an answer of it.
 */
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { followIdentity, type Identity } from './identity.ts';
import type { KubeClient } from './kube/client.ts';
import { createEvents } from './kube/events.ts';
import { createLeadership, type LeaseTimes } from './kube/lease.ts';
import type { ReflectorHealth } from './kube/reflector.ts';
import { createLookup } from './lookup.ts';
import { createOperatorMetrics } from './metrics.ts';
import { clusterNames } from './naming.ts';
import { followServers } from './reconcile/copies.ts';
import { SECRETS } from './reconcile/kinds.ts';
import { type Leader, startLeading } from './reconcile/leader.ts';
import type { Settings } from './settings.ts';
import { createOperatorStatusServer, type Health } from './status-server.ts';
import { sessionKeyOf } from './webhook/certificates.ts';
import { createWebhookServer, type WebhookServer } from './webhook/server.ts';

export interface RunOptions {
  client: KubeClient;
  settings: Settings;
  /** The pod's name, or the machine's. */
  host: string;
  log: Logger;
  times?: LeaseTimes;
}

export interface Replica {
  /** Rejects when this replica can't do its work any more. */
  failed: Promise<never>;
  /** Resolves when everything has ended. Idempotent. */
  close(): Promise<void>;
}

/** How Events name who tells them. */
const CONTROLLER = 'mcp-recorder.dev/operator';
/** A copy that has not heard of the API server for so long, and knows of no failure, has stopped to follow it (ms). */
const STUCK_MS = 10 * 60_000;

/** @throws errors of the system when a port can't be bound */
export async function startReplica(options: RunOptions): Promise<Replica> {
  const { client, settings, log } = options;
  const servers = followServers({ client, namespaces: settings.watchNamespaces, log });
  const identity = followIdentity({ client, settings, log });
  const events = createEvents({
    client,
    controller: CONTROLLER,
    instance: options.host,
    log,
  });
  /** What comes and goes. */
  const live: { leader: Leader | null; webhook: Promise<WebhookServer> | null; isServing: boolean } = {
    leader: null,
    webhook: null,
    isServing: false,
  };
  let ending: Promise<void> | null = null;

  const metrics = createOperatorMetrics({
    calls: client.counts,
    isLeader: () => leadership.isLeader,
    queueDepth: () => live.leader?.queueDepth ?? 0,
    queueFailing: () => live.leader?.queueFailing ?? 0,
    resources: () => (leadership.isLeader ? servers.list() : []),
    certificateEnds: () => identity.current()?.ends ?? new Map(),
  });

  function current(): Identity {
    const known = identity.current();
    if (known === null) throw new Error('the operator has no identity yet');
    return known;
  }

  const lookup = createLookup({
    client,
    servers,
    pods: () => live.leader?.pods ?? null,
    nowMs: () => performance.now(),
  });

  async function serveWebhook(): Promise<WebhookServer> {
    const server = await createWebhookServer({
      host: '::',
      port: settings.webhook.port,
      certificate: servingPair(current()),
      parts: {
        lookup,
        settings,
        configKeys: () => current().configurationKeys,
        sessionKey: (namespace, name) => sessionKeyOf(current().data, namespace, name),
      },
      log,
      onAnswer: ({ kind, outcome, seconds }) => metrics.admitted(kind, outcome, seconds),
    });
    live.isServing = true;
    log.info({ port: server.port }, 'the webhook answers');
    return server;
  }

  async function useIdentity(): Promise<void> {
    if (ending !== null) return;
    if (live.webhook === null) live.webhook = serveWebhook();
    else (await live.webhook).useCertificate(servingPair(current()));
  }
  const { promise: failed, reject: fail } = Promise.withResolvers<never>();
  identity.onChange(() => void useIdentity().catch(fail));

  const status = await createOperatorStatusServer({
    port: settings.status.port,
    alive: () =>
      aliveness([...(live.leader?.copies ?? []), servers, { resource: SECRETS, health: identity.health }]),
    ready: () => ({
      reasons: [
        ...(ending === null ? [] : ['this replica is ending']),
        ...incompleteness(servers.health()),
        ...(identity.current() === null ? ['there is no identity yet: the replica that leads makes it'] : []),
        ...(live.isServing ? [] : ['the webhook does not listen yet']),
      ],
    }),
    registry: metrics.registry,
  });
  const leadership = createLeadership({
    client,
    lease: { namespace: settings.namespace, name: clusterNames(settings.fullname).lease },
    identity: `${options.host}-${randomBytes(4).toString('hex')}`,
    log,
    ...(options.times === undefined ? {} : { times: options.times }),
    async lead(signal) {
      const leader = startLeading({ client, settings, servers, identity, metrics, events, log });
      live.leader = leader;
      await aborted(signal);
      await leader.close();
      live.leader = null;
    },
  });

  async function end(): Promise<void> {
    log.info('ending');
    const webhook = await live.webhook?.catch(() => null);
    await Promise.all([leadership.close(), webhook?.close()]);
    await Promise.all([servers.close(), identity.close(), status.close(), events.close()]);
    await client.close();
    log.info('ended');
  }
  return {
    failed,
    close() {
      ending ??= end();
      return ending;
    },
  };
}

function servingPair({ data }: Identity) {
  return { certificate: data['tls.crt'], key: data['tls.key'] };
}

function incompleteness({ synced, failure }: ReflectorHealth): string[] {
  if (synced) return [];
  return [`the copy of the RecordedMCPServers is not complete yet${failure === null ? '' : `: ${failure}`}`];
}

function aliveness(copies: readonly { resource: { plural: string }; health(): ReflectorHealth }[]): Health {
  const stuck = copies.filter((copy) => {
    const { silentMs, failure } = copy.health();
    return failure === null && silentMs > STUCK_MS;
  });
  return { reasons: stuck.map(({ resource }) => `the copy of the ${resource.plural} has stopped`) };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
