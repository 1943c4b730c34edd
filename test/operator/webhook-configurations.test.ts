/** Which requests the API server asks the webhook about; the objects are held to a real API server in webhook/admission.test.ts. */
import type {
  MutatingWebhook,
  MutatingWebhookConfiguration,
} from 'kubernetes-types/admissionregistration/v1';
import { describe, expect, it } from 'vitest';
import type { RecordedMCPServer } from '../../operator/api/recorded-mcp-server.ts';
import { webhookConfigurations } from '../../operator/desired/webhook-configurations.ts';
import { resource, settings } from './webhook/scene.ts';

const role = { name: 'mcp-recorder', uid: 'uid-of-role' };
const configurations = (resources: RecordedMCPServer[], changed = {}) =>
  webhookConfigurations(resources, { ...settings, ...changed }, 'PEM', role);
const entriesOf = (objects: MutatingWebhookConfiguration[]) =>
  objects.flatMap(({ webhooks = [] }) => webhooks);
const namesOf = (objects: MutatingWebhookConfiguration[]) =>
  objects.map(({ metadata, webhooks = [] }) => [metadata?.name, webhooks.map(({ name }) => name)]);
const at = (second: number) => ({
  creationTimestamp: new Date(1_800_000_000_000 + second * 1_000).toISOString(),
});

describe('the webhook configurations', () => {
  it('ask about pods of each resource, pods with our label, and Services where a resource is', () => {
    const objects = configurations([
      resource('b', {}, at(1)),
      resource('a', {}, { namespace: 'other', ...at(2) }),
    ]);
    expect(namesOf(objects)).toEqual([
      [
        'mcp-recorder-pods-0',
        ['marked.pods.mcp-recorder.dev', 'b.tools.pods.mcp-recorder.dev', 'a.other.pods.mcp-recorder.dev'],
      ],
      ['mcp-recorder-services', ['services.mcp-recorder.dev']],
    ]);
  });

  it('ask for one resource by its selector in its namespace, and let no pod pass unasked', () => {
    const [, own] = entriesOf(configurations([resource('gh')]));
    expect(own).toEqual({
      name: 'gh.tools.pods.mcp-recorder.dev',
      rules: [
        {
          apiGroups: [''],
          apiVersions: ['v1'],
          resources: ['pods'],
          operations: ['CREATE'],
          scope: 'Namespaced',
        },
      ],
      namespaceSelector: {
        matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['tools'] }],
      },
      objectSelector: { matchLabels: { app: 'gh' } },
      failurePolicy: 'Fail',
      timeoutSeconds: 5,
      clientConfig: {
        caBundle: 'UEVN',
        service: { namespace: 'mcp-recorder-system', name: 'mcp-recorder-webhook', path: '/pods', port: 443 },
      },
      admissionReviewVersions: ['v1'],
      matchPolicy: 'Equivalent',
      reinvocationPolicy: 'IfNeeded',
      sideEffects: 'None',
    });
  });

  it('ask about Services in the namespaces of resources only, and let them pass when nobody answers', () => {
    const services = (resources: RecordedMCPServer[]) =>
      entriesOf(configurations(resources)).find(({ name }) => name === 'services.mcp-recorder.dev');
    const found = services([resource('a'), resource('b'), resource('c', {}, { namespace: 'other' })]);
    expect(found?.namespaceSelector?.matchExpressions?.[0]?.values).toEqual(['other', 'tools']);
    expect(found?.failurePolicy).toBe('Ignore');
    expect(services([])).toBeUndefined();
  });

  it('leave out the pods of a resource that is being deleted, not its Services', () => {
    const objects = configurations([resource('gh', {}, { deletionTimestamp: '2026-11-26T01:00:00Z' })]);
    expect(entriesOf(objects).map(({ name }) => name)).toEqual([
      'marked.pods.mcp-recorder.dev',
      'services.mcp-recorder.dev',
    ]);
  });

  it('look for our label where the operator watches', () => {
    const selector = (watchNamespaces: string[]) =>
      entriesOf(configurations([], { watchNamespaces }))[0]?.namespaceSelector;
    expect(selector([])).toEqual({});
    expect(selector(['tools'])?.matchExpressions?.[0]?.values).toEqual(['tools']);
  });

  it('belong to the ClusterRole of the chart', () => {
    for (const { metadata } of configurations([resource('a')])) {
      expect(metadata?.labels).toEqual({ 'app.kubernetes.io/managed-by': 'mcp-recorder' });
      expect(metadata?.ownerReferences).toEqual([
        {
          apiVersion: 'rbac.authorization.k8s.io/v1',
          kind: 'ClusterRole',
          name: 'mcp-recorder',
          uid: 'uid-of-role',
        },
      ]);
    }
  });
});

describe('with many resources', () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, index) => resource(`r${(index * 7919) % count}`, {}, at(index)));
  const pods = (objects: MutatingWebhookConfiguration[]) =>
    objects.filter(({ metadata }) => metadata?.name?.includes('-pods-'));

  it('no object has more than a hundred entries, and each entry is there once', () => {
    const objects = pods(configurations(many(250)));
    expect(objects.map(({ webhooks }) => webhooks?.length)).toEqual([100, 100, 51]);
    expect(new Set(entriesOf(objects).map(({ name }) => name)).size).toBe(251);
  });

  it('no object is larger than etcd takes, however large the selectors', () => {
    const large = resource('large').spec;
    large.selector = {
      matchExpressions: Array.from({ length: 16 }, (_, key) => ({
        key: `${'k'.repeat(253)}/${key}`,
        operator: 'NotIn' as const,
        values: Array.from({ length: 64 }, (_, value) => `${value}`.padStart(63, 'v')),
      })),
    };
    const all = many(100).map((one) => ({ ...one, spec: large }));
    const objects = pods(configurations([...all, resource('small', {}, at(1_000))]));
    for (const object of objects) expect(JSON.stringify(object).length).toBeLessThan(1_000_000);
    expect(new Set(entriesOf(objects).map(({ name }) => name)).size).toBe(102);
  });

  it.each([
    ['small', {}],
    ['unlike', { x: 'v'.repeat(200_000) }],
  ])(
    'writing them one by one leaves no resource without an entry, after one came and after one went: %s ones',
    (_, labels) => {
      const all = many(150).map((one, index) =>
        index % 3 === 0
          ? { ...one, spec: { ...one.spec, selector: { matchLabels: { app: 'x', ...labels } } } }
          : one,
      );
      const whole = pods(configurations(all));
      for (const [from, to] of [
        [pods(configurations(all.slice(0, 149))), whole],
        [whole, pods(configurations(all.toSpliced(20, 1)))],
        [whole, pods(configurations(all.toSpliced(21, 1)))],
      ] as const) {
        const living = new Map(from.map((object) => [object.metadata?.name, object]));
        const staying = new Set(entriesOf([...to]).map(({ name }) => name));
        const before = entriesOf([...from]).filter(({ name }) => staying.has(name));
        for (const object of to) {
          living.set(object.metadata?.name, object);
          const now = new Set(entriesOf([...living.values()]).map(({ name }) => name));
          expect(before.filter(({ name }: MutatingWebhook) => !now.has(name))).toEqual([]);
        }
      }
    },
  );
});
