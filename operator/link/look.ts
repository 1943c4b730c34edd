/**
 * Owns the looks at recorded pods: the recorder's answer, an attempt to pass it by, its answer again; every pod in turn, for ever.
 * Invariant: a look is a whole: what stands before and after the attempt is of the same proven recorder, or the look says why not;
 * never more than `concurrency` at once, and each pod again within ten seconds unless that bound is reached.
 */
import type { SecureContext } from 'node:tls';
import type { LinkAnswer, Look } from '../desired/observed.ts';
import { dial, type DialOutcome } from './dial.ts';
import { pollLink, type PollResult, type RawLink } from './poll.ts';
import type { PodIdentity, TokenProofs } from './token.ts';

/** A pod to look at. */
export interface LookTarget extends PodIdentity {
  /** Where its recorder is asked. */
  host: string;
  /** All that it has: a policy may hold in one family of addresses and not in the other. */
  addresses: readonly string[];
  statusPort: number;
  /** Null: not known, or the recorder stands there itself. */
  serverPort: number | null;
}

export interface Looks {
  /** The pods of one resource from now on; those that are no longer among them are forgotten. */
  watch(key: string, targets: readonly LookTarget[]): void;
  /** Looks at the pods of a resource now: something was done that should show. */
  soon(key: string): void;
  /** The newest whole look at each pod of a resource, by uid. */
  of(key: string): ReadonlyMap<string, Look>;
  /** Ends the looks; resolves when none is under way. */
  stop(): Promise<void>;
}

export interface LookParts {
  /** The operator's client certificate; asked at each look, as it is renewed. */
  secureContext(): SecureContext;
  proofs: TokenProofs;
  /** A look found something else than the one before. */
  changed(key: string): void;
  /** Every look that was finished, for counting. */
  finished(look: Look): void;
  nowMs(): number;
  /** From 0 to 1. */
  random(): number;
}

/** From the beginning of a look to that of the next at the same pod (ms); a look itself takes up to 5 s. */
const EVERY_MS = { least: 6_000, most: 9_000 };
/** A burst of resources is spread over this time (ms). */
const SOON_MS = 200;
/** A closed port holds its look for a second: this many keep 500 pods within their time. */
const CONCURRENCY = 96;

interface Watched {
  target: LookTarget;
  key: string;
  look: Look | null;
  print: string;
  timer: NodeJS.Timeout | null;
  busy: boolean;
  /** Asked for while one was under way. */
  again: boolean;
}

/** @param concurrency looks at one time */
export function createLooks(parts: LookParts, concurrency = CONCURRENCY): Looks {
  /** By resource, then by uid of the pod. */
  const watched = new Map<string, Map<string, Watched>>();
  const waiting: Watched[] = [];
  const running = new Set<Promise<void>>();
  let stopped = false;

  function schedule(pod: Watched, inMs: number): void {
    if (pod.timer !== null) clearTimeout(pod.timer);
    pod.timer = setTimeout(() => {
      pod.timer = null;
      waiting.push(pod);
      startWaiting();
    }, inMs);
  }

  function startWaiting(): void {
    while (!stopped && running.size < concurrency) {
      const pod = waiting.shift();
      if (pod === undefined) return;
      if (!isWatched(pod)) continue;
      const run = lookAt(pod).finally(() => {
        running.delete(run);
        startWaiting();
      });
      running.add(run);
    }
  }

  async function lookAt(pod: Watched): Promise<void> {
    const beganMs = parts.nowMs();
    pod.busy = true;
    const look = await takeLook(pod.target, parts);
    pod.busy = false;
    if (stopped || !isWatched(pod)) {
      // What this look proved came after the pod was forgotten.
      parts.proofs.forget(pod.target.uid);
      return;
    }
    const print = fingerprint(look);
    const isNews = print !== pod.print;
    pod.look = look;
    pod.print = print;
    const { least, most } = EVERY_MS;
    const nextMs = least + parts.random() * (most - least) - (parts.nowMs() - beganMs);
    schedule(pod, pod.again ? 0 : Math.max(0, nextMs));
    pod.again = false;
    parts.finished(look);
    if (isNews) parts.changed(pod.key);
  }

  function isWatched(pod: Watched): boolean {
    return watched.get(pod.key)?.get(pod.target.uid) === pod;
  }

  function forget(pod: Watched): void {
    if (pod.timer !== null) clearTimeout(pod.timer);
    parts.proofs.forget(pod.target.uid);
  }

  return {
    watch(key, targets) {
      const before = watched.get(key) ?? new Map<string, Watched>();
      const now = new Map<string, Watched>();
      for (const target of targets) {
        const known = before.get(target.uid);
        if (known !== undefined && sameTarget(known.target, target)) {
          now.set(target.uid, known);
          continue;
        }
        const pod = { target, key, look: null, print: '', timer: null, busy: false, again: false };
        now.set(target.uid, pod);
        schedule(pod, parts.random() * SOON_MS);
      }
      if (now.size === 0) watched.delete(key);
      else watched.set(key, now);
      for (const [uid, pod] of before) if (now.get(uid) !== pod) forget(pod);
    },
    soon(key) {
      for (const pod of watched.get(key)?.values() ?? []) {
        if (pod.busy) pod.again = true;
        else if (!waiting.includes(pod)) schedule(pod, parts.random() * SOON_MS);
      }
    },
    of(key) {
      const looks = new Map<string, Look>();
      for (const [uid, { look }] of watched.get(key) ?? []) if (look !== null) looks.set(uid, look);
      return looks;
    },
    async stop() {
      stopped = true;
      for (const pods of watched.values()) for (const pod of pods.values()) forget(pod);
      watched.clear();
      await Promise.all(running);
    },
  };
}

