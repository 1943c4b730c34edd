/** Services at admission, on a real API server, written by the tools of their users and by the operator. */
import type { Service } from 'kubernetes-types/core/v1';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeObject, Resource } from '../../../operator/kube/resource.ts';
import { eventually } from '../../support/poll.ts';
import { resource } from '../webhook/scene.ts';
import { type AdmissionScene, core, startAdmission } from './admission-scene.ts';

const SERVICES: Resource<Service & KubeObject> = core('services', 'Service');
const WARNING =
  'Warning: mcp-recorder: port 80 leads to the recorder (9080) in front of 8080, because a RecordedMCPServer selects these pods\n';
const ORIGINALS = 'mcp-recorder.dev/original-target-ports';
let scene: AdmissionScene;

beforeAll(async () => {
  scene = await startAdmission();
  await scene.record(resource('closed', { server: { port: 8080 } }), 'Enforced');
  await scene.record(resource('opening', { server: { port: 8080 } }), 'Retargeting');
}, 120_000);
afterAll(() => scene?.stop());

/** As its user has it in a file. */
function service(name: string, app: string, targetPort: number | string = 8080): Service & KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'tools', labels: { team: 'a' } },
    spec: { selector: { app }, ports: [{ port: 80, targetPort, protocol: 'TCP' }] },
  };
}

const get = (name: string) => scene.api.get(SERVICES, { namespace: 'tools', name });
async function portOf(name: string) {
  const { spec, metadata } = await get(name);
  return [spec?.ports?.[0]?.targetPort, metadata.annotations?.[ORIGINALS]];
}

/** Sends the Service somewhere as the operator does: an annotation, and nothing else, by its own manager. */
const annotate = (name: string, target: 'recorder' | 'server' | null) =>
  scene.api.apply(
    SERVICES,
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {
        name,
        namespace: 'tools',
        ...(target === null ? {} : { annotations: { 'mcp-recorder.dev/target': target } }),
      },
    } as KubeObject,
    { fieldManager: 'mcp-recorder' },
  );

/** Who owns the target port of the first port. */
async function ownersOf(name: string): Promise<string[]> {
  const { stdout } = await scene.kubectl(`get service ${name} -n tools -o json --show-managed-fields`);
  const { metadata } = JSON.parse(stdout) as {
    metadata: { managedFields: { manager: string; fieldsV1: object }[] };
  };
  return metadata.managedFields
    .filter(({ fieldsV1 }) => JSON.stringify(fieldsV1).includes('f:targetPort'))
    .map(({ manager }) => manager);
}

describe('a Service of a server that is closed to direct access leads to the recorder', () => {
  it('when it is applied, and applied again', async () => {
    const first = await scene.kubectl('apply -f -', service('csa', 'closed'));
    expect(first).toEqual({ code: 0, stdout: 'service/csa created\n', stderr: WARNING });
    const second = await scene.kubectl('apply -f -', service('csa', 'closed'));
    expect([second.code, second.stderr]).toEqual([0, WARNING]);
    expect(await portOf('csa')).toEqual([9080, '{"80/TCP":8080}']);
    expect((await scene.kubectl('diff -f -', service('csa', 'closed'))).code).toBe(0);
  });

  it('when it is applied on the server’s side, again and again, without a conflict', async () => {
    for (let round = 0; round < 3; round += 1) {
      const { code, stdout } = await scene.kubectl('apply --server-side -f -', service('ssa', 'closed'));
      expect([code, stdout]).toEqual([0, 'service/ssa serverside-applied\n']);
    }
    expect(await portOf('ssa')).toEqual([9080, '{"80/TCP":8080}']);
    expect((await scene.kubectl('diff --server-side -f -', service('ssa', 'closed'))).code).toBe(0);
    expect(await ownersOf('ssa')).toEqual(['kubectl']);
  });

  it('when it is replaced, which drops our annotations', async () => {
    await scene.kubectl('create -f -', service('replaced', 'closed'));
    expect((await scene.kubectl('replace -f -', service('replaced', 'closed'))).code).toBe(0);
    expect(await portOf('replaced')).toEqual([9080, '{"80/TCP":8080}']);
  });

  it('when its user takes it elsewhere and back', async () => {
    await scene.kubectl('apply -f -', service('moved', 'closed'));
    await scene.kubectl('apply -f -', service('moved', 'closed', 9100));
    expect(await portOf('moved')).toEqual([9100, undefined]);
    await scene.kubectl('apply -f -', service('moved', 'closed'));
    expect(await portOf('moved')).toEqual([9080, '{"80/TCP":8080}']);
  });

  it('and one by name stays as it is', async () => {
    expect((await scene.kubectl('apply -f -', service('named', 'closed', 'mcp'))).stderr).toBe('');
    expect(await portOf('named')).toEqual(['mcp', undefined]);
  });
});

describe('a Service of a server that is being adopted', () => {
  it('leads to the server until the operator says so, then to the recorder, and back', async () => {
    await scene.kubectl('apply --server-side -f -', service('opening', 'opening'));
    expect(await portOf('opening')).toEqual([8080, undefined]);

    await annotate('opening', 'recorder');
    expect(await portOf('opening')).toEqual([9080, '{"80/TCP":8080}']);
    expect(await ownersOf('opening'), 'the port stays its user’s').toEqual(['kubectl']);
    expect((await scene.kubectl('apply --server-side -f -', service('opening', 'opening'))).code).toBe(0);
    expect(await portOf('opening')).toEqual([9080, '{"80/TCP":8080}']);

    await annotate('opening', 'server');
    expect(await portOf('opening')).toEqual([8080, undefined]);
    await annotate('opening', null);
    const { metadata, spec } = await get('opening');
    expect(metadata.annotations).toBeUndefined();
    expect(spec?.ports?.[0]?.targetPort).toBe(8080);
  });
});

describe('while the webhook is dead', () => {
  it('a Service goes back with its user’s next apply, and to the recorder when the operator touches it again', async () => {
    await scene.kubectl('apply -f -', service('late', 'opening'));
    await annotate('late', 'recorder');
    await scene.stopWebhook();
    expect((await scene.kubectl('apply -f -', service('late', 'opening'))).code).toBe(0);
    expect(await portOf('late'), 'with an entry that is stale').toEqual([8080, '{"80/TCP":8080}']);
    await scene.startWebhook();
    await eventually(
      async () => {
        await annotate('late', 'recorder');
        expect(await portOf('late')).toEqual([9080, '{"80/TCP":8080}']);
      },
      { withinMs: 10_000, everyMs: 50 },
    );
  });
});
