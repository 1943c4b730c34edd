/**
 * The way out: a resource that is deleted, a chart that is upgraded, a chart that is uninstalled.
 */
import { beforeAll, expect, it } from 'vitest';
import { startClientPod } from './support/client-pod.ts';
import { deployEverything } from './support/everything-server.ts';
import { apply, getJson, type KubernetesObject, kubectl } from './support/kubectl.ts';
import { freshNamespace } from './support/namespaces.ts';
import { onCluster } from './support/on-cluster.ts';
import {
  CREDENTIALS_SECRET,
  getRecorded,
  hasSidecar,
  livingPods,
  recordedServer,
  waitForReady,
} from './support/recorded-server.ts';
import { installRelease, OPERATOR_NAMESPACE, type Release } from './support/release.ts';
import { waitFor } from './support/wait-for.ts';

type Service = KubernetesObject & {
  metadata: { annotations?: Record<string, string> };
  spec: { ports: { targetPort: number | string }[] };
};

onCluster('removal', () => {
  let release: Release;
  let namespace: string;
  const service = (name: string) => getJson<Service>('service', name, namespace);
  const gone = async (kind: string, name: string) =>
    (await kubectl(['get', kind, name, '-n', namespace], { mayFail: true })).stderr.includes('NotFound');

  beforeAll(async () => {
    release = await installRelease();
    namespace = await freshNamespace('left');
    await release.minio.writeSecret(namespace, CREDENTIALS_SECRET);
  });

  it('of a resource brings Services and pods back to what they were', async () => {
    const server = await deployEverything(namespace, 'leaving', { replicas: 2 });
    const before = await service('leaving');
    await apply(recordedServer(namespace, 'leaving', 'leaving'));
    await waitForReady(namespace, 'leaving');
    expect((await service('leaving')).spec.ports[0]?.targetPort).toBe(9080);

    await kubectl(['delete', 'rms', 'leaving', '-n', namespace, '--timeout=150s'], { timeoutMs: 160_000 });
    const after = await service('leaving');
    expect(after.spec).toEqual(before.spec);
    const ours = Object.keys(after.metadata.annotations ?? {}).filter((key) =>
      key.startsWith('mcp-recorder.dev/'),
    );
    expect(ours).toEqual([]);
    expect((await livingPods(namespace, 'leaving')).map(hasSidecar)).toEqual([false, false]);
    for (const kind of ['networkpolicy', 'configmap']) {
      await waitFor(`the ${kind} is gone`, () => gone(kind, 'leaving-mcp-recorder'), { deadlineMs: 30_000 });
    }
    const client = await startClientPod(namespace, 'after-leaving');
    const answer = await client.callTool(server.url, 'echo', { message: 'as before' });
    expect(answer.content).toEqual([{ type: 'text', text: 'Echo: as before' }]);
  });

  it('an upgrade of the chart changes no recorded pod, and counts the outdated ones', async () => {
    await deployEverything(namespace, 'staying', { replicas: 2 });
    await apply(recordedServer(namespace, 'staying', 'staying'));
    await waitForReady(namespace, 'staying');
    const uids = async () =>
      (await livingPods(namespace, 'staying')).map(({ metadata }) => metadata.uid).sort();
    const before = await uids();
    await release.upgrade({ 'sidecar.resources.requests.memory': '97Mi' });
    await waitFor(
      'both pods are counted as outdated',
      async () => (await getRecorded(namespace, 'staying')).status?.pods?.outdated === 2,
      { deadlineMs: 60_000 },
    );
    expect(await uids()).toEqual(before);
    await waitForReady(namespace, 'staying');
    await kubectl(['rollout', 'restart', '-n', namespace, 'deployment/staying']);
    await waitFor(
      'none is outdated',
      async () => {
        const { status } = await getRecorded(namespace, 'staying');
        return status?.pods?.outdated === 0 && status.pods.recorded === 2;
      },
      { deadlineMs: 120_000 },
    );
  });

  it('of the chart leaves nothing that blocks pods, deletions or namespaces', async () => {
    await release.uninstall();
    for (const kind of [
      'mutatingwebhookconfigurations',
      'validatingwebhookconfigurations',
      'validatingadmissionpolicies',
      'validatingadmissionpolicybindings',
    ]) {
      await waitFor(
        `no ${kind} of ours is left`,
        async () => {
          const { stdout } = await kubectl(['get', kind, '-o', 'name']);
          return !stdout.includes('mcp-recorder');
        },
        { deadlineMs: 30_000 },
      );
    }
    expect((await service('staying')).spec.ports[0]?.targetPort).toBe(8080);
    // The server goes on, pods are made and deleted, and the namespace with its resource goes.
    const client = await startClientPod(namespace, 'after-uninstall');
    const answer = await client.callTool(`http://staying.${namespace}.svc.cluster.local/mcp`, 'echo', {
      message: 'still there',
    });
    expect(answer.content).toEqual([{ type: 'text', text: 'Echo: still there' }]);
    await kubectl(['delete', 'pod', '-n', namespace, '-l', 'app=staying', '--wait=false']);
    await waitFor(
      'new pods come without the recorder',
      async () => {
        const pods = await livingPods(namespace, 'staying');
        return pods.length === 2 && !pods.some(hasSidecar);
      },
      { deadlineMs: 60_000 },
    );
    await kubectl(['delete', 'namespace', namespace, '--timeout=90s'], { timeoutMs: 100_000 });
    await kubectl(['delete', 'namespace', OPERATOR_NAMESPACE, '--timeout=90s'], { timeoutMs: 100_000 });
    const { stdout } = await kubectl(['get', 'crd', 'recordedmcpservers.mcp-recorder.dev', '-o', 'name']);
    expect(stdout).toContain('recordedmcpservers');
  });
});
