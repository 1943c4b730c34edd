/**
 * A replica that starts in a cluster where something is amiss: what it can put right it does, and what harms nobody keeps it from nothing.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeClient } from '../../../operator/kube/client.ts';
import {
  ADMISSION_BINDINGS,
  ADMISSION_POLICIES,
  DEFINITIONS,
  MUTATING_WEBHOOKS,
  SECRETS,
} from '../../../operator/reconcile/kinds.ts';
import { HELM_IS_HERE } from '../chart/helm.ts';
import { createPod, CRD_FILE } from './cluster.ts';
import { NAMESPACE, openStage, soon, type Stage } from './stage.ts';

const IDENTITY = { namespace: NAMESPACE, name: 'mcp-recorder-identity' };
const DEFINITION = { namespace: null, name: 'recordedmcpservers.mcp-recorder.dev' };

/** The API server itself refuses pods of recorded servers that come without a recorder. */
const refusesBare = async () =>
  (await client.find(ADMISSION_BINDINGS, { namespace: null, name: 'mcp-recorder-injected' })) !== null;

let stage: Stage;
let client: KubeClient;

beforeAll(async () => {
  stage = await openStage();
  client = stage.client;
  await (await stage.startOperator()).stop('SIGTERM');
});
afterAll(() => stage?.stop());

describe.runIf(HELM_IS_HERE)('a replica that starts', () => {
  it("with a Secret whose certificate and key don't belong together repairs it, and serves", async () => {
    const { data = {} } = await client.get(SECRETS, IDENTITY);
    await client.patch(SECRETS, IDENTITY, { data: { 'tls.key': data['link.key'] } });
    const operator = await stage.startOperator();
    await soon(async () => (await operator.health('/readyz')).status === 200);
    const repaired = await client.get(SECRETS, IDENTITY);
    expect(repaired.data?.['config.key']).toBe(data['config.key']);
    await client.delete(SECRETS, IDENTITY);
    await soon(async () => (await client.find(SECRETS, IDENTITY)) !== null);
    expect((await client.get(SECRETS, IDENTITY)).data).toEqual(repaired.data);
    await operator.stop('SIGTERM');
  });

  it("after the resource's definition was deleted takes away what refuses every pod since then", async () => {
    const before = await stage.startOperator();
    await soon(refusesBare);
    await before.stop('SIGTERM');
    await client.delete(DEFINITIONS, DEFINITION);
    await soon(async () => (await client.find(DEFINITIONS, DEFINITION)) === null);
    // An API server that knew the kind lets pods pass; one that has to look it up refuses them.
    await stage.plane.kill();
    await stage.plane.restart();
    const { namespace } = await stage.createNamespace();
    let count = 0;
    const makePod = () => createPod(client, namespace, `other-${(count += 1)}`);
    await soon(() =>
      expect(makePod())
        .rejects.toThrow(/paramKind/)
        .then(() => true),
    );
    const after = await stage.startOperator({ isDoomed: true });
    await soon(async () => (await client.list(ADMISSION_POLICIES)).length === 0);
    expect(await client.list(MUTATING_WEBHOOKS)).toEqual([]);
    await soon(() => makePod().then(() => true));
    const { status, reasons } = await after.health('/readyz');
    expect(status).toBe(503);
    expect(reasons.join()).toMatch(/list recordedmcpservers: 404/);
    await stage.plane.installCrds(CRD_FILE);
    await soon(refusesBare, 60_000);
    await soon(async () => (await after.health('/readyz')).status === 200, 60_000);
    await after.stop('SIGTERM');
  });
});
