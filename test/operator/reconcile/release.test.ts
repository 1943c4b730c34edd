/**
 * Before an uninstall everything of ours that could block is taken away, while the operator still runs and also when it does not.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { KubeClient } from '../../../operator/kube/client.ts';
import { LEASES } from '../../../operator/kube/lease-record.ts';
import type { Resource } from '../../../operator/kube/resource.ts';
import {
  ADMISSION_BINDINGS,
  ADMISSION_POLICIES,
  DEPLOYMENTS,
  MUTATING_WEBHOOKS,
  NETWORK_POLICIES,
  RECORDED_SERVERS,
  SERVICES,
  VALIDATING_WEBHOOKS,
} from '../../../operator/reconcile/kinds.ts';
import { HELM_IS_HERE } from '../chart/helm.ts';
import { createDeployment, createPod, createServer, createService } from './cluster.ts';
import { NAMESPACE, type OperatorProcess, openStage, soon, type Stage } from './stage.ts';

let stage: Stage;
let client: KubeClient;
let operator: OperatorProcess;
let namespace: string;

beforeAll(async () => {
  stage = await openStage();
  client = stage.client;
});
afterAll(() => stage?.stop());
beforeEach(async () => {
  operator = await stage.startOperator();
  ({ namespace } = await stage.createNamespace());
  await createService(client, namespace, 'web', { app: 'github' });
  await createDeployment(client, namespace, 'github', 1);
  await createServer(client, namespace, 'github', { server: { port: 8080 } });
  await soon(async () => {
    const { status } = await client.get(RECORDED_SERVERS, at('github'));
    return status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true;
  }, 90_000);
}, 120_000);
afterEach(async () => {
  await operator.stop('SIGKILL');
  await client.delete(RECORDED_SERVERS, at('github')).catch(() => {});
  // As the garbage collector does after an uninstall.
  await client.delete(LEASES, LEASE);
});

const LEASE = { namespace: NAMESPACE, name: 'mcp-recorder' };
const at = (name: string) => ({ namespace, name });

async function expectReleased(): Promise<void> {
  const lease = await client.get(LEASES, LEASE);
  expect(lease.spec?.holderIdentity).toMatch(/^release-/);
  expect(lease.metadata.ownerReferences).toMatchObject([{ kind: 'ClusterRole', name: 'mcp-recorder' }]);
  const kinds: Resource[] = [MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS, ADMISSION_POLICIES, ADMISSION_BINDINGS];
  for (const kind of kinds) expect(await client.list(kind)).toEqual([]);
  expect(await client.list(NETWORK_POLICIES, { namespace })).toEqual([]);
  const { metadata, spec } = await client.get(SERVICES, at('web'));
  expect(spec?.ports).toMatchObject([{ port: 80, targetPort: 8080 }]);
  expect(metadata.annotations ?? {}).toEqual({});
  const resource = await client.get(RECORDED_SERVERS, at('github'));
  expect(resource.metadata.finalizers).toBeUndefined();
  expect(new Set(resource.status?.conditions?.map(({ status, reason }) => `${status} ${reason}`))).toEqual(
    new Set(['Unknown OperatorUninstalled']),
  );
}

describe.runIf(HELM_IS_HERE)('a release', () => {
  it('leaves nothing that blocks, and the operator that still runs does not put it back', async () => {
    const ended = await stage.release();
    expect([ended.exit.code, ended.output]).toEqual([0, expect.stringContaining('the cluster is released')]);
    await expectReleased();
    expect(await operator.metric('mcp_recorder_operator_leader')).toBe(0);
    // A change that it would answer, if it acted.
    await client.patch(DEPLOYMENTS, at('github'), { metadata: { labels: { touched: 'yes' } } });
    const bare = await createPod(client, namespace, 'by-hand', { labels: { app: 'github' } });
    expect(bare.spec?.initContainers).toBeUndefined();
    await expectReleased();
  });

  it('is done also when no operator runs any more', async () => {
    await operator.stop('SIGKILL');
    const ended = await stage.release();
    expect(ended.exit.code).toBe(0);
    await expectReleased();
  });

  it('may be made twice', async () => {
    await operator.stop('SIGKILL');
    expect((await stage.release()).exit.code).toBe(0);
    expect((await stage.release()).exit.code).toBe(0);
    await expectReleased();
  });
});
