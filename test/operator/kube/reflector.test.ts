import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { KubeClient } from '../../../operator/kube/client.ts';
import { LIST_WATCH_TIMES } from '../../../operator/kube/list-watch.ts';
import { createReflector, type Reflector, type ReflectorOptions } from '../../../operator/kube/reflector.ts';
import type { KubeObject, Resource } from '../../../operator/kube/resource.ts';
import { startBreakableLink } from '../../support/breakable-link.ts';
import { type ControlPlane, startControlPlane } from '../../support/control-plane.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { eventually } from '../../support/poll.ts';

interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}
const CONFIG_MAPS: Resource<ConfigMap> = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};
/** As in production, but soon: the tests wait for these. */
const TIMES = { ...LIST_WATCH_TIMES, retry: { firstMs: 50, longestMs: 500 } };
const log = pino({ level: 'silent' });

let plane: ControlPlane;
let client: KubeClient;
let namespaces = 0;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  plane = await startControlPlane();
  client = plane.client();
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});
afterAll(async () => {
  await plane.stop();
});

/** A namespace of its own for each test. */
async function freshNamespace(): Promise<string> {
  namespaces += 1;
  await plane.createNamespace(`test-${namespaces}`);
  return `test-${namespaces}`;
}

function follow(options: Partial<ReflectorOptions<ConfigMap>>): Reflector<ConfigMap> {
  const reflector = createReflector({
    client,
    resource: CONFIG_MAPS,
    namespaces: [],
    times: TIMES,
    log,
    ...options,
  });
  open.push(reflector);
  return reflector;
}

/** What the reflector tells, as lines. */
function changesOf(reflector: Reflector<ConfigMap>): string[] {
  const lines: string[] = [];
  const text = (object: ConfigMap | undefined) => (object === undefined ? '-' : (object.data?.['a'] ?? ''));
  reflector.onChange((key, before, now) => lines.push(`${key}: ${text(before)} -> ${text(now)}`));
  return lines;
}

function make(namespace: string, name: string, value: string, by = client): Promise<ConfigMap> {
  const metadata = { name, namespace };
  return by.apply(CONFIG_MAPS, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata,
    data: { a: value },
  } as KubeObject);
}

function countOf(by: KubeClient, verb: string): number {
  return by
    .counts()
    .filter((entry) => entry.verb === verb)
    .reduce((sum, { count }) => sum + count, 0);
}

/** A client whose connections a test can break. */
async function linkedClient() {
  const link = await startBreakableLink(plane.port);
  open.push(link);
  const groups = ['system:masters'];
  return { link, linked: plane.client(await plane.kubeconfigFor('admin', { groups, port: link.port })) };
}

const SOON = { withinMs: 20_000 };

