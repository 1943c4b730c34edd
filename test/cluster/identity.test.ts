/**
 * Who calls, what they may do, what is masked and what the server is given, on a real cluster: tokens of real service accounts, rules that
 * change under running pods, Secrets that rotate.
 */
import { createHash } from 'node:crypto';
import { beforeAll, expect, it } from 'vitest';
import { type ClientPod, startClientPod, TOKENS } from './support/client-pod.ts';
import { deployEverything, type EverythingServer } from './support/everything-server.ts';
import { apply, kubectl, logs, type Pod } from './support/kubectl.ts';
import { freshNamespace } from './support/namespaces.ts';
import { onCluster } from './support/on-cluster.ts';
import { readRecording } from './support/recording.ts';
import {
  CREDENTIALS_SECRET,
  conditionOf,
  getRecorded,
  livingPods,
  recordedServer,
  waitForCondition,
  waitForReady,
} from './support/recorded-server.ts';
import { installRelease, type Release } from './support/release.ts';
import { waitFor } from './support/wait-for.ts';

/** A kubelet brings a changed Secret into a pod when it looks at the pod the next time, about once a minute. */
const KUBELET_MS = 150_000;
/** It looks at once at a pod that the operator touches: a minute is not waited for. */
const RELOAD_MS = 20_000;

const FIRST_KEY = 'first-key-of-the-server-7Qx1';
const SECOND_KEY = 'second-key-of-the-server-9Rk4';

const digestOf = (text: string) => createHash('sha256').update(text).digest('hex');

/** A server that answers every request with what it got of credentials: digests, because what it says is recorded. */
const ECHO = `
const http = require('node:http');
const { createHash } = require('node:crypto');
http.createServer(async (request, response) => {
  let text = '';
  for await (const chunk of request) text += chunk;
  const { id = null, method } = text === '' ? {} : JSON.parse(text);
  if (id === null) return response.writeHead(202).end();
  const tools = ['read-file', 'get-env', 'delete-file'].map((name) => ({ name, inputSchema: { type: 'object' } }));
  const { authorization = null, 'x-api-key': key = '' } = request.headers;
  const seen = { authorization: authorization !== null, key: createHash('sha256').update(key).digest('hex') };
  const result = method === 'tools/list' ? { tools } : { content: [{ type: 'text', text: JSON.stringify(seen) }] };
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id, result }));
}).listen(process.env.PORT);
`;

/** One JSON-RPC request, with the token of a file or without. */
const ASK = `
import { readFile } from 'node:fs/promises';
const [url, file, method, params] = process.argv.slice(2);
const authorization = file === '' ? {} : { authorization: 'Bearer ' + (await readFile(file, 'utf8')).trim() };
const response = await fetch(url, {
  method: 'POST',
  signal: AbortSignal.timeout(8000),
  body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: JSON.parse(params) }),
  headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...authorization },
});
console.log(JSON.stringify({ status: response.status, challenge: response.headers.get('www-authenticate'), body: await response.text() }));
process.exit(0);
`;
interface Answer {
  status: number;
  challenge: string | null;
  body: string;
}

const restartsOf = ({ status }: Pod): number =>
  status.initContainerStatuses?.find(({ name }) => name === 'mcp-recorder')?.restartCount ?? -1;
const runsOf = (pods: readonly Pod[]) => pods.map((pod) => [pod.metadata.uid, restartsOf(pod)]).sort();

