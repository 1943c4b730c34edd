/**
 * The chart on a real API server, without nodes: what it installs is accepted, gives the operator what it needs and no more, and goes away.
 */
import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { admissionPolicies } from '../../../operator/desired/admission-policies.ts';
import type { KubeClient } from '../../../operator/kube/client.ts';
import type { KubeObject, Resource } from '../../../operator/kube/resource.ts';
import type { Settings } from '../../../operator/settings.ts';
import { type ControlPlane, startControlPlane } from '../../support/control-plane.ts';
import { rigProgram } from '../../support/rig-programs.ts';
import { CHART, field, helm, HELM_IS_HERE, NAMESPACE, only, render } from './helm.ts';

const OPERATOR = `system:serviceaccount:${NAMESPACE}:mcp-recorder`;
const STORE = { stores: { default: { s3: { bucket: 'recordings', credentialsSecret: 'store' } } } };

type Kind = Resource<KubeObject & { status?: { allowed?: boolean }; rules?: unknown[] }>;
const kind = (group: string, plural: string, name: string, namespaced: boolean, version = 'v1'): Kind => ({
  group,
  version,
  plural,
  kind: name,
  namespaced,
});
const REVIEWS = kind('authorization.k8s.io', 'subjectaccessreviews', 'SubjectAccessReview', false);
const CLUSTER_ROLES = kind('rbac.authorization.k8s.io', 'clusterroles', 'ClusterRole', false);
const RESOURCES = kind('mcp-recorder.dev', 'recordedmcpservers', 'RecordedMCPServer', true, 'v1alpha1');
const PODS = kind('', 'pods', 'Pod', true);
const NAMESPACES = kind('', 'namespaces', 'Namespace', false);

/** `verb group/resource[/subresource] [name] [in namespace]`; group `core` is the empty one. Or `verb /path`. */
interface Right {
  verb: string;
  group: string;
  resource: string;
  subresource: string;
  name: string;
  namespace: string;
}

function parseRight(text: string): Right {
  const match = /^(\w+) ([\w.-]+)\/(\w+)(?:\/(\w+))?(?: (?!in )([\w.-]+))?(?: in ([\w-]+))?$/.exec(text);
  if (match === null) throw new Error(`no right: ${text}`);
  const [, verb = '', group = '', resource = '', subresource = '', name = '', namespace = ''] = match;
  return { verb, group: group === 'core' ? '' : group, resource, subresource, name, namespace };
}

