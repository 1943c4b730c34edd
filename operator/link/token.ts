/**
 * Owns the proof that a status port is the recorder of one very pod: the pod's own token, reviewed by the API server.
 * Invariant: a verdict holds for one token of one pod, by uid; an API server that does not answer gives no verdict, and tokens are kept as
 * their hashes only.
 */
import { hash } from 'node:crypto';
import type { TokenFacts } from '../kube/client.ts';
import { LINK_AUDIENCE } from '../naming.ts';

export interface PodIdentity {
  namespace: string;
  name: string;
  uid: string;
}

/** `why` is a sentence for people without its full stop. */
export type Verdict = { proven: true } | { proven: false; why: string };

export interface TokenProofs {
  /** @throws the error of the review: then nothing is known */
  prove(token: string, pod: PodIdentity): Promise<Verdict>;
  /** The pod is gone, and its verdict with it. */
  forget(podUid: string): void;
}

/** A proven token is asked about again after this (ms): one that was withdrawn must not count for ever. */
const PROVEN_MS = 30 * 60_000;
/** A refused one sooner: the API server may have learnt its key meanwhile. */
const REFUSED_MS = 60_000;

const POD_NAME = 'authentication.kubernetes.io/pod-name';
const POD_UID = 'authentication.kubernetes.io/pod-uid';

/** @param review asks the API server about a token for our audience (TokenReview) */
export function createTokenProofs(parts: {
  review(token: string): Promise<TokenFacts>;
  nowMs(): number;
}): TokenProofs {
  const known = new Map<string, { digest: string; untilMs: number; verdict: Verdict }>();
  return {
    async prove(token, pod) {
      const digest = hash('sha256', token);
      const before = known.get(pod.uid);
      if (before?.digest === digest && parts.nowMs() < before.untilMs) return before.verdict;
      const verdict = judge(await parts.review(token), pod);
      const holdsMs = verdict.proven ? PROVEN_MS : REFUSED_MS;
      known.set(pod.uid, { digest, untilMs: parts.nowMs() + holdsMs, verdict });
      return verdict;
    },
    forget: (podUid) => void known.delete(podUid),
  };
}

/** Holds what the API server says of a token against the pod that it should be of. */
export function judge(facts: TokenFacts, pod: PodIdentity): Verdict {
  if (!facts.authenticated) {
    return refuse(
      `the API server does not accept its token${facts.error === null ? '' : ` (${facts.error})`}`,
    );
  }
  // An API server that knows no audiences answers without any: such a token may be meant for anyone.
  if (!facts.audiences.includes(LINK_AUDIENCE)) return refuse('its token is not meant for the operator');
  if (!facts.username.startsWith(`system:serviceaccount:${pod.namespace}:`)) {
    return refuse(`its token is of no service account of the namespace ${pod.namespace}`);
  }
  const [name] = facts.extra[POD_NAME] ?? [];
  const [uid] = facts.extra[POD_UID] ?? [];
  // The review still accepts the token of a pod that went seconds ago; only the uid tells two pods of one name apart.
  if (name !== pod.name || uid !== pod.uid) {
    return refuse(`its token is that of another pod (${name ?? 'none'}), not of ${pod.name}`);
  }
  return { proven: true };
}

function refuse(why: string): Verdict {
  return { proven: false, why };
}
