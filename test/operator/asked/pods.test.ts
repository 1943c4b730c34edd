/** Pods at admission, on a real API server: what becomes of them, and what a person sees when one is refused. */
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Pod } from 'kubernetes-types/core/v1';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { KubeObject } from '../../../operator/kube/resource.ts';
import { createAuthority, issueCertificate } from '../../../operator/webhook/issue-certificate.ts';
import { eventually } from '../../support/poll.ts';
import { podFrom, resource } from '../webhook/scene.ts';
import { type AdmissionScene, CONFIGURATIONS, PODS, startAdmission } from './admission-scene.ts';

let scene: AdmissionScene;

const relocated = resource('everything-mcp', {
  server: { port: 80 },
  traffic: { mode: 'Relocate', relocate: { port: 18_080, env: [{ name: 'PORT', value: '18080' }] } },
});

beforeAll(async () => {
  scene = await startAdmission();
  await scene.createNamespace('other');
  await scene.createNamespace('strict');
  for (const name of [
    'github-mcp',
    'sql-mcp',
    'files-mcp',
    'weather-mcp',
    'batch-mcp',
    'node-mcp',
    's3-mcp',
  ]) {
    await scene.record(resource(name));
  }
  await scene.record(resource('memory-mcp'));
  await scene.record(resource('search-mcp', { server: { container: 'mcp', port: 8000 } }));
  await scene.record(relocated);
  await scene.record(resource('github-mcp', {}, { namespace: 'strict' }));
  await scene.kubectl('label namespace strict pod-security.kubernetes.io/enforce=restricted');
}, 120_000);
afterAll(() => scene?.stop());
beforeEach(() => {
  scene.answers.length = 0;
});

function named(file: string, name: string, namespace = 'tools'): KubeObject & Pod {
  const { metadata, spec } = podFrom(file);
  const { generateName: _, ...rest } = metadata ?? {};
  return { apiVersion: 'v1', kind: 'Pod', metadata: { ...rest, name, namespace }, ...(spec ? { spec } : {}) };
}

const create = (pod: object) => scene.kubectl('create -f -', pod);
const stored = (name: string, namespace = 'tools') => scene.api.get(PODS, { name, namespace });
const sidecars = (pod: Pod) => (pod.spec?.initContainers ?? []).filter(({ name }) => name === 'mcp-recorder');
const initNames = (pod: Pod) => (pod.spec?.initContainers ?? []).map(({ name }) => name);

describe('a pod of a recorded server', () => {
  it.each([
    'deployment',
    'several-containers',
    'init-containers',
    'own-prestop',
    'short-prestop',
    'istio-native',
    'istio-ordinary',
    'istio-ambient',
    'job',
    'statefulset',
    'daemonset',
    'pod-identity',
    'relocate',
  ])('of the shape %s gets the recorder, once, as the last init container', async (file) => {
    const { code, stderr } = await create(named(file, `pod-${file}`));
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const pod = await stored(`pod-${file}`);
    expect(sidecars(pod)).toHaveLength(1);
    expect(initNames(pod).at(-1)).toBe('mcp-recorder');
    expect(scene.answers.length).toBeLessThanOrEqual(2);
    // What the API server has filled in makes no difference to the webhook.
    const again = await scene.judge(pod);
    expect(again).toEqual({ allowed: true, object: pod, warnings: [] });
    const mounts = sidecars(pod).flatMap(({ volumeMounts = [] }) => volumeMounts.map(({ name }) => name));
    expect(mounts.filter((name) => name.startsWith('kube-api-access'))).toEqual([]);
  });

  it('is asked about once where no token for the API is added after us', async () => {
    const pod = named('statefulset', 'again');
    pod.spec = { ...pod.spec, containers: pod.spec?.containers ?? [], automountServiceAccountToken: false };
    expect((await create(pod)).stderr).toBe('');
    expect(scene.answers.map(({ outcome }) => outcome)).toEqual(['changed']);
  });

  it('keeps to Pod Security restricted where it did before', async () => {
    const { code, stderr } = await create(named('deployment', 'strict', 'strict'));
    expect([code, stderr]).toEqual([0, '']);
    expect(sidecars(await stored('strict', 'strict'))).toHaveLength(1);
  });

  it('is shown with the recorder by a dry run, and not made', async () => {
    const { stdout } = await scene.kubectl(
      'create --dry-run=server -o json -f -',
      named('deployment', 'dry'),
    );
    expect(sidecars(JSON.parse(stdout))).toHaveLength(1);
    expect(await scene.api.find(PODS, { name: 'dry', namespace: 'tools' })).toBeNull();
  });

  it('that is a copy of a recorded pod with changes to its recorder is made anew', async () => {
    await create(named('deployment', 'original'));
    const { metadata, spec } = structuredClone(await stored('original'));
    const { labels, annotations } = metadata;
    const copy: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'copy',
        namespace: 'tools',
        ...(labels ? { labels } : {}),
        ...(annotations ? { annotations } : {}),
      },
      ...(spec ? { spec } : {}),
    };
    for (const sidecar of sidecars(copy)) {
      sidecar.image = 'evil';
      sidecar.command = ['sleep', 'infinity'];
    }
    expect((await create(copy)).stderr).toBe('');
    expect(sidecars(await stored('copy'))).toEqual(sidecars(await stored('original')));
  });
});

