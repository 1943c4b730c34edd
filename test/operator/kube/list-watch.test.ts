import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createClient, type KubeClient } from '../../../operator/kube/client.ts';
import { LIST_WATCH_TIMES, listAndWatch, type ListWatchTimes } from '../../../operator/kube/list-watch.ts';
import { type KubeObject, keyOf, type Resource } from '../../../operator/kube/resource.ts';
import { type ControlPlane, startControlPlane } from '../../support/control-plane.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { eventually } from '../../support/poll.ts';
import { listOf, type ScriptedApi, startScriptedApi, statusOf } from '../../support/scripted-api.ts';

const CONFIG_MAPS: Resource = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};
const SOON = { withinMs: 20_000 };

/** What was told, by the name of the callback. */
function startFollowing(
  client: KubeClient,
  options: { times?: Partial<ListWatchTimes>; namespace?: string } = {},
) {
  const clock = createManualClock();
  const stop = new AbortController();
  const told: string[] = [];
  const waits: number[] = [];
  const failures: string[] = [];
  const done = listAndWatch({
    client,
    resource: CONFIG_MAPS,
    selection: { namespace: options.namespace ?? 'tools' },
    times: { ...LIST_WATCH_TIMES, ...options.times },
    clock,
    random: () => 1,
    signal: stop.signal,
    listed: (objects, version) => told.push(`${objects.length} listed at ${version}`),
    changed: (type, object: KubeObject) => told.push(`${type} ${keyOf(object)}`),
    heard: () => {},
    followed: () => told.push('followed'),
    failed(error, waitMs) {
      failures.push((error as Error).message);
      waits.push(waitMs);
    },
  });
  return { clock, stop, told, waits, failures, done };
}

describe('list and watch, with a server that answers as it is told', () => {
  let api: ScriptedApi;
  let client: KubeClient;
  let scene: ReturnType<typeof startFollowing>;

  beforeEach(async () => {
    api = await startScriptedApi();
    client = createClient({ access: api.access, fieldManager: 'test' });
    scene = startFollowing(client);
  });
  afterEach(async () => {
    scene.stop.abort();
    await scene.done;
    await client.close();
    await api.close();
  });

  const event = (type: string, name: string, resourceVersion: string) => ({
    type,
    object: { metadata: { name, namespace: 'tools', resourceVersion } },
  });
  const bookmark = (resourceVersion: string) => ({
    type: 'BOOKMARK',
    object: { metadata: { resourceVersion } },
  });
  /** Waits for the next failure, and for the time that is waited after it. */
  async function failAndWait(): Promise<void> {
    const before = scene.waits.length;
    await eventually(() => scene.waits.length > before, SOON);
    scene.clock.advance(scene.waits.at(-1) as number);
  }

  it('goes on from the last bookmark when the server ends a watch, without a new list', async () => {
    api.next('list', listOf('5', 'a'));
    api.next('watch', { events: [event('ADDED', 'b', '6'), bookmark('9')], after: 'end' });
    api.next('watch', { events: [event('DELETED', 'b', '10')], after: 'stay' });
    await eventually(() => scene.told.includes('removed tools/b'), SOON);
    expect(scene.told).toEqual(['1 listed at 5', 'followed', 'put tools/b', 'followed', 'removed tools/b']);
    const [list, first, second] = api.seen.map(({ query }) => query);
    expect([list?.get('limit'), list?.get('resourceVersion')]).toEqual(['500', null]);
    expect([first?.get('resourceVersion'), second?.get('resourceVersion')]).toEqual(['5', '9']);
    expect([first?.get('allowWatchBookmarks'), first?.get('timeoutSeconds')]).toEqual(['true', '300']);
    expect(scene.failures).toEqual([]);
  });

  it('lists again when a version has expired, whether the answer or an event says so', async () => {
    api.next('list', listOf('5'));
    api.next('watch', statusOf(410, 'Gone'));
    await failAndWait();
    api.next('list', listOf('20'));
    const expired = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' };
    api.next('watch', { events: [{ type: 'ERROR', object: expired }], after: 'end' });
    await failAndWait();
    api.next('list', listOf('30'));
    api.next('watch', { events: [], after: 'stay' });
    await eventually(() => api.seen.length === 6, SOON);
    expect(api.seen.at(-1)?.query.get('resourceVersion')).toBe('30');
  });

  it('waits longer after each failure in a row, up to half a minute', async () => {
    for (let times = 0; times < 9; times += 1) {
      api.next('list', listOf('5'));
      // A watch that ends at once and with nothing in it: never a reason to ask again at once.
      api.next('watch', { events: [], after: 'end' });
      await failAndWait();
    }
    expect(scene.waits).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    expect(scene.failures[0]).toContain('the watch ended at once');
  });

  it('begins with short waits again after a watch that lasted', async () => {
    for (let times = 0; times < 4; times += 1) {
      api.next('list', statusOf(500, 'InternalError'));
      await failAndWait();
    }
    api.next('list', listOf('5'));
    await eventually(() => api.seen.some(({ kind }) => kind === 'watch'), SOON);
    scene.clock.advance(30_000);
    api.next('watch', { events: [], after: 'reset' });
    await eventually(() => scene.waits.length === 5, SOON);
    expect(scene.waits).toEqual([500, 1000, 2000, 4000, 500]);
  });

  it('waits as long as the server asks', async () => {
    api.next('list', statusOf(429, 'TooManyRequests', { 'retry-after': '7' }));
    await eventually(() => scene.waits.length === 1, SOON);
    expect(scene.waits).toEqual([7000]);
  });

  it('takes nothing from a line that broke off, and lists again', async () => {
    api.next('list', listOf('5'));
    api.next('watch', { events: [event('ADDED', 'a', '6')], after: 'reset' });
    await eventually(() => scene.failures.length === 1, SOON);
    expect(scene.failures[0]).toContain('watch configmaps in tools: Unreachable');
    scene.clock.advance(1000);
    api.next('list', listOf('7', 'a'));
    await eventually(() => scene.told.includes('1 listed at 7'), SOON);
  });

  it.each(['list', 'watch'] as const)('ends at once when it is told to, during a %s', async (kind) => {
    if (kind === 'watch') api.next('list', listOf('5'));
    await eventually(() => api.seen.some((request) => request.kind === kind), SOON);
    scene.stop.abort();
    await scene.done;
    expect(scene.failures).toEqual([]);
  });

  it('ends at once when it is told to, during a wait', async () => {
    api.next('list', statusOf(500, 'InternalError'));
    await eventually(() => scene.waits.length === 1, SOON);
    scene.stop.abort();
    await scene.done;
    expect(scene.clock.pending).toBe(0);
  });
});

