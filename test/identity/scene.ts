/**
 * Owns an identity in front of a real identity provider, with clocks that tests move.
 */
import type { AuthConfiguration, IssuerConfiguration } from '../../sidecar/config/access.ts';
import { createIdentity } from '../../sidecar/identity/create-identity.ts';
import type { Identified, Identity, RequestHead } from '../../sidecar/identity/identity.ts';
import { eventually } from '../support/poll.ts';

export const RESOURCE = 'https://mcp.example.com/github';
export const SKEW_MS = 60_000;
export const MAX_KEY_AGE_MS = 3_600_000;

export interface Scene {
  identity: Identity;
  /** What it logged, as JSON. */
  logged: string[];
  /** Moves both clocks. */
  pass(ms: number): void;
  nowMs(): number;
  [Symbol.dispose](): void;
}

export function issuerOf(issuer: string, others: Partial<IssuerConfiguration> = {}): IssuerConfiguration {
  return {
    how: 'oidc',
    issuer,
    audiences: [RESOURCE],
    algorithms: ['RS256', 'ES256'],
    groupsClaim: 'groups',
    nameClaim: 'email',
    scopes: [],
    ca: null,
    jwks: null,
    ...others,
  };
}

/** @param before the scene whose identity this one takes the place of */
export function openScene(
  issuers: IssuerConfiguration[],
  auth: Partial<AuthConfiguration> = {},
  before?: Scene,
): Scene {
  let passedMs = 0;
  const logged: string[] = [];
  const log = (fields: object, message: string) => void logged.push(JSON.stringify({ ...fields, message }));
  const nowMs = () => Date.now() + passedMs;
  const identity = createIdentity(
    {
      mode: 'Enforce',
      resource: RESOURCE,
      scopes: [],
      allowedOrigins: null,
      clockSkewMs: SKEW_MS,
      maxKeyAgeMs: MAX_KEY_AGE_MS,
      issuers,
      ...auth,
    },
    {
      log: { info: log, warn: log },
      nowMs,
      monotonicMs: () => performance.now() + passedMs,
      ...(before === undefined ? {} : { before: before.identity }),
    },
  );
  return {
    identity,
    logged,
    nowMs,
    pass(ms) {
      passedMs += ms;
    },
    [Symbol.dispose]: () => identity.close(),
  };
}

export function headOf(
  headers: Record<string, string> | string[],
  others: Partial<RequestHead> = {},
): RequestHead {
  const rawHeaders = Array.isArray(headers) ? headers : Object.entries(headers).flat();
  return {
    method: 'POST',
    target: '/github',
    rawHeaders: ['Host', 'mcp.example.com', ...rawHeaders],
    ...others,
  };
}

export function bearer(token: string, others: Partial<RequestHead> = {}): RequestHead {
  return headOf({ Authorization: `Bearer ${token}` }, others);
}

/** `pass`, `answer`, or why it was refused and in which words. */
export async function outcomeOf(scene: Scene, token: string): Promise<string> {
  const found = await scene.identity.identify(bearer(token));
  return found.verdict === 'refuse' ? `${found.reason}: ${found.message}` : found.verdict;
}

export async function passedBy(scene: Scene, head: RequestHead) {
  const found: Identified = await scene.identity.identify(head);
  if (found.verdict !== 'pass') throw new Error(`it did not pass: ${JSON.stringify(found)}`);
  return found.caller;
}

/** Resolves when the keys of all its issuers are there: on a busy machine that may take longer than calls wait. */
export async function keysFetched({ identity }: Scene): Promise<void> {
  await eventually(() => identity.issuers.every(({ state }) => state === 'Ok'), { withinMs: 30_000 });
}
