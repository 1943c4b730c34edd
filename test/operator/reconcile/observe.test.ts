/**
 * What is known of a resource is what stands in a real API server: its pods, what makes them anew, and which changes are news for it.
 */
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { KubeClient } from '../../../operator/kube/client.ts';
import type { KubeObject, OwnerReference, Resource } from '../../../operator/kube/resource.ts';
import { tellAffected } from '../../../operator/reconcile/affected.ts';
import {
  closeAll,
  completeOnce,
  type Copies,
  followAll,
  followServers,
} from '../../../operator/reconcile/copies.ts';
import {
  CONFIG_MAPS,
  DAEMON_SETS,
  DEPLOYMENTS,
  ENDPOINT_SLICES,
  NETWORK_POLICIES,
  PODS,
  RECORDED_SERVERS,
  REPLICA_SETS,
  SERVICES,
  STATEFUL_SETS,
} from '../../../operator/reconcile/kinds.ts';
import { createWorkloads, type Workloads } from '../../../operator/reconcile/workloads.ts';
import { type ControlPlane, startControlPlane } from '../../support/control-plane.ts';
import { eventually } from '../../support/poll.ts';
import { createDeployment, createPod, createServer, createService, CRD_FILE } from './cluster.ts';

const SOON = { withinMs: 10_000 };

let plane: ControlPlane;
let client: KubeClient;
let copies: Copies;
let workloads: Workloads;
let affected: Set<string>;
let namespace: string;
let count = 0;

beforeAll(async () => {
  plane = await startControlPlane();
  await plane.installCrds(CRD_FILE);
  client = plane.client();
  const parts = { client, namespaces: [], log: pino({ level: 'silent' }) };
  copies = followAll(followServers(parts), parts);
  await completeOnce(copies);
  workloads = createWorkloads(client, copies);
  affected = new Set();
  tellAffected(copies, (key) => affected.add(key));
});
afterAll(async () => {
  await closeAll(copies);
  await copies.servers.close();
  await plane.stop();
});
beforeEach(async () => {
  count += 1;
  namespace = `case-${count}`;
  await plane.createNamespace(namespace);
});

const controller = ({ apiVersion, kind, metadata: { name, uid = '' } }: KubeObject): OwnerReference => ({
  apiVersion,
  kind,
  name,
  uid,
  controller: true,
});

function pod(name: string, owner?: KubeObject) {
  const ownerReferences = owner === undefined ? [] : [controller(owner)];
  return createPod(client, namespace, name, { labels: { app: 'github' }, ownerReferences });
}

/** Creates an object of the apps group with one pod template. */
function createWorkload<T extends KubeObject>(
  kind: Resource<T>,
  name: string,
  spec: object,
  owner?: KubeObject,
) {
  const labels = { app: 'github' };
  const containers = [{ name: 'server', image: 'example.com/server:1' }];
  const object = {
    apiVersion: 'apps/v1',
    kind: kind.kind,
    metadata: { namespace, name, ...(owner === undefined ? {} : { ownerReferences: [controller(owner)] }) },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers } },
      ...spec,
    },
  };
  return client.apply(kind, object);
}

function setStatus(kind: Resource, name: string, status: object) {
  return client.patch(kind, { namespace, name }, { status }, { subresource: 'status' });
}

/** The workload of a pod, as soon as our copies have it so. */
async function workloadOf(name: string, wanted: object): Promise<void> {
  await eventually(async () => {
    const found = copies.pods.get(namespace, name);
    if (found === undefined) return false;
    expect((await workloads.of([found])).get(found.metadata.uid as string)).toMatchObject(wanted);
    return true;
  }, SOON);
}