describe('a reflector', () => {
  it('has what is there, and follows what changes', async () => {
    const namespace = await freshNamespace();
    await make(namespace, 'there', '1');
    const reflector = follow({ namespaces: [namespace] });
    expect(reflector.health().synced).toBe(false);
    await reflector.syncedOnce;
    expect(reflector.get(namespace, 'there')).toMatchObject({ kind: 'ConfigMap', data: { a: '1' } });
    const changes = changesOf(reflector);
    await make(namespace, 'new', '1');
    const newest = await make(namespace, 'there', '2');
    await client.delete(CONFIG_MAPS, { namespace, name: 'new' });
    await eventually(() => changes.length >= 3, SOON);
    expect(changes).toEqual([
      `${namespace}/new: - -> 1`,
      `${namespace}/there: 1 -> 2`,
      `${namespace}/new: 1 -> -`,
    ]);
    expect(reflector.list(namespace).map(({ data }) => data)).toEqual([{ a: '2' }]);
    expect(reflector.size).toBe(1);
    const seen = Number(reflector.lastSyncResourceVersion(namespace));
    expect(seen).toBeGreaterThan(Number(newest.metadata.resourceVersion));
    expect(reflector.health()).toMatchObject({ synced: true, failure: null });
  });

  it('keeps of an object what it is told to keep', async () => {
    const namespace = await freshNamespace();
    await make(namespace, 'a', '1');
    const plain = follow({ namespaces: [namespace] });
    const bare = follow({
      namespaces: [namespace],
      trim: ({ apiVersion, kind, metadata: { name, uid = '', resourceVersion = '' } }) => ({
        apiVersion,
        kind,
        metadata: { name, namespace, uid, resourceVersion },
      }),
    });
    await Promise.all([plain.syncedOnce, bare.syncedOnce]);
    await make(namespace, 'b', '1');
    await eventually(() => bare.size === 2 && plain.size === 2, SOON);
    for (const name of ['a', 'b']) {
      expect(plain.get(namespace, name)?.metadata).not.toHaveProperty('managedFields');
      expect(Object.keys(bare.get(namespace, name) ?? {})).toEqual(['apiVersion', 'kind', 'metadata']);
    }
  });

  it('follows the namespaces that it is given, and no other', async () => {
    const [one, two, other] = [await freshNamespace(), await freshNamespace(), await freshNamespace()];
    for (const namespace of [one, two, other]) await make(namespace, 'a', '1');
    const reflector = follow({ namespaces: [one, two] });
    await reflector.syncedOnce;
    for (const namespace of [other, one, two]) await make(namespace, 'b', '1');
    await eventually(() => reflector.size === 4, SOON);
    expect(
      reflector
        .list()
        .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)
        .sort(),
    ).toEqual([`${one}/a`, `${one}/b`, `${two}/a`, `${two}/b`]);
    expect(reflector.lastSyncResourceVersion(other)).toBeNull();
  });

  it('is not complete while one of its namespaces may not be read, and says so', async () => {
    const [may, mayNot] = [await freshNamespace(), await freshNamespace()];
    const roles = { group: 'rbac.authorization.k8s.io', version: 'v1', namespaced: true };
    const grant = async (namespace: string) => {
      const metadata = { name: 'reads', namespace };
      const apiVersion = 'rbac.authorization.k8s.io/v1';
      const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['list', 'watch'] }];
      await client.apply({ ...roles, plural: 'roles', kind: 'Role' }, {
        apiVersion,
        kind: 'Role',
        metadata,
        rules,
      } as KubeObject);
      await client.apply({ ...roles, plural: 'rolebindings', kind: 'RoleBinding' }, {
        apiVersion,
        kind: 'RoleBinding',
        metadata,
        roleRef: { apiGroup: roles.group, kind: 'Role', name: 'reads' },
        subjects: [{ apiGroup: roles.group, kind: 'User', name: 'reader' }],
      } as KubeObject);
    };
    await grant(may);
    await make(may, 'a', '1');
    const reader = plane.client(await plane.kubeconfigFor('reader'));
    const reflector = follow({ client: reader, namespaces: [may, mayNot] });
    let synced = false;
    void reflector.syncedOnce.finally(() => {
      synced = true;
    });
    await eventually(() => reflector.size === 1 && reflector.health().failure !== null, SOON);
    expect([synced, reflector.health().synced]).toEqual([false, false]);
    expect(reflector.health().failure).toContain(`list configmaps in ${mayNot}: 403 Forbidden`);
    await grant(mayNot);
    await reflector.syncedOnce;
    await eventually(() => reflector.health().failure === null, SOON);
  });

  it('waits for a kind that is not there yet', async () => {
    const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-crd-'));
    const resource = {
      group: 'test.example',
      version: 'v1',
      plural: 'things',
      kind: 'Thing',
      namespaced: true,
    };
    const reflector = createReflector({ client, resource, namespaces: [], times: TIMES, log });
    open.push(reflector);
    await eventually(() => reflector.health().failure !== null, SOON);
    expect(reflector.health().failure).toContain('list things: 404 NotFound');
    const schema = { openAPIV3Schema: { type: 'object' } };
    const crd = {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'things.test.example' },
      spec: {
        group: 'test.example',
        scope: 'Namespaced',
        names: { plural: 'things', singular: 'thing', kind: 'Thing' },
        versions: [{ name: 'v1', served: true, storage: true, schema }],
      },
    };
    await fs.writeFile(path.join(folder, 'crd.yaml'), JSON.stringify(crd));
    await plane.installCrds(path.join(folder, 'crd.yaml'));
    await fs.rm(folder, { recursive: true });
    await reflector.syncedOnce;
    const metadata = { name: 'a', namespace: 'default' };
    await client.create(resource, { apiVersion: 'test.example/v1', kind: 'Thing', metadata });
    await eventually(() => reflector.get('default', 'a') !== undefined, SOON);
  });

  it('tells all objects again now and then', async () => {
    const namespace = await freshNamespace();
    await make(namespace, 'a', '1');
    const clock = createManualClock();
    const reflector = follow({ namespaces: [namespace], clock, random: () => 0 });
    await reflector.syncedOnce;
    const changes = changesOf(reflector);
    clock.advance(10 * 60_000 - 1);
    expect(changes).toEqual([]);
    clock.advance(1);
    await eventually(() => changes.length > 0, SOON);
    expect(changes).toEqual([`${namespace}/a: 1 -> 1`]);
  });

  it('survives a listener that throws, and tells the others', async () => {
    const namespace = await freshNamespace();
    const reflector = follow({ namespaces: [namespace] });
    reflector.onChange(() => {
      throw new Error('a fault of the listener');
    });
    const changes = changesOf(reflector);
    await reflector.syncedOnce;
    for (const name of ['a', 'b']) await make(namespace, name, '1');
    await eventually(() => changes.length === 2, SOON);
    expect(reflector.health().failure).toBeNull();
  });

  it('ends its watch when it is closed', async () => {
    const { link, linked } = await linkedClient();
    const namespace = await freshNamespace();
    const reflector = follow({ client: linked, namespaces: [namespace] });
    await reflector.syncedOnce;
    const changes = changesOf(reflector);
    await eventually(() => countOf(linked, 'watch') === 1, SOON);
    expect(link.open()).toBe(2);
    await reflector.close();
    await eventually(() => link.open() === 1, SOON);
    await make(namespace, 'a', '1');
    expect(changes).toEqual([]);
  });
});

