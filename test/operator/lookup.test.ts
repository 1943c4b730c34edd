/** What the webhook knows: of a copy that follows the API server, else of the API server itself, and no longer than it is of use. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createClient, type KubeClient } from '../../operator/kube/client.ts';
import { createLookup } from '../../operator/lookup.ts';
import { followServers, type ServerCopy } from '../../operator/reconcile/copies.ts';
import type { Lookup } from '../../operator/webhook/judge.ts';
import { eventually } from '../support/poll.ts';
import { listOf, type ScriptedApi, startScriptedApi, statusOf } from '../support/scripted-api.ts';

const SOON = { withinMs: 5_000 };

let api: ScriptedApi;
let client: KubeClient;
let servers: ServerCopy;
let lookup: Lookup;
let nowMs: number;

beforeEach(async () => {
  api = await startScriptedApi();
  client = createClient({ access: api.access, fieldManager: 'test' });
  nowMs = 0;
  servers = followServers({ client, namespaces: [], log: pino({ level: 'silent' }) });
  lookup = createLookup({ client, servers, pods: () => null, nowMs: () => nowMs });
});
afterEach(async () => {
  await Promise.all([servers.close(), client.close()]);
  await api.close();
});

const lists = () => api.seen.filter(({ kind }) => kind === 'list').length;
const namesOf = (objects: readonly { metadata?: { name?: string } }[]) =>
  objects.map(({ metadata }) => metadata?.name);

describe('resources of a namespace', () => {
  it('come from the copy while it follows, and from the API server when it does not', async () => {
    api.next('list', listOf('1', 'old'));
    api.next('watch', { events: [], after: 'stay' });
    await servers.syncedOnce;
    await eventually(() => servers.health().failure === null, SOON);
    expect(namesOf(await lookup.resourcesOf('tools', false))).toEqual(['old']);
    api.next('list', listOf('2', 'fresh'));
    expect(namesOf(await lookup.resourcesOf('tools', true))).toEqual(['fresh']);
  });

  it('are asked for of the API server before the copy is complete', async () => {
    await eventually(() => lists() === 1, SOON);
    const asked = lookup.resourcesOf('tools', false);
    await eventually(() => lists() === 2, SOON);
    api.next('list', statusOf(500, 'InternalError'));
    api.next('list', listOf('2', 'fresh'));
    expect(namesOf(await asked)).toEqual(['fresh']);
  });
});

describe('pods of a namespace', () => {
  beforeEach(async () => {
    api.next('list', listOf('1'));
    api.next('watch', { events: [], after: 'stay' });
    await servers.syncedOnce;
  });

  it('are asked for once in three seconds, and again at once after a failure', async () => {
    api.next('list', statusOf(500, 'InternalError'));
    await expect(lookup.podsOf('tools')).rejects.toThrow('list pods');
    api.next('list', listOf('2', 'one'));
    expect(namesOf(await lookup.podsOf('tools'))).toEqual(['one']);
    nowMs += 2_999;
    expect(namesOf(await lookup.podsOf('tools'))).toEqual(['one']);
    nowMs += 1;
    api.next('list', listOf('3', 'two'));
    expect(namesOf(await lookup.podsOf('tools'))).toEqual(['two']);
  });

  it('are not kept when nobody asks for that namespace any more', async () => {
    api.next('list', listOf('2', 'one'));
    const before = new WeakRef(await lookup.podsOf('tools'));
    nowMs += 3_000;
    api.next('list', listOf('3', 'two'));
    await lookup.podsOf('other');
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    await eventually(() => {
      collect();
      return before.deref() === undefined;
    }, SOON);
  });
});
