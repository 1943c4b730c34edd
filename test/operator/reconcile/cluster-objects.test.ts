/**
 * Webhook configurations and admission policies on a real API server: nothing is taken away for what is not known, and nothing is written
 * any more when another may lead.
 */
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Identity } from '../../../operator/identity.ts';
import { createClient, type KubeClient } from '../../../operator/kube/client.ts';
import { createAdmissionState } from '../../../operator/reconcile/admission-state.ts';
import { type ClusterCopies, followClusterObjects } from '../../../operator/reconcile/cluster-copies.ts';
import { createClusterObjects } from '../../../operator/reconcile/cluster-objects.ts';
import { followServers, type ServerCopy } from '../../../operator/reconcile/copies.ts';
import { CLUSTER_ROLES, MUTATING_WEBHOOKS } from '../../../operator/reconcile/kinds.ts';
import { createWritten } from '../../../operator/reconcile/written.ts';
import { renew } from '../../../operator/webhook/certificates.ts';
import { type ControlPlane, startControlPlane } from '../../support/control-plane.ts';
import { eventually } from '../../support/poll.ts';
import { startScriptedApi } from '../../support/scripted-api.ts';
import { settings } from '../webhook/scene.ts';
import { createServer, CRD_FILE } from './cluster.ts';

const log = pino({ level: 'silent' });
const going = new AbortController().signal;

let plane: ControlPlane;
let client: KubeClient;
let copies: ClusterCopies;
let identity: Identity;

beforeAll(async () => {
  const { namespace, webhook, fullname } = settings;
  const data = await renew(null, null, new Date(), { service: webhook.service, namespace });
  identity = { data, authorities: data['ca.crt'] } as Identity;
  plane = await startControlPlane();
  client = plane.client();
  await plane.installCrds(CRD_FILE);
  await plane.createNamespace('tools');
  const role = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: fullname },
  };
  await client.create(CLUSTER_ROLES, role);
  await createServer(client, 'tools', 'github');
  copies = followClusterObjects(client, log);
  await Promise.all(Object.values(copies).map(({ syncedOnce }) => syncedOnce));
});
afterAll(async () => {
  await Promise.all(Object.values(copies).map((copy) => copy.close()));
  await plane.stop();
});

function objectsFor(servers: ServerCopy) {
  const now = () => performance.now();
  return createClusterObjects({
    client,
    settings,
    servers,
    copies,
    written: createWritten(now),
    admission: createAdmissionState(now),
    identity: () => identity,
    changed: () => {},
    log,
  });
}

/** Of how many kinds of pods our webhook is asked. */
async function entries(): Promise<number> {
  const found = await client.find(MUTATING_WEBHOOKS, { namespace: null, name: 'mcp-recorder-pods-0' });
  return found?.webhooks?.length ?? 0;
}

function writes(): number {
  const verbs = new Set(['apply', 'delete']);
  return client
    .counts()
    .filter(({ verb }) => verbs.has(verb))
    .reduce((sum, { count }) => sum + count, 0);
}

it('writes nothing when it was called off, and goes on where it was', async () => {
  const servers = followServers({ client, namespaces: [], log });
  await servers.syncedOnce;
  const objects = objectsFor(servers);
  const before = writes();
  await expect(objects.reconcile(AbortSignal.abort(new Error('leadership is lost')))).rejects.toThrow('lost');
  expect(writes()).toBe(before);
  await objects.reconcile(going);
  expect(await entries()).toBe(2);
  await servers.close();
});

it('takes no entry away while the resources are not known', async () => {
  await eventually(() => copies.webhooks.size > 0, { withinMs: 10_000 });
  const silent = await startScriptedApi();
  const deaf = createClient({ access: silent.access, fieldManager: 'test' });
  const servers = followServers({ client: deaf, namespaces: [], log });
  await objectsFor(servers).reconcile(going);
  expect(await entries()).toBe(2);
  await Promise.all([deaf.close(), servers.close()]);
  await silent.close();
});
