/**
 * The auth table over HTTP: what is refused never reaches the server, each refusal is counted, and nothing of a token is recorded.
 */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { DeniedLine, Line } from '@mcp-recorder/recording/format/line';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RequestHead } from '../../sidecar/identity/identity.ts';
import { ALLOWED_ORIGIN, type Answer, AUTH_CASES, type AuthCase, SCOPE } from '../identity/auth-cases.ts';
import { issuerOf, MAX_KEY_AGE_MS, RESOURCE, SKEW_MS } from '../identity/scene.ts';
import { type IdentityProvider, startIdentityProvider } from '../support/identity-provider.ts';
import { eventually } from '../support/poll.ts';
import { connectRaw } from '../support/raw-http.ts';
import { startTestRecorder, type TestRecorder } from '../support/recorder.ts';

const CALL = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' });
const WITH_BODY = new Set(['POST', 'PUT']);
const CASES = Object.values(AUTH_CASES).flat();

interface Status {
  auth: { issuers: { state: string }[] };
}

let idp: IdentityProvider;
let stranger: IdentityProvider;
let server: http.Server;
let recorder: TestRecorder;
let reached = 0;
/** What was sent: their longer pieces are tokens, or parts of them. */
const sent: RequestHead[] = [];

beforeAll(async () => {
  [idp, stranger] = await Promise.all([startIdentityProvider(), startIdentityProvider()]);
  server = http.createServer((request, response) => {
    reached += 1;
    request.resume();
    response.setHeader('Content-Type', 'application/json');
    response.end('{"jsonrpc":"2.0","id":1,"result":{}}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  recorder = await startTestRecorder({
    upstream: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    access: {
      auth: {
        mode: 'Enforce',
        resource: RESOURCE,
        scopes: [SCOPE],
        allowedOrigins: [ALLOWED_ORIGIN],
        clockSkewMs: SKEW_MS,
        maxKeyAgeMs: MAX_KEY_AGE_MS,
        issuers: [issuerOf(idp.issuer)],
      },
    },
  });
  await eventually(
    async () => {
      const { auth } = (await (await fetch(`${recorder.statusOrigin}/status`)).json()) as Status;
      return auth.issuers.every(({ state }) => state === 'Ok');
    },
    { withinMs: 30_000, everyMs: 50 },
  );
});
afterAll(async () => {
  await recorder[Symbol.asyncDispose]();
  server.closeAllConnections();
  server.close();
  await idp[Symbol.asyncDispose]();
  await stranger[Symbol.asyncDispose]();
});

async function ask({ method, target, rawHeaders }: RequestHead): Promise<Answer> {
  const lines = [`${method} ${target} HTTP/1.1`];
  for (let i = 0; i < rawHeaders.length; i += 2) lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
  const isTyped = rawHeaders.includes('Content-Type');
  if (WITH_BODY.has(method)) {
    lines.push(...(isTyped ? [] : ['Content-Type: application/json']), `Content-Length: ${CALL.length}`);
  }
  const connection = await connectRaw(recorder.port);
  await connection.send(`${lines.join('\r\n')}\r\n\r\n${WITH_BODY.has(method) ? CALL : ''}`);
  const message = await connection.message({ headOnly: method === 'HEAD' });
  connection.reset();
  const headers = message.headers.map(([name, value]) => [name.toLowerCase(), value]);
  const status = Number(message.startLine.split(' ')[1]);
  return { status, headers: Object.fromEntries(headers), body: message.body.toString() };
}

async function run({ request, expected }: AuthCase): Promise<void> {
  const head = await request({ idp, stranger });
  sent.push(head);
  const before = reached;
  const answer = await ask(head);
  if (expected.passes) {
    expect(answer.status).toBe(200);
    expect(reached).toBe(before + 1);
    return;
  }
  expect(reached).toBe(before);
  expect(answer.status).toBe(expected.httpStatus ?? expected.status);
  if (expected.httpStatus !== undefined) return;
  expected.check?.(answer);
  if (expected.error === undefined) return;
  expect(/\berror="([^"]*)"/.exec(answer.headers['www-authenticate'] ?? '')?.[1] ?? null).toBe(
    expected.error,
  );
  if (head.method === 'HEAD') return;
  const { error } = JSON.parse(answer.body);
  // Without a code of RFC 6750 the body is the recorder's JSON-RPC error.
  expect(typeof error === 'string' ? error : null).toBe(expected.error);
}

describe.each(Object.entries(AUTH_CASES))('%s, over HTTP', (_, cases) => {
  it.each(cases)('$name', run);
});

describe('the recording of all of them', () => {
  let lines: Line[];
  beforeAll(async () => {
    lines = await recorder.finish();
  });

  it('counts each refusal, by its reason', () => {
    const counted: Record<string, number> = {};
    for (const { denied } of lines.filter((line): line is DeniedLine => line.type === 'denied')) {
      counted[denied.reason] = (counted[denied.reason] ?? 0) + denied.count;
    }
    const wanted: Record<string, number> = {};
    for (const { expected } of CASES) {
      if (expected.passes || expected.reason === null) continue;
      const reason = expected.httpStatus === 431 ? 'headers_too_large' : expected.reason;
      wanted[reason] = (wanted[reason] ?? 0) + 1;
    }
    expect(counted).toEqual(wanted);
  });

  it('names who passed, and who lacked a scope', () => {
    const subjects = lines.flatMap((line) => (line.type === 'request' ? [line.principal.subject] : []));
    expect(subjects).toEqual(CASES.flatMap(({ expected }) => (expected.passes ? [expected.subject] : [])));
    const named = lines.flatMap((line) =>
      line.type === 'denied' && line.denied.principal !== null ? [line.denied] : [],
    );
    expect(named).toMatchObject([{ reason: 'insufficient_scope', principal: { subject: 'ada' } }]);
  });

  it('has nothing of a token', () => {
    const told = JSON.stringify(lines);
    const pieces = sent.flatMap(({ target, rawHeaders }) =>
      [target, ...rawHeaders].flatMap((text) => text.match(/[A-Za-z0-9_-]{40,}/g) ?? []),
    );
    expect(pieces.length).toBeGreaterThan(100);
    expect(pieces.filter((piece) => told.includes(piece))).toEqual([]);
  });
});
