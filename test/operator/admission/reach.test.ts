/**
 * Whose the policies are, which namespaces they reach, and what they do to a cluster that has lost the CRD.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { imageRepository } from '../../../operator/desired/admission-rules.ts';
import { eventually } from '../../support/poll.ts';
import {
  INJECTED,
  kind,
  MARKED,
  POLICY_KINDS,
  refusal,
  refusedSoon,
  resource,
  RESOURCES,
  type Scene,
  SELECTED,
  SETTINGS,
  SOON,
  startScene,
} from './scene.ts';

const CRDS = kind('apiextensions.k8s.io', 'customresourcedefinitions', 'CustomResourceDefinition', false);

let scene: Scene;

beforeAll(async () => {
  scene = await startScene();
}, 120_000);
afterAll(() => scene?.stop());

it.each([
  ['mcp-recorder', 'mcp-recorder'],
  ['mcp-recorder:1.0', 'mcp-recorder'],
  ['localhost:5000/mcp-recorder', 'localhost:5000/mcp-recorder'],
  ['localhost:5000/mcp-recorder:1.0@sha256:00', 'localhost:5000/mcp-recorder'],
])('the image %s is of the repository %s', (image, repository) => {
  expect(imageRepository(image)).toBe(repository);
});

it("all belong to the chart's role, so that the garbage collector takes them with it", async () => {
  const stored = (await Promise.all(Object.values(POLICY_KINDS).map((of) => scene.admin.list(of)))).flat();
  const owner = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', ...scene.role };
  expect(stored.map(({ metadata }) => metadata.name).sort()).toEqual(
    ['connect', 'injected', 'kept', 'marker', 'owned', 'selection'].flatMap((name) => [
      `recorder-${name}`,
      `recorder-${name}`,
    ]),
  );
  for (const { metadata } of stored) expect(metadata.ownerReferences, metadata.name).toEqual([owner]);
});

describe('with namespaces to watch', () => {
  const narrow = { ...SETTINGS, fullname: 'narrow', watchNamespaces: ['others'] };

  it('no other namespace is touched', async () => {
    await scene.uninstall(SETTINGS);
    await eventually(async () => (await refusal(scene.createPod({ labels: SELECTED }))) === null, SOON);
    await scene.admin.create(
      RESOURCES,
      resource('github', { matchLabels: SELECTED }, { namespace: 'others' }),
    );
    await scene.install(narrow);
    const words = INJECTED.replace('recorder-injected', 'narrow-injected');
    await refusedSoon(() => scene.createPod({ labels: SELECTED, namespace: 'others' }), words);
    expect(await refusal(scene.createPod({ labels: SELECTED }))).toBeNull();
    expect(await refusal(scene.createPod({ labels: MARKED }))).toBeNull();
    await scene.uninstall(narrow);
  });
});

describe('when the CRD is gone and the API server starts anew', () => {
  const crd = { namespace: null, name: RESOURCES.plural + '.mcp-recorder.dev' };
  const lost = async (namespace: string) =>
    (await refusal(scene.createPod({ namespace })))?.includes('paramKind') === true;

  it('pods are refused until the policies go, but for the namespaces that must heal it', async () => {
    await scene.install(SETTINGS);
    await scene.admin.delete(CRDS, crd);
    await eventually(async () => (await scene.admin.find(CRDS, crd)) === null, SOON);
    await scene.cluster.restart();
    await eventually(() => lost('others'), SOON);
    expect(await lost(SETTINGS.namespace)).toBe(false);
    expect(await lost('kube-system')).toBe(false);
    await scene.uninstall(SETTINGS);
    await eventually(async () => !(await lost('others')), SOON);
  }, 120_000);
});
