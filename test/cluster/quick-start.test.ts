/**
 * The quick start, as the README has it: install, one resource, and the unchanged client's calls are in the bucket.
 */
import { beforeAll, expect, it } from 'vitest';
import { type ClientPod, startClientPod } from './support/client-pod.ts';
import { deployEverything, type EverythingServer } from './support/everything-server.ts';
import { apply, kubectl } from './support/kubectl.ts';
import { freshNamespace } from './support/namespaces.ts';
import { onCluster } from './support/on-cluster.ts';
import {
  CREDENTIALS_SECRET,
  describeConditions,
  hasSidecar,
  livingPods,
  recordedServer,
  waitForReady,
} from './support/recorded-server.ts';
import { installRelease, type Release } from './support/release.ts';
import { waitFor } from './support/wait-for.ts';

onCluster('the quick start', () => {
  let release: Release;
  let namespace: string;
  let client: ClientPod;
  let server: EverythingServer;

  beforeAll(async () => {
    release = await installRelease();
    namespace = await freshNamespace('tools', { 'pod-security.kubernetes.io/enforce': 'restricted' });
    await release.minio.writeSecret(namespace, CREDENTIALS_SECRET);
    const clients = await freshNamespace('clients');
    [client, server] = await Promise.all([
      startClientPod(clients),
      deployEverything(namespace, 'everything', { replicas: 2 }),
    ]);
  });

  it('records a Deployment of two behind a Service, from one kubectl apply', async () => {
    const before = await client.callTool(server.url, 'echo', { message: 'before' });
    expect(before.content).toEqual([{ type: 'text', text: 'Echo: before' }]);

    const appliedMs = performance.now();
    await apply(recordedServer(namespace, 'everything', 'everything'));
    const recorded = await waitForReady(namespace, 'everything');
    process.stdout.write(`from apply to Ready: ${((performance.now() - appliedMs) / 1000).toFixed(1)} s\n`);
    expect(recorded.status?.phase, describeConditions(recorded)).toBe('Enforced');
    expect(recorded.status?.enforcedSince).toMatch(/^2\d{3}-/);
    const pods = await livingPods(namespace, 'everything');
    expect(pods.map(hasSidecar)).toEqual([true, true]);
  });

  it('leaves the client as it is: the same URL, the same answers', async () => {
    const answer = await client.callTool(server.url, 'echo', { message: 'recorded by the quick start' });
    expect(answer.content).toEqual([{ type: 'text', text: 'Echo: recorded by the quick start' }]);
  });

  it('has the call in the bucket, with the pod that recorded it, and verify finds nothing', async () => {
    const partition = `namespace=${namespace}`;
    await waitFor(
      'the call is in the bucket',
      async () => {
        const shown = await release.minio.cli(['sessions', release.store]);
        return shown.code === 0 && shown.stdout.includes('everything');
      },
      { deadlineMs: 30_000, everyMs: 1_000 },
    );
    const objects = await release.minio.list('recordings');
    expect(objects.some(({ key }) => key.includes(partition))).toBe(true);
    const { code, stdout, stderr } = await release.minio.cli(['verify', release.store]);
    expect(code, stdout + stderr).toBe(0);
  });

  it('tells the state in the columns of kubectl get', async () => {
    const { stdout } = await kubectl(['get', 'rms', '-n', namespace]);
    const [header = '', row = ''] = stdout.trim().split('\n');
    expect(header.split(/ {2,}/)).toEqual(['NAME', 'READY', 'RECORDING', 'DIRECT ACCESS', 'PODS', 'AGE']);
    expect(row).toMatch(/^everything +True +True +Blocked +2\/2 +\d+(?:s|m)/);
  });
});
