/**
 * No way around the recorder: what the promise covers is refused, what it does not cover is as the threat model says, and each disturbance
 * of the protection is told and heals.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { type ClientPod, startClientPod } from './support/client-pod.ts';
import { deployEverything, type EverythingServer } from './support/everything-server.ts';
import { apply, getJson, inPod, type KubernetesObject, kubectl, type Pod } from './support/kubectl.ts';
import { freshNamespace } from './support/namespaces.ts';
import { signalComponent, signalContainer } from './support/node-faults.ts';
import { onCluster } from './support/on-cluster.ts';
import { forwardPort } from './support/port-forward.ts';
import {
  CREDENTIALS_SECRET,
  conditionOf,
  describeConditions,
  getRecorded,
  livingPods,
  recordedServer,
  waitForCondition,
  waitForReady,
} from './support/recorded-server.ts';
import { installRelease, OPERATOR_NAMESPACE, RELEASE, type Release } from './support/release.ts';
import { runInRig } from './support/which-cluster.ts';
import { waitFor } from './support/wait-for.ts';

const NAME = 'everything';
const OWNED = `${NAME}-mcp-recorder`;
/** A port that nobody declared as one to leave open. */
const EXTRA_PORT = 9999;
/** Admits everyone to every port. */
const OPEN_POLICY = '{"spec":{"ingress":[{}]}}';
const FLIP_MS = 60_000;
const HEAL_MS = 90_000;
const AS_OPERATOR = `--as=system:serviceaccount:${OPERATOR_NAMESPACE}:${RELEASE}`;

