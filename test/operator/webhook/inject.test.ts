/**
 * The injection on the pod shapes of real charts, and what must hold for any pod. What comes out stands in pods/injected.
 */
import path from 'node:path';
import fc from 'fast-check';
import type { Container, Pod, Probe, Volume } from 'kubernetes-types/core/v1';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { RecordedMCPServer } from '../../../operator/api/recorded-mcp-server.ts';
import { inject } from '../../../operator/webhook/inject/inject.ts';
import type { Injection } from '../../../operator/webhook/inject/injection.ts';
import { strip } from '../../../operator/webhook/inject/strip.ts';
import { anyPod } from './any-pod.ts';
import {
  injected,
  injection,
  PODS,
  podFrom,
  refusal,
  resource,
  serverOf,
  settings,
  sidecarOf,
} from './scene.ts';

const relocated = resource('everything-mcp', {
  server: { port: 80 },
  traffic: {
    mode: 'Relocate',
    relocate: {
      port: 18_080,
      env: [
        { name: 'HOST', value: '127.0.0.1' },
        { name: 'PORT', value: '18080' },
      ],
      args: ['streamableHttp', '--port', '18080'],
    },
  },
});

const CASES: [string, RecordedMCPServer, Partial<Injection>?][] = [
  ['deployment', resource('github-mcp')],
  [
    'several-containers',
    resource('search-mcp', { server: { container: 'mcp', port: 8000 } }),
    {
      settings: {
        ...settings,
        sidecar: { ...settings.sidecar, imagePullSecrets: ['registry', 'recorder-registry'] },
      },
    },
  ],
  ['init-containers', resource('sql-mcp')],
  ['own-prestop', resource('files-mcp')],
  ['short-prestop', resource('files-mcp')],
  ['istio-native', resource('weather-mcp')],
  ['istio-ordinary', resource('weather-mcp')],
  ['istio-ambient', resource('weather-mcp')],
  ['job', resource('batch-mcp', { recording: { spool: { sizeLimit: '2Gi' } } })],
  ['statefulset', resource('memory-mcp')],
  ['daemonset', resource('node-mcp')],
  ['pod-identity', resource('s3-mcp', { storage: { store: 'identity' } })],
  ['relocate', relocated],
];

describe.each(CASES)('the pod of %s', (file, of, changed) => {
  const given = injection(of, changed);
  const pod = podFrom(file);

  it('becomes what is written down', async () => {
    const result = injected(pod, given);
    const text = stringify(result.pod, { aliasDuplicateObjects: false, lineWidth: 0 });
    await expect(text).toMatchFileSnapshot(path.join(PODS, 'injected', `${file}.yaml`));
  });

  it('is the same after a second injection, and as it was after the recorder is taken out', () => {
    const once = injected(pod, given);
    expect(injected(once.pod, given)).toEqual(once);
    expect(strip(once.pod)).toEqual(pod);
    expect(pod).toEqual(podFrom(file));
  });
});

describe('the flags', () => {
  it.each([
    ['deployment', resource('github-mcp'), ['probesRewritten']],
    ['job', resource('batch-mcp'), []],
    ['own-prestop', resource('files-mcp'), []],
    ['short-prestop', resource('files-mcp'), ['preStopTooShort']],
    ['istio-native', resource('weather-mcp'), ['mesh']],
    ['istio-ordinary', resource('weather-mcp'), ['mesh', 'meshContainer']],
    ['istio-ambient', resource('weather-mcp'), ['ambient']],
    ['statefulset', resource('memory-mcp'), ['fsGroup']],
    ['relocate', relocated, ['probesRewritten', 'probesThroughRecorder']],
  ])('of %s', (file, of, flags) => {
    const result = injected(podFrom(file), injection(of));
    expect(result.flags).toEqual(flags);
    expect(JSON.parse(result.pod.metadata?.annotations?.['mcp-recorder.dev/flags'] ?? '')).toEqual(flags);
  });

  const hook = (command: string[]) => {
    const pod = podFrom('own-prestop');
    const container = serverOf(pod);
    container.lifecycle = { preStop: { exec: { command } } };
    return injected(pod, injection(resource('files-mcp'))).flags;
  };

  it.each([
    [['sleep', '5'], []],
    [['/bin/sleep', '3'], []],
    [['sleep', '2.5'], ['preStopTooShort']],
    [['/bin/sh', '-c', 'sleep 10s && nginx -s quit'], []],
    [['sh', '-c', 'sleep 1'], ['preStopTooShort']],
    [['sh', '-c', 'sleep 1; wait-for-calls'], ['preStopUnknown']],
    [['/app/stop'], ['preStopUnknown']],
    [['sh', '-c', 'sleep $DELAY'], ['preStopUnknown']],
  ])('of a preStop hook that runs %j: %j', (command, flags) => {
    expect(hook(command)).toEqual(flags);
  });

  it.each<[string, (pod: Pod) => void]>([
    ['by all its variables', (pod) => (serverOf(pod).envFrom = [{ secretRef: { name: 'recorder-s3' } }])],
    [
      'by one variable',
      (pod) =>
        serverOf(pod).env?.push({
          name: 'KEY',
          valueFrom: { secretKeyRef: { name: 'recorder-s3', key: 'accessKeyId' } },
        }),
    ],
    ['by a volume', (pod) => mount(pod, { name: 'keys', secret: { secretName: 'recorder-s3' } })],
    [
      'by a part of a volume',
      (pod) => mount(pod, { name: 'keys', projected: { sources: [{ secret: { name: 'recorder-s3' } }] } }),
    ],
  ])('tell that the server reads the credentials of the recorder, %s', (_, edit) => {
    const pod = podFrom('deployment');
    edit(pod);
    expect(injected(pod, injection(resource('github-mcp'))).flags).toContain('credentialsShared');
  });

  const mount = (pod: Pod, volume: Volume) => {
    if (pod.spec !== undefined) pod.spec.volumes = [volume];
    serverOf(pod).volumeMounts = [{ name: volume.name, mountPath: '/keys' }];
  };
});