/** One look: link, dial, link. Never rejects. */
async function takeLook(target: LookTarget, parts: LookParts): Promise<Look> {
  const ask = (): Promise<PollResult> =>
    pollLink({ host: target.host, port: target.statusPort, secureContext: parts.secureContext() });
  const before = await ask();
  // Also without an answer: that a connection was made is proof enough that there is a way.
  const outcome = await tryAll(target);
  const link = before.ok ? await attest(before.link, await ask(), target, parts.proofs) : before;
  return { atMs: parts.nowMs(), link, dial: outcome };
}

/** One address that lets somebody in is enough, and one that could not be tried leaves it open whether it does. */
async function tryAll({ addresses, serverPort }: LookTarget): Promise<DialOutcome> {
  if (serverPort === null) return 'not-tried';
  const outcomes = await Promise.all(addresses.map((address) => dial(address, serverPort)));
  const worst =
    outcomes.find((outcome) => outcome === 'connected') ??
    outcomes.find((outcome) => outcome === 'not-tried');
  return worst ?? outcomes[0] ?? 'not-tried';
}

async function attest(
  before: RawLink,
  after: PollResult,
  target: LookTarget,
  proofs: TokenProofs,
): Promise<Look['link']> {
  if (!after.ok) return after;
  try {
    const tokens = new Set([before.token, after.link.token]);
    const proven = await Promise.all([...tokens].map((token) => isOfPod(token, target, proofs)));
    return { ok: true, answer: toAnswer(after.link, proven.every(Boolean)) };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { ok: false, why: `the API server could not be asked about the recorder's token: ${why}` };
  }
}

async function isOfPod(token: string | null, pod: PodIdentity, proofs: TokenProofs): Promise<boolean> {
  return token !== null && (await proofs.prove(token, pod)).proven;
}

function toAnswer({ status, configuration, server }: RawLink, proven: boolean): LinkAnswer {
  return {
    proven,
    status,
    configuration: {
      digest: configuration.digest,
      restartNeeded: configuration.restart_needed,
      refused: configuration.refused,
    },
    server: {
      port: server.port,
      listens: server.listens,
      foreignConnections: server.foreign_connections,
    },
  };
}

function sameTarget(one: LookTarget, other: LookTarget): boolean {
  return (
    one.host === other.host &&
    one.addresses.join() === other.addresses.join() &&
    one.statusPort === other.statusPort &&
    one.serverPort === other.serverPort
  );
}

/** What of a look may change a decision; texts that count seconds are left out, for they would always be news. */
function fingerprint({ link, dial: outcome }: Look): string {
  if (!link.ok) return JSON.stringify([outcome, false]);
  const { proven, status, configuration, server } = link.answer;
  const { gate, stream, draining, version } = status;
  const peers = server.foreignConnections.toSorted();
  const issuers = status.auth?.issuers.map(({ issuer, state }) => [issuer, state]);
  const failing = status.rules?.errors.map(({ rule }) => rule);
  const credential = status.credential?.problem;
  const known = [gate.state, gate.reason, stream, draining, version, issuers, failing, credential];
  return JSON.stringify([outcome, true, proven, known, configuration, server.port, server.listens, peers]);
}
