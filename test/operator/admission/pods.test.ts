/**
 * Pods before the API server, with our admission policies and no webhook: who needs the recorder, and which labels stay.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../support/poll.ts';
import {
  IMAGE,
  INJECTED,
  MARKED,
  MARKER_CREATE,
  MARKER_IMAGE,
  MARKER_UPDATE,
  PODS,
  RECORDER,
  refusal,
  refusedSoon,
  resource,
  RESOURCES,
  type Scene,
  SELECTED,
  SELECTION,
  SOON,
  startScene,
} from './scene.ts';

let scene: Scene;

beforeAll(async () => {
  scene = await startScene();
}, 120_000);
afterAll(() => scene?.stop());

describe('a pod that a resource selects', () => {
  it('is refused without the recorder', async () => {
    expect(await refusal(scene.createPod({ labels: SELECTED }))).toBe(INJECTED);
  });

  it.each([
    ['of the same version', IMAGE],
    ['of another version', 'registry.example.com/tools/mcp-recorder-sidecar:9.9.9-rc.1'],
    ['by digest', `registry.example.com/tools/mcp-recorder-sidecar@sha256:${'0'.repeat(64)}`],
    ['by tag and digest', `registry.example.com/tools/mcp-recorder-sidecar:1@sha256:${'0'.repeat(64)}`],
  ])('passes with the recorder %s', async (_, image) => {
    const labels = { ...SELECTED, ...MARKED };
    expect(await refusal(scene.createPod({ labels, recorder: { ...RECORDER, image } }))).toBeNull();
  });

  it.each([
    ['with another image', { image: 'registry.example.com/tools/other:0.1.0' }],
    [
      'with an image whose name begins as ours',
      { image: 'registry.example.com/tools/mcp-recorder-sidecar:1/x' },
    ],
    [
      'from a registry whose name looks like ours',
      { image: 'registryXexample.com/tools/mcp-recorder-sidecar:1' },
    ],
    ['that ends before the server starts', { restartPolicy: undefined }],
    ['that runs another program', { command: ['sleep'] }],
    ['that gets arguments', { args: ['sleep'] }],
    ['under another name', { name: 'recorder' }],
  ])('is refused with a recorder %s', async (_, change) => {
    const recorder = { ...RECORDER, ...change };
    expect(await refusal(scene.createPod({ labels: SELECTED, recorder }))).toBe(INJECTED);
  });

  it('passes in a namespace without resources, and where labels differ', async () => {
    expect(await refusal(scene.createPod({ labels: SELECTED, namespace: 'others' }))).toBeNull();
    expect(await refusal(scene.createPod({ labels: { app: 'other' } }))).toBeNull();
  });

  it('is found by expressions too', async () => {
    const matchExpressions = [
      { key: 'tier', operator: 'In', values: ['mcp', 'tools'] },
      { key: 'stage', operator: 'NotIn', values: ['test'] },
      { key: 'team', operator: 'Exists' },
      { key: 'legacy', operator: 'DoesNotExist' },
    ];
    await scene.admin.create(RESOURCES, resource('tiers', { matchExpressions }));
    const words = INJECTED.replace('github', 'tiers');
    const all = { tier: 'mcp', team: 'a' };
    await refusedSoon(() => scene.createPod({ labels: all }), words);
    expect(await refusal(scene.createPod({ labels: { ...all, stage: 'live' } }))).toBe(words);
    for (const labels of [
      { tier: 'mcp' },
      { ...all, tier: 'x' },
      { ...all, stage: 'test' },
      { ...all, legacy: '' },
    ]) {
      expect(await refusal(scene.createPod({ labels })), JSON.stringify(labels)).toBeNull();
    }
  });

  it('passes while its resource is being deleted', async () => {
    const labels = { app: 'leaving' };
    const finalizers = { metadata: { finalizers: ['mcp-recorder.dev/finalizer'] } };
    await scene.admin.create(RESOURCES, resource('leaving', { matchLabels: labels }, finalizers));
    await refusedSoon(() => scene.createPod({ labels }), INJECTED.replace('github', 'leaving'));
    await scene.admin.delete(RESOURCES, { namespace: 'tools', name: 'leaving' });
    await eventually(async () => (await refusal(scene.createPod({ labels }))) === null, SOON);
    await scene.admin.patch(
      RESOURCES,
      { namespace: 'tools', name: 'leaving' },
      { metadata: { finalizers: null } },
    );
  });
});

describe('the marking label', () => {
  it('is refused on pods without the recorder, in every namespace', async () => {
    expect(await refusal(scene.createPod({ labels: MARKED }))).toBe(MARKER_CREATE);
    expect(await refusal(scene.createPod({ labels: MARKED, namespace: 'others' }))).toBe(MARKER_CREATE);
    expect(
      await refusal(scene.createPod({ labels: MARKED, namespace: 'others', recorder: RECORDER })),
    ).toBeNull();
  });

  it('stays as it is in the life of a pod', async () => {
    const marked = await scene.createPod({ labels: MARKED, recorder: RECORDER });
    const bare = await scene.createPod();
    expect(await refusal(scene.relabel(marked, { 'mcp-recorder.dev/server': null }))).toBe(MARKER_UPDATE);
    expect(await refusal(scene.relabel(marked, { 'mcp-recorder.dev/server': 'other' }))).toBe(MARKER_UPDATE);
    expect(await refusal(scene.relabel(bare, MARKED))).toBe(MARKER_UPDATE);
  });

  it('stays also where the status of a pod is written, whose writers reach its labels', async () => {
    const name = await scene.createPod({ labels: MARKED, recorder: RECORDER });
    const write = (change: object) =>
      scene.admin.patch(PODS, { namespace: 'tools', name }, change, { subresource: 'status' });
    expect(await refusal(write({ metadata: { labels: { 'mcp-recorder.dev/server': null } } }))).toBe(
      MARKER_UPDATE,
    );
    expect(await refusal(write({ status: { phase: 'Running' } }))).toBeNull();
  });

  it('keeps the image of the recorder, and nothing else of the pod', async () => {
    const name = await scene.createPod({ labels: MARKED, recorder: RECORDER });
    const at = { namespace: 'tools', name };
    const swap = (image: string) =>
      scene.admin.patch(PODS, at, { spec: { initContainers: [{ ...RECORDER, image }] } });
    expect(await refusal(swap('evil:1'))).toBe(MARKER_IMAGE);
    expect(await refusal(swap(IMAGE.replace('0.1.0', '0.2.0')))).toBe(MARKER_IMAGE);
    const server = { spec: { containers: [{ name: 'server', image: 'server:2' }] } };
    expect(await refusal(scene.admin.patch(PODS, at, server))).toBeNull();
    expect(await refusal(scene.relabel(name, { leader: 'true' }))).toBeNull();
    expect(await refusal(scene.admin.patch(PODS, at, { metadata: { annotations: { a: 'b' } } }))).toBeNull();
    expect(await refusal(scene.admin.delete(PODS, at, { gracePeriodSeconds: 0 }))).toBeNull();
  });
});

describe('labels of a running pod', () => {
  it('do not take it into a selection or out of it', async () => {
    const outside = await scene.createPod({ labels: { app: 'other' } });
    const inside = await scene.createPod({ labels: { ...SELECTED, ...MARKED }, recorder: RECORDER });
    expect(await refusal(scene.relabel(outside, SELECTED))).toBe(SELECTION);
    expect(await refusal(scene.relabel(inside, { app: null }))).toBe(SELECTION);
    expect(await refusal(scene.relabel(inside, { app: 'other' }))).toBe(SELECTION);
  });

  it('change as ever otherwise', async () => {
    const outside = await scene.createPod({ labels: { app: 'other' } });
    const inside = await scene.createPod({ labels: { ...SELECTED, ...MARKED }, recorder: RECORDER });
    const far = await scene.createPod({ namespace: 'others' });
    expect(await refusal(scene.relabel(outside, { app: 'another' }))).toBeNull();
    expect(await refusal(scene.relabel(inside, { leader: 'true' }))).toBeNull();
    expect(await refusal(scene.relabel(far, SELECTED, 'others'))).toBeNull();
  });

  it('count for expressions too', async () => {
    const matchExpressions = [{ key: 'role', operator: 'In', values: ['mcp'] }];
    await scene.admin.create(RESOURCES, resource('roles', { matchExpressions }));
    const outside = await scene.createPod({ labels: { role: 'web' } });
    await refusedSoon(() => scene.relabel(outside, { role: 'mcp' }), SELECTION.replace('github', 'roles'));
    expect(await refusal(scene.relabel(outside, { role: 'db' }))).toBeNull();
  });
});
