/**
 * Owns what the API server says of itself as issuer of service account tokens, asked again and again because its keys rotate.
 * Invariant: what it said last stays known while it can't be asked; the same keys are never news, in whatever order they come.
 */
import type { Logger } from 'pino';
import type { ClusterIssuer } from '../desired/access-configuration.ts';
import { canonicalJson } from '../desired/canonical-json.ts';
import type { KubeClient } from '../kube/client.ts';

export interface ClusterIssuerState {
  /** Null: it has not been told yet. */
  known: ClusterIssuer | null;
  /** Why it can't be asked now; null: it can. */
  problem: string | null;
}

export interface FollowedIssuer {
  readonly current: ClusterIssuerState;
  /** The first question was answered, or failed. */
  readonly askedOnce: Promise<void>;
  close(): void;
}

export interface IssuerParts {
  client: KubeClient;
  /** What is known, or whether it can be asked, has become another. */
  changed(): void;
  log: Logger;
  /** From one question to the next (ms); a failed one is repeated sooner. */
  everyMs?: number;
}

/** A new key is published before it signs; recorders have it after this and the minute that the kubelet takes. */
const EVERY_MS = 2 * 60_000;
const AGAIN_MS = 10_000;
const TIMEOUT_MS = 10_000;

export function followClusterIssuer({
  client,
  changed,
  log,
  everyMs = EVERY_MS,
}: IssuerParts): FollowedIssuer {
  const stop = new AbortController();
  let current: ClusterIssuerState = { known: null, problem: null };
  let timer: NodeJS.Timeout | null = null;

  async function ask(): Promise<void> {
    const before = current;
    try {
      const { issuer, keys } = await client.tokenIssuer({ timeoutMs: TIMEOUT_MS, signal: stop.signal });
      current = { known: { issuer, keys: keys.toSorted(byText) }, problem: null };
    } catch (error) {
      if (stop.signal.aborted) return;
      const problem = error instanceof Error ? error.message : String(error);
      current = { known: before.known, problem };
      if (before.problem === null) log.warn(problem);
    }
    if (stop.signal.aborted) return;
    timer = setTimeout(() => void ask(), current.problem === null ? everyMs : Math.min(AGAIN_MS, everyMs));
    if (canonicalJson(before) !== canonicalJson(current)) changed();
  }

  return {
    get current() {
      return current;
    },
    askedOnce: ask(),
    close() {
      stop.abort();
      if (timer !== null) clearTimeout(timer);
    },
  };
}

function byText(one: Record<string, unknown>, other: Record<string, unknown>): number {
  return canonicalJson(one) < canonicalJson(other) ? -1 : 1;
}
