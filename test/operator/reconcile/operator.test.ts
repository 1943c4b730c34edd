/**
 * The operator as a process, on a real API server that asks its webhook, with the rights of the chart: what is applied comes to stand, stays
 * as it is whoever else writes, and goes without a trace.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ConfigMap } from 'kubernetes-types/core/v1';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { KubeClient } from '../../../operator/kube/client.ts';
import {
  ADMISSION_POLICIES,
  CONFIG_MAPS,
  DEFINITIONS,
  MUTATING_WEBHOOKS,
  NETWORK_POLICIES,
  RECORDED_SERVERS,
  SECRETS,
  SERVICES,
} from '../../../operator/reconcile/kinds.ts';
import { HELM_IS_HERE } from '../chart/helm.ts';
import { createDeployment, createPod, createServer, createService, CRD_FILE } from './cluster.ts';
import type { Node, RunningPod } from './running-pods.ts';
import { NAMESPACE, openStage, type OperatorProcess, soon, type Stage } from './stage.ts';

const OWNED = 'github-mcp-recorder';

let stage: Stage;
let client: KubeClient;
let operator: OperatorProcess;
let namespace: string;
let node: Node;

beforeAll(async () => {
  stage = await openStage();
  client = stage.client;
  operator = await stage.startOperator();
});
afterAll(() => stage?.stop());
beforeEach(async () => {
  ({ namespace, node } = await stage.createNamespace());
});
// What one test leaves would make work, and writes, in the next.
afterEach(async () => {
  if ((await server()) !== null) await client.delete(RECORDED_SERVERS, at('github'));
  // After an API server was killed the controllers, too, take their time.
  await soon(async () => (await server()) === null, 100_000);
  await node.stop();
}, 120_000);

const at = (name: string) => ({ namespace, name });
const server = () => client.find(RECORDED_SERVERS, at('github'));

async function condition(type: string): Promise<string> {
  const found = (await server())?.status?.conditions?.find((one) => one.type === type);
  return `${found?.status} ${found?.reason}`;
}

const becomesReady = (withinMs?: number) =>
  soon(async () => (await condition('Ready')) === 'True Ready', withinMs);

/** A Deployment that runs already is adopted, and closed. @returns its one pod */
async function enforced(spec: object = {}): Promise<RunningPod> {
  await createDeployment(client, namespace, 'github', 1);
  await soon(async () => node.running().length === 1);
  await createServer(client, namespace, 'github', { server: { port: 8080 }, ...spec });
  await becomesReady(60_000);
  const pod = node.running().find(({ server: of }) => of === 'github');
  return pod as RunningPod;
}

/** Requests of the operator that change something, but for its Lease. */
async function writes(): Promise<number> {
  const name = 'mcp_recorder_operator_api_requests_total';
  let sum = 0;
  for (const verb of ['create', 'update', 'apply', 'patch', 'delete']) {
    sum += await operator.metric(name, `verb="${verb}"`);
    sum -= await operator.metric(name, `verb="${verb}",resource="leases"`);
  }
  return sum;
}

/** Waits for five seconds without a write: what is told late (an Event, a condition after the last look) comes once, a loop goes on. */
async function comesToRest(): Promise<void> {
  await soon(async () => {
    const before = await writes();
    await delay(5_000);
    return (await writes()) === before;
  }, 60_000);
}

