/**
 * Whatever happens on the way, it ends as desired, and not by asking the API server without end.
 */
import { beforeAll, expect, it } from 'vitest';
import { deployEverything } from './support/everything-server.ts';
import { apply, getJson, type KubernetesObject, kubectl, listJson } from './support/kubectl.ts';
import { freshNamespace } from './support/namespaces.ts';
import { signalComponent, signalContainer } from './support/node-faults.ts';
import { onCluster } from './support/on-cluster.ts';
import {
  CREDENTIALS_SECRET,
  conditionOf,
  describeConditions,
  getRecorded,
  hasSidecar,
  livingPods,
  recordedServer,
  waitForCondition,
  waitForReady,
} from './support/recorded-server.ts';
import { installRelease, OPERATOR_NAMESPACE, RELEASE, type Release } from './support/release.ts';
import { waitFor } from './support/wait-for.ts';

type Service = KubernetesObject & { spec: { ports: { port: number; targetPort: number | string }[] } };

onCluster('convergence', () => {
  let release: Release;
  let namespace: string;

  const leader = async (): Promise<string> => {
    const lease = await getJson<KubernetesObject & { spec: { holderIdentity?: string } }>(
      'lease',
      RELEASE,
      OPERATOR_NAMESPACE,
    );
    return lease.spec.holderIdentity ?? '';
  };
  const targets = async (name: string) =>
    (await getJson<Service>('service', name, namespace)).spec.ports.map(({ targetPort }) => targetPort);

  beforeAll(async () => {
    release = await installRelease();
    namespace = await freshNamespace('settled');
    await release.minio.writeSecret(namespace, CREDENTIALS_SECRET);
  });

  it('another operator goes on when the leader is killed in the middle of an adoption', async () => {
    await deployEverything(namespace, 'handed-over', { replicas: 2 });
    await apply(recordedServer(namespace, 'handed-over', 'handed-over'));
    const holder = await waitFor('there is a leader', leader, { deadlineMs: 30_000 });
    const pods = await release.operatorPods();
    const pod = pods.find(({ metadata }) => holder.includes(metadata.name));
    await signalContainer(OPERATOR_NAMESPACE, pod?.metadata.name ?? '', 'operator', 'SIGKILL');
    await waitForReady(namespace, 'handed-over');
    const hashes = await listJson('replicasets', namespace, 'app=handed-over');
    // The first one and that with the recorder: a leader that goes on does not roll once more.
    expect(hashes.length).toBe(2);
  });

  it('the API server killed in the middle of an adoption does no harm', async () => {
    await deployEverything(namespace, 'restarted-api', { replicas: 2 });
    await apply(recordedServer(namespace, 'restarted-api', 'restarted-api'));
    await signalComponent('kube-apiserver', 'SIGKILL');
    await waitFor(
      'the API server is back',
      async () => (await kubectl(['get', '--raw', '/readyz'], { mayFail: true })).stdout === 'ok',
      { deadlineMs: 60_000 },
    );
    await waitForReady(namespace, 'restarted-api');
    expect(await targets('restarted-api')).toEqual([9080]);
  });

  it('fifty edits in five seconds end as the last one, without a flood of calls', async () => {
    const name = 'handed-over';
    const count = async () => await operatorCalls();
    await waitForReady(namespace, name);
    const before = await count();
    for (let i = 1; i <= 50; i++) {
      await kubectl([
        'patch',
        'rms',
        name,
        '-n',
        namespace,
        '--type=merge',
        '-p',
        JSON.stringify({ spec: { recording: { maxRequestBytes: `${i}Mi` } } }),
      ]);
    }
    await waitFor(
      'the ConfigMap has the last edit',
      async () => {
        const { data } = await getJson<KubernetesObject & { data: Record<string, string> }>(
          'configmap',
          `${name}-mcp-recorder`,
          namespace,
        );
        return /maxRequestBytes: "?(50Mi|52428800)/.test(data['config.yaml'] ?? '');
      },
      { deadlineMs: 30_000 },
    );
    await waitForReady(namespace, name, 150_000);
    const edited = await count();
    // A world at rest: what the operator asks for now, it would ask for ever.
    const restMs = 15_000;
    await new Promise((resolve) => setTimeout(resolve, restMs));
    const rested = await count();
    process.stdout.write(
      `calls of the API: ${edited - before} for fifty edits and until Ready, ${rested - edited} in ${restMs / 1000} s of rest\n`,
    );
    expect(rested - edited).toBeLessThan(200);
  });

  it('a second writer of the Service and of the ConfigMap does not win, and is not fought without end', async () => {
    const name = 'handed-over';
    const manifest = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace, labels: { app: name } },
      spec: {
        selector: { app: name },
        sessionAffinity: 'ClientIP',
        ports: [{ name: 'http', port: 80, targetPort: 8080 }],
      },
    };
    await apply(manifest);
    expect(await targets(name)).toEqual([9080]);
    await kubectl(['replace', '-f', '-'], { stdin: JSON.stringify(manifest) });
    await waitFor('the Service leads to the recorder', async () => (await targets(name))[0] === 9080, {
      deadlineMs: 30_000,
    });
    await waitForReady(namespace, name);
  });

  it('of two resources on one pod the older wins, and the other says Conflict', async () => {
    await apply(recordedServer(namespace, 'second', 'handed-over'));
    const second = await waitForCondition(namespace, 'second', 'Conflict', { status: 'True' }, 60_000);
    expect(conditionOf(second, 'Ready')?.status).toBe('False');
    expect(describeConditions(second)).toContain('handed-over');
    expect(conditionOf(await getRecorded(namespace, 'handed-over'), 'Ready')?.status).toBe('True');
    await kubectl(['delete', 'rms', 'second', '-n', namespace, '--timeout=60s'], { timeoutMs: 70_000 });
    expect((await livingPods(namespace, 'handed-over')).every(hasSidecar)).toBe(true);
    await waitForReady(namespace, 'handed-over');
  });

  /** Calls of the API by all replicas since their starts, from their metrics. */
  async function operatorCalls(): Promise<number> {
    let sum = 0;
    for (const { metadata } of await release.operatorPods()) {
      const { stdout } = await kubectl([
        'get',
        '--raw',
        `/api/v1/namespaces/${OPERATOR_NAMESPACE}/pods/${metadata.name}:8080/proxy/metrics`,
      ]);
      for (const [, value] of stdout.matchAll(/^mcp_recorder_operator_api_requests_total\{[^}]*\} (\d+)/gm))
        sum += Number(value);
    }
    return sum;
  }
});
