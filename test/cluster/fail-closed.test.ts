/**
 * What holds when something is gone: the store, the recorder itself, the operator with its webhook.
 */
import { beforeAll, expect, it } from 'vitest';
import { type ClientPod, startClientPod } from './support/client-pod.ts';
import { deployEverything, type EverythingServer } from './support/everything-server.ts';
import { apply, getJson, kubectl, listJson, type Pod } from './support/kubectl.ts';
import { freshNamespace } from './support/namespaces.ts';
import { signalContainer } from './support/node-faults.ts';
import { onCluster } from './support/on-cluster.ts';
import {
  CREDENTIALS_SECRET,
  hasSidecar,
  livingPods,
  recordedServer,
  waitForCondition,
  waitForReady,
} from './support/recorded-server.ts';
import { installRelease, type Release } from './support/release.ts';
import { startSteadyCalls } from './support/steady-calls.ts';
import { waitFor } from './support/wait-for.ts';

/** One call without a session: status and body, or the error's code. */
const ASK = `
const [url] = process.argv.slice(2);
const hello = { jsonrpc: '2.0', id: 7, method: 'initialize', params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'ask', version: '1' } } };
try {
  const response = await fetch(url, { method: 'POST', signal: AbortSignal.timeout(8000), body: JSON.stringify(hello), headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' } });
  console.log(JSON.stringify({ status: response.status, retryAfter: response.headers.get('retry-after'), body: await response.text() }));
} catch (error) {
  console.log(JSON.stringify({ status: 0, retryAfter: null, body: String(error.cause?.code ?? error.name) }));
}
process.exit(0);
`;
interface Answer {
  status: number;
  retryAfter: string | null;
  body: string;
}

const restartsOf = ({ status }: Pod): number =>
  status.initContainerStatuses?.find(({ name }) => name === 'mcp-recorder')?.restartCount ?? -1;
const isReady = ({ status }: Pod): boolean =>
  status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true;

onCluster('fail closed', () => {
  let release: Release;
  let namespace: string;
  let client: ClientPod;
  let server: EverythingServer;
  const ask = () => client.run<Answer>(ASK, [server.url]);

  beforeAll(async () => {
    release = await installRelease();
    namespace = await freshNamespace('closed');
    await release.minio.writeSecret(namespace, CREDENTIALS_SECRET);
    [client, server] = await Promise.all([
      startClientPod(namespace),
      deployEverything(namespace, 'everything', { replicas: 2 }),
    ]);
    await apply(recordedServer(namespace, 'everything', 'everything', { recording: { maxUploadLag: '5s' } }));
    await waitForReady(namespace, 'everything');
  });

  it('refuses calls with the reason while the store is away, keeps pods ready, and heals without a restart', async () => {
    const before = (await livingPods(namespace, 'everything')).map(restartsOf);
    expect((await ask()).status).toBe(200);
    await release.minio.takeAway();
    const refused = await waitFor(
      'calls are refused',
      async () => {
        const answer = await ask();
        return answer.status === 503 ? answer : null;
      },
      { deadlineMs: 30_000 },
    );
    expect(Number(refused.retryAfter)).toBeGreaterThan(0);
    expect(JSON.parse(refused.body)).toMatchObject({
      jsonrpc: '2.0',
      error: { message: expect.any(String) },
    });
    expect(refused.body).toContain('store_');
    await waitForCondition(namespace, 'everything', 'StorageHealthy', { status: 'False' }, 60_000);
    await waitForCondition(namespace, 'everything', 'Ready', { status: 'False' }, 60_000);
    const pods = await livingPods(namespace, 'everything');
    expect(pods.map(isReady)).toEqual([true, true]);

    await release.minio.bringBack();
    await waitFor('calls pass again', async () => (await ask()).status === 200, { deadlineMs: 60_000 });
    await waitForReady(namespace, 'everything', 60_000);
    expect((await livingPods(namespace, 'everything')).map(restartsOf)).toEqual(before);
  });

  it('recovers the spool of a recorder that was killed, and lets nothing pass meanwhile', async () => {
    const [pod] = await livingPods(namespace, 'everything');
    if (pod === undefined) throw new Error('no pod');
    const before = restartsOf(pod);
    const calls = await startSteadyCalls(namespace, server.url, 'kill-callers');
    await calls.answers(20);
    await signalContainer(namespace, pod.metadata.name, 'mcp-recorder', 'SIGKILL');
    await waitFor(
      'the recorder runs again',
      async () => {
        const now = await getJson<Pod>('pod', pod.metadata.name, namespace);
        return restartsOf(now) > before && isReady(now);
      },
      { deadlineMs: 60_000 },
    );
    await calls.answers(20);
    await calls.stop();
    // Every answer that a caller had stands in the recording: verify reads all streams, the recovered one too.
    await waitFor(
      'the recording is whole',
      async () => {
        const { code, stdout, stderr } = await release.minio.cli(['verify', release.store]);
        if (code === 0 && /recovered/i.test(stdout)) return true;
        // What it found is the only thing that tells a slow machine from a hole in the recording.
        throw new Error(`verify exits ${code}: ${stderr}${stdout}`);
      },
      { deadlineMs: 120_000, everyMs: 2_000 },
    );
  });

  it('goes on recording without operator and webhook; new pods of the server are refused, others are not', async () => {
    await release.scaleOperator(0);
    try {
      expect((await ask()).status).toBe(200);
      const [pod] = await livingPods(namespace, 'everything');
      await kubectl(['delete', 'pod', '-n', namespace, pod?.metadata.name ?? '', '--wait=false']);
      await waitFor(
        'the new pod is refused',
        async () => {
          const { stdout } = await kubectl(['get', 'events', '-n', namespace, '-o', 'json']);
          return /FailedCreate/.test(stdout) && /mcp-recorder/.test(stdout);
        },
        { deadlineMs: 30_000 },
      );
      const bare = (await livingPods(namespace, 'everything')).filter((one) => !hasSidecar(one));
      expect(bare).toEqual([]);
      expect((await ask()).status).toBe(200);
      const other = await startClientPod(namespace, 'unrelated');
      await kubectl(['delete', 'pod', '-n', other.namespace, other.name, '--wait=false']);
    } finally {
      await release.scaleOperator(2);
    }
    // A Deployment tries again with growing pauses.
    await waitForReady(namespace, 'everything', 180_000);
    const pods = await listJson<Pod>('pods', namespace, 'app=everything');
    expect(pods.every(hasSidecar)).toBe(true);
  });
});
