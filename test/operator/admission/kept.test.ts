/**
 * Resources in the hands of who may write them and may not delete them: no owner that the garbage collector deletes them for.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeClient } from '../../../operator/kube/client.ts';
import {
  CLUSTER_ROLES,
  CONFIG_MAPS,
  KEPT,
  kind,
  object,
  RBAC,
  refusal,
  refusedSoon,
  resource,
  RESOURCES,
  type Scene,
  startScene,
} from './scene.ts';

const BINDINGS = kind(RBAC, 'clusterrolebindings', 'ClusterRoleBinding', false);

let scene: Scene;
let writer: KubeClient;
let keeper: KubeClient;
let ownerReferences: object[];

beforeAll(async () => {
  scene = await startScene();
  const may = (name: string, verbs: string[]) =>
    personWith(name, ['get', 'create', 'update', 'patch', ...verbs]);
  [writer, keeper] = [await may('writer', []), await may('keeper', ['delete'])];
  const { metadata } = await scene.admin.create(CONFIG_MAPS, object(CONFIG_MAPS, 'tools', 'bait'));
  ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'bait', uid: metadata.uid }];
  await refusedSoon(() => own(writer, 'github'), KEPT);
}, 120_000);
afterAll(() => scene?.stop());

async function personWith(name: string, verbs: string[]): Promise<KubeClient> {
  const rules = [{ apiGroups: ['mcp-recorder.dev'], resources: ['recordedmcpservers'], verbs }];
  await scene.admin.create(CLUSTER_ROLES, object(CLUSTER_ROLES, null, name, { rules }));
  const roleRef = { apiGroup: RBAC, kind: 'ClusterRole', name };
  const subjects = [{ kind: 'User', name, apiGroup: RBAC }];
  await scene.admin.create(BINDINGS, object(BINDINGS, null, name, { roleRef, subjects }));
  return scene.cluster.client(await scene.cluster.kubeconfigFor(name));
}

const own = (person: KubeClient, name: string, owners: object[] | null = ownerReferences) =>
  person.patch(RESOURCES, { namespace: 'tools', name }, { metadata: { ownerReferences: owners } });

describe('who may write a resource and may not delete it', () => {
  it('gives it no owner with which it would be deleted, neither later nor at first', async () => {
    expect(await refusal(own(writer, 'github'))).toBe(KEPT);
    const fresh = resource('fresh', { matchLabels: { app: 'fresh' } }, { metadata: { ownerReferences } });
    expect(await refusal(writer.create(RESOURCES, fresh))).toBe(KEPT);
  });

  it('writes all else, also where somebody else has set an owner, and does not take that away', async () => {
    const labels = { metadata: { labels: { team: 'tools' } } };
    const change = () => writer.patch(RESOURCES, { namespace: 'tools', name: 'owned' }, labels);
    await writer.create(RESOURCES, resource('owned', { matchLabels: { app: 'owned' } }));
    expect(await refusal(change())).toBeNull();
    await own(keeper, 'owned');
    expect(await refusal(change())).toBeNull();
    expect(await refusal(own(writer, 'owned', null))).toBe(KEPT);
  });
});

it('who may delete it may give it an owner', async () => {
  await keeper.create(RESOURCES, resource('kept', { matchLabels: { app: 'kept' } }));
  expect(await refusal(own(keeper, 'kept'))).toBeNull();
});