describe('list and watch, with an API server that keeps nothing in memory', () => {
  let plane: ControlPlane;
  let client: KubeClient;

  beforeAll(async () => {
    plane = await startControlPlane({ apiServerArgs: ['--watch-cache=false'] });
    client = plane.client();
    for (const name of ['one', 'many']) await plane.createNamespace(name);
  });
  afterAll(async () => {
    await plane.stop();
  });

  const make = async (namespace: string, count: number) => {
    const names = Array.from({ length: count }, (_, index) => `map-${index}`);
    const work = async () => {
      for (let name = names.pop(); name !== undefined; name = names.pop()) {
        const metadata = { name, namespace };
        await client.create(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata });
      }
    };
    await Promise.all(Array.from({ length: 8 }, work));
  };

  it('lists again when etcd has forgotten where the watch was', async () => {
    const scene = startFollowing(client, { namespace: 'one', times: { idleMs: 300 } });
    await eventually(() => scene.told.includes('followed'), SOON);
    // Other kinds move etcd's version on: this watch hears nothing of them, and begins again where it was.
    for (const name of ['other', 'another']) await plane.createNamespace(name);
    await plane.compact();
    await eventually(() => scene.failures.length > 0, SOON);
    expect(scene.failures[0]).toMatch(/watch configmaps in one: 410 Expired/);
    const withTime = (holds: () => boolean) =>
      eventually(() => {
        scene.clock.advance(500);
        return holds();
      }, SOON);
    await withTime(() => scene.told.filter((line) => line.startsWith('0 listed')).length === 2);
    await make('one', 1);
    await withTime(() => scene.told.includes('put one/map-0'));
    scene.stop.abort();
    await scene.done;
  });

  it('lists all at once when the pages took longer than etcd remembers', async () => {
    await make('many', 501);
    const forgetful: KubeClient = {
      ...client,
      async listPage(resource, options) {
        const page = await client.listPage(resource, options);
        if (page.continue !== null) {
          await client.delete(CONFIG_MAPS, { namespace: 'many', name: 'map-7' });
          await plane.compact();
        }
        return page;
      },
    };
    const scene = startFollowing(forgetful, { namespace: 'many' });
    await eventually(() => scene.told.some((line) => line.startsWith('500 listed')), SOON);
    expect(scene.failures).toEqual([]);
    scene.stop.abort();
    await scene.done;
  });
});
