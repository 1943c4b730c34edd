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

/** More operators than one scene has writes: so many deaths mean that there is no progress. */
const MOST_DEATHS = 30;

let stage: Stage;
let client: KubeClient;

beforeAll(async () => {
  stage = await openStage();
  client = stage.client;
});
afterAll(() => stage?.stop(), 120_000);

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

/** At which of its writes about the scene an operator dies (0: never), of which writes, and when. */
interface Kill {
  nth: number;
  of: 'all' | 'world';
  when: 'after' | 'sent';
}
/** `npm run torture:operator` tries them all, minutes each; the others are the first's like. */
const KILLS: Kill[] = [
  { nth: 1, of: 'world', when: 'after' },
  { nth: 1, of: 'world', when: 'sent' },
  { nth: 2, of: 'all', when: 'sent' },
].slice(0, process.env['OPERATOR_KILLS'] === 'all' ? 3 : 1) as Kill[];
const NEVER: Kill = { nth: 0, of: 'all', when: 'after' };

/** Operators come and are killed, one after the other, until one finds no such write to do. @returns how many died */
async function runOperators(scene: Scene, kill: Kill, until: () => Promise<boolean>): Promise<number> {
  const env = {
    LEASE_MS: '4500',
    KILL_AT: String(kill.nth),
    KILL_OF: kill.of,
    KILL_WHEN: kill.when,
    KILL_IN: scene.namespace,
  };
  for (let deaths = 0; deaths < MOST_DEATHS; deaths += 1) {
    const operator = await stage.startOperator({ env, isDoomed: true });
    const done = isDone(until);
    if ((await Promise.race([done, operator.exited])) !== true) continue;
    await operator.stop('SIGKILL');
    return deaths;
  }
  throw new Error(`${MOST_DEATHS} operators died, and it is not done`);
}

/** A wait that outlives its operator does no harm. */
function isDone(until: () => Promise<boolean>): Promise<true | Error> {
  return soon(until, 60_000).catch((error: Error) => error) as Promise<true | Error>;
}

/** A condition may still be on its way when the scene is done. */
async function expectPicture(scene: Scene, wanted: object): Promise<void> {
  await soon(async () => {
    expect(await scene.picture()).toEqual(wanted);
    return true;
  });
}

const resourceOf = ({ namespace }: Scene) => ({ namespace, name: 'github' });

describe.runIf(HELM_IS_HERE)('operators that are killed', () => {
  /** What stands in the end, on the way in and out, when nobody is killed. */
  let standing: { recorded: object; released: object };

  beforeAll(async () => {
    const scene = await beginScene();
    await runOperators(scene, NEVER, scene.isReady);
    const recorded = await scene.picture();
    await client.delete(RECORDED_SERVERS, resourceOf(scene));
    await runOperators(scene, NEVER, scene.isGone);
    standing = { recorded, released: await scene.picture() };
    expect(recorded).toMatchObject({ resource: { phase: 'Enforced' }, recorders: ['github', 'github'] });
    expect(standing.released).toMatchObject({ resource: null, policy: undefined, recorders: [null, null] });
  }, 200_000);

  it.each(KILLS)(
    'each at its write number $nth of $of ($when) come to what one comes to that lives',
    async (kill) => {
      const scene = await beginScene();
      const deaths = await runOperators(scene, kill, scene.isReady);
      await expectPicture(scene, standing.recorded);
      await client.delete(RECORDED_SERVERS, resourceOf(scene));
      const more = await runOperators(scene, kill, scene.isGone);
      await expectPicture(scene, standing.released);
      process.stdout.write(
        `killed at write ${kill.nth} of ${kill.of} (${kill.when}): ${deaths} operators on the way in, ${more} on the way out\n`,
      );
      expect(deaths + more).toBeGreaterThan(4);
    },
    400_000,
  );
});