onCluster('identity', () => {
  let release: Release;
  let namespace: string;
  let server: EverythingServer;
  let client: ClientPod;
  let subject: string;
  const secret = 'server-key';
  const password = 'correct-horse-battery-staple';
  const forgeToken = `ghp_${'16C7e42F292c6912E7710c838347Ae178B4a'}`;

  const token = `${TOKENS}/token-0`;
  const ask = (method: string, params: object, file = token) =>
    client.run<Answer>(ASK, [server.url, file, method, JSON.stringify(params)]);
  const call = (name: string, args: object = {}, file = token) =>
    ask('tools/call', { name, arguments: args }, file);
  /** What the server got: whether the caller's token, and the digest of its own credential. */
  const seen = async (): Promise<{ authorization: boolean; key: string }> => {
    const { status, body } = await call('read-file');
    if (status !== 200) throw new Error(`${status} ${body}`);
    return JSON.parse(JSON.parse(body).result.content[0].text);
  };
  const writeKey = (value: string) =>
    apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: secret, namespace },
      stringData: { key: value },
    });
  const denyTool = (tool: string) => ({
    name: 'clients-may-not',
    when: `mcp.tool == "${tool}" && "system:serviceaccounts:${client.namespace}" in principal.groups`,
    action: 'Deny',
    message: 'Not for clients',
    hideTools: true,
  });
  const resource = (tool: string) =>
    recordedServer(namespace, 'echo', 'echo', {
      server: { credential: { header: { name: 'X-Api-Key', secretKeyRef: { name: secret, key: 'key' } } } },
      auth: { resource: server.url, kubernetes: {} },
      rules: [denyTool(tool)],
      masking: { rules: [{ detectors: ['all'] }, { name: 'passwords', keys: ['password'] }] },
    });

  beforeAll(async () => {
    release = await installRelease();
    namespace = await freshNamespace('identified');
    await release.minio.writeSecret(namespace, CREDENTIALS_SECRET);
    const clients = await freshNamespace('clients');
    const url = `http://echo.${namespace}.svc.cluster.local/mcp`;
    [client, server] = await Promise.all([
      startClientPod(clients, 'client', {}, [url, 'https://somewhere.else']),
      deployEverything(namespace, 'echo', { replicas: 2, container: { command: ['node', '-e', ECHO] } }),
    ]);
    subject = `system:serviceaccount:${clients}:client`;
    await apply(resource('get-env'));
  });

  it('says that the Secret of the server is missing, and goes on by itself when it is there', async () => {
    const said = await waitForCondition(
      namespace,
      'echo',
      'CredentialHealthy',
      { status: 'False', reason: 'CredentialUnavailable' },
      120_000,
    );
    expect(conditionOf(said, 'Ready')?.status).toBe('False');
    await writeKey(FIRST_KEY);
    await waitForReady(namespace, 'echo', KUBELET_MS);
  });

  it('lets a service account call with a token for this server, and nobody without one', async () => {
    expect((await call('read-file')).status).toBe(200);
    const without = await call('read-file', {}, '');
    expect(without.status).toBe(401);
    expect(without.challenge).toMatch(/^Bearer .*resource_metadata="/);
    const other = await call('read-file', {}, `${TOKENS}/token-1`);
    expect(other.status).toBe(401);
    expect(other.challenge).toContain('error="invalid_token"');
  });

  it('gives the server its own credential, and not the token of the caller', async () => {
    expect(await seen()).toEqual({ authorization: false, key: digestOf(FIRST_KEY) });
  });

  it('denies what a rule denies to accounts of that namespace, and hides it from them', async () => {
    const { status, body } = await call('get-env');
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({
      id: 1,
      error: { message: 'Not for clients', data: { reason: 'denied_by_rule', rule: 'clients-may-not' } },
    });
    const { body: list } = await ask('tools/list', {});
    const names = JSON.parse(list).result.tools.map(({ name }: { name: string }) => name);
    expect(names).toEqual(['read-file', 'delete-file']);
  });

  it('records who called, and nothing that a mask matches', async () => {
    expect((await call('read-file', { password, note: `use ${forgeToken}` })).status).toBe(200);
    const lines = await waitFor(
      'the call is in the bucket',
      async () => {
        const recording = await readRecording(release.minio, namespace, 'echo');
        const text = JSON.stringify(recording.lines);
        return text.includes('[masked:passwords]') ? recording.lines : null;
      },
      { deadlineMs: 60_000, everyMs: 1_000 },
    );
    const principals = lines.filter(({ type }) => type === 'request').map(({ principal }) => principal);
    expect(principals).toContainEqual(expect.objectContaining({ how: 'kubernetes', subject }));
    const pods = await livingPods(namespace, 'echo');
    const written = [
      JSON.stringify(lines),
      ...(await Promise.all(pods.map(({ metadata }) => logs(namespace, metadata.name, 'mcp-recorder')))),
      JSON.stringify(await getRecorded(namespace, 'echo')),
    ].join('\n');
    const { stdout: callersToken } = await kubectl([
      'exec',
      '-n',
      client.namespace,
      client.name,
      '--',
      'cat',
      token,
    ]);
    for (const planted of [password, forgeToken, callersToken.trim(), FIRST_KEY]) {
      expect(written.includes(planted), planted.slice(0, 6)).toBe(false);
    }
  });

  it('has a wrong rule refused by kubectl apply, with its place', async () => {
    const wrong = recordedServer(namespace, 'echo', 'echo', {
      auth: { resource: server.url, kubernetes: {} },
      rules: [denyTool('get-env'), { name: 'wrong', when: 'mcp.tool = "x"', action: 'Deny' }],
    });
    await expect(apply(wrong)).rejects.toThrow(/spec\.rules\[1\]\.when: line 1, column \d+: /);
  });

  it('takes another rule over without a restart, with a line in the recording and its digest in the status', async () => {
    const before = runsOf(await livingPods(namespace, 'echo'));
    const { status } = await getRecorded(namespace, 'echo');
    const appliedMs = performance.now();
    await apply(resource('delete-file'));
    await waitFor(
      'the new rule is in force in both pods',
      async () => {
        const { status: now } = await getRecorded(namespace, 'echo');
        const isNew = now?.configuration !== status?.configuration;
        const denied = (await call('delete-file')).body.includes('denied_by_rule');
        return isNew && denied;
      },
      { deadlineMs: RELOAD_MS, everyMs: 500 },
    );
    process.stdout.write(
      `from apply to the new rule: ${((performance.now() - appliedMs) / 1000).toFixed(1)} s\n`,
    );
    const ready = await waitForReady(namespace, 'echo', KUBELET_MS);
    expect((await call('get-env')).status).toBe(200);
    expect(runsOf(await livingPods(namespace, 'echo'))).toEqual(before);
    await waitFor(
      'both recorders say in the recording that they were configured anew',
      async () => {
        const { lines } = await readRecording(release.minio, namespace, 'echo');
        const told = lines.filter(({ type, config }) => {
          const { kind, after } = (config ?? {}) as { kind?: string; after?: string };
          return type === 'config' && kind === 'configuration' && after === ready.status?.configuration;
        });
        return new Set(told.map(({ stream }) => stream)).size === 2;
      },
      { deadlineMs: 60_000, everyMs: 1_000 },
    );
  });

  it('takes a rotated Secret over without a restart', async () => {
    const before = runsOf(await livingPods(namespace, 'echo'));
    await writeKey(SECOND_KEY);
    await waitFor(
      'the server gets the new credential',
      async () => (await seen()).key === digestOf(SECOND_KEY),
      {
        deadlineMs: KUBELET_MS,
        everyMs: 1_000,
      },
    );
    expect(runsOf(await livingPods(namespace, 'echo'))).toEqual(before);
  });
});
