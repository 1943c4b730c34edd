/**
 * The operator's Secret on a real API server: made once whoever is first, renewed by one, seen by all, and not lost with its object.
 */
import { X509Certificate } from 'node:crypto';
import { parseConfigurationKeys, verifyConfiguration } from '@mcp-recorder/sidecar/config/signature';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { followIdentity, type IdentityCopy, keepIdentity } from '../../../operator/identity.ts';
import type { KubeClient } from '../../../operator/kube/client.ts';
import { SECRETS } from '../../../operator/reconcile/kinds.ts';
import type { Settings } from '../../../operator/settings.ts';
import { type ControlPlane, startControlPlane } from '../../support/control-plane.ts';
import { eventually } from '../../support/poll.ts';

const NAMESPACE = 'recorder';
const SECRET = { namespace: NAMESPACE, name: 'recorder-identity' };
const SOON = { withinMs: 15_000, everyMs: 20 };
const DAY_MS = 86_400_000;
const settings = {
  fullname: 'recorder',
  namespace: NAMESPACE,
  webhook: { service: 'webhook', port: 9443 },
} as Settings;
const owner = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  name: 'recorder',
  uid: '00000000-0000-4000-8000-000000000001',
};
const log = pino({ level: 'silent' });

let plane: ControlPlane;
let client: KubeClient;
let copies: IdentityCopy[];

beforeAll(async () => {
  plane = await startControlPlane();
  await plane.createNamespace(NAMESPACE);
  client = plane.client();
});
afterAll(() => plane?.stop());
beforeEach(() => {
  copies = [];
});
afterEach(async () => {
  await Promise.all(copies.map((copy) => copy.close()));
  await client.delete(SECRETS, SECRET).catch(() => {});
});

function follow(): IdentityCopy {
  const copy = followIdentity({ client, settings, log });
  copies.push(copy);
  return copy;
}

function keep(changes: Partial<Parameters<typeof keepIdentity>[0]> = {}): Promise<number> {
  const now = new Date();
  return keepIdentity({ client, settings, log, known: null, published: null, owner, now, ...changes });
}

const seen = (copy: IdentityCopy) => eventually(() => copy.current() ?? false, SOON);

describe('the identity', () => {
  it('is nothing until one replica has written it, and then the same on all', async () => {
    const [first, second] = [follow(), follow()];
    expect(first.current()).toBeNull();
    await keep();
    expect((await seen(first)).data).toEqual((await seen(second)).data);
    const secret = await client.get(SECRETS, SECRET);
    expect(secret.metadata.ownerReferences).toEqual([owner]);
  });

  it('is made once, however many make it at a time: the others are told of a conflict', async () => {
    const made = await Promise.allSettled([keep(), keep(), keep()]);
    expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const reasons = made.flatMap((one) => (one.status === 'rejected' ? [one.reason.reason] : []));
    expect(reasons).toEqual(['AlreadyExists', 'AlreadyExists']);
  });

  it('is not written again while it is good', async () => {
    await keep();
    const before = await client.get(SECRETS, SECRET);
    expect(await keep()).toBe(15 * 60_000);
    expect((await client.get(SECRETS, SECRET)).metadata.resourceVersion).toBe(
      before.metadata.resourceVersion,
    );
  });

  it('comes back with the same keys when its Secret was deleted under a living replica', async () => {
    const copy = follow();
    await keep();
    const known = await seen(copy);
    await client.delete(SECRETS, SECRET);
    await keep({ known });
    const { data = {} } = await client.get(SECRETS, SECRET);
    expect(Buffer.from(data['config.key'] ?? '', 'base64').toString()).toBe(known.data['config.key']);
    expect(copy.current()?.data['config.key']).toBe(known.data['config.key']);
  });

  it('gets new certificates before the old ones end, and all replicas take them', async () => {
    const copy = follow();
    await keep();
    const before = await seen(copy);
    await keep({ now: new Date(Date.now() + 70 * DAY_MS) });
    const after = await eventually(
      () => (copy.current()?.data['tls.crt'] === before.data['tls.crt'] ? false : (copy.current() ?? false)),
      SOON,
    );
    expect(after.ends.get('tls')).toBeGreaterThan(before.ends.get('tls') as number);
    expect(after.data['config.key']).toBe(before.data['config.key']);
    expect(new X509Certificate(after.data['tls.crt']).checkHost('webhook.recorder.svc')).toBeDefined();
  });

  it('signs configurations so that a recorder that was told its keys takes them, for that server alone', async () => {
    const copy = follow();
    await keep();
    const identity = await seen(copy);
    const files = { 'config.yaml': 'name: github\n' };
    const signed = { ...files, signature: identity.sign('tools', 'github', files) };
    const parsed = parseConfigurationKeys(identity.configurationKeys.join(','));
    const keys = parsed.ok ? parsed.keys : [];
    expect(verifyConfiguration(keys, 'tools', 'github', signed)).toMatchObject({ ok: true });
    expect(verifyConfiguration(keys, 'tools', 'jira', signed)).toMatchObject({ ok: false });
  });

  it('that somebody damaged is neither used nor replaced silently', async () => {
    const copy = follow();
    await keep();
    const before = await seen(copy);
    const broken = { data: { 'config.key': Buffer.from('no key').toString('base64') } };
    await client.patch(SECRETS, SECRET, broken);
    await expect(keep({ known: before })).rejects.toThrow(/config\.key .* is no Ed25519 key/);
    expect(copy.current()?.data['config.key']).toBe(before.data['config.key']);
  });
});
