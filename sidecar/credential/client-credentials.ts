/**
 * Owns the access token that the server gets by client credentials (RFC 6749, 4.4): when one is asked for, and how long it is used.
 * Invariant: one is asked for at a time, by a process that ends, and only when a request needs one or soon will; a token that is still good
 * is used whatever becomes of the next.
 */
import { runApart } from '../apart.ts';
import type { CredentialConfiguration } from '../config/access.ts';
import type { CredentialAnswer, UpstreamCredential } from './credential.ts';
import type { TokenAnswer, TokenRequest } from './fetch-token.ts';
import type { SecretFiles, SecretValues } from './secret-files.ts';

/** What share of its life a token is used before the next is asked for. */
const RENEW_AFTER = 0.8;
/** A token is given up that long before its end (ms), but of a short life only this share. */
const MARGIN_MS = 30_000;
const LAST_SHARE = 0.1;
/** For a provider that does not say how long its tokens live (RFC 6749, 5.1), and at least for all others (ms). */
const UNSAID_LIFE_MS = 300_000;
const SHORTEST_LIFE_MS = 1_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

interface Token {
  answer: CredentialAnswer;
  clientId: string;
  /** Of the files that it was asked for with. */
  generation: number;
  beganMs: number;
  renewMs: number;
  untilMs: number;
}

type Configuration = CredentialConfiguration & { kind: 'clientCredentials' };
type Secrets = SecretValues & { ok: true };

export function createClientCredentials(
  configuration: Configuration,
  files: SecretFiles,
  nowMs: () => number,
): UpstreamCredential {
  let token: Token | null = null;
  /** Its answer is null when there is no token. */
  let asking: Promise<Token | null> | null = null;
  /** How the last try went, and of which generation of the files it was. */
  let tried = { generation: 0, failures: 0, nextMs: 0, problem: null as string | null };

  async function ask(secrets: Secrets): Promise<Token | null> {
    const { generation } = secrets;
    const beganMs = nowMs();
    const answer = await fetchToken(configuration, secrets);
    asking = null;
    if (answer.ok) {
      tried = { generation, failures: 0, nextMs: 0, problem: null };
      token = tokenOf(answer, secrets, beganMs);
      return token;
    }
    const failures = tried.generation === generation ? tried.failures + 1 : 1;
    tried = { generation, failures, nextMs: nowMs() + pauseMs(failures), problem: answer.problem };
    return null;
  }

  function answerTo(read: SecretValues): CredentialAnswer | Promise<CredentialAnswer> {
    const now = nowMs();
    const live = token !== null && now < token.untilMs ? token : null;
    if (!read.ok) return live?.answer ?? read;
    const { generation, values } = read;
    // Another client's token is another identity; one of the same client stays good when the secret is changed.
    const good = live?.clientId === values[0] ? live : null;
    const current = good?.generation === generation;
    if (!current || now >= (good?.renewMs ?? 0)) {
      if (tried.generation !== generation || now >= tried.nextMs) asking ??= ask(read);
    }
    if (good !== null && (current || asking === null)) return good.answer;
    if (asking === null) return { ok: false, problem: tried.problem ?? 'no access token was asked for' };
    return asking.then((fresh) => {
      // Also when it lives no longer than it took to come: the next request asks anew.
      return fresh?.generation === generation ? fresh.answer : answer();
    });
  }

  function answer(): CredentialAnswer | Promise<CredentialAnswer> {
    const read = files.read();
    return read instanceof Promise ? read.then(answerTo) : answerTo(read);
  }

  return {
    current: answer,
    get problem() {
      return files.problem ?? tried.problem;
    },
    refused() {
      // It may have been withdrawn. A server that refuses every token must not make the provider give one after the other.
      if (token !== null && nowMs() - token.beganMs >= LONGEST_PAUSE_MS) token.renewMs = nowMs();
    },
    // Nothing goes on between requests, and what is under way ends by itself.
    close() {},
  };
}

/** Never rejects. */
async function fetchToken(configuration: Configuration, { values }: Secrets): Promise<TokenAnswer> {
  const { issuer, tokenEndpoint, clientIdFile, clientSecretFile, scope, resource, ca } = configuration;
  const [clientId = '', clientSecret = ''] = values;
  const request: TokenRequest = { issuer, tokenEndpoint, clientId, clientSecret, scope, resource, ca };
  try {
    const answer = JSON.parse(
      await runApart('credential/fetch-token', JSON.stringify(request)),
    ) as TokenAnswer;
    if (answer.ok) return answer;
    const hint = answer.clientRefused ? `; check the values in ${clientIdFile} and ${clientSecretFile}` : '';
    return { ...answer, problem: `no access token: ${answer.problem}${hint}` };
  } catch {
    // What a process says that breaks down is not known, so it is not repeated.
    const problem = 'no access token: the process that asks for one could not be started, or broke down';
    return { ok: false, problem, clientRefused: false };
  }
}

/** @param beganMs when it was asked for: it may have been given as early as that */
function tokenOf(
  answer: TokenAnswer & { ok: true },
  { values, generation }: Secrets,
  beganMs: number,
): Token {
  const saidMs = answer.expiresInS === null ? UNSAID_LIFE_MS : answer.expiresInS * 1_000;
  const lifeMs = Math.max(saidMs, SHORTEST_LIFE_MS);
  return {
    answer: { ok: true, name: 'Authorization', value: `Bearer ${answer.token}` },
    clientId: values[0] ?? '',
    generation,
    beganMs,
    renewMs: beganMs + lifeMs * RENEW_AFTER,
    untilMs: beganMs + lifeMs - Math.min(MARGIN_MS, lifeMs * LAST_SHARE),
  };
}

/** Half of it at random, so that many recorders don't return at once. */
function pauseMs(failures: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2);
}
