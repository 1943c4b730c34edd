/**
 * Exec, attach, port-forward, proxies and ephemeral containers, where the platform team restricts them.
 */
import { execFile } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../support/poll.ts';
import { admissionPolicies } from '../../../operator/desired/admission-policies.ts';
import { rigProgram } from '../../support/rig-programs.ts';
import {
  CONNECT,
  CLUSTER_ROLES,
  kind,
  MARKED,
  object,
  PODS,
  RBAC,
  RECORDER,
  refusal,
  type Scene,
  SELECTED,
  SETTINGS,
  SOON,
  startScene,
} from './scene.ts';

const BINDINGS = kind(RBAC, 'clusterrolebindings', 'ClusterRoleBinding', false);

let scene: Scene;

beforeAll(async () => {
  scene = await startScene();
}, 120_000);
afterAll(() => scene?.stop());

describe('ways into pods past the network', () => {
  let someone: string;
  let trusted: string;
  let pod: string;

  /** What `kubectl` says to a person with the right to do it; the pod runs nowhere, so it never works. */
  const kubectl = (kubeconfig: string, ...args: string[]) =>
    new Promise<string>((resolve) => {
      const child = execFile(
        rigProgram('kubectl'),
        ['--kubeconfig', kubeconfig, ...args],
        (_error, out, err) => resolve(`${out}${err}`.replace(/(?<=RecordedMCPServer )\w+/, 'NAME')),
      );
      child.stdin?.end('{}');
    });

  beforeAll(async () => {
    const ways = ['pods/exec', 'pods/attach', 'pods/portforward', 'pods/proxy', 'services/proxy', 'pods'];
    const rules = [{ apiGroups: [''], resources: [...ways, 'pods/ephemeralcontainers'], verbs: ['*'] }];
    const bypass = { apiGroups: ['mcp-recorder.dev'], resources: ['recordedmcpservers'], verbs: ['bypass'] };
    for (const [name, given] of [
      ['someone', rules],
      ['trusted', [...rules, bypass]],
    ] as const) {
      await scene.admin.create(CLUSTER_ROLES, object(CLUSTER_ROLES, null, name, { rules: given }));
      const roleRef = { apiGroup: RBAC, kind: 'ClusterRole', name };
      const subjects = [{ kind: 'User', name, apiGroup: RBAC }];
      await scene.admin.create(BINDINGS, object(BINDINGS, null, name, { roleRef, subjects }));
    }
    someone = await scene.cluster.kubeconfigFor('someone');
    trusted = await scene.cluster.kubeconfigFor('trusted');
    pod = await scene.createPod({ labels: { ...SELECTED, ...MARKED }, recorder: RECORDER });
    await eventually(
      async () => (await kubectl(someone, 'exec', '-n', 'tools', pod, '--', 'ls')).includes(CONNECT),
      SOON,
    );
  }, 60_000);

  const base = (namespace: string) => `/api/v1/namespaces/${namespace}`;
  const WAYS: Record<string, (namespace: string) => string[]> = {
    exec: (namespace) => ['exec', '-n', namespace, pod, '--', 'ls'],
    attach: (namespace) => ['create', '--raw', `${base(namespace)}/pods/${pod}/attach`, '-f', '-'],
    'port-forward': (namespace) => [
      'create',
      '--raw',
      `${base(namespace)}/pods/${pod}/portforward`,
      '-f',
      '-',
    ],
    'the proxy of pods': (namespace) => ['get', '--raw', `${base(namespace)}/pods/${pod}:8080/proxy/`],
    'the proxy of Services': (namespace) => ['get', '--raw', `${base(namespace)}/services/x:80/proxy/`],
  };

  it.each(Object.keys(WAYS))('%s is refused, except to who may bypass', async (way) => {
    const ask = WAYS[way] as (typeof WAYS)[string];
    expect(await kubectl(someone, ...ask('tools'))).toContain(CONNECT);
    const others = await kubectl(trusted, ...ask('tools'));
    expect(others).not.toContain(CONNECT);
    expect(others).not.toContain('is forbidden');
    expect(await kubectl(someone, ...ask('others'))).not.toContain(CONNECT);
  });

  it('ephemeral containers are refused, except to who may bypass', async () => {
    const debug = (kubeconfig: string, name: string) =>
      scene.cluster
        .client(kubeconfig)
        .patch(
          PODS,
          { namespace: 'tools', name: pod },
          { spec: { ephemeralContainers: [{ name, image: 'busybox:1' }] } },
          { subresource: 'ephemeralcontainers' },
        );
    expect(await refusal(debug(someone, 'a'))).toBe(`recorder-connect: ${CONNECT.replace('NAME', 'github')}`);
    expect(await refusal(debug(trusted, 'b'))).toBeNull();
  });

  it('stay open when the platform team does not restrict them', () => {
    const names = admissionPolicies({ ...SETTINGS, restrictConnect: false }, scene.role).map(
      ({ metadata }) => metadata?.name,
    );
    expect(new Set(names)).toEqual(
      new Set([
        'recorder-injected',
        'recorder-marker',
        'recorder-selection',
        'recorder-owned',
        'recorder-kept',
      ]),
    );
  });
});
