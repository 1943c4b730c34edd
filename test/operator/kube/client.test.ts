import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { rootCertificates } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient, type KubeClient } from '../../../operator/kube/client.ts';
import { KubeError } from '../../../operator/kube/kube-error.ts';
import type { KubeObject, Resource } from '../../../operator/kube/resource.ts';
import { startBreakableLink } from '../../support/breakable-link.ts';
import { type ControlPlane, startControlPlane } from '../../support/control-plane.ts';
import { eventually } from '../../support/poll.ts';

interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}
interface Pod extends KubeObject {
  status?: { phase?: string };
}

const CONFIG_MAPS: Resource<ConfigMap> = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};
const PODS: Resource<Pod> = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true };
const BUDGETS: Resource = {
  group: 'policy',
  version: 'v1',
  plural: 'poddisruptionbudgets',
  kind: 'PodDisruptionBudget',
  namespaced: true,
};
const NAMESPACE = 'tools';
let plane: ControlPlane;
let client: KubeClient;

function configMap(name: string, data: Record<string, string>, namespace = NAMESPACE) {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data };
}

function at(name: string, namespace = NAMESPACE) {
  return { name, namespace };
}

/** What a call that must fail threw. */
async function failureOf(call: Promise<unknown>): Promise<KubeError> {
  const error = await call.then(
    () => new Error('it did not fail'),
    (thrown: unknown) => thrown,
  );
  if (error instanceof KubeError) return error;
  throw error;
}

beforeAll(async () => {
  plane = await startControlPlane();
  client = plane.client();
  await plane.createNamespace(NAMESPACE);
});
afterAll(async () => {
  await plane.stop();
});