describe('a pod that claims to be recorded', () => {
  it('loses what it brings along, and gets the recorder that its resource wants', () => {
    const given = injection(resource('github-mcp'));
    const copy = injected(podFrom('deployment'), given).pod;
    const sidecar = sidecarOf(copy);
    sidecar.image = 'evil';
    sidecar.env = [{ name: 'NODE_OPTIONS', value: '--require /evil.js' }];
    copy.metadata = {
      ...copy.metadata,
      labels: { ...copy.metadata?.labels, 'mcp-recorder.dev/server': 'other' },
    };
    expect(injected(copy, given).pod).toEqual(injected(podFrom('deployment'), given).pod);
  });

  it('does not gain a mount of the recorder by it', () => {
    const given = injection(resource('github-mcp'));
    const copy = injected(podFrom('deployment'), given).pod;
    serverOf(copy).volumeMounts = [{ name: 'mcp-recorder-spool', mountPath: '/x' }];
    expect(refusal(copy, given)).toContain('mounts "mcp-recorder-spool"');
  });

  it.each(['not JSON', '[]x', '{"a":1}', '[{"field":"__proto__","container":null,"after":""}]', 'null'])(
    'keeps a container of our name when its record of changes is %s',
    (changes) => {
      const pod = podFrom('deployment');
      pod.metadata = { ...pod.metadata, annotations: { 'mcp-recorder.dev/changes': changes } };
      if (pod.spec) pod.spec.initContainers = [{ name: 'mcp-recorder', image: 'x' }];
      expect(refusal(pod, injection(resource('github-mcp')))).toContain('that the webhook has not made');
    },
  );

  it('keeps what another webhook wrote after us', () => {
    const given = injection(resource('github-mcp'));
    const once = injected(podFrom('deployment'), given).pod;
    const server = serverOf(once);
    const probe: Probe = { httpGet: { path: '/app-health/server/readyz', port: 15_020 } };
    server.readinessProbe = probe;
    const twice = injected(once, given).pod;
    expect(twice.spec?.containers[0]?.readinessProbe).toEqual(probe);
    expect(twice.spec?.containers[0]?.livenessProbe?.httpGet?.port).toBe(8080);
    expect(twice.spec?.terminationGracePeriodSeconds).toBe(60);
  });
});

describe('any pod', () => {
  const given = injection(resource('any', { server: { container: 'server', port: 8080 } }));

  it('is the same after one injection and after two, and is what it was without the recorder', () => {
    fc.assert(
      fc.property(anyPod, (pod) => {
        const once = inject(pod, given);
        if (!once.ok) throw new Error(once.refused);
        expect(inject(once.pod, given)).toEqual(once);
        expect(strip(once.pod)).toEqual(pod);
      }),
      { numRuns: 500 },
    );
  });

  it('keeps everything that the recorder has no use for', () => {
    fc.assert(
      fc.property(anyPod, (pod) => {
        const once = inject(pod, given);
        if (!once.ok) throw new Error(once.refused);
        expect(bare(once.pod)).toEqual(bare(pod));
      }),
      { numRuns: 500 },
    );
  });
});

/** A pod without all that an injection may change: nothing of it may differ. */
function bare(given: Pod): object {
  const pod = structuredClone(given);
  const ours = (name: string | undefined) => name?.startsWith('mcp-recorder') ?? false;
  const metadata = { ...pod.metadata };
  for (const field of ['labels', 'annotations'] as const) {
    metadata[field] = Object.fromEntries(Object.entries(metadata[field] ?? {}).filter(([key]) => !ours(key)));
  }
  const container = (one: Container) => {
    const { lifecycle, livenessProbe, readinessProbe, startupProbe, ports, ...rest } = one;
    const { preStop: _, ...hooks } = lifecycle ?? {};
    return {
      ...rest,
      hooks: { ...hooks, postStart: withoutPort(hooks.postStart) },
      probes: [livenessProbe, readinessProbe, startupProbe].map(withoutPort),
      ports: (ports ?? []).map(({ name, ...port }) =>
        port.containerPort === 8080 ? port : { name, ...port },
      ),
    };
  };
  const { terminationGracePeriodSeconds: _, ...spec } = pod.spec ?? { containers: [] };
  return {
    metadata,
    spec: {
      ...spec,
      containers: spec.containers.map(container),
      initContainers: (spec.initContainers ?? []).filter(({ name }) => !ours(name)).map(container),
      volumes: (spec.volumes ?? []).filter(({ name }) => !ours(name)),
    },
  };
}

function withoutPort(handler: Probe | undefined): object | undefined {
  if (handler === undefined) return undefined;
  const { httpGet, tcpSocket, ...rest } = handler;
  return { ...rest, httpGet: { ...httpGet, port: 0 }, tcpSocket: { ...tcpSocket, port: 0 } };
}
