/**
 * An operator that is killed between any two of its writes leaves nothing that the next one does not put right: what stands in the end is
 * what stands when nobody was killed.
 */
import type { ConfigMap } from 'kubernetes-types/core/v1';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeClient } from '../../../operator/kube/client.ts';
import {
  CONFIG_MAPS,
  DEPLOYMENTS,
  NETWORK_POLICIES,
  RECORDED_SERVERS,
  SERVICES,
} from '../../../operator/reconcile/kinds.ts';
import { HELM_IS_HERE } from '../chart/helm.ts';
import { createDeployment, createServer, createService } from './cluster.ts';
import { createServiceAccount } from './recorded-pods.ts';
import { openStage, type OperatorProcess, soon, type Stage } from './stage.ts';

const SHORT = { LEASE_MS: '1500' };
/** As many writes as it takes to adopt a running server at once, and some of rest. */
const MOST_WRITES = 30;

let stage: Stage;
let client: KubeClient;
let count = 0;

beforeAll(async () => {
  stage = await openStage();
  client = stage.client;
});
afterAll(() => stage?.stop());

/** A server that runs already, in a namespace of its own, and a resource that closes it at once. */
async function beginScene(): Promise<string> {
  count += 1;
  const namespace = `scene-${count}`;
  await stage.plane.createNamespace(namespace);
  await createServiceAccount(client, namespace);
  await createService(client, namespace, 'web', { app: 'github' });
  await adoptable(namespace);
  await createServer(client, namespace, 'github', { server: { port: 8080 }, adoption: 'Immediate' });
  return namespace;
}

export {};
