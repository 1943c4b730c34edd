/**
 * Pods that end under load: no call fails, every exchange has its end, and everything is stored when the recorder has drained.
 */
import { beforeAll, expect, it } from 'vitest';
import { deployEverything, type EverythingServer } from './support/everything-server.ts';
import { apply, kubectl, rolledOut } from './support/kubectl.ts';
import { freshNamespace } from './support/namespaces.ts';
import { onCluster } from './support/on-cluster.ts';
import { readRecording } from './support/recording.ts';
import {
  CREDENTIALS_SECRET,
  livingPods,
  recordedServer,
  restart,
  waitForReady,
} from './support/recorded-server.ts';
import { installRelease, type Release } from './support/release.ts';
import { startSteadyCalls } from './support/steady-calls.ts';
import { waitFor } from './support/wait-for.ts';

onCluster('the end of a pod', () => {
  let release: Release;
  let namespace: string;

  beforeAll(async () => {
    release = await installRelease();
    namespace = await freshNamespace('rolled');
    await release.minio.writeSecret(namespace, CREDENTIALS_SECRET);
  });

  it.concurrent.each([
    { title: 'without a preStop of its own', name: 'plain', preStopSeconds: undefined },
    { title: 'with a preStop of its own of 4 s', name: 'hooked', preStopSeconds: 4 },
  ])('of a server $title: no failed call, every end, all stored', async ({ name, preStopSeconds }) => {
    const server: EverythingServer = await deployEverything(namespace, name, {
      replicas: 3,
      ...(preStopSeconds === undefined ? {} : { preStopSeconds }),
    });
    await apply(recordedServer(namespace, name, name));
    await waitForReady(namespace, name);
    const calls = await startSteadyCalls(namespace, server.url, `${name}-callers`);
    await calls.answers(30);
    await restart(namespace, server.workload);
    await calls.answers(30);
    const [victim] = await livingPods(namespace, name);
    await kubectl(['delete', 'pod', '-n', namespace, victim?.metadata.name ?? '', '--wait=false']);
    await rolledOut(namespace, server.workload);
    await calls.answers(30);
    const { failures, failed, answered, longestPauseMs } = await calls.stop();
    process.stdout.write(
      `${name}: ${answered} calls through a roll and a deletion, longest pause ${longestPauseMs} ms\n`,
    );
    expect({ failed, failures }).toEqual({ failed: 0, failures: [] });

    // All pods go: what they recorded must be stored by then, whatever becomes of their disks.
    await kubectl(['scale', '-n', namespace, server.workload, '--replicas=0']);
    await waitFor(
      'the pods are gone',
      async () =>
        (await kubectl(['get', 'pods', '-n', namespace, '-l', `app=${name}`, '-o', 'name'])).stdout.trim() ===
        '',
      { deadlineMs: 90_000 },
    );
    const { requests, unended, calls: recorded, open } = await readRecording(release.minio, namespace, name);
    expect(recorded).toBeGreaterThanOrEqual(answered);
    expect(requests).toBeGreaterThan(0);
    expect(unended).toEqual([]);
    expect(open, 'streams without their last seal').toEqual([]);
    const { code, stdout, stderr } = await release.minio.cli(['verify', release.store]);
    expect(code, stdout + stderr).toBe(0);
  });
});
