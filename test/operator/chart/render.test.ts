/**
 * What helm makes of values: settings that the operator reads, images, rights, ports; and what it says to wrong values.
 */
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadSettings, type Settings } from '../../../operator/settings.ts';
import type { KubeObject } from '../../../operator/kube/resource.ts';
import { CHART, field, helm, HELM_IS_HERE, only, render } from './helm.ts';

async function settingsOf(manifests: readonly KubeObject[]): Promise<Settings> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-chart-'));
  try {
    const file = path.join(folder, 'settings.yaml');
    await fs.writeFile(file, field<string>(only(manifests, 'ConfigMap'), 'data', 'settings.yaml'));
    return loadSettings(file);
  } finally {
    await fs.rm(folder, { recursive: true });
  }
}

/** Where a workload has its pods. */
const POD = ['spec', 'template'];
const CERTIFICATE = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
/** Every value that reaches the operator, none at its default. */
const FULL = {
  cluster: 'eu-1',
  watchNamespaces: ['tools', 'agents'],
  fullnameOverride: 'recorder',
  stores: {
    default: {
      s3: {
        bucket: 'recordings',
        prefix: 'eu/1',
        region: 'eu-central-1',
        endpoint: 'https://minio.example.com:9000',
        pathStyle: true,
        ca: CERTIFICATE,
        credentialsSecret: 'store',
        encryption: { type: 'SSE-KMS', keyId: 'alias/recordings' },
        objectLock: { mode: 'COMPLIANCE', retainFor: '365d' },
        storageClass: 'STANDARD_IA',
      },
    },
    other: { s3: { bucket: 'other' } },
  },
  policy: {
    allowInlineStorage: true,
    allowFailOpen: true,
    maxUploadLag: '2m',
    minimumCommit: 'ObjectStorage',
    allowWithholding: false,
    auth: { requireIdentity: true, allowedIssuers: ['https://idp.example.com', 'kubernetes'] },
    rules: [
      {
        name: 'no-deletes',
        when: 'mcp.tool == "delete" && !("admins" in principal.groups)',
        action: 'Deny',
        message: 'Deleting is for admins',
        hideTools: true,
      },
    ],
    masking: {
      base64: true,
      rules: [
        { appliesTo: 'Both', detectors: ['all'] },
        { name: 'ssn', appliesTo: 'Record', paths: ['$.params.arguments.ssn'] },
        { name: 'employee', appliesTo: 'Wire', pattern: 'E[0-9]{6}' },
      ],
    },
  },
  restrictConnect: true,
  sidecar: {
    image: {
      registry: 'registry.example.com',
      repository: 'tools/sidecar',
      tag: '1.2.3',
      pullPolicy: 'Always',
    },
    imagePullSecrets: ['pull'],
    ports: { recorder: 19080, status: 19081 },
    uid: 12345,
    drainSeconds: 30,
    resources: { requests: { cpu: 1, memory: '1Gi' }, limits: { memory: '2Gi' } },
  },
  serviceAccount: { name: 'recorder-account' },
  monitoring: { from: { namespaceSelector: { matchLabels: { team: 'monitoring' } }, podSelector: {} } },
};