onCluster('the way around the recorder', () => {
  let release: Release;
  let namespace: string;
  let server: EverythingServer;
  let clients: ClientPod[];
  let pod: Pod;
  let ip: string;

  const open = (client: ClientPod, host: string, port: number) => client.connect(host, port);
  const blocked = async () =>
    await waitForCondition(namespace, NAME, 'DirectAccessBlocked', { status: 'True' }, HEAL_MS);
  const flipsTo = (status: 'False' | 'Unknown', reason: string) =>
    waitForCondition(namespace, NAME, 'DirectAccessBlocked', { status, reason: `^(${reason})$` }, FLIP_MS);
  /** A merge patch of an object of ours, past its protection. */
  const editAsOperator = (kind: string, patch: string) =>
    kubectl(['patch', kind, OWNED, '-n', namespace, AS_OPERATOR, '--type=merge', '-p', patch]);
  /** When DirectAccessBlocked last changed its status. */
  const changedAt = async () =>
    conditionOf(await getRecorded(namespace, NAME), 'DirectAccessBlocked')?.lastTransitionTime ?? '';

  beforeAll(async () => {
    release = await installRelease();
    namespace = await freshNamespace('walled');
    await release.minio.writeSecret(namespace, CREDENTIALS_SECRET);
    // A second container with a port of its own, as debug and metrics ports are.
    const extra = {
      name: 'extra',
      command: ['node', '-e', `require('http').createServer((q, r) => r.end('extra')).listen(${EXTRA_PORT})`],
    };
    server = await deployEverything(namespace, NAME, { replicas: 1 });
    const { spec } = await getJson<
      KubernetesObject & { spec: { template: { spec: { containers: object[] } } } }
    >('deployment', NAME, namespace);
    const [container] = spec.template.spec.containers as { image: string; securityContext: object }[];
    await kubectl([
      'patch',
      'deployment',
      NAME,
      '-n',
      namespace,
      '--type=json',
      `-p=${JSON.stringify([
        {
          op: 'add',
          path: '/spec/template/spec/containers/-',
          value: { ...extra, image: container?.image, securityContext: container?.securityContext },
        },
      ])}`,
    ]);
    await apply([
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'by-name', namespace },
        spec: { selector: server.labels, ports: [{ port: 80, targetPort: 'mcp' }] },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'extra', namespace },
        spec: { selector: server.labels, ports: [{ port: EXTRA_PORT }] },
      },
    ]);
    // kubectl reads what it patches; the operator, as whom this suite gets past the protection, may not read single ones.
    const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name: 'read-owned', namespace } };
    await apply([
      {
        ...rbac,
        kind: 'Role',
        rules: [
          { apiGroups: [''], resources: ['configmaps'], verbs: ['get'] },
          { apiGroups: ['networking.k8s.io'], resources: ['networkpolicies'], verbs: ['get'] },
        ],
      },
      {
        ...rbac,
        kind: 'RoleBinding',
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'read-owned' },
        subjects: [{ kind: 'ServiceAccount', name: RELEASE, namespace: OPERATOR_NAMESPACE }],
      },
    ]);
    clients = [];
    for (const name of ['other-a', 'other-b', 'other-c']) {
      clients.push(await startClientPod(await freshNamespace(name), 'client', { app: NAME }));
    }
    await apply(
      recordedServer(namespace, NAME, NAME, { server: { container: 'server', port: server.port } }),
    );
    await waitForReady(namespace, NAME);
    [pod] = (await livingPods(namespace, NAME)) as [Pod];
    ip = (pod.status as { podIP?: string }).podIP ?? '';
    // After Ready, so that it is one more of the user's Services: a new one, not one that was there.
    await apply({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'headless', namespace },
      spec: { selector: server.labels, clusterIP: 'None', ports: [{ port: server.port }] },
    });
  });

  it.each([0, 1, 2])(
    'is refused from namespace %i by address, headless name and other ports',
    async (index) => {
      const client = clients[index] as ClientPod;
      expect(await open(client, ip, 9080)).toBe('connected');
      expect(await open(client, ip, server.port)).not.toBe('connected');
      expect(await open(client, `headless.${namespace}.svc.cluster.local`, server.port)).not.toBe(
        'connected',
      );
      expect(await open(client, ip, EXTRA_PORT)).not.toBe('connected');
      expect(await open(client, `extra.${namespace}.svc.cluster.local`, EXTRA_PORT)).not.toBe('connected');
      expect(await open(client, ip, 9081)).not.toBe('connected');
    },
  );

  it('leads through Services of number and name to the recorder', async () => {
    const [client] = clients as [ClientPod];
    for (const name of [NAME, 'by-name']) {
      const message = `through ${name}`;
      const answer = await client.callTool(`http://${name}.${namespace}.svc.cluster.local/mcp`, 'echo', {
        message,
      });
      expect(answer.content).toEqual([{ type: 'text', text: `Echo: ${message}` }]);
    }
    const service = await getJson<KubernetesObject & { spec: { ports: { targetPort: unknown }[] } }>(
      'service',
      NAME,
      namespace,
    );
    expect(service.spec.ports.map(({ targetPort }) => targetPort)).toEqual([9080]);
  });

  it('keeps its status for the operator and its drain for the kubelet', async () => {
    const probe = await inPod(namespace, pod.metadata.name, 'extra', [
      'node',
      '-e',
      `process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; fetch('https://127.0.0.1:9081/link').then(async (r) => console.log(r.status, await r.text()))`,
    ]);
    expect(probe.stdout).toMatch(/^403 /);
  });

  describe('what it does not cover (docs/threat-model.md)', () => {
    it('exec into the pod and other containers of the pod reach the server', async () => {
      const connect = `require('net').connect(${server.port}, '127.0.0.1').on('connect', () => { console.log('in'); process.exit(); })`;
      const { stdout } = await inPod(namespace, pod.metadata.name, 'extra', ['node', '-e', connect]);
      expect(stdout.trim()).toBe('in');
    });

    it('port-forward and the node reach it', async () => {
      const ask = async (address: string) =>
        (
          await runInRig(
            ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '-m', '5', `http://${address}/mcp`],
            { mayFail: true },
          )
        ).stdout;
      const forward = await forwardPort(namespace, `pod/${pod.metadata.name}`, server.port);
      expect(await ask(forward.address)).toMatch(/^4/);
      await forward.stop();
      expect(await ask(`${ip}:${server.port}`)).toMatch(/^4/);
    });
  });

  describe('each disturbance is told and heals', () => {
    it('a policy of somebody else that admits the port', async () => {
      await blocked();
      const name = 'someone-else';
      await apply({
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: { name, namespace },
        spec: { podSelector: { matchLabels: server.labels }, ingress: [{ ports: [{ port: server.port }] }] },
      });
      const flipped = await flipsTo('False', 'OtherPolicyAllows|DirectConnectionSucceeded');
      expect(describeConditions(flipped)).toContain(name);
      await kubectl(['delete', 'networkpolicy', name, '-n', namespace]);
      await blocked();
    });

    it('the policy and the ConfigMap can not be edited or deleted by others, not even by administrators', async () => {
      for (const kind of ['networkpolicy', 'configmap']) {
        for (const args of [
          ['delete', kind, OWNED],
          ['label', kind, OWNED, 'x=y'],
        ]) {
          const { code, stderr } = await kubectl([...args, '-n', namespace], { mayFail: true });
          expect(code).not.toBe(0);
          expect(stderr).toMatch(/mcp-recorder/);
        }
      }
    });

    it('the policy deleted, then edited, past that protection', async () => {
      const before = await changedAt();
      await kubectl(['delete', 'networkpolicy', OWNED, '-n', namespace, AS_OPERATOR]);
      await waitFor(
        'the policy is back',
        async () => {
          const { code } = await kubectl(['get', 'networkpolicy', OWNED, '-n', namespace], { mayFail: true });
          return code === 0;
        },
        { deadlineMs: FLIP_MS },
      );
      await waitFor('its absence was told', async () => (await changedAt()) > before, {
        deadlineMs: FLIP_MS,
      });
      const deleted = (await blocked(), await changedAt());
      await editAsOperator('networkpolicy', OPEN_POLICY);
      await waitFor('the edit was told', async () => (await changedAt()) > deleted, { deadlineMs: FLIP_MS });
      await blocked();
      expect(await open(clients[0] as ClientPod, ip, server.port)).not.toBe('connected');
    });

    it('the ConfigMap edited past that protection', async () => {
      const before = await getJson<KubernetesObject & { data: Record<string, string> }>(
        'configmap',
        OWNED,
        namespace,
      );
      const changed = await changedAt();
      await editAsOperator('configmap', '{"data":{"config.yaml":"name: mine"}}');
      await waitFor('the edit was told', async () => (await changedAt()) > changed, { deadlineMs: FLIP_MS });
      await waitFor(
        'the ConfigMap is as before',
        async () => {
          const { data } = await getJson<KubernetesObject & { data: Record<string, string> }>(
            'configmap',
            OWNED,
            namespace,
          );
          return JSON.stringify(data) === JSON.stringify(before.data);
        },
        { deadlineMs: FLIP_MS },
      );
      await blocked();
    });

    it('a pod relabelled out of the selection, or without the mark, is refused', async () => {
      for (const label of ['app-', 'app=another', 'mcp-recorder.dev/server-']) {
        const { code, stderr } = await kubectl(
          ['label', 'pod', pod.metadata.name, '-n', namespace, '--overwrite', label],
          { mayFail: true },
        );
        expect(code, label).not.toBe(0);
        expect(stderr).toMatch(/mcp-recorder/);
      }
    });

    it("the operator's way to the pods blocked: unknown, not blocked", async () => {
      // A policy of the network's own kind: those of Kubernetes can't deny.
      const manifest = {
        apiVersion: 'crd.projectcalico.org/v1',
        kind: 'GlobalNetworkPolicy',
        metadata: { name: 'no-operator' },
        spec: {
          order: 1,
          namespaceSelector: `projectcalico.org/name == '${OPERATOR_NAMESPACE}'`,
          types: ['Egress'],
          egress: [
            {
              action: 'Deny',
              protocol: 'TCP',
              destination: { namespaceSelector: `projectcalico.org/name == '${namespace}'` },
            },
            { action: 'Allow' },
          ],
        },
      };
      await apply(manifest);
      try {
        await flipsTo('Unknown', '.*');
      } finally {
        await kubectl(['delete', 'globalnetworkpolicies.crd.projectcalico.org', 'no-operator']);
      }
      await blocked();
    });

    it('enforcement off while the policy comes: the dial finds it', async () => {
      const operators = (await release.operatorPods()).map(({ metadata }) => metadata.name);
      for (const operator of operators)
        await signalContainer(OPERATOR_NAMESPACE, operator, 'operator', 'SIGSTOP');
      try {
        await editAsOperator('networkpolicy', OPEN_POLICY);
        await waitFor(
          'the port is open',
          async () => (await open(clients[0] as ClientPod, ip, server.port)) === 'connected',
          { deadlineMs: 10_000 },
        );
        await signalComponent('calico', 'SIGSTOP');
      } finally {
        for (const operator of operators)
          await signalContainer(OPERATOR_NAMESPACE, operator, 'operator', 'SIGCONT');
      }
      try {
        await flipsTo('False', 'DirectConnectionSucceeded');
      } finally {
        await signalComponent('calico', 'SIGCONT');
      }
      await blocked();
      expect(await open(clients[0] as ClientPod, ip, server.port)).not.toBe('connected');
    });
  });

  it('of a server that does not listen is unknown, not blocked', async () => {
    const quiet = await freshNamespace('silent');
    await release.minio.writeSecret(quiet, CREDENTIALS_SECRET);
    const script = `
      const fs = require('fs');
      const server = require('http').createServer((q, r) => r.end('{}'));
      let listens = false;
      setInterval(() => {
        const wanted = !fs.existsSync('/tmp/silent');
        if (wanted && !listens) server.listen(8080);
        if (!wanted && listens) { server.close(); server.closeAllConnections(); }
        listens = wanted;
      }, 100);`;
    await deployEverything(quiet, 'silent', {
      replicas: 1,
      container: {
        command: ['node', '-e', script],
        readinessProbe: undefined,
        securityContext: { allowPrivilegeEscalation: false },
      },
    });
    await apply(recordedServer(quiet, 'silent', 'silent'));
    await waitForReady(quiet, 'silent');
    const [pod] = (await livingPods(quiet, 'silent')) as [Pod];
    await inPod(quiet, pod.metadata.name, 'server', ['touch', '/tmp/silent']);
    await waitForCondition(
      quiet,
      'silent',
      'DirectAccessBlocked',
      { status: 'Unknown', reason: 'ServerNotListening' },
      FLIP_MS,
    );
    await inPod(quiet, pod.metadata.name, 'server', ['rm', '/tmp/silent']);
    await waitForReady(quiet, 'silent', HEAL_MS);
  });
});