describe('a reflector in trouble', () => {
  it('sees what happened while the API server was killed and came back', async () => {
    const namespace = await freshNamespace();
    for (const name of ['kept', 'changed', 'deleted']) await make(namespace, name, '1');
    const { link, linked } = await linkedClient();
    const reflector = follow({ client: linked, namespaces: [namespace] });
    await reflector.syncedOnce;
    const changes = changesOf(reflector);
    await plane.kill();
    await eventually(() => reflector.health().failure !== null, SOON);
    // Not before all this has happened is the reflector let in again.
    link.cut();
    await plane.restart();
    await make(namespace, 'created', '1');
    await make(namespace, 'changed', '2');
    await client.delete(CONFIG_MAPS, { namespace, name: 'deleted' });
    expect(changes).toEqual([]);
    link.restore();
    await eventually(() => changes.length === 3, SOON);
    expect(changes.sort()).toEqual([
      `${namespace}/changed: 1 -> 2`,
      `${namespace}/created: - -> 1`,
      `${namespace}/deleted: 1 -> -`,
    ]);
    await make(namespace, 'created', '2');
    await eventually(() => changes.at(-1) === `${namespace}/created: 1 -> 2`, SOON);
    expect(reflector.health()).toMatchObject({ synced: true, failure: null });
  });

  it('finds a connection that says nothing any more, and misses nothing, without a new list', async () => {
    const { link, linked } = await linkedClient();
    const namespace = await freshNamespace();
    const reflector = follow({
      client: linked,
      namespaces: [namespace],
      times: { ...TIMES, idleMs: 1_000 },
    });
    await reflector.syncedOnce;
    await make(namespace, 'before', '1');
    await eventually(() => reflector.size === 1, SOON);
    link.freeze();
    await make(namespace, 'meanwhile', '1');
    await eventually(() => reflector.size === 2, SOON);
    expect(countOf(linked, 'list')).toBe(1);
    expect(reflector.health().failure).toBeNull();
  });

  it('lists again when a connection breaks', async () => {
    const { link, linked } = await linkedClient();
    const namespace = await freshNamespace();
    const reflector = follow({ client: linked, namespaces: [namespace] });
    await reflector.syncedOnce;
    await eventually(() => countOf(linked, 'watch') === 1, SOON);
    link.sever();
    await make(namespace, 'a', '1');
    await eventually(() => reflector.size === 1, SOON);
    expect(countOf(linked, 'list')).toBe(2);
  });

  it('says for how long it has heard nothing', async () => {
    const { link, linked } = await linkedClient();
    const namespace = await freshNamespace();
    const clock = createManualClock();
    const reflector = follow({ client: linked, namespaces: [namespace], clock });
    await reflector.syncedOnce;
    await eventually(() => countOf(linked, 'watch') === 1, SOON);
    link.freeze();
    clock.advance(50_000);
    expect(reflector.health().silentMs).toBe(50_000);
  });
});

describe('a reflector of many objects', () => {
  it('lists 5000 in pages', async () => {
    const namespace = await freshNamespace();
    const names = Array.from({ length: 5_000 }, (_, index) => `many-${index}`);
    const create = async () => {
      for (let name = names.pop(); name !== undefined; name = names.pop()) {
        const metadata = { name, namespace };
        await client.create(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata });
      }
    };
    await Promise.all(Array.from({ length: 16 }, create));
    const counted = plane.client();
    const reflector = follow({ client: counted, namespaces: [namespace] });
    await reflector.syncedOnce;
    expect(reflector.size).toBe(5_000);
    expect(countOf(counted, 'list')).toBe(10);
  });
});