describe.runIf(HELM_IS_HERE)('the chart', () => {
  it('has nothing that helm lint objects to', async () => {
    expect(await helm(['lint', '--strict', CHART, '--values', '-'], FULL)).toContain('0 chart(s) failed');
  });

  it('renders settings that the operator reads, from defaults alone', async () => {
    const settings = await settingsOf(await render());
    expect(settings).toMatchObject({
      fullname: 'mcp-recorder',
      namespace: 'mcp-recorder-system',
      serviceAccount: 'mcp-recorder',
      cluster: 'local',
      watchNamespaces: [],
      stores: {},
      sidecar: { image: 'mcp-recorder-sidecar:0.1.0', ports: { recorder: 9080, status: 9081 }, uid: 64_999 },
      policy: { allowInlineStorage: false, allowFailOpen: false, maxUploadLag: '5m', minimumCommit: 'Spool' },
      monitoring: null,
      restrictConnect: false,
      webhook: { service: 'mcp-recorder-webhook', port: 9443 },
      status: { port: 8080 },
    });
  });

  it('hands every value to the operator as it is', async () => {
    expect(await settingsOf(await render(FULL))).toEqual({
      fullname: 'recorder',
      namespace: 'mcp-recorder-system',
      serviceAccount: 'recorder-account',
      cluster: 'eu-1',
      watchNamespaces: ['tools', 'agents'],
      sidecar: {
        image: 'registry.example.com/tools/sidecar:1.2.3',
        imagePullPolicy: 'Always',
        imagePullSecrets: ['pull'],
        ports: { recorder: 19080, status: 19081 },
        uid: 12345,
        drainSeconds: 30,
        resources: { requests: { cpu: 1, memory: '1Gi' }, limits: { memory: '2Gi' } },
      },
      stores: FULL.stores,
      policy: FULL.policy,
      monitoring: FULL.monitoring.from,
      restrictConnect: true,
      webhook: { service: 'recorder-webhook', port: 9443 },
      status: { port: 8080 },
    });
  });

  it('names images by registry, tag and digest, and one registry for all where there is no other', async () => {
    const digest = `sha256:${'0'.repeat(64)}`;
    const values = {
      global: { imageRegistry: 'internal.example.com/' },
      operator: { image: { registry: 'registry.example.com', digest } },
      sidecar: { image: { tag: '2', digest } },
    };
    const manifests = await render(values);
    const operator = field(only(manifests, 'Deployment'), ...POD, 'spec', 'containers', 0, 'image');
    expect(operator).toBe(`internal.example.com/mcp-recorder-operator:0.1.0@${digest}`);
    expect(field(only(manifests, 'Job'), ...POD, 'spec', 'containers', 0, 'image')).toBe(operator);
    expect((await settingsOf(manifests)).sidecar.image).toBe(
      `internal.example.com/mcp-recorder-sidecar:2@${digest}`,
    );
  });

  it('makes new pods of the operator when its settings change, and only then', async () => {
    const sum = async (values: object) =>
      field(only(await render(values), 'Deployment'), ...POD, 'metadata', 'annotations', 'checksum/settings');
    const before = await sum({});
    expect(await sum({ operator: { replicas: 3 } })).toBe(before);
    expect(await sum({ cluster: 'other' })).not.toBe(before);
  });

  it('keeps one replica: on nodes apart where it can, and evicted one at a time', async () => {
    const manifests = await render();
    const deployment = only(manifests, 'Deployment');
    expect(field(deployment, 'spec')).toMatchObject({
      replicas: 2,
      strategy: { rollingUpdate: { maxUnavailable: 0 } },
    });
    const affinity = field<object>(deployment, ...POD, 'spec', 'affinity', 'podAntiAffinity');
    const apart = ['preferredDuringSchedulingIgnoredDuringExecution', 0, 'podAffinityTerm', 'labelSelector'];
    const labels = field(deployment, ...POD, 'metadata', 'labels');
    for (const selector of [
      field<object>(deployment, 'spec', 'selector', 'matchLabels'),
      field<object>(affinity, ...apart, 'matchLabels'),
      field<object>(only(manifests, 'PodDisruptionBudget'), 'spec', 'selector', 'matchLabels'),
      field<object>(only(manifests, 'Service'), 'spec', 'selector'),
    ]) {
      expect(labels).toMatchObject(selector);
      expect(selector).toMatchObject({ 'app.kubernetes.io/component': 'operator' });
    }
    const single = await render({ operator: { replicas: 1 } });
    expect(single.filter(({ kind }) => kind === 'PodDisruptionBudget')).toEqual([]);
  });

  it('releases what is recorded before the operator goes, and keeps the CRD', async () => {
    const manifests = await render();
    const job = only(manifests, 'Job');
    expect(job.metadata.annotations?.['helm.sh/hook']).toBe('pre-delete');
    expect(field(job, ...POD, 'spec', 'containers', 0, 'args')).toEqual([
      'release',
      '--settings',
      '/etc/mcp-recorder-operator/settings.yaml',
    ]);
    const selector = field<object>(only(manifests, 'Service'), 'spec', 'selector');
    expect(field(job, ...POD, 'metadata', 'labels')).not.toMatchObject(selector);
    const crd = only(manifests, 'CustomResourceDefinition');
    expect(crd.metadata.annotations?.['helm.sh/resource-policy']).toBe('keep');
    expect((await render({ crds: { install: false } })).map(({ kind }) => kind)).not.toContain(crd.kind);
  });

  it('admits the API server to the webhook from anywhere, and Prometheus to the metrics only where it is named', async () => {
    const policy = async (values: object) =>
      field<{ ingress: object[]; egress: object[] }>(only(await render(values), 'NetworkPolicy'), 'spec');
    expect((await policy({})).ingress).toEqual([{ ports: [{ protocol: 'TCP', port: 9443 }] }]);
    const { from } = FULL.monitoring;
    expect((await policy({ monitoring: { from } })).ingress[1]).toEqual({
      from: [from],
      ports: [{ protocol: 'TCP', port: 8080 }],
    });
    const { egress } = await policy({ networkPolicy: { apiServerPorts: [8443] } });
    expect(egress).toContainEqual({
      ports: [
        { protocol: 'TCP', port: 53 },
        { protocol: 'UDP', port: 53 },
        { protocol: 'TCP', port: 8443 },
      ],
    });
    expect(egress).toContainEqual({ to: [{ namespaceSelector: {} }], ports: [{ protocol: 'TCP' }] });
    expect((await render({ networkPolicy: { enabled: false } })).map(({ kind }) => kind)).not.toContain(
      'NetworkPolicy',
    );
  });

  it('reads metrics of recorders over their own certificates', async () => {
    const values = {
      monitoring: { ...FULL.monitoring, podMonitor: { enabled: true, labels: { release: 'prometheus' } } },
    };
    const manifests = await render(values);
    const recorders = only(manifests, 'PodMonitor', 'mcp-recorder-recorders');
    expect(recorders.metadata.labels).toMatchObject({ release: 'prometheus' });
    expect(field(recorders, 'spec')).toMatchObject({
      namespaceSelector: { any: true },
      selector: { matchExpressions: [{ key: 'mcp-recorder.dev/server', operator: 'Exists' }] },
      podMetricsEndpoints: [
        {
          port: 'mcp-rec-status',
          path: '/metrics',
          scheme: 'https',
          tlsConfig: { insecureSkipVerify: true },
        },
      ],
    });
    expect(field(only(manifests, 'PodMonitor', 'mcp-recorder'), 'spec', 'podMetricsEndpoints')).toMatchObject(
      [{ port: 'status' }],
    );
  });

  it('grants rights on namespaces in these alone, where namespaces are named', async () => {
    const manifests = await render({ watchNamespaces: ['tools', 'agents'] });
    const roles = manifests.filter(
      ({ kind, metadata }) => kind === 'Role' && metadata.name === 'mcp-recorder-recorded',
    );
    expect(roles.map(({ metadata }) => metadata.namespace).sort()).toEqual(['agents', 'tools']);
    const rulesOf = (manifest: KubeObject) => field<{ resources: string[] }[]>(manifest, 'rules');
    const granted = rulesOf(only(manifests, 'ClusterRole', 'mcp-recorder')).flatMap(
      ({ resources }) => resources,
    );
    expect(granted).not.toContain('pods');
    expect(granted).not.toContain('configmaps');
    const everywhere = rulesOf(only(await render(), 'ClusterRole', 'mcp-recorder'));
    for (const role of roles) expect(everywhere).toEqual(expect.arrayContaining(rulesOf(role)));
  });

  it('lets owners of namespaces ask for a recording, and end it only where the platform team says so', async () => {
    const verbs = async (rbac: object) =>
      field(only(await render({ rbac }), 'ClusterRole', 'mcp-recorder-edit'), 'rules', 0, 'verbs');
    expect(await verbs({})).toEqual(['create', 'update', 'patch']);
    expect(await verbs({ ownersMayDelete: true })).toEqual(['create', 'update', 'patch', 'delete']);
    const names = (await render({ rbac: { ownersMayRecord: false } })).map(({ metadata }) => metadata.name);
    expect(names).not.toContain('mcp-recorder-edit');
  });
});

