/**
 * Mistakes of people: each is told with its cause and its remedy, and nothing crashes.
 */
import { beforeAll, expect, it } from 'vitest';
import { deployEverything } from './support/everything-server.ts';
import { apply, kubectl } from './support/kubectl.ts';
import { freshNamespace } from './support/namespaces.ts';
import { onCluster } from './support/on-cluster.ts';
import {
  CREDENTIALS_SECRET,
  conditionOf,
  describeConditions,
  livingPods,
  recordedServer,
  waitForCondition,
  waitForReady,
} from './support/recorded-server.ts';
import { installRelease, type Release } from './support/release.ts';

const TELL_MS = 120_000;

onCluster('mistakes', () => {
  let release: Release;
  let namespace: string;

  beforeAll(async () => {
    release = await installRelease();
    namespace = await freshNamespace('mistaken');
  });

  it('a wrong field is refused by kubectl apply with a message for people', async () => {
    const wrong = recordedServer(namespace, 'wrong', 'wrong', {
      storage: { store: 'default', s3: { bucket: 'b-1' } },
    });
    await expect(apply(wrong)).rejects.toThrow(/exactly one of store .* and s3/);
    await expect(
      apply(recordedServer(namespace, 'wrong', 'wrong', { server: { port: 70_000 } })),
    ).rejects.toThrow(/1 to 65535/);
  });

  it('a selector that matches nothing is told', async () => {
    await apply(recordedServer(namespace, 'nobody', 'nobody'));
    const said = await waitForCondition(
      namespace,
      'nobody',
      'Ready',
      { status: 'False', reason: 'NoPods' },
      TELL_MS,
    );
    expect(conditionOf(said, 'Ready')?.message).toMatch(/select/i);
  });

  it('a store that the platform team does not have is told, with those that it has', async () => {
    await apply(recordedServer(namespace, 'no-store', 'nobody-2', { storage: { store: 'elsewhere' } }));
    const said = await waitForCondition(
      namespace,
      'no-store',
      'Ready',
      { status: 'False', reason: 'UnknownStore' },
      TELL_MS,
    );
    expect(conditionOf(said, 'Ready')?.message).toContain('default');
  });

  it('a missing Secret is told, keeps the old pods, and heals when the Secret comes', async () => {
    const server = await deployEverything(namespace, 'secretless', { replicas: 1 });
    await apply(recordedServer(namespace, 'secretless', 'secretless'));
    const said = await waitForCondition(
      namespace,
      'secretless',
      'StorageHealthy',
      { status: 'False' },
      TELL_MS,
    );
    expect(describeConditions(said)).toContain(CREDENTIALS_SECRET);
    const { stdout } = await kubectl([
      'get',
      'deployment',
      'secretless',
      '-n',
      namespace,
      '-o',
      'jsonpath={.status.readyReplicas}',
    ]);
    expect(stdout, `the old pod serves on: ${server.url}`).toBe('1');
    await release.minio.writeSecret(namespace, CREDENTIALS_SECRET);
    // The kubelet brings a Secret within about a minute and a half.
    await waitForReady(namespace, 'secretless', 240_000);
  });

  it.each([
    { name: 'no-bucket', s3: { bucket: 'no-such-bucket' }, secret: 'right', words: /no-such-bucket/ },
    {
      name: 'wrong-key',
      s3: { bucket: 'recordings' },
      secret: 'wrong',
      words: /credential|access key|denied|signature/i,
    },
  ])('$name: told with cause and remedy, and the old pods serve on', async ({ name, s3, secret, words }) => {
    await release.minio.writeSecret(
      namespace,
      `${name}-key`,
      secret === 'right' ? release.minio.root : { accessKeyId: 'nobody', secretAccessKey: 'wrong-wrong' },
    );
    await deployEverything(namespace, name, { replicas: 1 });
    await apply(
      recordedServer(namespace, name, name, {
        storage: {
          s3: {
            ...s3,
            region: 'us-east-1',
            endpoint: release.minio.endpoint,
            pathStyle: true,
            credentialsSecretRef: { name: `${name}-key` },
          },
        },
      }),
    );
    const said = await waitForCondition(namespace, name, 'StorageHealthy', { status: 'False' }, TELL_MS);
    expect(conditionOf(said, 'StorageHealthy')?.message).toMatch(words);
    const pods = await livingPods(namespace, name);
    expect(
      pods.some(({ status }) =>
        status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
      ),
    ).toBe(true);
  });

  it('a port that nothing listens on is told', async () => {
    await release.minio.writeSecret(namespace, CREDENTIALS_SECRET);
    await deployEverything(namespace, 'deaf', { replicas: 1 });
    await apply(recordedServer(namespace, 'deaf', 'deaf', { server: { port: 4444 } }));
    const said = await waitForCondition(
      namespace,
      'deaf',
      'Ready',
      { status: ['Unknown', 'False'], reason: 'ServerNotListening' },
      TELL_MS,
    );
    expect(conditionOf(said, 'Enforced')?.status).not.toBe('True');
    expect(describeConditions(said)).toMatch(/4444/);
  });

  it('crashes no operator', async () => {
    for (const { status } of await release.operatorPods()) {
      expect(status.containerStatuses?.map(({ restartCount }) => restartCount)).toEqual([0]);
    }
  });
});