describe('what a person sees of a refused pod', () => {
  it('is the resource, the reason and the remedy', async () => {
    const pod = named('deployment', 'refused');
    if (pod.spec) pod.spec.hostNetwork = true;
    const { stderr, code } = await create(pod);
    expect(code).toBe(1);
    expect(stderr).toBe(
      `Error from server (Forbidden): error when creating "STDIN": admission webhook "github-mcp.tools.pods.mcp-recorder.dev" denied the request: RecordedMCPServer tools/github-mcp selects this pod, but it can't be recorded. It has hostNetwork: its ports are the node's, where no NetworkPolicy holds. Remove spec.hostNetwork. Its container "server" opens the server's port 8080 on the node (hostPort 8080): a way past the recorder. Remove hostPort and use a Service.\n`,
    );
  });

  it('is that only the webhook gives out its label', async () => {
    const pod = named('deployment', 'claims', 'other');
    pod.metadata.labels = { app: 'github-mcp', 'mcp-recorder.dev/server': 'github-mcp' };
    const { stderr } = await create(pod);
    expect(stderr).toContain(
      'admission webhook "marked.pods.mcp-recorder.dev" denied the request: The label mcp-recorder.dev/server marks pods that are recorded',
    );
    expect(stderr).toContain('no RecordedMCPServer of namespace other selects this pod');
  });
});

describe('other pods', () => {
  it('are made as ever, unasked', async () => {
    expect((await create(named('deployment', 'bare', 'other'))).stderr).toBe('');
    const unselected = named('deployment', 'bare');
    unselected.metadata.labels = { app: 'something' };
    expect((await create(unselected)).stderr).toBe('');
    expect(sidecars(await stored('bare', 'other'))).toEqual([]);
    expect(sidecars(await stored('bare'))).toEqual([]);
    expect(scene.answers).toEqual([]);
  });
});

describe('while the webhook is dead', () => {
  it('pods of recorded servers are refused, and all others made', async () => {
    await scene.stopWebhook();
    const { stderr } = await create(named('deployment', 'late'));
    expect(stderr).toContain('failed calling webhook "github-mcp.tools.pods.mcp-recorder.dev"');
    expect((await create(named('deployment', 'free', 'other'))).stderr).toBe('');
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'free', namespace: 'tools' },
      spec: { ports: [{ port: 80 }] },
    };
    expect((await create(service)).stderr).toBe('');
    await scene.startWebhook();
    await eventually(async () => (await create(named('deployment', 'late'))).code === 0, {
      withinMs: 10_000,
      everyMs: 50,
    });
  });
});

describe('another webhook that comes after ours', () => {
  it('may put its own sidecar in and rewrite probes: the recorder stands after it, and is there once', async () => {
    const mesh = await startMesh();
    try {
      await eventually(
        async () => {
          const { stdout } = await scene.kubectl(
            'create --dry-run=server -o json -f -',
            named('deployment', 'probe'),
          );
          return stdout.includes('mesh-proxy');
        },
        { withinMs: 10_000, everyMs: 50 },
      );
      const { stderr } = await create(named('init-containers', 'meshed'));
      expect(stderr).toBe('');
      const pod = await stored('meshed');
      expect(initNames(pod)).toEqual(['mesh-proxy', 'cloud-sql-proxy', 'migrate', 'mcp-recorder']);
      expect(pod.spec?.terminationGracePeriodSeconds).toBe(60);
      expect(pod.spec?.containers[0]?.livenessProbe?.httpGet?.port).toBe(15_020);
    } finally {
      await mesh.stop();
    }
  });
});

/** A webhook as meshes have them: it puts a native sidecar first and takes probes over, whenever it is not there yet. */
async function startMesh() {
  const times = { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + 86_400_000) };
  const authority = await createAuthority(times);
  const leaf = await issueCertificate(authority, {
    ...times,
    commonName: 'mesh',
    dnsNames: ['localhost'],
    use: 'server',
  });
  const server = https.createServer({ cert: leaf.certificate, key: leaf.key }, (request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      const { uid, object } = JSON.parse(body).request as { uid: string; object: Pod };
      const proxy = { name: 'mesh-proxy', image: 'proxy', restartPolicy: 'Always' };
      const probe = { httpGet: { path: '/app-health', port: 15_020 } };
      const init = object.spec?.initContainers ?? [];
      const patch = init.some(({ name }) => name === 'mesh-proxy')
        ? []
        : [
            { op: 'add', path: '/spec/initContainers', value: [proxy, ...init] },
            { op: 'add', path: '/spec/containers/0/livenessProbe', value: probe },
          ];
      const encoded = Buffer.from(JSON.stringify(patch)).toString('base64');
      const answer = { uid, allowed: true, patchType: 'JSONPatch', patch: encoded };
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: answer }),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const configuration = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: 'zz-mesh' },
    webhooks: [
      {
        name: 'zz.mesh.example.com',
        clientConfig: {
          url: `https://localhost:${port}/`,
          caBundle: Buffer.from(authority.certificate).toString('base64'),
        },
        rules: [{ apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], operations: ['CREATE'] }],
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
      },
    ],
  };
  await scene.api.apply(CONFIGURATIONS, configuration);
  return {
    async stop() {
      await scene.api.delete(CONFIGURATIONS, { name: 'zz-mesh', namespace: null });
      server.close();
      server.closeAllConnections();
    },
  };
}