describe.runIf(HELM_IS_HERE)('a wrong value', () => {
  const store = (s3: object) => ({ stores: { default: { s3 } } });
  it.each<[object, RegExp]>([
    [{ sidecars: {} }, /'sidecars'/],
    [{ sidecar: { port: 1 } }, /sidecar.*'port'/s],
    [{ sidecar: { ports: { recorder: 80 } } }, /sidecar.*recorder.*1,?024/s],
    [{ sidecar: { ports: { recorder: 9081 } } }, /sidecar\.ports: recorder and status are both 9081/],
    [{ sidecar: { uid: 0 } }, /uid.*minimum/s],
    [{ sidecar: { image: { digest: 'latest' } } }, /digest.*sha256/s],
    [{ operator: { replicas: 0 } }, /replicas.*minimum/s],
    [{ cluster: 'EU 1' }, /cluster.*pattern/s],
    [{ watchNamespaces: 'tools' }, /watchNamespaces.*array/s],
    [{ policy: { minimumCommit: 'Disk' } }, /minimumCommit.*'Spool', 'ObjectStorage'/s],
    [{ policy: { maxUploadLag: 'soon' } }, /maxUploadLag.*pattern/s],
    [store({}), /bucket/],
    [store({ bucket: 'A' }), /bucket.*pattern/s],
    [store({ bucket: 'abc', acl: 'x' }), /default.*'acl'/s],
    [store({ bucket: 'abc', endpoint: 'minio:9000' }), /endpoint.*pattern/s],
    [
      store({ bucket: 'abc', encryption: { type: 'SSE-S3', keyId: 'x' } }),
      /stores\.default\.s3\.encryption: keyId only with type SSE-KMS/,
    ],
    [
      { monitoring: { podMonitor: { enabled: true } } },
      /monitoring\.podMonitor\.enabled needs monitoring\.from/,
    ],
  ])('%j is refused with its place', async (values, words) => {
    await expect(render(values)).rejects.toThrow(words);
  });
});
