/**
 * With `watchNamespaces`, by the rights that the chart gives: a namespace that is gone, and the rights in it with it, stands in nobody's way.
 */
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeClient } from '../../../operator/kube/client.ts';
import { FINALIZER } from '../../../operator/naming.ts';
import { closeAll, completeOnce, followAll, followServers } from '../../../operator/reconcile/copies.ts';
import { RECORDED_SERVERS } from '../../../operator/reconcile/kinds.ts';
import { release } from '../../../operator/reconcile/release.ts';
import { type ControlPlane, startControlPlane } from '../../support/control-plane.ts';
import { eventually } from '../../support/poll.ts';
import { HELM_IS_HERE, NAMESPACE, render } from '../chart/helm.ts';
import { settings } from '../webhook/scene.ts';
import { createServer, CRD_FILE } from './cluster.ts';

const WATCHED = ['tools', 'gone'];
const OPERATOR = `system:serviceaccount:${NAMESPACE}:mcp-recorder`;
const RIGHTS = ['ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding'];
const log = pino({ level: 'silent' });

let plane: ControlPlane;
let admin: KubeClient;
let operator: KubeClient;

/** Every namespace but the one that is gone is there, with the rights in it. */
async function setUp(): Promise<void> {
  plane = await startControlPlane();
  admin = plane.client();
  await plane.installCrds(CRD_FILE);
  for (const namespace of [NAMESPACE, 'tools', 'others']) await plane.createNamespace(namespace);
  for (const manifest of await render({ watchNamespaces: WATCHED })) {
    const { kind, metadata } = manifest;
    if (!RIGHTS.includes(kind) || metadata.namespace === 'gone') continue;
    const group = 'rbac.authorization.k8s.io';
    const namespaced = !kind.startsWith('Cluster');
    const resource = { group, version: 'v1', plural: `${kind.toLowerCase()}s`, kind, namespaced };
    await admin.apply(resource, manifest);
  }
  operator = plane.client(await plane.kubeconfigFor(OPERATOR));
  await createServer(admin, 'tools', 'github');
}

describe.runIf(HELM_IS_HERE)('a watched namespace that is gone', () => {
  beforeAll(setUp);
  afterAll(() => plane?.stop());

  it('is empty to the copies, and the others are followed', async () => {
    const parts = { client: operator, namespaces: WATCHED, log };
    const servers = followServers(parts);
    const copies = followAll(servers, parts);
    await completeOnce(copies);
    const all = Object.values(copies);
    await eventually(() => all.every(({ health }) => health().failure === null), { withinMs: 20_000 });
    expect(servers.list().map(({ metadata }) => metadata.name)).toEqual(['github']);
    await closeAll(copies);
    await servers.close();
  });

  it('is told from one in which the rights are missing: that one is not followed', async () => {
    const servers = followServers({ client: operator, namespaces: ['tools', 'others'], log });
    await servers.syncedOnce;
    await eventually(
      () => servers.health().failure?.includes('watch recordedmcpservers in others') === true,
      {
        withinMs: 20_000,
      },
    );
    await servers.close();
  });

  it('holds no uninstall up', async () => {
    const change = { metadata: { finalizers: [FINALIZER] } };
    await admin.patch(RECORDED_SERVERS, { namespace: 'tools', name: 'github' }, change);
    const left = await release({
      client: operator,
      settings: { ...settings, watchNamespaces: WATCHED },
      holder: 'release',
      now: () => new Date(),
      log,
    });
    expect(left).toEqual([]);
    const { metadata } = await admin.get(RECORDED_SERVERS, { namespace: 'tools', name: 'github' });
    expect(metadata.finalizers).toBeUndefined();
  });
});
