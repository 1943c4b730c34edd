/**
 * Owns how long the keys of one issuer are trusted, and when they are fetched anew.
 * Invariants: keys are used for at most `maxKeyAgeMs` after the fetch that brought them; one fetch at a time, and apart from those that the
 * clock starts, at most one in ON_DEMAND_MS, whoever asks.
 */
import { runApart } from '../apart.ts';
import type { IssuerConfiguration } from '../config/access.ts';
import type { KeysAnswer, KeysRequest } from './fetch-keys.ts';
import type { IssuerHealth } from './identity.ts';
import { createKeySet, type KeySet } from './key-set.ts';
import type { Turns } from './turns.ts';

export interface IdentityLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface IssuerKeysParts {
  maxKeyAgeMs: number;
  /** Milliseconds since the epoch. */
  nowMs(): number;
  /** Milliseconds that only grow. */
  monotonicMs(): number;
  log: IdentityLog;
  /** Turns of the processes that fetch. */
  turns: Turns;
}

export interface IssuerKeys {
  readonly set: KeySet;
  /** Whether there are keys that are not too old. */
  readonly isUsable: boolean;
  /** Whether the last fetch failed, or none has ended. */
  readonly isFailing: boolean;
  /** Resolves when a fetch has ended, well or not; null when none is running and none may be started now. */
  refresh(): Promise<void> | null;
  health(): IssuerHealth;
  /** The same keys for one more user, so that another configuration does not have to wait for them. */
  share(): IssuerKeys;
  /** One user needs them no more; with the last one fetching ends. */
  close(): void;
}

/** Keys are fetched anew so often (ms), more often where they may be used for less than four times that. */
const REFRESH_MS = 5 * 60_000;
const SHARE_OF_AGE = 1 / 4;
/** After a failure the next try comes after this (ms), then after twice as long, at most RETRY_MOST_MS. */
const RETRY_MS = 10_000;
const RETRY_MOST_MS = 60_000;
/** Tokens can make the recorder fetch so often (ms). */
const ON_DEMAND_MS = 10_000;

/** Keys that were given with the configuration: always there, never fetched. */
export function createGivenKeys(
  issuer: string,
  jwks: { keys: Record<string, unknown>[] },
  nowMs: number,
): IssuerKeys {
  const set = createKeySet();
  set.replace(jwks.keys);
  const given: IssuerKeys = {
    set,
    isUsable: true,
    isFailing: false,
    refresh: () => null,
    health: () => ({ issuer, state: 'Ok', keysAgeMs: null, problem: null, sinceMs: nowMs }),
    share: () => given,
    close() {},
  };
  return given;
}

/** Keys by discovery; the first fetch begins at once. */
export function createFetchedKeys({ issuer, ca }: IssuerConfiguration, parts: IssuerKeysParts): IssuerKeys {
  const { maxKeyAgeMs, nowMs, monotonicMs, log, turns } = parts;
  const set = createKeySet();
  const closed = new AbortController();
  const refreshMs = Math.max(RETRY_MS, Math.min(REFRESH_MS, maxKeyAgeMs * SHARE_OF_AGE));
  const request: KeysRequest = { issuer, ca };
  let running: Promise<void> | null = null;
  let timer: NodeJS.Timeout | undefined;
  let lastOnDemandMs = Number.NEGATIVE_INFINITY;
  /** When the fetch that brought the keys began. */
  let fetchedMs: number | null = null;
  let failures = 0;
  let problem: string | null = null;
  /** Since when it is as it is: working, or failing. */
  let sinceMs = nowMs();
  let users = 1;

  async function fetchOnce(): Promise<void> {
    const startMs = monotonicMs();
    const answer = await turns(async () => {
      if (closed.signal.aborted) throw new Error('called off');
      const output = await runApart('identity/fetch-keys', JSON.stringify(request), closed.signal);
      return JSON.parse(output) as KeysAnswer;
    }).catch((error: unknown): KeysAnswer => ({ ok: false, problem: (error as Error).message }));
    if (closed.signal.aborted) return;
    if (answer.ok) succeeded(answer.keys, startMs);
    else failed(answer.problem);
  }

  function succeeded(keys: Record<string, unknown>[], startMs: number): void {
    const isFirst = fetchedMs === null;
    const changed = set.replace(keys);
    fetchedMs = startMs;
    if (isFirst || problem !== null) sinceMs = nowMs();
    if (problem !== null) {
      log.info({ issuer }, `the keys of the issuer ${issuer} can be fetched again`);
    } else if (changed && !isFirst) {
      log.info(
        { issuer, keys: set.candidates(undefined).length },
        `the keys of the issuer ${issuer} changed`,
      );
    }
    failures = 0;
    problem = null;
    schedule(refreshMs);
  }

  function failed(why: string): void {
    const wasWorking = problem === null;
    problem = why;
    failures += 1;
    schedule(Math.min(RETRY_MOST_MS, RETRY_MS * 2 ** (failures - 1), refreshMs));
    // That it goes on shows in status and metrics.
    if (!wasWorking) return;
    sinceMs = nowMs();
    const hint =
      fetchedMs === null
        ? 'Until they can be, tokens of this issuer are answered with 503.'
        : `Those fetched last are used for at most ${Math.round(maxKeyAgeMs / 1000)} s, then its tokens are answered with 503.`;
    log.warn({ issuer, problem: why, hint }, `the keys of the issuer ${issuer} can't be fetched`);
  }

  function schedule(afterMs: number): void {
    clearTimeout(timer);
    timer = setTimeout(start, afterMs);
    timer.unref();
  }

  function start(): Promise<void> {
    running ??= fetchOnce().finally(() => {
      running = null;
    });
    return running;
  }

  function ageMs(): number {
    return fetchedMs === null ? Number.POSITIVE_INFINITY : monotonicMs() - fetchedMs;
  }

  void start();

  const fetched: IssuerKeys = {
    set,
    get isUsable() {
      return ageMs() <= maxKeyAgeMs;
    },
    get isFailing() {
      return problem !== null || fetchedMs === null;
    },
    refresh() {
      if (running !== null) return running;
      if (closed.signal.aborted || monotonicMs() - lastOnDemandMs < ON_DEMAND_MS) return null;
      lastOnDemandMs = monotonicMs();
      return start();
    },
    health() {
      const age = ageMs();
      const state = age > maxKeyAgeMs ? 'Unavailable' : problem === null ? 'Ok' : 'Stale';
      const keysAgeMs = fetchedMs === null ? null : Math.round(age);
      // It went from stale to closed when the age passed its bound, not when the fetches began to fail.
      const overMs = state === 'Unavailable' && fetchedMs !== null ? age - maxKeyAgeMs : null;
      return {
        issuer,
        state,
        keysAgeMs,
        problem,
        sinceMs: overMs === null ? sinceMs : Math.max(sinceMs, Math.round(nowMs() - overMs)),
      };
    },
    share() {
      users += 1;
      return fetched;
    },
    close() {
      users -= 1;
      if (users > 0) return;
      closed.abort();
      clearTimeout(timer);
    },
  };
  return fetched;
}
