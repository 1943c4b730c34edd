/**
 * Owns what the webhook knows of the cluster, on every replica.
 * Invariant: a copy that does not follow the API server is not asked; then, and when the webhook wants it, the API server itself is.
 */
import type { RecordedMCPServer } from './api/recorded-mcp-server.ts';
import type { KubeClient } from './kube/client.ts';
import type { Copies, ServerCopy } from './reconcile/copies.ts';
import { PODS, RECORDED_SERVERS } from './reconcile/kinds.ts';
import { trimPod } from './reconcile/trim.ts';
import type { Lookup } from './webhook/judge.ts';

export interface LookupParts {
  client: KubeClient;
  servers: ServerCopy;
  /** The copy of the replica that leads; null on the others. */
  pods(): Copies['pods'] | null;
  nowMs(): number;
}

/** A quiet watch is heard of about once a minute (ms). */
const SILENT_MS = 90_000;
/** How old pods may be (ms): Services are applied in bursts. */
const PODS_FRESH_MS = 3_000;
/** Below the time that the webhook has for its answer (ms). */
const TIMEOUT_MS = 2_000;

export function createLookup({ client, servers, pods, nowMs }: LookupParts): Lookup {
  const recent = new Map<string, { atMs: number; list: ReturnType<Lookup['podsOf']> }>();

  function ask(namespace: string): Promise<readonly RecordedMCPServer[]> {
    return client.list(RECORDED_SERVERS, { namespace, timeoutMs: TIMEOUT_MS });
  }

  return {
    async resourcesOf(namespace, fresh) {
      return !fresh && follows(servers) ? servers.list(namespace) : ask(namespace);
    },
    async podsOf(namespace) {
      const copy = pods();
      if (copy !== null && follows(copy)) return copy.list(namespace);
      const known = recent.get(namespace);
      if (known !== undefined && nowMs() - known.atMs < PODS_FRESH_MS) return known.list;
      for (const [other, { atMs }] of recent) if (nowMs() - atMs >= PODS_FRESH_MS) recent.delete(other);
      const list = askForPods(client, namespace);
      recent.set(namespace, { atMs: nowMs(), list });
      try {
        return await list;
      } catch (error) {
        recent.delete(namespace);
        throw error;
      }
    },
  };
}

async function askForPods(client: KubeClient, namespace: string) {
  return (await client.list(PODS, { namespace, timeoutMs: TIMEOUT_MS })).map(trimPod);
}

function follows(copy: Pick<ServerCopy, 'health'>): boolean {
  const { synced, silentMs, failure } = copy.health();
  return synced && failure === null && silentMs < SILENT_MS;
}