describe('the verbs', () => {
  it('creates, reads, replaces and deletes an object', async () => {
    const made = await client.create(CONFIG_MAPS, configMap('plain', { a: '1' }));
    expect(made.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect((await client.get(CONFIG_MAPS, at('plain'))).data).toEqual({ a: '1' });
    await client.update(CONFIG_MAPS, { ...made, data: { a: '2' } } as ConfigMap);
    expect((await client.find(CONFIG_MAPS, at('plain')))?.data).toEqual({ a: '2' });
    await client.delete(CONFIG_MAPS, at('plain'));
    expect(await client.find(CONFIG_MAPS, at('plain'))).toBeNull();
  });

  it('applies what is wanted: creates it, changes it, and takes away what is wanted no more', async () => {
    await client.apply(CONFIG_MAPS, configMap('applied', { a: '1', b: '1' }));
    const second = await client.apply(CONFIG_MAPS, configMap('applied', { a: '2' }));
    expect(second.data).toEqual({ a: '2' });
    const third = await client.apply(CONFIG_MAPS, configMap('applied', { a: '2' }));
    expect(third.metadata.resourceVersion).toBe(second.metadata.resourceVersion);
  });

  it('takes fields of others by apply, and leaves them when it is told not to force', async () => {
    await client.apply(CONFIG_MAPS, configMap('shared', { a: 'theirs' }), { fieldManager: 'somebody' });
    const error = await failureOf(
      client.apply(CONFIG_MAPS, configMap('shared', { a: 'ours' }), { force: false }),
    );
    expect(error).toMatchObject({ status: 409, reason: 'Conflict' });
    expect(error.causes).toEqual([
      expect.objectContaining({ reason: 'FieldManagerConflict', field: '.data.a' }),
    ]);
    const taken = await client.apply(CONFIG_MAPS, configMap('shared', { a: 'ours' }));
    expect(taken.data).toEqual({ a: 'ours' });
  });

  it('changes the status and nothing else, and the object and no status', async () => {
    const metadata = { name: 'status', namespace: NAMESPACE };
    const containers = [{ name: 'server', image: 'example.test/server:1' }];
    await client.apply(PODS, { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers } } as KubeObject);
    const shown = await client.applyStatus(PODS, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      status: { phase: 'Running' },
    } as KubeObject);
    expect(shown.status?.phase).toBe('Running');
    const changed = await client.patch(PODS, metadata, { status: { phase: 'Failed' } });
    expect(changed.status?.phase).toBe('Running');
  });

  it('merges a patch, null taking a field away', async () => {
    await client.create(CONFIG_MAPS, configMap('patched', { a: '1', b: '1' }));
    const patched = await client.patch(CONFIG_MAPS, at('patched'), { data: { a: '2', b: null } });
    expect(patched.data).toEqual({ a: '2' });
  });

  it('lists page by page, of a selection, with kind and version in each object', async () => {
    for (const name of ['page-a', 'page-b', 'page-c']) {
      const made = configMap(name, {});
      await client.create(CONFIG_MAPS, {
        ...made,
        metadata: { ...made.metadata, labels: { pages: 'yes' } },
      });
    }
    const selection = { namespace: NAMESPACE, labelSelector: 'pages=yes' };
    const first = await client.listPage(CONFIG_MAPS, { ...selection, limit: 2 });
    expect(first.items.map(({ metadata }) => metadata.name)).toEqual(['page-a', 'page-b']);
    expect(first.items[0]).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' });
    const rest = await client.listPage(CONFIG_MAPS, {
      ...selection,
      limit: 2,
      continue: first.continue as string,
    });
    expect(rest.items.map(({ metadata }) => metadata.name)).toEqual(['page-c']);
    expect(rest.continue).toBeNull();
    expect(await client.list(CONFIG_MAPS, selection)).toHaveLength(3);
  });

  it('watches from where a list ended', async () => {
    const { resourceVersion } = await client.listPage(CONFIG_MAPS, { namespace: NAMESPACE, limit: 1 });
    await client.create(CONFIG_MAPS, configMap('watched', { a: '1' }));
    await client.delete(CONFIG_MAPS, at('watched'));
    const seen: string[] = [];
    const options = { namespace: NAMESPACE, resourceVersion, timeoutSeconds: 30, idleMs: 10_000 };
    for await (const { type, object } of client.watch(CONFIG_MAPS, options)) {
      seen.push(`${type} ${object.metadata.name}`);
      if (type === 'DELETED') break;
    }
    expect(seen).toEqual(['ADDED watched', 'DELETED watched']);
  });

  it('deletes an object only as the one that was meant', async () => {
    const made = await client.create(CONFIG_MAPS, configMap('meant', {}));
    const other = '00000000-0000-0000-0000-000000000000';
    expect(await failureOf(client.delete(CONFIG_MAPS, at('meant'), { uid: other }))).toMatchObject({
      status: 409,
      reason: 'Conflict',
    });
    const outdated = await failureOf(client.delete(CONFIG_MAPS, at('meant'), { resourceVersion: '1' }));
    expect(outdated.reason).toBe('Conflict');
    await client.delete(CONFIG_MAPS, at('meant'), { uid: made.metadata.uid, propagation: 'Background' });
    expect(await client.find(CONFIG_MAPS, at('meant'))).toBeNull();
  });

  it('reviews a token for an audience', async () => {
    await client.create(
      { group: '', version: 'v1', plural: 'serviceaccounts', kind: 'ServiceAccount', namespaced: true },
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: at('recorder') },
    );
    const token = await plane.serviceAccountToken(NAMESPACE, 'recorder', ['mcp-recorder-operator']);
    expect(await client.tokenReview(token, ['mcp-recorder-operator'])).toMatchObject({
      authenticated: true,
      username: `system:serviceaccount:${NAMESPACE}:recorder`,
      audiences: ['mcp-recorder-operator'],
      error: null,
    });
    const other = await client.tokenReview(token, ['somebody-else']);
    expect(other).toMatchObject({ authenticated: false, username: '' });
    expect(other.error).toContain('audience');
  });

  it('evicts a pod, and says when it may be tried again where a disruption budget forbids it', async () => {
    const metadata = { name: 'evicted', namespace: NAMESPACE, labels: { app: 'evicted' } };
    const containers = [{ name: 'server', image: 'example.test/server:1' }];
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { nodeName: 'none', containers } };
    await client.create(PODS, pod);
    await client.patch(PODS, metadata, { status: { phase: 'Running' } }, { subresource: 'status' });
    await client.create(BUDGETS, {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata,
      spec: { minAvailable: 1, selector: { matchLabels: { app: 'evicted' } } },
    } as KubeObject);
    const error = await failureOf(client.evict(at('evicted')));
    expect(error).toMatchObject({ status: 429, reason: 'TooManyRequests', retryAfterMs: 10_000 });
    expect(error.causes[0]?.reason).toBe('DisruptionBudget');
    expect(error.message).toMatch(/^create pods\/eviction tools\/evicted: 429 TooManyRequests: /);
    await client.delete(BUDGETS, at('evicted'));
    const other = '00000000-0000-0000-0000-000000000000';
    expect((await failureOf(client.evict(at('evicted'), { uid: other }))).reason).toBe('Conflict');
    await client.evict(at('evicted'));
    const left = await client.find(PODS, at('evicted'));
    expect(left === null || left.metadata.deletionTimestamp !== undefined).toBe(true);
  });
});

