/**
 * The auth table against `identify`: every case gets its verdict, and nothing of a token is in it.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Identified, RequestHead } from '../../sidecar/identity/identity.ts';
import { type IdentityProvider, startIdentityProvider } from '../support/identity-provider.ts';
import { ALLOWED_ORIGIN, type Answer, AUTH_CASES, type Expected, SCOPE } from './auth-cases.ts';
import { issuerOf, keysFetched, openScene, passedBy, type Scene } from './scene.ts';

/** The status of each refusal, as literals: clients depend on them. */
const STATUS = {
  no_token: 401,
  invalid_token: 401,
  insufficient_scope: 403,
  issuer_unavailable: 503,
  forbidden_origin: 403,
};

let idp: IdentityProvider;
let stranger: IdentityProvider;
let scene: Scene;

beforeAll(async () => {
  [idp, stranger] = await Promise.all([startIdentityProvider(), startIdentityProvider()]);
  scene = openScene([issuerOf(idp.issuer)], { scopes: [SCOPE], allowedOrigins: [ALLOWED_ORIGIN] });
  await keysFetched(scene);
});
afterAll(async () => {
  scene[Symbol.dispose]();
  await idp[Symbol.asyncDispose]();
  await stranger[Symbol.asyncDispose]();
});

function answerOf(found: Exclude<Identified, { verdict: 'pass' }>): Answer {
  const status = found.verdict === 'answer' ? found.status : STATUS[found.reason];
  const headers = Object.entries(found.headers).map(([name, value]) => [name.toLowerCase(), value]);
  return { status, headers: Object.fromEntries(headers), body: found.body ?? '' };
}

function expectAnswer(found: Identified, expected: Expected): void {
  if (expected.passes) {
    expect(found).toMatchObject({ verdict: 'pass', caller: { verified: true, principal: { how: 'oidc' } } });
    expect(found.verdict === 'pass' && found.caller.principal.subject).toBe(expected.subject);
    return;
  }
  if (found.verdict === 'pass') throw new Error('it passed');
  const answer = answerOf(found);
  expect(found.verdict === 'refuse' ? found.reason : null).toBe(expected.reason);
  expect(answer.status).toBe(expected.status);
  if (expected.error !== undefined) {
    const challenge = answer.headers['www-authenticate'] ?? '';
    expect(/\berror="([^"]*)"/.exec(challenge)?.[1] ?? null).toBe(expected.error);
    expect(answer.body === '' ? null : JSON.parse(answer.body).error).toBe(expected.error);
  }
  expected.check?.(answer);
}

/** Pieces of the tokens that a request carries, long enough to be told from other text. */
function piecesOf({ target, rawHeaders }: RequestHead): string[] {
  return [target, ...rawHeaders].flatMap((text) => text.match(/[A-Za-z0-9_-]{40,}/g) ?? []);
}

describe.each(Object.entries(AUTH_CASES))('%s', (_, cases) => {
  it.each(cases)('$name', async ({ request, expected }) => {
    const head = await request({ idp, stranger });
    const found = await scene.identity.identify(head);
    expectAnswer(found, expected);
    // What is remembered is answered as what is seen for the first time.
    const again = await scene.identity.identify(head);
    expect(again).toEqual(found);
    const told = JSON.stringify([found, scene.logged]);
    for (const piece of piecesOf(head)) expect(told).not.toContain(piece);
  });
});

describe('Observe', () => {
  let observing: Scene;
  beforeAll(async () => {
    observing = openScene([issuerOf(idp.issuer)], { mode: 'Observe', scopes: [SCOPE] });
    await keysFetched(observing);
  });
  afterAll(() => observing[Symbol.dispose]());

  it.each(Object.values(AUTH_CASES).flat())('lets pass: $name', async ({ request, expected }) => {
    const caller = await passedBy(observing, await request({ idp, stranger }));
    expect(caller.verified).toBe(caller.principal.how === 'oidc');
    if (expected.passes) expect(caller.principal).toMatchObject({ how: 'oidc', subject: expected.subject });
    if (expected.passes || expected.reason !== 'invalid_token') return;
    const nobody = { issuer: null, subject: null, name: null, client_id: null, groups: [] };
    expect(caller.principal).toEqual({ how: 'unverified', ...nobody });
  });
});
