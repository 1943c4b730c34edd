/**
 * What the operator keeps for a resource, in the hands of others.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../support/poll.ts';
import {
  CONFIG_MAPS,
  type Kind,
  kind,
  NETWORK_POLICIES,
  object,
  OWNED,
  refusal,
  type Scene,
  SOON,
  startScene,
} from './scene.ts';

const OURS = { 'app.kubernetes.io/managed-by': 'mcp-recorder', 'mcp-recorder.dev/resource': 'github' };
const NAMESPACES = kind('', 'namespaces', 'Namespace', false);

let scene: Scene;

beforeAll(async () => {
  scene = await startScene();
}, 120_000);
afterAll(() => scene?.stop());

describe.each([
  ['ConfigMap', CONFIG_MAPS],
  ['NetworkPolicy', NETWORK_POLICIES],
])('the %s of a resource', (_, of) => {
  const change = { metadata: { annotations: { a: 'b' } } };

  /** An object of the operator, or with `labels` left out of somebody else. */
  async function create(labels?: object, namespace = 'tools') {
    const metadata = labels === undefined ? {} : { metadata: { labels } };
    const spec = of === NETWORK_POLICIES ? { spec: { podSelector: {} } } : {};
    const at = { namespace, name: scene.newName() };
    await scene.admin.create(of, object(of as Kind, namespace, at.name, { ...metadata, ...spec }));
    return at;
  }

  const as = async (user: string) =>
    scene.cluster.client(await scene.cluster.kubeconfigFor(user, { groups: ['system:masters'] }));

  it('is changed and deleted by nobody else, whatever the rights', async () => {
    const at = await create(OURS);
    const unlabel = { metadata: { labels: { 'mcp-recorder.dev/resource': null } } };
    expect(await refusal(scene.admin.patch(of, at, change))).toBe(OWNED);
    expect(await refusal(scene.admin.patch(of, at, unlabel))).toBe(OWNED);
    expect(await refusal(scene.admin.delete(of, at))).toBe(OWNED);
    const namesake = await as('system:serviceaccount:tools:recorder');
    expect(await refusal(namesake.patch(of, at, change))).toBe(OWNED);
  });

  it('leaves objects of others alone, until they take its labels', async () => {
    const at = await create();
    expect(await refusal(scene.admin.patch(of, at, change))).toBeNull();
    expect(await refusal(scene.admin.patch(of, at, { metadata: { labels: OURS } }))).toBe(OWNED);
    expect(await refusal(scene.admin.delete(of, at))).toBeNull();
  });

  it.each([
    'system:serviceaccount:mcp-recorder:recorder',
    'system:serviceaccount:kube-system:generic-garbage-collector',
    'system:serviceaccount:kube-system:namespace-controller',
    'system:kube-controller-manager',
  ])('is changed and deleted by %s', async (user) => {
    const at = await create(OURS);
    const client = await as(user);
    expect(await refusal(client.patch(of, at, change))).toBeNull();
    expect(await refusal(client.delete(of, at))).toBeNull();
  });

  it('goes with its namespace', async () => {
    const namespace = `ending-${of.plural}`;
    await scene.cluster.createNamespace(namespace);
    const at = await create(OURS, namespace);
    await scene.admin.delete(NAMESPACES, { namespace: null, name: namespace });
    expect(await refusal(scene.admin.patch(of, at, change))).toBe(OWNED);
    await eventually(async () => (await refusal(scene.admin.delete(of, at))) === null, SOON);
  });
});
