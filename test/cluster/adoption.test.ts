/**
 * How a server that runs already comes into the recording: under load, in each way, and what the status says from when.
 */
import { beforeAll, expect, it } from 'vitest';
import { startClientPod } from './support/client-pod.ts';
import { deployEverything } from './support/everything-server.ts';
import { apply, kubectl, type Pod, rolledOut } from './support/kubectl.ts';
import { freshNamespace } from './support/namespaces.ts';
import { onCluster } from './support/on-cluster.ts';
import {
  CREDENTIALS_SECRET,
  describeConditions,
  getRecorded,
  hasSidecar,
  livingPods,
  recordedServer,
  waitForReady,
} from './support/recorded-server.ts';
import { installRelease, type Release } from './support/release.ts';
import { startSteadyCalls } from './support/steady-calls.ts';
import { waitFor } from './support/wait-for.ts';

const podIp = (pod: Pod | undefined) => (pod?.status as { podIP?: string } | undefined)?.podIP ?? '';

onCluster('adoption', () => {
  let release: Release;
  let namespace: string;

  beforeAll(async () => {
    release = await installRelease();
    namespace = await freshNamespace('adopted');
    await release.minio.writeSecret(namespace, CREDENTIALS_SECRET);
  });

  it('of a Deployment of three under constant load fails no call, and closes direct access after it', async () => {
    // The pods from before have no recorder to end their connections for them: they end as their own hook lets them.
    const server = await deployEverything(namespace, 'rolling', {
      replicas: 3,
      preStopSeconds: 5,
    });
    const outside = await startClientPod(namespace, 'outside');
    const calls = await startSteadyCalls(namespace, server.url, 'rolling-callers', ['fresh', 'slow']);
    await calls.answers(30);
    const [before] = await livingPods(namespace, 'rolling');
    expect(await outside.connect(podIp(before), server.port)).toBe('connected');

    await apply(recordedServer(namespace, 'rolling', 'rolling'));
    const recorded = await waitForReady(namespace, 'rolling');
    await calls.answers(30);
    const { failures, failed, answered, longestPauseMs } = await calls.stop();
    process.stdout.write(`adoption under load: ${answered} calls, longest pause ${longestPauseMs} ms\n`);
    expect({ failed, failures }).toEqual({ failed: 0, failures: [] });

    const pods = await livingPods(namespace, 'rolling');
    expect(pods.map(hasSidecar)).toEqual([true, true, true]);
    for (const pod of pods) expect(await outside.connect(podIp(pod), server.port)).not.toBe('connected');
    expect(Date.parse(recorded.status?.enforcedSince ?? '')).toBeLessThanOrEqual(Date.now());
  });

  it('with Immediate closes direct access first', async () => {
    const server = await deployEverything(namespace, 'immediate', { replicas: 1 });
    const outside = await startClientPod(namespace, 'outside-immediate');
    const [before] = await livingPods(namespace, 'immediate');
    await apply(recordedServer(namespace, 'immediate', 'immediate', { adoption: 'Immediate' }));
    await waitFor(
      'the old pod is closed or gone',
      async () => (await outside.connect(podIp(before), server.port)) !== 'connected',
      { deadlineMs: 30_000, everyMs: 50 },
    );
    const now = await getRecorded(namespace, 'immediate');
    expect(now.status?.phase, describeConditions(now)).not.toBe('Enforced');
    await waitForReady(namespace, 'immediate');
    const answer = await outside.callTool(server.url, 'echo', { message: 'after' });
    expect(answer.content).toEqual([{ type: 'text', text: 'Echo: after' }]);
  });

  it('of a StatefulSet with a headless Service works by Relocate', async () => {
    const server = await deployEverything(namespace, 'relocated', {
      replicas: 2,
      kind: 'StatefulSet',
      headless: true,
      // The example server takes its address from PORT alone; loopback is this wrapper's doing, as a server with a HOST would.
      container: {
        command: ['node', '-e', LISTEN_ON_HOST],
        readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
      },
    });
    await apply(
      recordedServer(namespace, 'relocated', 'relocated', {
        traffic: {
          mode: 'Relocate',
          relocate: {
            port: 18080,
            env: [
              { name: 'PORT', value: '18080' },
              { name: 'HOST', value: '127.0.0.1' },
            ],
          },
        },
      }),
    );
    await waitForReady(namespace, 'relocated');
    // Ready speaks of the pods that there are: the last one may still be on its way.
    await rolledOut(namespace, server.workload);
    const outside = await startClientPod(namespace, 'outside-relocated');
    const url = `http://relocated-0.relocated.${namespace}.svc.cluster.local:${server.port}/mcp`;
    const answer = await waitFor(
      'the name is known',
      () => outside.callTool(url, 'echo', { message: 'by the pod’s own name' }),
      { deadlineMs: 40_000 },
    );
    expect(answer.content).toEqual([{ type: 'text', text: 'Echo: by the pod’s own name' }]);
    for (const pod of await livingPods(namespace, 'relocated')) {
      expect(await outside.connect(podIp(pod), 18080)).not.toBe('connected');
    }
  });

  it('of a StatefulSet with a headless Service is flagged in the way of the Service', async () => {
    await deployEverything(namespace, 'headless', { replicas: 1, kind: 'StatefulSet', headless: true });
    await apply(recordedServer(namespace, 'headless', 'headless'));
    const flagged = await waitFor(
      'the headless Service is told',
      async () => {
        const now = await getRecorded(namespace, 'headless');
        return now.status?.notes?.some((note) => /headless/i.test(note)) ? now : null;
      },
      { deadlineMs: 60_000 },
    );
    expect(flagged.status?.notes?.join(' ')).toContain('Relocate');
  });

  it('names what it can not make anew', async () => {
    const { stdout } = await kubectl([
      'get',
      'deployment',
      'rolling',
      '-n',
      namespace,
      '-o',
      'jsonpath={.spec.template.spec}',
    ]);
    await apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'naked', namespace, labels: { app: 'naked' } },
      spec: JSON.parse(stdout),
    });
    await kubectl(['wait', '-n', namespace, '--for=condition=Ready', 'pod/naked', '--timeout=60s'], {
      timeoutMs: 70_000,
    });
    await apply(recordedServer(namespace, 'naked', 'naked'));
    const said = await waitFor(
      'the naked pod is named',
      async () => {
        const now = await getRecorded(namespace, 'naked');
        return /RolloutBlocked=True/.test(describeConditions(now)) ? now : null;
      },
      { deadlineMs: 60_000 },
    );
    expect(describeConditions(said)).toMatch(/RolloutBlocked=True.*naked/);
  });
});

/** Runs the example server on $HOST, which it does not know itself. */
const LISTEN_ON_HOST = `
const net = require('net');
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, { port: Number(port), host: process.env.HOST || '0.0.0.0' }, ...rest.filter((one) => typeof one === 'function'));
};
process.argv[2] = 'streamableHttp';
import('/app/node_modules/@modelcontextprotocol/server-everything/dist/index.js');
`;
