/**
 * A plan reaches a real API server write by write: each may be made twice, touches what is ours alone, and the finalizer goes last.
 */
import type { ConfigMap } from 'kubernetes-types/core/v1';
import type { ObjectMeta } from 'kubernetes-types/meta/v1';
import type { NetworkPolicy } from 'kubernetes-types/networking/v1';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { networkPolicyOf, saysTheSame } from '../../../operator/desired/network-policy.ts';
import type { RecordedMCPServer } from '../../../operator/api/recorded-mcp-server.ts';
import type { Workload } from '../../../operator/desired/observed.ts';
import type { Plan } from '../../../operator/desired/plan.ts';
import type { KubeClient } from '../../../operator/kube/client.ts';
import { type Outcome, type Standing, carryOut } from '../../../operator/reconcile/carry-out.ts';
import {
  CONFIG_MAPS,
  DEPLOYMENTS,
  NETWORK_POLICIES,
  PODS,
  RECORDED_SERVERS,
  SERVICES,
  type Stored,
} from '../../../operator/reconcile/kinds.ts';
import { createWritten, type Written } from '../../../operator/reconcile/written.ts';
import { type ControlPlane, startControlPlane } from '../../support/control-plane.ts';
import { settings } from '../webhook/scene.ts';
import { createDeployment, createPod, createServer, createService, CRD_FILE, emptyPlan } from './cluster.ts';

const LABELS = { 'app.kubernetes.io/managed-by': 'mcp-recorder', 'mcp-recorder.dev/resource': 'github' };
const STATUS: Plan['status'] = {
  phase: 'Pending',
  conditions: [
    {
      type: 'Ready',
      status: 'False',
      reason: 'NoPods',
      message: 'No pod.',
      lastTransitionTime: '2026-11-26T00:00:00Z',
    },
  ],
};

let plane: ControlPlane;
let client: KubeClient;
let written: Written;
let namespace: string;
let resource: Stored<RecordedMCPServer>;
let count = 0;
const going = new AbortController().signal;

beforeAll(async () => {
  plane = await startControlPlane();
  await plane.installCrds(CRD_FILE);
});
afterAll(() => plane?.stop());
beforeEach(async () => {
  count += 1;
  namespace = `case-${count}`;
  await plane.createNamespace(namespace);
  client = plane.client();
  written = createWritten(Date.now);
  resource = await createServer(client, namespace, 'github');
});

/** What stands now, read from the API server itself. */
async function standing(): Promise<Standing> {
  const labelSelector = 'mcp-recorder.dev/resource=github';
  return {
    resource: await client.get(RECORDED_SERVERS, { namespace, name: 'github' }),
    configMaps: await client.list(CONFIG_MAPS, { namespace, labelSelector }),
    networkPolicies: await client.list(NETWORK_POLICIES, { namespace, labelSelector }),
    services: await client.list(SERVICES, { namespace }),
  };
}

async function carry(plan: Plan, signal = going): Promise<Outcome> {
  return carryOut(plan, await standing(), { client, written }, signal);
}

/** Requests that change something, by this test's own client. */
function writes(): string[] {
  const reading = new Set(['get', 'list', 'watch']);
  return client
    .counts()
    .filter(({ verb, resource }) => !reading.has(verb) && resource !== 'namespaces')
    .flatMap(({ verb, resource, count: times }) =>
      Array.from({ length: times }, () => `${verb} ${resource}`),
    );
}

function metadata(name = 'github-mcp-recorder') {
  const { apiVersion, kind, metadata: of } = resource;
  const ownerReferences = [{ apiVersion, kind, name: of.name, uid: of.uid ?? '', controller: true }];
  return { namespace, name, labels: LABELS, ownerReferences };
}

function configMap(name?: string): ConfigMap {
  const data = { 'config.yaml': 'name: github\n', signature: 'AAAA' };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: metadata(name), data };
}