const ADMISSION = 'admissionregistration.k8s.io';
/** What it needs in the cluster and in its own namespace, whichever namespaces it watches. */
const ALWAYS = [
  `create ${ADMISSION}/mutatingwebhookconfigurations mcp-recorder-pods-0`,
  `patch ${ADMISSION}/mutatingwebhookconfigurations mcp-recorder-pods-0`,
  `patch ${ADMISSION}/mutatingwebhookconfigurations mcp-recorder-pods-19`,
  `delete ${ADMISSION}/mutatingwebhookconfigurations mcp-recorder-services`,
  `create ${ADMISSION}/validatingwebhookconfigurations mcp-recorder-resources`,
  `patch ${ADMISSION}/validatingwebhookconfigurations mcp-recorder-resources`,
  `delete ${ADMISSION}/validatingwebhookconfigurations mcp-recorder-resources`,
  `watch ${ADMISSION}/validatingwebhookconfigurations`,
  `list ${ADMISSION}/mutatingwebhookconfigurations`,
  `patch ${ADMISSION}/validatingadmissionpolicies mcp-recorder-injected`,
  `delete ${ADMISSION}/validatingadmissionpolicybindings mcp-recorder-connect`,
  'get rbac.authorization.k8s.io/clusterroles mcp-recorder',
  'get apiextensions.k8s.io/customresourcedefinitions recordedmcpservers.mcp-recorder.dev',
  'watch apiextensions.k8s.io/customresourcedefinitions recordedmcpservers.mcp-recorder.dev',
  'create authentication.k8s.io/tokenreviews',
  'get /.well-known/openid-configuration',
  'get /openid/v1/jwks',
  // The API server wants these of who makes a policy with resources as parameters.
  'get mcp-recorder.dev/recordedmcpservers',
  'list mcp-recorder.dev/recordedmcpservers',
  `create coordination.k8s.io/leases in ${NAMESPACE}`,
  `update coordination.k8s.io/leases mcp-recorder in ${NAMESPACE}`,
  `create core/secrets in ${NAMESPACE}`,
  `get core/secrets mcp-recorder-identity in ${NAMESPACE}`,
  `update core/secrets mcp-recorder-identity in ${NAMESPACE}`,
  `watch core/secrets mcp-recorder-identity in ${NAMESPACE}`,
];
/** What it needs where recorded servers are. */
const WATCHED = [
  'get mcp-recorder.dev/recordedmcpservers github in tools',
  'list mcp-recorder.dev/recordedmcpservers in tools',
  'watch mcp-recorder.dev/recordedmcpservers in tools',
  'patch mcp-recorder.dev/recordedmcpservers github in tools',
  'patch mcp-recorder.dev/recordedmcpservers/status github in tools',
  'update mcp-recorder.dev/recordedmcpservers/finalizers github in tools',
  'list core/pods in tools',
  'patch core/pods x in tools',
  'create core/pods/eviction x in tools',
  'patch core/services x in tools',
  'create core/configmaps in tools',
  'patch core/configmaps x in tools',
  'delete core/configmaps x in tools',
  'watch discovery.k8s.io/endpointslices in tools',
  'create networking.k8s.io/networkpolicies in tools',
  'delete networking.k8s.io/networkpolicies x in tools',
  'patch apps/deployments x in tools',
  'patch apps/statefulsets x in tools',
  'patch apps/daemonsets x in tools',
  'get apps/replicasets x in tools',
  'create events.k8s.io/events in tools',
  'patch events.k8s.io/events x in tools',
];
const NEVER = [
  'get core/secrets store in tools',
  'list core/secrets in tools',
  'create core/secrets in tools',
  'list core/secrets',
  `get core/secrets other in ${NAMESPACE}`,
  `list core/secrets in ${NAMESPACE}`,
  'update coordination.k8s.io/leases kube-scheduler in kube-system',
  'create core/pods in tools',
  'delete core/pods x in tools',
  'create core/pods/exec x in tools',
  'create apps/deployments in tools',
  'get batch/jobs x in tools',
  'update mcp-recorder.dev/recordedmcpservers github in tools',
  'update apps/deployments x in tools',
  `update ${ADMISSION}/mutatingwebhookconfigurations mcp-recorder-pods-0`,
  `delete core/secrets mcp-recorder-identity in ${NAMESPACE}`,
  `delete coordination.k8s.io/leases mcp-recorder in ${NAMESPACE}`,
  'update core/services x in tools',
  'delete core/services x in tools',
  'create mcp-recorder.dev/recordedmcpservers in tools',
  'delete mcp-recorder.dev/recordedmcpservers github in tools',
  'bypass mcp-recorder.dev/recordedmcpservers github in tools',
  `patch ${ADMISSION}/mutatingwebhookconfigurations istio-sidecar-injector`,
  `delete ${ADMISSION}/validatingadmissionpolicies other`,
  `patch ${ADMISSION}/validatingwebhookconfigurations other`,
  'patch rbac.authorization.k8s.io/clusterroles mcp-recorder',
  'create core/serviceaccounts/token mcp-recorder in tools',
  'get core/nodes x',
  'get /metrics',
  'get /logs',
];

