/**
 * Who may call, rules, masking and the server's credential that change under load: no call fails, none is judged by half a configuration.
 */
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Line } from '@mcp-recorder/recording/format/line';
import { SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuthConfiguration, RuleConfiguration } from '../../sidecar/config/access.ts';
import type { Configuration } from '../../sidecar/config/schema.ts';
import { type AccessSections, startTestRecorder, type TestRecorder } from '../support/recorder.ts';

const ISSUER = 'https://idp.example.com';
const RESOURCE = 'https://mcp.example.com/github';
const SECRET = 'E123456';
const CLIENTS = 8;
const CHANGES = 40;
/** Answers that each client waits for between two changes, at least. */
const CALLS_BETWEEN = 2;

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'a', alg: 'ES256' }] };
const ANONYMOUS: AuthConfiguration = {
  mode: 'Anonymous',
  resource: null,
  scopes: [],
  allowedOrigins: null,
  clockSkewMs: 60_000,
  maxKeyAgeMs: 3_600_000,
  issuers: [],
};
const ENFORCED: AuthConfiguration = {
  ...ANONYMOUS,
  mode: 'Enforce',
  resource: RESOURCE,
  issuers: [
    {
      how: 'oidc',
      issuer: ISSUER,
      audiences: [RESOURCE],
      algorithms: ['ES256'],
      groupsClaim: 'groups',
      nameClaim: 'name',
      scopes: [],
      ca: null,
      jwks,
    },
  ],
};

const rule = (name: string, tool: string, action: RuleConfiguration['action']): RuleConfiguration => ({
  name,
  when: `mcp.tool == "${tool}"`,
  action,
  message: null,
  hideTools: false,
});

interface Call {
  tool: string;
  status: number;
  /** Numbers of the configurations that were in force when it began, and may have been when it ended. */
  from: number;
  to: number;
  answer: { result?: { key: string | null; authorized: boolean }; error?: { data: { rule: string } } };
}

let upstream: http.Server;
let token: string;
let recorder: TestRecorder;
let valueFile: string;

/**
 * The configuration of that number; its rules and masks have it in their names. Even ones deny x, record no body of y and z, and identify
 * nobody. Odd ones deny y, mask, know callers and give the server a key.
 */
function sections(number: number): AccessSections {
  if (number % 2 === 0) {
    return {
      auth: ANONYMOUS,
      server: { credential: null, callerToken: 'Forward' },
      rules: [
        rule(`deny-${number}`, 'x', 'Deny'),
        rule(`y-${number}`, 'y', 'MetadataOnly'),
        rule(`z-${number}`, 'z', 'MetadataOnly'),
      ],
      masking: { base64: false, rules: [] },
    };
  }
  const mask = {
    kind: 'pattern',
    name: `mask-${number}`,
    pattern: 'E[0-9]{6}',
    appliesTo: 'Record',
  } as const;
  return {
    auth: ENFORCED,
    server: { credential: { kind: 'header', name: 'X-Api-Key', valueFile }, callerToken: 'Remove' },
    rules: [rule(`deny-${number}`, 'y', 'Deny')],
    masking: { base64: false, rules: [mask] },
  };
}

/** Says what it was called with. */
beforeEach(async () => {
  upstream = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { id } = JSON.parse(Buffer.concat(chunks).toString());
      const { authorization, 'x-api-key': key = null } = request.headers;
      const result = { key, authorized: authorization !== undefined };
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
    });
  });
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  token = await new SignJWT({ iss: ISSUER, aud: RESOURCE, sub: 'ada', groups: ['dev'] })
    .setProtectedHeader({ alg: 'ES256', kid: 'a', typ: 'at+jwt' })
    .setIssuedAt()
    .setExpirationTime('10m')
    .sign(privateKey);
  recorder = await startTestRecorder({
    upstream: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
  });
  valueFile = path.join(recorder.directory, 'key');
  await fs.writeFile(valueFile, 'the-key\n');
  await reconfigure(0);
});
afterEach(async () => {
  await recorder[Symbol.asyncDispose]();
  upstream.closeAllConnections();
  upstream.close();
});

function configured(access: AccessSections, digest: string): Configuration {
  const { configuration } = recorder;
  const { server, ...rest } = access;
  const log = { level: 'silent' as never };
  return { ...configuration, ...rest, server: { ...configuration.server, ...server }, log, digest };
}

async function reconfigure(number: number): Promise<void> {
  const wanted = configured(sections(number), `sha256:${number}`);
  expect(await recorder.recorder.reconfigure(wanted, null)).toEqual([]);
}

async function call(tool: string): Promise<Pick<Call, 'status' | 'answer'>> {
  const response = await fetch(`${recorder.origin}/mcp`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      authorization: `Bearer ${token}`,
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: tool, arguments: { text: SECRET } },
    }),
  });
  return { status: response.status, answer: (await response.json()) as Call['answer'] };
}