function networkPolicy(): NetworkPolicy {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: metadata(),
    spec: {
      podSelector: { matchLabels: { 'mcp-recorder.dev/server': 'github' } },
      policyTypes: ['Ingress'],
      ingress: [{ ports: [{ port: 9080, protocol: 'TCP' }] }],
    },
  };
}

function wholePlan(changes: Partial<Plan> = {}): Plan {
  return emptyPlan({ configMap: configMap(), networkPolicy: networkPolicy(), status: STATUS, ...changes });
}

const named = (name: string) => ({ namespace, name });

describe('a plan', () => {
  it('stands in the cluster when it was carried out, and is written once however often it is made', async () => {
    expect(await carry(wholePlan())).toEqual({ refusals: new Map(), failure: null });
    const { resource, configMaps, networkPolicies } = await standing();
    expect(resource.metadata.finalizers).toEqual(['mcp-recorder.dev/finalizer']);
    expect(resource.status).toEqual(STATUS);
    expect(configMaps).toMatchObject([{ data: configMap().data }]);
    expect(networkPolicies).toMatchObject([{ spec: networkPolicy().spec }]);
    const before = writes();
    await carry(wholePlan());
    expect(writes()).toEqual(before);
    expect(before.filter((write) => write !== 'create recordedmcpservers').sort()).toEqual([
      'apply configmaps',
      'apply networkpolicies',
      'apply recordedmcpservers/status',
      'patch recordedmcpservers',
    ]);
  });

  it('is written again by a process that knows of no writes, and nothing changes', async () => {
    await carry(wholePlan());
    const before = await standing();
    written = createWritten(Date.now);
    await carry(wholePlan());
    expect(await standing()).toEqual(before);
  });

  it('does not write again what it wrote, while the copy of it is behind', async () => {
    const behind = await standing();
    await carryOut(wholePlan(), behind, { client, written }, going);
    const before = writes();
    const current = { ...behind, resource: (await standing()).resource };
    await carryOut(wholePlan(), current, { client, written }, going);
    expect(writes()).toEqual(before);
  });

  it('takes back what another manager made of our objects', async () => {
    await carry(wholePlan());
    const other = { fieldManager: 'kubectl-edit' };
    const open = { spec: { ingress: [{}] } };
    await client.patch(NETWORK_POLICIES, named('github-mcp-recorder'), open, other);
    const changed = { data: { 'config.yaml': 'name: other\n', 'extra.yaml': 'x: 1\n' } };
    await client.patch(CONFIG_MAPS, named('github-mcp-recorder'), changed, other);
    await carry(wholePlan());
    const { configMaps, networkPolicies } = await standing();
    expect(networkPolicies).toMatchObject([{ spec: networkPolicy().spec }]);
    // A file that the signature does not cover would be refused by every recorder.
    expect(configMaps.map((map) => (map as ConfigMap).data)).toEqual([configMap().data]);
  });

  it('takes away what another manager put beside our part of a policy', async () => {
    const openings = { recorder: [9080], status: 9081, others: [], closesUnrecorded: false };
    const wanted = networkPolicyOf((await standing()).resource, settings, openings);
    await carry(wholePlan({ networkPolicy: wanted }));
    const foreign = { spec: { policyTypes: ['Ingress', 'Egress'], egress: [{ ports: [{ port: 443 }] }] } };
    await client.patch(NETWORK_POLICIES, named('github-mcp-recorder'), foreign);
    await carry(wholePlan({ networkPolicy: wanted }));
    const [stands] = (await standing()).networkPolicies;
    expect(saysTheSame(wanted, stands as NetworkPolicy)).toBe(true);
    expect(stands).toMatchObject({ spec: { policyTypes: ['Ingress'] } });
  });

  it('removes what it does not want any more, and what of ours has another name', async () => {
    await client.apply(CONFIG_MAPS, configMap('github-of-old') as never);
    await carry(wholePlan());
    expect((await standing()).configMaps.map((map) => map.metadata.name)).toEqual(['github-mcp-recorder']);
    await carry(emptyPlan());
    const { configMaps, networkPolicies } = await standing();
    expect([...configMaps, ...networkPolicies]).toEqual([]);
  });

  it("deletes nothing that is not the resource's own, whatever name and labels it has", async () => {
    const { ownerReferences: _, ...labelled } = metadata();
    await client.create(NETWORK_POLICIES, { ...networkPolicy(), metadata: labelled } as never);
    await carry(emptyPlan());
    expect((await standing()).networkPolicies).toHaveLength(1);
  });

  it('takes the finalizer off last, and leaves those of others', async () => {
    await client.patch(RECORDED_SERVERS, named('github'), { metadata: { finalizers: ['example.com/keep'] } });
    await carry(wholePlan());
    await client.delete(RECORDED_SERVERS, named('github'));
    await carry(emptyPlan({ finalizer: false, status: { phase: 'Removing' } }));
    const { resource } = await standing();
    expect(resource.metadata.finalizers).toEqual(['example.com/keep']);
    expect(resource.status).toEqual({ phase: 'Removing' });
  });

  it('sets no finalizer on a resource that is being deleted', async () => {
    await client.patch(RECORDED_SERVERS, named('github'), { metadata: { finalizers: ['example.com/keep'] } });
    await client.delete(RECORDED_SERVERS, named('github'));
    expect(await carry(emptyPlan())).toMatchObject({ failure: null });
    expect((await standing()).resource.metadata.finalizers).toEqual(['example.com/keep']);
  });

  it('is left for another decision when the resource changed since it was observed', async () => {
    const behind = await standing();
    await client.patch(RECORDED_SERVERS, named('github'), { metadata: { labels: { team: 'a' } } });
    const outcome = await carryOut(wholePlan(), behind, { client, written }, going);
    expect(outcome.failure).toMatchObject({ reason: 'Conflict' });
    expect((await standing()).configMaps).toEqual([]);
  });
});