describe.runIf(HELM_IS_HERE)('the operator', () => {
  it('is ready when it has an identity and its webhook answers, and has its objects in the cluster', async () => {
    expect(await operator.health('/readyz')).toEqual({ status: 200, ok: true, reasons: [] });
    const secret = await client.get(SECRETS, { namespace: NAMESPACE, name: 'mcp-recorder-identity' });
    expect(secret.metadata.ownerReferences).toMatchObject([{ kind: 'ClusterRole', name: 'mcp-recorder' }]);
    await soon(async () => (await client.list(ADMISSION_POLICIES)).length === 5);
    expect((await client.list(MUTATING_WEBHOOKS)).map(({ metadata }) => metadata.name)).toContain(
      'mcp-recorder-pods-0',
    );
    expect(await operator.metric('mcp_recorder_operator_leader')).toBe(1);
  });

  it('has a wrong rule refused when it is applied, with its place, before there is any resource', async () => {
    const rules = [{ name: 'wrong', when: 'mcp.tool ==', action: 'Deny' }];
    const refused = /resources\.mcp-recorder\.dev.*spec\.rules\[0\]\.when: line 1, column \d+: /;
    await soon(async () => {
      const made = await createServer(client, namespace, 'github', { rules }).catch((error: Error) => error);
      if (made instanceof Error) return refused.test(made.message);
      // Its webhook is not known everywhere yet.
      await client.delete(RECORDED_SERVERS, at('github'));
      return false;
    });
  });

  it('gives recorders the keys of the tokens of service accounts, and tells how identity is', async () => {
    const auth = { resource: 'https://mcp.example.com/github', kubernetes: {} };
    const pod = await enforced({ auth });
    const { data = {} } = await client.get(CONFIG_MAPS, at(OWNED));
    const { issuer, keys } = await client.tokenIssuer();
    const written = parse(data['config.yaml'] ?? '');
    expect(written.auth.kubernetes).toEqual({ issuer, jwks: { keys } });
    expect(await condition('IdentityHealthy')).toBe('True IdentityHealthy');
    const since = new Date().toISOString();
    const down = { issuer, state: 'Unavailable' as const, problem: 'it is down', since };
    pod.changes = { auth: { issuers: [down] } };
    await soon(async () => (await condition('IdentityHealthy')) === 'False IssuerUnavailable', 30_000);
    expect(await condition('Ready')).toBe('False IssuerUnavailable');
    pod.changes = {};
    await becomesReady(30_000);
  });

  it('brings a resource to Enforced: pods injected and proven, Services led, the policy in place', async () => {
    await createService(client, namespace, 'web', { app: 'github' });
    await enforced();
    const web = await client.get(SERVICES, at('web'));
    expect(web.spec?.ports).toMatchObject([{ targetPort: 9080 }]);
    expect((await client.get(NETWORK_POLICIES, at(OWNED))).spec?.podSelector).toEqual({
      matchLabels: { 'mcp-recorder.dev/server': 'github' },
    });
    expect((await server())?.status).toMatchObject({ phase: 'Enforced', directAccess: 'Blocked' });
    await comesToRest();
  });

  it('does not take a recorder with the token of another pod for the one that it looks at', async () => {
    const pod = await enforced();
    pod.changes = { token: 'eyJhbGciOiJub25lIn0.e30.' };
    await soon(async () => (await condition('Ready')) !== 'True Ready', 30_000);
    expect(await condition('DirectAccessBlocked')).toMatch(/^Unknown /);
    pod.changes = {};
    await becomesReady(30_000);
  });

  it('says that a connection past the recorder was made, and heals', async () => {
    const pod = await enforced();
    const open = await stage.listen(pod.address, 8080);
    await soon(async () => (await condition('DirectAccessBlocked')).startsWith('False '), 30_000);
    expect((await server())?.status?.directAccess).toBe('Open');
    await open.close();
    await becomesReady(30_000);
  });
});

describe.runIf(HELM_IS_HERE)('what others write', () => {
  it('to its ConfigMap and policy is refused, and what passes all the same is taken back', async () => {
    await enforced();
    const wanted = await client.get(CONFIG_MAPS, at(OWNED));
    const change = { data: { 'config.yaml': 'name: other\n', 'more.yaml': 'x: 1\n' } };
    await expect(client.patch(CONFIG_MAPS, at(OWNED), change)).rejects.toMatchObject({ status: 403 });
    await stage.asOperator.patch(CONFIG_MAPS, at(OWNED), change, { fieldManager: 'other' });
    await soon(async () => {
      const { data } = (await client.get(CONFIG_MAPS, at(OWNED))) as ConfigMap;
      return JSON.stringify(data) === JSON.stringify(wanted.data);
    });
    const open = { spec: { ingress: [{}] } };
    await stage.asOperator.patch(NETWORK_POLICIES, at(OWNED), open, { fieldManager: 'other' });
    await soon(async () => (await client.get(NETWORK_POLICIES, at(OWNED))).spec?.ingress?.length !== 1);
    await stage.asOperator.delete(NETWORK_POLICIES, at(OWNED));
    await soon(async () => (await client.find(NETWORK_POLICIES, at(OWNED))) !== null);
    const webhooks = { namespace: null, name: 'mcp-recorder-pods-0' };
    await client.delete(MUTATING_WEBHOOKS, webhooks);
    await soon(async () => (await client.find(MUTATING_WEBHOOKS, webhooks)) !== null);
    await becomesReady();
    await comesToRest();
  });

  it('again and again costs one write each time, and ends as it should be', async () => {
    await enforced();
    const before = await writes();
    const until = Date.now() + 5_000;
    let rounds = 0;
    while (Date.now() < until) {
      await stage.asOperator.patch(
        NETWORK_POLICIES,
        at(OWNED),
        { spec: { ingress: [{ ports: [{ port: 1000 + rounds }] }] } },
        { fieldManager: 'other' },
      );
      rounds += 1;
      await delay(100);
    }
    await becomesReady();
    const calls = (await writes()) - before;
    process.stdout.write(`another manager wrote ${rounds} times in 5 s, the operator ${calls} times\n`);
    expect(calls).toBeLessThan(2 * rounds + 10);
    const ports = (await client.get(NETWORK_POLICIES, at(OWNED))).spec?.ingress?.[0]?.ports;
    expect(ports).toMatchObject([{ port: 9080 }]);
    await comesToRest();
  });

  it('to the resource fifty times in 5 s is followed without a hot loop', async () => {
    await enforced();
    const before = await writes();
    const reconciles = () => operator.metric('mcp_recorder_operator_reconciles_total', 'kind="resource"');
    const reconciled = await reconciles();
    for (let n = 1; n <= 50; n += 1) {
      const change = { spec: { recording: { maxUploadLag: `${30 + n}s` } } };
      await client.patch(RECORDED_SERVERS, at('github'), change);
      await delay(100);
    }
    const generation = (await server())?.metadata.generation;
    expect(generation).toBe(51);
    await soon(async () => {
      const status = (await server())?.status;
      return status?.observedGeneration === generation && (await condition('Ready')) === 'True Ready';
    }, 40_000);
    const { data } = (await client.get(CONFIG_MAPS, at(OWNED))) as ConfigMap;
    expect(data?.['config.yaml']).toMatch(/maxUploadLag: "?80s"?/);
    const calls = (await writes()) - before;
    const times = (await reconciles()) - reconciled;
    process.stdout.write(`50 edits in 5 s: ${calls} writes by the operator in ${times} reconciles\n`);
    // Each version at most: the ConfigMap, and the status before and after the recorder took it over.
    expect(calls).toBeLessThan(120);
    await comesToRest();
  });
});