/** Whether all of an answer comes from one configuration that may have judged the call. */
function fits({ tool, status, from, to, answer }: Call): boolean {
  if (status !== 200) return false;
  const denied = answer.error?.data.rule;
  if (denied !== undefined) {
    const number = Number(/^deny-(\d+)$/.exec(denied)?.[1]);
    return number >= from && number <= to && tool === (number % 2 === 0 ? 'x' : 'y');
  }
  const { result } = answer;
  const isEven = tool !== 'x' && result?.authorized === true && result.key === null;
  const isOdd = tool !== 'y' && result?.authorized === false && result.key === 'the-key';
  if (from === to) return from % 2 === 0 ? isEven : isOdd;
  return isEven || isOdd;
}

type Request = Extract<Line, { type: 'request' }>;

/** The number of the configuration that all of a recorded request was judged by; null: by parts of several. */
function numberOf({ calls, principal, body, withheld, masked = [] }: Request): number | null {
  const [{ target, decision } = { target: null, decision: null }] = calls ?? [];
  const number = Number(/-(\d+)$/.exec(decision?.rule ?? masked[0]?.rule ?? '')?.[1]);
  const found = { ...decision, who: principal.subject, masked: masked.map((one) => one.rule) };
  const is = (expected: object) => isDeepStrictEqual(found, expected);
  if (number % 2 === 1) {
    const known = { who: 'ada', masked: [`mask-${number}`] };
    const denied = { action: 'deny', rule: `deny-${number}`, ...known };
    const isRight = is(target === 'y' ? denied : { action: 'allow', rule: null, ...known });
    return isRight && body?.includes(`[masked:mask-${number}]`) === true ? number : null;
  }
  const unknown = { who: null, masked: [] };
  if (target === 'x') {
    const isRight = is({ action: 'deny', rule: `deny-${number}`, ...unknown });
    return isRight && body?.includes(SECRET) === true ? number : null;
  }
  const isRight = is({ action: 'metadata_only', rule: `${target}-${number}`, ...unknown });
  return isRight && body === null && withheld?.reason === 'metadata_only' ? number : null;
}

/** Requests that were judged by a configuration that the recording had not stated yet. */
function tooEarly(lines: readonly Line[]): Line[] {
  let stated = -1;
  return lines.filter((line) => {
    if (line.type === 'config') stated = Number(line.config.after?.replace('sha256:', ''));
    return line.type === 'request' && (numberOf(line) ?? 0) > stated;
  });
}

describe('a configuration that changes under load', () => {
  it('fails no call, and judges each by all of the old or all of the new one', async () => {
    const calls: Call[] = [];
    /** The last configuration that is in force for certain, and the one that may be. */
    let inForce = 0;
    let begun = 0;
    let stop = false;
    /** Answers since the last change, of each client. */
    const answered = Array.from({ length: CLIENTS }, () => 0);
    let heard = (): void => {};

    async function client(index: number): Promise<void> {
      for (let n = index; !stop; n++) {
        const tool = ['x', 'y', 'z'][n % 3] as string;
        const from = inForce;
        const given = await call(tool);
        calls.push({ tool, from, to: begun, ...given });
        answered[index] = (answered[index] ?? 0) + 1;
        heard();
      }
    }
    async function change(): Promise<void> {
      for (let number = 1; number <= CHANGES; number++) {
        answered.fill(0);
        await new Promise<void>((resolve) => {
          heard = () => answered.every((count) => count >= CALLS_BETWEEN) && resolve();
        });
        begun = number;
        await reconfigure(number);
        inForce = number;
      }
      stop = true;
    }
    await Promise.all([change(), ...answered.map((_, index) => client(index))]);

    expect(calls.filter((one) => !fits(one))).toEqual([]);
    // Not all came while it changed.
    expect(calls.filter(({ from, to }) => from === to).length).toBeGreaterThan(CHANGES);

    const lines = await recorder.finish();
    const requests = lines.filter((line): line is Request => line.type === 'request');
    expect(requests).toHaveLength(calls.length);
    expect(requests.filter((line) => numberOf(line) === null)).toEqual([]);
    expect(tooEarly(lines)).toEqual([]);
    expect(JSON.stringify(lines)).not.toContain(token.slice(-40));
    expect(JSON.stringify(lines)).not.toContain('Bearer');
  });

  it('keeps all of the old one when rules of the new one can not be compiled', async () => {
    const { rules = [], ...rest } = sections(1);
    const wrong = { ...rest, rules: [...rules, { ...rule('c', 'y', 'Deny'), when: 'mcp.tol == 1' }] };
    const refused = recorder.recorder.reconfigure(configured(wrong, 'sha256:1'), null);
    await expect(refused).rejects.toThrow(/rules\[1\]\.when \(line 1, column 5\): No such key: tol/);
    for (const tool of ['x', 'y', 'z']) {
      expect(fits({ tool, from: 0, to: 0, ...(await call(tool)) })).toBe(true);
    }
    const lines = await recorder.finish();
    expect(lines.filter((line) => line.type === 'config').map((line) => line.config.after)).toEqual([
      'sha256:0',
    ]);
  });
});