describe.runIf(HELM_IS_HERE)('the chart, installed', () => {
  let cluster: ControlPlane;
  let admin: KubeClient;

  beforeAll(async () => {
    cluster = await startControlPlane();
    admin = cluster.client();
    for (const name of ['tools', 'others']) await cluster.createNamespace(name);
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await admin.create(NAMESPACES, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: NAMESPACE, labels },
    });
    await run('install', STORE);
  }, 120_000);
  afterAll(() => cluster?.stop());

  const run = (what: string, values: object) => {
    const place = ['mcp-recorder', CHART, '--namespace', NAMESPACE, '--kubeconfig', cluster.kubeconfig];
    // An upgrade with no values at all takes those of the release before.
    const reset = what === 'upgrade' ? ['--reset-values'] : [];
    return helm([what, ...place, ...reset, '--values', '-'], values);
  };
  const uninstall = () =>
    // No node would run the job that releases what is recorded.
    helm([
      'uninstall',
      'mcp-recorder',
      '--no-hooks',
      '--namespace',
      NAMESPACE,
      '--kubeconfig',
      cluster.kubeconfig,
    ]);

  /** What kubectl says to a file. */
  const apply = (file: string, options = ['--dry-run=server']) =>
    new Promise<string>((resolve) => {
      const args = ['--kubeconfig', cluster.kubeconfig, 'apply', ...options, '-f', '-'];
      const child = execFile(rigProgram('kubectl'), args, (_error, out, err) => resolve(out + err));
      child.stdin?.end(file);
    });

  async function may(text: string, user = OPERATOR, groups: string[] = []): Promise<boolean> {
    const [, verbOfPath, path] = /^(\w+) (\/\S+)$/.exec(text) ?? [];
    const what =
      path === undefined
        ? { resourceAttributes: parseRight(text) }
        : { nonResourceAttributes: { verb: verbOfPath, path } };
    const review = await admin.create(REVIEWS, {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      metadata: {},
      spec: { user, groups, ...what },
    } as unknown as KubeObject);
    return review.status?.allowed === true;
  }
  const answers = async (rights: string[]) =>
    Object.fromEntries(await Promise.all(rights.map(async (right) => [right, await may(right)] as const)));
  const all = (rights: string[], allowed: boolean) =>
    Object.fromEntries(rights.map((right) => [right, allowed]));

  it('says what to do next', async () => {
    const said = await run('upgrade', STORE);
    expect(said).toContain('kubectl create secret generic store --namespace NAMESPACE');
    expect(said).toContain('storage: {store: default}');
    const example = /<<END\n([^]*?)\n\s*END/.exec(said)?.[1] ?? '';
    const file = example.replaceAll(/^ {3}/gm, '').replaceAll('NAMESPACE', 'tools');
    expect(await apply(file)).toBe('recordedmcpserver.mcp-recorder.dev/my-server created (server dry run)\n');
    expect(await run('upgrade', {})).toContain('WARNING: no store is set up');
    await run('upgrade', STORE);
  });

  it('runs with the demo of the README and the examples of the documentation', async () => {
    const root = path.join(import.meta.dirname, '../../..');
    const demo = path.join(root, 'demo/kubernetes');
    const values: object = parse(await fs.readFile(path.join(demo, 'values.yaml'), 'utf8'));
    await run('upgrade', values);
    for (const file of ['minio.yaml', 'server.yaml', 'recorded.yaml', 'identity.yaml']) {
      const content = await fs.readFile(path.join(demo, file), 'utf8');
      expect(await apply(content, ['--server-side']), file).not.toMatch(/rror|arning/);
    }
    for (const page of ['docs/api.md', 'docs/operations.md']) {
      const [, example = ''] =
        /```yaml\n([^]*?)```/.exec(await fs.readFile(path.join(root, page), 'utf8')) ?? [];
      expect(await apply(example)).toBe(
        'recordedmcpserver.mcp-recorder.dev/github created (server dry run)\n',
      );
    }
    await run('upgrade', STORE);
  });

  it('gives the operator what it needs and no more', async () => {
    expect(await answers([...ALWAYS, ...WATCHED])).toEqual(all([...ALWAYS, ...WATCHED], true));
    expect(await answers(NEVER)).toEqual(all(NEVER, false));
  });

  it.each([[[]], [['tools']]])(
    'lets the operator make its admission policies, watching %j',
    async (namespaces) => {
      await run('upgrade', { ...STORE, watchNamespaces: namespaces });
      const asOperator = cluster.client(await cluster.kubeconfigFor(OPERATOR));
      const { metadata } = await asOperator.get(CLUSTER_ROLES, { namespace: null, name: 'mcp-recorder' });
      const settings = {
        fullname: 'mcp-recorder',
        namespace: NAMESPACE,
        serviceAccount: 'mcp-recorder',
        watchNamespaces: namespaces,
        sidecar: { image: 'mcp-recorder-sidecar:0.1.0' },
        restrictConnect: true,
      } as Settings;
      const policies = admissionPolicies(settings, {
        name: 'mcp-recorder',
        uid: metadata.uid ?? '',
      }) as KubeObject[];
      const of = ({ kind: name }: KubeObject) =>
        kind(ADMISSION, `${name.replace(/y$/, 'ie')}s`.toLowerCase(), name, false);
      for (const policy of policies) await asOperator.apply(of(policy), policy);
      for (const policy of policies) {
        await asOperator.delete(of(policy), { namespace: null, name: policy.metadata.name });
      }
    },
  );

  it('lets people see recordings where they may view, ask for them where they may edit, and not end them', async () => {
    // No controller joins the roles here, so they are asked for themselves.
    for (const [name, verbs] of [
      ['mcp-recorder-view', ['get', 'list', 'watch']],
      ['mcp-recorder-edit', ['create', 'update', 'patch']],
    ] as const) {
      const { metadata, rules } = await admin.get(CLUSTER_ROLES, { namespace: null, name });
      expect(metadata.labels?.['rbac.authorization.k8s.io/aggregate-to-edit']).toBe('true');
      expect(rules).toMatchObject([{ verbs }]);
    }
  });

  it('runs pods that pass Pod Security restricted', async () => {
    const manifests = await render(STORE);
    for (const of of ['Deployment', 'Job']) {
      const spec = field(only(manifests, of), 'spec', 'template', 'spec');
      const name = of.toLowerCase();
      await admin.create(PODS, {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace: NAMESPACE },
        spec,
      } as KubeObject);
      await admin.delete(PODS, { namespace: NAMESPACE, name }, { gracePeriodSeconds: 0 });
    }
  });

  it('grants the rights of the watched namespaces there alone', async () => {
    await run('upgrade', { ...STORE, watchNamespaces: ['tools'] });
    expect(await answers([...ALWAYS, ...WATCHED])).toEqual(all([...ALWAYS, ...WATCHED], true));
    expect(await answers(NEVER)).toEqual(all(NEVER, false));
    const bound = WATCHED.filter((right) => !/^(get|list) mcp-recorder\.dev/.test(right));
    for (const place of [' in others', '']) {
      const elsewhere = bound.map((right) => right.replace(' in tools', place));
      expect(await answers(elsewhere)).toEqual(all(elsewhere, false));
    }
    await run('upgrade', STORE);
    expect(await may('patch core/services x in others')).toBe(true);
  });

  it('leaves nothing in the cluster but the CRD and the resources, and finds both when it comes back', async () => {
    const spec = {
      selector: { matchLabels: { app: 'x' } },
      storage: { store: 'default' },
      auth: { mode: 'Anonymous' },
    };
    const metadata = { name: 'github', namespace: 'tools' };
    await admin.create(RESOURCES, {
      apiVersion: 'mcp-recorder.dev/v1alpha1',
      kind: 'RecordedMCPServer',
      metadata,
      spec,
    } as KubeObject);
    const names = async () => (await admin.list(RESOURCES)).map(({ metadata: { name } }) => name);
    const before = await names();
    expect(before).toContain('github');
    await uninstall();
    const kinds =
      'crd,clusterrole,clusterrolebinding,role,rolebinding,configmap,secret,service,serviceaccount,deployment,job,pdb,networkpolicy';
    const ours = ['-l', 'app.kubernetes.io/part-of=mcp-recorder', '--all-namespaces', '-o', 'name'];
    const { stdout } = await promisify(execFile)(rigProgram('kubectl'), [
      '--kubeconfig',
      cluster.kubeconfig,
      'get',
      kinds,
      ...ours,
    ]);
    expect(stdout).toBe(
      'customresourcedefinition.apiextensions.k8s.io/recordedmcpservers.mcp-recorder.dev\n',
    );
    expect(await names()).toEqual(before);
    await run('install', STORE);
    expect(await names()).toEqual(before);
  });
});
