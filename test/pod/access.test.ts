/**
 * What a resource says of access, from the operator's writing of it to what the recorder in a pod does: tokens of service accounts as a real
 * API server issues them, a rule that changes, a Secret that rotates.
 */
import { once } from 'node:events';
import fs from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { accessConfiguration, type ClusterIssuer } from '../../operator/desired/access-configuration.ts';
import { accessInForce } from '../../operator/desired/access-floors.ts';
import type { KubeObject, Resource } from '../../operator/kube/resource.ts';
import { resource, settings } from '../operator/webhook/scene.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';
import { type PodProcess, type PodSetting, setUpPod } from '../support/pod-process.ts';
import { eventually } from '../support/poll.ts';
import { verifiedLines } from './scene.ts';

const RESOURCE = 'https://mcp.example.com/github';
const MOUNTED = '/etc/mcp-recorder/server-credential';
const ACCOUNTS: Resource = {
  group: '',
  version: 'v1',
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
};
const PASSWORD = 'correct-horse-battery-staple';

let plane: ControlPlane;
let upstream: http.Server;
let pod: PodSetting;
let recorder: PodProcess;
let issuer: ClusterIssuer;
let token: string;

/** What the server got last as `Authorization`. It is not echoed: what a server says is recorded. */
let authorization: string | undefined;

async function startUpstream(): Promise<http.Server> {
  const server = http.createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const { id } = JSON.parse(text);
    ({ authorization } = request.headers);
    const body = JSON.stringify({ jsonrpc: '2.0', id, result: {} });
    response.writeHead(200, { 'content-type': 'application/json' }).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** The recorder's configuration for a resource that denies this tool to accounts of namespace `agents`. */
function configurationFor(tool: string): Record<string, unknown> {
  const of = resource('github', {
    auth: { mode: 'Enforce', resource: RESOURCE, kubernetes: {} },
    rules: [
      {
        name: 'not-for-agents',
        when: `mcp.tool == "${tool}" && "system:serviceaccounts:agents" in principal.groups`,
        action: 'Deny',
        message: 'Not for agents',
      },
    ],
    masking: { rules: [{ appliesTo: 'Record', name: 'passwords', keys: ['password'] }] },
    server: { credential: { bearer: { secretKeyRef: { name: 'server', key: 'token' } } } },
  });
  const { server, ...who } = accessConfiguration(of, accessInForce(of, settings), issuer);
  const base = pod.config();
  const whole = { ...base, ...who, server: { ...(base['server'] as object), ...server } };
  return JSON.parse(JSON.stringify(whole).replaceAll(MOUNTED, path.join(pod.directory, 'credential')));
}

async function call(tool: string, as: string | null = token, args: object = {}) {
  const answer = await fetch(`${recorder.origin}/mcp`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(as === null ? {} : { authorization: `Bearer ${as}` }),
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: tool, arguments: args },
    }),
  });
  const text = await answer.text();
  return {
    status: answer.status,
    challenge: answer.headers.get('www-authenticate'),
    body: text.startsWith('{') ? JSON.parse(text) : text,
  };
}

const writeToken = (value: string) => fs.writeFile(path.join(pod.directory, 'credential', 'token'), value);

beforeAll(async () => {
  plane = await startControlPlane();
  await plane.createNamespace('agents');
  const client = plane.client();
  const account: KubeObject = {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'assistant', namespace: 'agents' },
  };
  await client.create(ACCOUNTS, account);
  issuer = await client.tokenIssuer();
  token = await plane.serviceAccountToken('agents', 'assistant', [RESOURCE]);
  upstream = await startUpstream();
  pod = await setUpPod(`http://127.0.0.1:${(upstream.address() as AddressInfo).port}`);
  await fs.mkdir(path.join(pod.directory, 'credential'));
  await pod.deliver(configurationFor('delete'));
  recorder = await pod.start();
  await recorder.ready();
}, 120_000);
afterAll(async () => {
  await recorder?.stop('SIGKILL');
  upstream?.close();
  await pod?.remove();
  await plane?.stop();
});

const credentialProblem = async () => {
  const { status } = (await recorder.link()) as unknown as { status: { credential: { problem: string } } };
  return status.credential.problem;
};

it('tells the operator that the credential of the server is missing, before anybody calls', async () => {
  await eventually(async () => expect(await credentialProblem()).toContain('credential/token'), {
    withinMs: 10_000,
  });
  expect((await call('read')).status).toBeGreaterThanOrEqual(500);
  await writeToken('first');
  await eventually(async () => expect(await credentialProblem()).toBeNull(), { withinMs: 10_000 });
  expect((await call('read')).status).toBe(200);
});

it('takes tokens of the cluster for this server, and no others', async () => {
  expect((await call('read')).status).toBe(200);
  expect(authorization).toBe('Bearer first');
  expect(await call('read', null)).toMatchObject({ status: 401 });
  const other = await plane.serviceAccountToken('agents', 'assistant', ['https://elsewhere.example.com']);
  const { status, challenge } = await call('read', other);
  expect(status).toBe(401);
  expect(challenge).toContain('invalid_token');
});

it('denies by the rule in force, and takes another over while it runs', async () => {
  const denied = { error: { message: 'Not for agents', data: { rule: 'not-for-agents' } } };
  expect((await call('delete')).body).toMatchObject(denied);
  expect((await call('write')).body).toHaveProperty('result');
  const before = (await recorder.status()).configuration;
  await pod.deliver(configurationFor('write'));
  await eventually(async () => expect((await recorder.status()).configuration).not.toBe(before), {
    withinMs: 30_000,
  });
  expect((await call('write')).body).toMatchObject(denied);
  expect((await call('delete')).body).toHaveProperty('result');
});

it('takes a rotated Secret over', async () => {
  await writeToken('second');
  await eventually(
    async () => {
      await call('read');
      expect(authorization).toBe('Bearer second');
    },
    { withinMs: 10_000 },
  );
});

it('records who called, and neither tokens nor what is masked', async () => {
  expect((await call('read', token, { password: PASSWORD })).status).toBe(200);
  expect(await recorder.stop()).toEqual({ code: 0, signal: null });
  const lines = await verifiedLines(createDirectoryStore(path.join(pod.directory, 'store')));
  const text = JSON.stringify(lines);
  const subject = 'system:serviceaccount:agents:assistant';
  expect(text).toContain(
    `"how":"kubernetes","issuer":${JSON.stringify(issuer.issuer)},"subject":"${subject}"`,
  );
  expect(text).toContain('[masked:passwords]');
  expect(text).toContain('"kind":"configuration"');
  for (const planted of [PASSWORD, token, 'Bearer first', 'Bearer second']) {
    expect(text.includes(planted), planted.slice(0, 12)).toBe(false);
    expect(recorder.process.output().includes(planted), planted.slice(0, 12)).toBe(false);
  }
});