describe('what belongs to others', () => {
  it('keeps the port of a Service with its owner: one annotation is touched', async () => {
    await createService(client, namespace, 'web', { app: 'github' });
    await carry(emptyPlan({ services: [{ name: 'web', target: 'recorder' }] }));
    const web = await client.get(SERVICES, named('web'));
    expect(web.metadata.annotations).toEqual({ 'mcp-recorder.dev/target': 'recorder' });
    expect(web.spec?.ports).toMatchObject([{ targetPort: 8080 }]);
    const ours = (web.metadata as ObjectMeta).managedFields?.filter(({ operation }) => operation === 'Apply');
    expect(ours?.map(({ fieldsV1 }) => fieldsV1)).toEqual([
      { 'f:metadata': { 'f:annotations': { 'f:mcp-recorder.dev/target': {} } } },
    ]);
    await carry(emptyPlan({ services: [{ name: 'web', target: null }] }));
    expect((await client.get(SERVICES, named('web'))).metadata.annotations).toBeUndefined();
  });

  it('does not make a Service anew that has just gone', async () => {
    await createService(client, namespace, 'web', { app: 'github' });
    const behind = await standing();
    await client.delete(SERVICES, named('web'));
    const plan = wholePlan({ services: [{ name: 'web', target: 'recorder' }] });
    expect(await carryOut(plan, behind, { client, written }, going)).toEqual({
      refusals: new Map(),
      failure: null,
    });
    expect(await client.find(SERVICES, named('web'))).toBeNull();
  });

  it('restarts a workload by an annotation that its owner neither sees nor removes', async () => {
    const made = await createDeployment(client, namespace, 'github');
    const workload: Workload = {
      kind: 'Deployment',
      apiVersion: 'apps/v1',
      ownerKind: 'Deployment',
      name: 'github',
      uid: made.metadata.uid as string,
      templateLabels: { app: 'github' },
      restartedFor: null,
      settled: true,
      rolls: 'byItself',
      partition: 0,
    };
    const annotations = async () =>
      (await client.get(DEPLOYMENTS, named('github'))).spec?.template.metadata?.annotations;
    await carry(emptyPlan({ restart: [{ workload, restartedFor: 'uid-1' }] }));
    expect(await annotations()).toEqual({ 'mcp-recorder.dev/restarted-for': 'uid-1' });
    await createDeployment(client, namespace, 'github');
    expect(await annotations()).toEqual({ 'mcp-recorder.dev/restarted-for': 'uid-1' });
    await carry(emptyPlan({ restart: [{ workload, restartedFor: null }] }));
    expect(await annotations()).toBeUndefined();
    // One that took its name is not touched, and none is made.
    await carry(emptyPlan({ restart: [{ workload: { ...workload, uid: 'gone' }, restartedFor: 'uid-1' }] }));
    expect(await annotations()).toBeUndefined();
  });

  it('touches the very pod, and nothing of it but the annotation', async () => {
    const { metadata, spec } = await createPod(client, namespace, 'github-0');
    const { uid = '' } = metadata;
    const touch = (of: string) => emptyPlan({ touch: [{ name: 'github-0', uid: of, digest: 'sha256:1' }] });
    await carry(touch('another'));
    expect((await client.get(PODS, named('github-0'))).metadata.annotations).toEqual(metadata.annotations);
    await carry(touch(uid));
    const touched = await client.get(PODS, named('github-0'));
    expect(touched.metadata.annotations).toEqual({
      ...metadata.annotations,
      'mcp-recorder.dev/configuration': 'sha256:1',
    });
    expect(touched.spec).toEqual(spec);
  });

  it('evicts the very pod', async () => {
    const pod = await createPod(client, namespace, 'github-0');
    const { uid = '' } = pod.metadata;
    await carry(emptyPlan({ evict: [{ name: 'github-0', uid: 'another', why: '' }] }));
    expect(await client.find(PODS, named('github-0'))).not.toBeNull();
    await carry(emptyPlan({ evict: [{ name: 'github-0', uid, why: '' }] }));
    expect(await client.find(PODS, named('github-0'))).toBeNull();
  });
});