describe('what makes a pod anew', () => {
  it('is the Deployment above its ReplicaSet, settled when all that runs is of its newest template and ready', async () => {
    const deployment = await createDeployment(client, namespace, 'github');
    const set = await createWorkload(REPLICA_SETS, 'github-6f7c', {}, deployment);
    await pod('github-6f7c-1', set);
    const kind = { kind: 'Deployment', name: 'github', uid: deployment.metadata.uid };
    await workloadOf('github-6f7c-1', { ...kind, settled: false, templateLabels: { app: 'github' } });
    const status = { replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2 };
    await setStatus(DEPLOYMENTS, 'github', { ...status, observedGeneration: 1 });
    await workloadOf('github-6f7c-1', { ...kind, settled: true, rolls: 'byItself', restartedFor: null });
    await setStatus(DEPLOYMENTS, 'github', { ...status, replicas: 3 });
    await workloadOf('github-6f7c-1', { settled: false });
    await setStatus(DEPLOYMENTS, 'github', status);
    const annotations = { 'mcp-recorder.dev/restarted-for': 'x', 'example.com/else': 'y' };
    const change = { spec: { paused: true, template: { metadata: { annotations } } } };
    await client.patch(DEPLOYMENTS, { namespace, name: 'github' }, change);
    // Its numbers are still those of the template before.
    await workloadOf('github-6f7c-1', { settled: false, rolls: 'paused', restartedFor: 'x' });
  });

  it('is asked of the API server once for a ReplicaSet, however often', async () => {
    const deployment = await createDeployment(client, namespace, 'github');
    const set = await createWorkload(REPLICA_SETS, 'github-6f7c', {}, deployment);
    await pod('github-6f7c-1', set);
    await workloadOf('github-6f7c-1', { kind: 'Deployment' });
    const asked = () =>
      client.counts().find(({ verb, resource }) => verb === 'get' && resource === 'replicasets');
    const before = asked()?.count;
    await workloadOf('github-6f7c-1', { kind: 'Deployment' });
    expect(asked()?.count).toBe(before);
  });

  it('is a StatefulSet with its partition, or one that makes pods anew only when they are deleted', async () => {
    const set = await createWorkload(STATEFUL_SETS, 'github', {
      replicas: 2,
      serviceName: 'github',
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 1 } },
    });
    await pod('github-1', set);
    await workloadOf('github-1', { kind: 'StatefulSet', partition: 1, rolls: 'byItself', settled: false });
    const runs = { replicas: 2, readyReplicas: 2, observedGeneration: 1 };
    await setStatus(STATEFUL_SETS, 'github', { ...runs, updatedReplicas: 1 });
    await workloadOf('github-1', { settled: true });
    const onDelete = { spec: { updateStrategy: { type: 'OnDelete', rollingUpdate: null } } };
    await client.patch(STATEFUL_SETS, { namespace, name: 'github' }, onDelete);
    await setStatus(STATEFUL_SETS, 'github', {
      observedGeneration: 2,
      currentRevision: 'a',
      updateRevision: 'b',
    });
    await workloadOf('github-1', { rolls: 'onDelete', partition: 0, settled: false });
    await setStatus(STATEFUL_SETS, 'github', { currentRevision: 'b' });
    await workloadOf('github-1', { settled: true });
  });

  it('is a DaemonSet, a Job, a bare ReplicaSet, another controller, or nothing', async () => {
    const daemons = await createWorkload(DAEMON_SETS, 'daemons', {});
    await pod('daemon', daemons);
    await workloadOf('daemon', { kind: 'DaemonSet', settled: false });
    const status = {
      currentNumberScheduled: 1,
      desiredNumberScheduled: 1,
      numberMisscheduled: 0,
      numberReady: 1,
    };
    await setStatus(DAEMON_SETS, 'daemons', { ...status, updatedNumberScheduled: 1, observedGeneration: 1 });
    await workloadOf('daemon', { kind: 'DaemonSet', settled: true });

    await pod('bare', await createWorkload(REPLICA_SETS, 'bare', {}));
    await workloadOf('bare', { kind: 'Other', ownerKind: 'ReplicaSet', name: 'bare' });
    const job = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'job', uid: 'uid-job' } };
    await pod('job', job);
    await workloadOf('job', { kind: 'Job', name: 'job' });
    const ray = { apiVersion: 'ray.io/v1', kind: 'RayCluster', metadata: { name: 'ray', uid: 'uid-ray' } };
    await pod('ray', ray);
    await workloadOf('ray', { kind: 'Other', ownerKind: 'RayCluster', apiVersion: 'ray.io/v1' });
    await pod('naked');
    const naked = await eventually(() => copies.pods.get(namespace, 'naked') ?? false, SOON);
    expect((await workloads.of([naked])).size).toBe(0);
  });
});

