/**
 * What every suite on a cluster relies on, each point once. A red test here says that the cluster is at fault, not the project.
 */
import { beforeAll, expect, it } from 'vitest';
import { type ClientPod, startClientPod } from './support/client-pod.ts';
import { deployEverything, type EverythingServer } from './support/everything-server.ts';
import { apply, getJson, kubectl, listJson, logs, type Pod } from './support/kubectl.ts';
import { deployMinio } from './support/minio-service.ts';
import { freshNamespace } from './support/namespaces.ts';
import { signalComponent, signalContainer } from './support/node-faults.ts';
import { onCluster } from './support/on-cluster.ts';
import { waitFor } from './support/wait-for.ts';

onCluster('the cluster', ({ isRig }) => {
  let namespace: string;
  let client: ClientPod;
  let server: EverythingServer;

  beforeAll(async () => {
    namespace = await freshNamespace('rig', { 'pod-security.kubernetes.io/enforce': 'restricted' });
    [client, server] = await Promise.all([
      startClientPod(namespace),
      deployEverything(namespace, 'everything', { replicas: 1 }),
    ]);
  });

  it('has a node that is ready, and namespaces to work in', async () => {
    const { stdout } = await kubectl(['get', 'nodes', '--no-headers']);
    expect(stdout).toMatch(/^\S+ +Ready /m);
    expect(await getJson('namespace', namespace)).toMatchObject({ status: { phase: 'Active' } });
  });

  it('resolves Services by name, and runs an image that was built by a Dockerfile', async () => {
    const answer = await client.callTool(server.url, 'echo', { message: 'over the Service' });
    expect(answer.content).toEqual([{ type: 'text', text: 'Echo: over the Service' }]);
    expect(await logs(namespace, 'deployment/everything', 'server')).toContain('Received MCP POST request');
  });

  it('enforces NetworkPolicies, and not while its enforcement stands still', async () => {
    const [pod] = await listJson<Pod>('pods', namespace, 'app=everything');
    const outcome = () => client.connect(pod?.status.podIP ?? '', server.port);
    const closed = async () => (await outcome()) !== 'connected';
    const policy = {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'closed', namespace },
      spec: { podSelector: { matchLabels: server.labels }, policyTypes: ['Ingress'] },
    };
    if (isRig) await signalComponent('calico', 'SIGSTOP');
    await apply(policy);
    if (isRig) {
      expect(await outcome()).toBe('connected');
      await signalComponent('calico', 'SIGCONT');
    }
    await waitFor('the policy closes the port', closed, { deadlineMs: 10_000 });
    await kubectl(['delete', 'networkpolicy', '-n', namespace, 'closed']);
    await waitFor('the port is open again', async () => !(await closed()), { deadlineMs: 10_000 });
  });

  it.runIf(isRig)('starts again what was killed: a container, the API server', async () => {
    await signalContainer(namespace, client.name, 'client', 'SIGKILL');
    await waitFor('the container was started again', () => restarted(namespace, client.name), {
      deadlineMs: 20_000,
    });
    await signalComponent('kube-apiserver', 'SIGKILL');
    await waitFor('the API server answers', async () => (await kubectl(['get', '--raw', '/readyz'])).stdout, {
      deadlineMs: 20_000,
    });
  });

  it('has a MinIO that keeps what it stored when its pod goes, and holds users to their rights', async () => {
    const minio = await deployMinio({ recordings: 'versioned' });
    const writer = await minio.addUser('writer', {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: ['s3:PutObject'], Resource: ['arn:aws:s3:::recordings/*'] }],
    });
    await minio.put('recordings', 'a/b.txt', 'kept', writer);
    await expect(minio.list('recordings', '', writer)).rejects.toThrow('AccessDenied');
    await minio.takeAway();
    await minio.bringBack();
    expect(await minio.list('recordings')).toEqual([{ key: 'a/b.txt', bytes: 4 }]);
    expect((await minio.get('recordings', 'a/b.txt')).toString()).toBe('kept');
    const { code, stderr } = await minio.cli(['verify', 's3://recordings/none']);
    expect([code, stderr]).toEqual([2, expect.stringContaining('No recording in s3://recordings/none')]);
  });
});

async function restarted(namespace: string, pod: string): Promise<boolean> {
  const { status } = await getJson<Pod>('pod', pod, namespace);
  const [container] = status.containerStatuses ?? [];
  return container?.restartCount === 1 && container.ready;
}
