/**
 * An operator that is killed at its writes leaves nothing that the next one does not put right: what stands in the end is what stands when
 * nobody was killed.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeClient } from '../../../operator/kube/client.ts';
import type { KubeObject } from '../../../operator/kube/resource.ts';
import {
  CONFIG_MAPS,
  DEPLOYMENTS,
  NETWORK_POLICIES,
  RECORDED_SERVERS,
  SERVICES,
} from '../../../operator/reconcile/kinds.ts';
import { HELM_IS_HERE } from '../chart/helm.ts';
import { createDeployment, createServer, createService } from './cluster.ts';
import { openStage, soon, type Stage } from './stage.ts';

const SHORT_LEASE = { LEASE_MS: '1500' };
/** More operators than one scene has writes: so many deaths mean that there is no progress. */
const MOST_DEATHS = 60;

let stage: Stage;
let client: KubeClient;

beforeAll(async () => {
  stage = await openStage();
  client = stage.client;
});
afterAll(() => stage?.stop());

/** A server that runs already, with a Service by number, and what becomes of it. */
interface Scene {
  namespace: string;
  isReady(): Promise<boolean>;
  isGone(): Promise<boolean>;
  /** What stands, without what differs from one namespace to the other. */
  picture(): Promise<object>;
}

async function beginScene(): Promise<Scene> {
  const { namespace, node } = await stage.createNamespace();
  await createService(client, namespace, 'web', { app: 'github' });
  await createDeployment(client, namespace, 'github', 2);
  await soon(async () => node.running().length === 2);
  await createServer(client, namespace, 'github', { server: { port: 8080 }, adoption: 'Immediate' });
  const at = (name: string) => ({ namespace, name });
  const server = () => client.find(RECORDED_SERVERS, at('github'));
  return {
    namespace,
    async isReady() {
      const conditions = (await server())?.status?.conditions ?? [];
      return conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
    },
    isGone: async () => (await server()) === null,
    async picture() {
      const resource = await server();
      const [configMap, policy, web, deployment] = await Promise.all([
        client.find(CONFIG_MAPS, at('github-mcp-recorder')),
        client.find(NETWORK_POLICIES, at('github-mcp-recorder')),
        client.get(SERVICES, at('web')),
        client.get(DEPLOYMENTS, at('github')),
      ]);
      const config = configMap?.data?.['config.yaml']?.replaceAll(namespace, 'NAMESPACE');
      const template = deployment.spec?.template.metadata;
      return {
        resource: resource && {
          finalizers: resource.metadata.finalizers,
          phase: resource.status?.phase,
          pods: resource.status?.pods,
          conditions: resource.status?.conditions?.map(({ type, status, reason }) => [type, status, reason]),
        },
        config,
        policy: policy?.spec,
        labels: [labelsOf(configMap), labelsOf(policy)],
        web: [web.spec?.ports, web.metadata.annotations],
        isRestarted: Object.keys(template?.annotations ?? {}),
        recorders: node
          .running()
          .map(({ server: of }) => of)
          .sort(),
      };
    },
  };
}

function labelsOf(object: KubeObject | null): object | undefined {
  return object?.metadata.labels;
}

/** Operators come and are killed, each at its `nth` write about the scene, until one finds no such write to do. @returns how many died */
async function runOperators(scene: Scene, nth: number, when: string, until: () => Promise<boolean>) {
  const env = { ...SHORT_LEASE, KILL_AT: String(nth), KILL_WHEN: when, KILL_IN: scene.namespace };
  for (let deaths = 0; deaths < MOST_DEATHS; deaths += 1) {
    const operator = await stage.startOperator({ env, isDoomed: true });
    const done = soon(async () => (await until()) === true, 60_000).then(() => 'done' as const);
    const outcome = await Promise.race([done, operator.exited]);
    if (outcome !== 'done') {
      done.catch(() => {});
      continue;
    }
    await operator.stop('SIGKILL');
    return deaths;
  }
  throw new Error(`${MOST_DEATHS} operators died, and it is not done`);
}

describe.runIf(HELM_IS_HERE)('operators that are killed', () => {
  it.each([
    [1, 'after'],
    [1, 'sent'],
    [2, 'after'],
    [3, 'sent'],
  ])(
    'each at its write number %i (%s) come to what one comes to that lives',
    async (nth, when) => {
      const reference = await beginScene();
      await runOperators(reference, 0, 'after', reference.isReady);
      const scene = await beginScene();
      const deaths = await runOperators(scene, nth, when, scene.isReady);
      expect(await scene.picture()).toEqual(await reference.picture());

      const servers = [reference, scene].map(({ namespace }) => ({ namespace, name: 'github' }));
      for (const name of servers) await client.delete(RECORDED_SERVERS, name);
      const more = await runOperators(scene, nth, when, scene.isGone);
      await runOperators(reference, 0, 'after', reference.isGone);
      expect(await scene.picture()).toEqual(await reference.picture());
      process.stdout.write(
        `killed at each write number ${nth} (${when}): ${deaths} on the way in, ${more} out\n`,
      );
      expect(deaths + more).toBeGreaterThan(2);
    },
    400_000,
  );
});