describe('what the API server refuses', () => {
  it('is told in its words by the object, and nothing that builds on it is done', async () => {
    const { uid = '' } = (await createPod(client, namespace, 'github-0')).metadata;
    const wrong = networkPolicy();
    wrong.spec = { podSelector: {}, ingress: [{ ports: [{ port: 99_999 }] }] };
    const evict = [{ name: 'github-0', uid, why: '' }];
    const { refusals, failure } = await carry(wholePlan({ networkPolicy: wrong, evict }));
    expect([...refusals]).toEqual([
      [
        'NetworkPolicy/github-mcp-recorder',
        expect.stringMatching(/422 Invalid: .*must be between 1 and 65535/),
      ],
    ]);
    expect(failure).toBeNull();
    expect(await client.find(PODS, named('github-0'))).not.toBeNull();
    expect((await standing()).resource.status).toEqual(STATUS);
  });

  it('keeps the finalizer on, as what it stands for is not done', async () => {
    await carry(wholePlan());
    await client.delete(RECORDED_SERVERS, named('github'));
    const wrong = configMap();
    wrong.data = { 'no/file': '' };
    await carry(emptyPlan({ configMap: wrong, finalizer: false }));
    expect((await standing()).resource.metadata.finalizers).toEqual(['mcp-recorder.dev/finalizer']);
  });

  it('begins no other write when the process is to end', async () => {
    await expect(carry(wholePlan(), AbortSignal.abort(new Error('ends')))).rejects.toThrow('ends');
    const { resource, configMaps } = await standing();
    expect(resource.metadata.finalizers).toBeUndefined();
    expect(configMaps).toEqual([]);
  });

  it('calls for another attempt when the API server is not there', async () => {
    const before = await standing();
    const gone = plane.client();
    await gone.close();
    await expect(carryOut(wholePlan(), before, { client: gone, written }, going)).rejects.toMatchObject({
      reason: 'Unreachable',
    });
  });
});