describe('a change is news', () => {
  /** The resources that hear of it, when the change has come to our copies. */
  async function hears(change: () => Promise<unknown>, ...expected: string[]): Promise<void> {
    affected.clear();
    await change();
    const keys = expected.map((name) => `${namespace}/${name}`).sort();
    await eventually(() => {
      expect([...affected].sort()).toEqual(keys);
      return true;
    }, SOON);
  }

  beforeEach(async () => {
    await createServer(client, namespace, 'github');
    await createServer(client, namespace, 'jira');
    await pod('github-0');
    await eventually(() => copies.pods.get(namespace, 'github-0') !== undefined, SOON);
    await eventually(() => copies.servers.get(namespace, 'jira') !== undefined, SOON);
  });

  it('for the resource that a pod belongs to, by its labels before and after, and by its mark', async () => {
    const relabel = (labels: object) =>
      client.patch(PODS, { namespace, name: 'github-0' }, { metadata: { labels } });
    await hears(() => relabel({ app: 'jira' }), 'github', 'jira');
    await hears(() => relabel({ app: null, 'mcp-recorder.dev/server': 'github' }), 'github', 'jira');
    await hears(() => relabel({ 'mcp-recorder.dev/server': null }), 'github');
  });

  it('for every resource of the namespace, when a Service or a policy changes', async () => {
    await hears(() => createService(client, namespace, 'web', { app: 'x' }), 'github', 'jira');
    await hears(() => client.delete(SERVICES, { namespace, name: 'web' }), 'github', 'jira');
    const policy = (labels: Record<string, string>, name: string) => ({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { namespace, name, labels },
      spec: { podSelector: {} },
    });
    await hears(() => client.apply(NETWORK_POLICIES, policy({}, 'theirs')), 'github', 'jira');
    const ours = { 'mcp-recorder.dev/resource': 'jira' };
    await hears(() => client.apply(NETWORK_POLICIES, policy(ours, 'ours')), 'jira');
  });

  it('for the one resource whose ConfigMap changes, and for none when it is not of ours', async () => {
    const configMap = (name: string, labels: Record<string, string>) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace, name, labels },
    });
    await hears(async () => {
      await client.apply(CONFIG_MAPS, configMap('theirs', {}));
      const labels = {
        'app.kubernetes.io/managed-by': 'mcp-recorder',
        'mcp-recorder.dev/resource': 'github',
      };
      await client.apply(CONFIG_MAPS, configMap('ours', labels));
    }, 'github');
  });

  it('for the resources of the pods that a slice leads to, by name or by address', async () => {
    const slice = (endpoint: object) => ({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { namespace, name: 'made-by-hand' },
      addressType: 'IPv4',
      endpoints: [endpoint],
    });
    const targetRef = { kind: 'Pod', name: 'github-0' };
    await hears(() => client.apply(ENDPOINT_SLICES, slice({ addresses: ['10.1.2.3'], targetRef })), 'github');
    await setStatus(PODS, 'github-0', { phase: 'Running', podIP: '10.1.2.4', podIPs: [{ ip: '10.1.2.4' }] });
    await eventually(() => copies.pods.get(namespace, 'github-0')?.status?.podIP !== undefined, SOON);
    await client.delete(ENDPOINT_SLICES, { namespace, name: 'made-by-hand' });
    await eventually(() => copies.endpointSlices.list(namespace).length === 0, SOON);
    await hears(() => client.apply(ENDPOINT_SLICES, slice({ addresses: ['10.1.2.4'] })), 'github');
  });

  it('for the resource whose pods a workload makes', async () => {
    await hears(() => createDeployment(client, namespace, 'jira'), 'jira');
  });

  it('for the others on the same pods, when a resource comes or goes', async () => {
    const spec = { selector: { matchLabels: { app: 'github' } } };
    await hears(() => createServer(client, namespace, 'second', spec), 'github', 'second');
    await hears(() => client.delete(RECORDED_SERVERS, { namespace, name: 'second' }), 'github', 'second');
  });
});