describe('what goes wrong', () => {
  it('is named by verb, resource, object and reason', async () => {
    const missing = await failureOf(client.get(CONFIG_MAPS, at('missing')));
    expect(missing).toMatchObject({ status: 404, reason: 'NotFound' });
    expect(missing.message).toBe(
      'get configmaps tools/missing: 404 NotFound: configmaps "missing" not found',
    );
    await client.create(CONFIG_MAPS, configMap('twice', {}));
    expect(await failureOf(client.create(CONFIG_MAPS, configMap('twice', {})))).toMatchObject({
      status: 409,
      reason: 'AlreadyExists',
    });
    const invalid = await failureOf(client.create(CONFIG_MAPS, configMap('NOT A NAME', {})));
    expect(invalid.message).toMatch(/^create configmaps tools\/NOT A NAME: 422 Invalid: /);
    expect(invalid).toMatchObject({
      status: 422,
      reason: 'Invalid',
      causes: [expect.objectContaining({ field: 'metadata.name' })],
    });
  });

  it('is a conflict when the object has changed since it was read', async () => {
    const made = await client.create(CONFIG_MAPS, configMap('raced', { a: '1' }));
    await client.patch(CONFIG_MAPS, at('raced'), { data: { a: '2' } });
    const error = await failureOf(client.update(CONFIG_MAPS, made));
    expect(error).toMatchObject({ status: 409, reason: 'Conflict' });
  });

  it('is an expired version when etcd has forgotten it', async () => {
    const { resourceVersion } = await client
      .create(CONFIG_MAPS, configMap('old', {}))
      .then(({ metadata }) => metadata);
    await client.patch(CONFIG_MAPS, at('old'), { data: { a: '2' } });
    await plane.compact();
    // The server's cache of recent changes goes with its process.
    await plane.restart();
    const options = { resourceVersion: resourceVersion as string, timeoutSeconds: 30, idleMs: 10_000 };
    const watch = client.watch(CONFIG_MAPS, { namespace: NAMESPACE, ...options });
    expect(await failureOf(watch.next())).toMatchObject({ status: 410, reason: 'Expired' });
  });

  it('is said of who may not, and of who is nobody, without the token', async () => {
    const visitor = plane.client(await plane.kubeconfigFor('visitor'));
    const refused = await failureOf(visitor.get(CONFIG_MAPS, at('twice')));
    expect(refused).toMatchObject({ status: 403, reason: 'Forbidden' });
    expect(refused.message).toContain('User "visitor" cannot get resource');
    expect(refused.message).toContain("The operator's role must allow it");
    const access = { ...plane.access(), token: () => 'secret-token' };
    const tls = { ca: plane.ca, cert: null, key: null, servername: null };
    const nobody = createClient({ access: { ...access, tls: () => tls }, fieldManager: 'test' });
    const unknown = await failureOf(nobody.get(CONFIG_MAPS, at('twice')));
    await nobody.close();
    expect(unknown).toMatchObject({ status: 401, reason: 'Unauthorized' });
    expect(JSON.stringify([unknown.message, unknown.stack, unknown.cause])).not.toContain('secret-token');
  });

  it('is an unverified server when another authority signed its certificate', async () => {
    const tls = { ca: rootCertificates[0] as string, cert: null, key: null, servername: null };
    const misled = createClient({ access: { ...plane.access(), tls: () => tls }, fieldManager: 'test' });
    const error = await failureOf(misled.get(CONFIG_MAPS, at('twice')));
    await misled.close();
    expect(error).toMatchObject({ status: null, reason: 'Unreachable' });
    expect(error.message).toMatch(/certificate/);
  });

  it('is unreachable when nobody listens, and when the connection breaks', async () => {
    const link = await startBreakableLink(plane.port);
    const linked = plane.client(
      await plane.kubeconfigFor('admin', { groups: ['system:masters'], port: link.port }),
    );
    await linked.get(CONFIG_MAPS, at('twice'));
    link.cut();
    expect(await failureOf(linked.get(CONFIG_MAPS, at('twice')))).toMatchObject({
      status: null,
      reason: 'Unreachable',
    });
    link.restore();
    await linked.get(CONFIG_MAPS, at('twice'));
    await link.close();
    const error = await failureOf(linked.get(CONFIG_MAPS, at('twice')));
    expect(error.message).toMatch(/^get configmaps tools\/twice: Unreachable: .*ECONNREFUSED/);
    expect(error.message).toContain('Look at the network');
  });

  it('is too late when the server does not answer, and the server is used again when it does', async () => {
    plane.signal('SIGSTOP');
    const error = await failureOf(client.get(CONFIG_MAPS, at('twice'), { timeoutMs: 300 })).finally(() =>
      plane.signal('SIGCONT'),
    );
    expect(error).toMatchObject({ status: null, reason: 'TimedOut' });
    expect(error.message).toContain('nothing came within 300 ms');
    await client.get(CONFIG_MAPS, at('twice'));
  });

  it('is too late when an answer begins and does not end, however often a bit of it comes', async () => {
    const server = http.createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const drip = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(drip));
    });
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
    const { port } = server.address() as AddressInfo;
    const tls = { ca: null, cert: null, key: null, servername: null };
    const access = { origin: `http://127.0.0.1:${port}`, namespace: null, token: () => null, tls: () => tls };
    const dripping = createClient({ access, fieldManager: 'test' });
    const error = await failureOf(dripping.get(CONFIG_MAPS, at('twice'), { timeoutMs: 300 }));
    expect(error.reason).toBe('TimedOut');
    await dripping.close();
    await new Promise((closed) => server.close(closed));
  });

  it('is too late on a connection that is dead without having ended, and the next call takes another', async () => {
    const link = await startBreakableLink(plane.port);
    const linked = plane.client(
      await plane.kubeconfigFor('admin', { groups: ['system:masters'], port: link.port }),
    );
    await linked.get(CONFIG_MAPS, at('twice'));
    link.freeze();
    // The first call may take a new connection, if the old one is not yet seen to be free.
    const dead = () => failureOf(linked.get(CONFIG_MAPS, at('twice'), { timeoutMs: 300 }));
    expect((await eventually(dead, { withinMs: 5_000 })).reason).toBe('TimedOut');
    await linked.get(CONFIG_MAPS, at('twice'), { timeoutMs: 5_000 });
    expect(link.made()).toBeGreaterThan(1);
    await link.close();
  });

  it("is the caller's own reason when the caller gave up", async () => {
    plane.signal('SIGSTOP');
    const abort = new AbortController();
    const call = client.get(CONFIG_MAPS, at('twice'), { signal: abort.signal });
    const why = new Error('no longer needed');
    abort.abort(why);
    await expect(call.finally(() => plane.signal('SIGCONT'))).rejects.toBe(why);
  });
});

describe('the cost', () => {
  it('is counted by verb, resource and status', async () => {
    const counted = plane.client();
    await counted.find(CONFIG_MAPS, at('missing'));
    await counted.find(CONFIG_MAPS, at('missing'));
    await counted.list(CONFIG_MAPS, { namespace: NAMESPACE });
    await failureOf(counted.evict(at('missing')));
    expect(counted.counts()).toEqual([
      { verb: 'get', resource: 'configmaps', status: 404, count: 2 },
      { verb: 'list', resource: 'configmaps', status: 200, count: 1 },
      { verb: 'create', resource: 'pods/eviction', status: 404, count: 1 },
    ]);
  });

  it('is a bounded number of connections, kept for the next calls', async () => {
    const link = await startBreakableLink(plane.port);
    const linked = plane.client(
      await plane.kubeconfigFor('admin', { groups: ['system:masters'], port: link.port }),
    );
    const many = () => Array.from({ length: 100 }, () => linked.get(CONFIG_MAPS, at('twice')));
    await Promise.all(many());
    expect(link.most()).toBeLessThanOrEqual(16);
    const made = link.made();
    await Promise.all(many());
    expect(link.made()).toBe(made);
    await link.close();
  });
});