describe.runIf(HELM_IS_HERE)('the end', () => {
  it('of a resource leads Services back, waits for its pods, and leaves nothing', async () => {
    await createService(client, namespace, 'web', { app: 'github' });
    await enforced();
    await client.delete(RECORDED_SERVERS, at('github'));
    await soon(async () => {
      const { metadata, spec } = await client.get(SERVICES, at('web'));
      return spec?.ports?.[0]?.targetPort === 8080 && metadata.annotations === undefined;
    });
    await soon(async () => (await server()) === null, 60_000);
    expect(node.running().map(({ server: of }) => of)).toEqual([null]);
    expect(await client.list(NETWORK_POLICIES, { namespace })).toEqual([]);
    expect(await client.list(CONFIG_MAPS, { namespace })).toEqual([]);
    const bare = await createPod(client, namespace, 'another', { labels: { app: 'github' } });
    expect(bare.spec?.initContainers).toBeUndefined();
  });

  it('of the API server, by SIGKILL, is survived: what changed is done when it is back', async () => {
    await enforced();
    await stage.plane.kill();
    await stage.plane.restart();
    await stage.asOperator.delete(NETWORK_POLICIES, at(OWNED));
    await soon(async () => (await client.find(NETWORK_POLICIES, at(OWNED))) !== null, 60_000);
    await becomesReady(60_000);
    expect((await operator.health('/livez')).status).toBe(200);
  });

  it('of a replica hands the Lease over: the next one leads at once', async () => {
    await enforced();
    const next = await stage.startOperator();
    expect(await next.metric('mcp_recorder_operator_leader')).toBe(0);
    const startedMs = performance.now();
    const ended = operator.stop('SIGTERM');
    await soon(async () => (await next.metric('mcp_recorder_operator_leader')) === 1);
    process.stdout.write(`the Lease was handed over in ${Math.round(performance.now() - startedMs)} ms\n`);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    expect(await ended).toEqual({ code: 0, signal: null });
    operator = next;
    await stage.asOperator.delete(NETWORK_POLICIES, at(OWNED));
    await soon(async () => (await client.find(NETWORK_POLICIES, at(OWNED))) !== null);
    await becomesReady();
  });

  it("of the resource's definition takes away what would refuse every pod, and its return brings all back", async () => {
    await createServer(client, namespace, 'github', { server: { port: 8080 } });
    await soon(async () => (await condition('Ready')) !== 'undefined undefined');
    const definition = { namespace: null, name: 'recordedmcpservers.mcp-recorder.dev' };
    await client.delete(DEFINITIONS, definition);
    await soon(async () => (await client.list(ADMISSION_POLICIES)).length === 0);
    await soon(async () => (await client.list(MUTATING_WEBHOOKS)).length === 0);
    await createPod(client, namespace, 'github-0', { labels: { app: 'github' } });
    await soon(async () => (await client.find(DEFINITIONS, definition)) === null);
    await stage.plane.installCrds(CRD_FILE);
    await soon(async () => (await client.list(ADMISSION_POLICIES)).length === 5, 60_000);
    await createServer(client, namespace, 'github', { server: { port: 8080 } });
    await soon(async () => (await condition('SidecarsInjected')) === 'False PodsUnrecorded', 60_000);
  });
});
