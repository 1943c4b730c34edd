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
import { injection, PODS, podFrom, resource, settings } from './scene.ts';

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

/** Injects and expects that it can be done. */
function injected(pod: Pod, given: Injection) {
  const result = inject(pod, given);
  if (!result.ok) throw new Error(result.refused);
  return result;
}

function refusal(pod: Pod, given: Injection): string {
  const result = inject(pod, given);
  return result.ok ? 'not refused' : result.refused;
}

const serverOf = (pod: Pod): Container => {
  const [server] = pod.spec?.containers ?? [];
  if (server === undefined) throw new Error('the pod has no container');
  return server;
};

const sidecarOf = (pod: Pod): Container => {
  const found = pod.spec?.initContainers?.find(({ name }) => name === 'mcp-recorder');
  if (found === undefined) throw new Error('the pod has no recorder');
  return found;
};

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

describe('a pod is refused', () => {
  const change = (edit: (spec: NonNullable<Pod['spec']>, pod: Pod) => void, of = resource('github-mcp')) => {
    const pod = podFrom('deployment');
    if (pod.spec !== undefined) edit(pod.spec, pod);
    return refusal(pod, injection(of));
  };
  const first = (spec: NonNullable<Pod['spec']>) => serverOf({ spec });

  it('with a message that names the resource and says what to do', () => {
    expect(
      change((spec) => {
        spec.hostNetwork = true;
      }),
    ).toBe(
      "RecordedMCPServer tools/github-mcp selects this pod, but it can't be recorded. It has hostNetwork: its ports are the node's, where no NetworkPolicy holds. Remove spec.hostNetwork.",
    );
  });

  it('with all that is in the way at once', () => {
    const message = change((spec) => {
      spec.hostPID = true;
      spec.shareProcessNamespace = true;
      first(spec).ports = [{ name: 'http', containerPort: 8080, hostPort: 80 }];
    });
    for (const word of ['hostPID', 'shareProcessNamespace', 'hostPort 80']) expect(message).toContain(word);
  });

  it.each<[string, (spec: NonNullable<Pod['spec']>, pod: Pod) => void]>([
    ['runs as user 64999', (spec) => (first(spec).securityContext = { runAsUser: 64_999 })],
    ['"server" runs as user 64999', (spec) => (spec.securityContext = { runAsUser: 64_999 })],
    [
      'on the node (hostPort 8080)',
      (spec) => (first(spec).ports = [{ containerPort: 8080, hostPort: 8080 }]),
    ],
    [
      'mounts "mcp-recorder-spool"',
      (spec) => (first(spec).volumeMounts = [{ name: 'mcp-recorder-spool', mountPath: '/x' }]),
    ],
    [
      'volume "mcp-recorder-config" has a name that belongs',
      (spec) => (spec.volumes = [{ name: 'mcp-recorder-config', emptyDir: {} }]),
    ],
    [
      'holds a token for mcp-recorder-operator',
      (spec) =>
        (spec.volumes = [
          {
            name: 'mine',
            projected: {
              sources: [{ serviceAccountToken: { audience: 'mcp-recorder-operator', path: 't' } }],
            },
          },
        ]),
    ],
    [
      'a container "mcp-recorder" that the webhook has not made',
      (spec) => (spec.initContainers = [{ name: 'mcp-recorder', image: 'evil', restartPolicy: 'Always' }]),
    ],
    [
      'a container "mcp-recorder" that the webhook has not made',
      (spec) => spec.containers.push({ name: 'mcp-recorder', image: 'mine' }),
    ],
    [
      'declares port 9080, which is the recorder',
      (spec) =>
        (spec.initContainers = [
          { name: 'x', image: 'x', restartPolicy: 'Always', ports: [{ containerPort: 9080 }] },
        ]),
    ],
    [
      'declares port 9081, which is the recorder',
      (spec) =>
        (spec.initContainers = [
          { name: 'x', image: 'x', restartPolicy: 'Always', ports: [{ containerPort: 9081 }] },
        ]),
    ],
    ['server listens on port 9080', (spec) => (first(spec).ports = [{ containerPort: 9080 }])],
    [
      'several TCP ports: 8080 (server), 8081 (server)',
      (spec) => (first(spec).ports = [{ containerPort: 8080 }, { containerPort: 8081 }]),
    ],
    ['No container of the pod declares a TCP port', (spec) => delete first(spec).ports],
    [
      'port name "http" stands for',
      (spec) =>
        (spec.initContainers = [
          { name: 'x', image: 'x', restartPolicy: 'Always', ports: [{ name: 'http', containerPort: 80 }] },
        ]),
    ],
    [
      'port name "mcp-rec-status" belongs to the recorder',
      (spec) => first(spec).ports?.push({ name: 'mcp-rec-status', containerPort: 8080 }),
    ],
    ['static pod', (_, pod) => (pod.metadata = { annotations: { 'kubernetes.io/config.mirror': 'x' } })],
    ['runs on Windows', (spec) => (spec.os = { name: 'windows' })],
  ])('%s', (words, edit) => {
    const message = change((spec, pod) => void edit(spec, pod));
    const several = 'spec.server.port';
    expect(message).toContain(words);
    expect(message).toMatch(
      /^RecordedMCPServer tools\/github-mcp selects this pod, but it can't be recorded\. /,
    );
    if (words.includes('TCP port')) expect(message).toContain(several);
  });

  it('when the resource names a container that is not there, or one that only initialises', () => {
    const nobody = change(() => undefined, resource('github-mcp', { server: { container: 'mcp' } }));
    expect(nobody).toContain(
      'no container "mcp". Set spec.server.container to one of its containers: server.',
    );
    const early = change(
      (spec) => (spec.initContainers = [{ name: 'mcp', image: 'x', restartPolicy: 'Always' }]),
      resource('github-mcp', { server: { container: 'mcp' } }),
    );
    expect(early).toContain('is an init container');
  });

  it('when no container, or more than one, declares the port that the resource gives', () => {
    const of = resource('search-mcp', { server: { port: 7000 } });
    expect(refusal(podFrom('several-containers'), injection(of))).toContain(
      "None of the pod's containers declares port 7000, so it can't be told which one runs the server. Set spec.server.container to one of: exporter, mcp, logs.",
    );
  });

  it('when its store is none of the platform team', () => {
    const of = resource('github-mcp', { storage: { store: 'mine' } });
    expect(refusal(podFrom('deployment'), injection(of))).toContain(
      'the store "mine", which the platform team has not set up (there is: default, identity)',
    );
  });

  it('when the place where the server is moved to is taken, or it is asked by gRPC', () => {
    const to = (port: number) =>
      resource('everything-mcp', {
        server: { port: 80 },
        traffic: { mode: 'Relocate', relocate: { port, args: ['x'] } },
      });
    expect(refusal(podFrom('relocate'), injection(to(9464)))).toContain(
      'declares port 9464, which is the port that the server is moved to',
    );
    expect(refusal(podFrom('relocate'), injection(to(80)))).toContain(
      "relocate.port is 80: the server's own",
    );
    expect(refusal(podFrom('relocate'), injection(to(9081)))).toContain('status port');
    const pod = podFrom('relocate');
    serverOf(pod).readinessProbe = { grpc: { port: 80 } };
    expect(refusal(pod, injection(to(18_080)))).toContain('gRPC probe on port 80');
  });
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

describe('a relocated server', () => {
  const to = (port: number) =>
    injection(
      resource('everything-mcp', {
        server: { port },
        traffic: {
          mode: 'Relocate',
          relocate: { port: 18_080, env: [{ name: 'HOST', value: '127.0.0.1' }] },
        },
      }),
    );
  const onPort = (containerPort: number) => {
    const pod = podFrom('relocate');
    serverOf(pod).ports = [{ containerPort }];
    return pod;
  };

  it('needs a right of the network namespace for a low port, and keeps what the pod says of it', () => {
    const name = 'net.ipv4.ip_unprivileged_port_start';
    const sysctls = (pod: Pod, port: number) => injected(pod, to(port)).pod.spec?.securityContext?.sysctls;
    expect(sysctls(onPort(80), 80)).toEqual([{ name, value: '0' }]);
    expect(sysctls(onPort(8080), 8080)).toBeUndefined();
    const pod = onPort(80);
    if (pod.spec !== undefined) pod.spec.securityContext = { sysctls: [{ name, value: '80' }] };
    expect(sysctls(pod, 80)).toEqual([{ name, value: '80' }]);
  });

  it('keeps a variable that another webhook wrote after us until it is told its address again', () => {
    const once = injected(onPort(8080), to(8080)).pod;
    const variable = serverOf(once).env?.find(({ name }) => name === 'HOST');
    if (variable !== undefined) variable.value = '::1';
    expect(serverOf(strip(once)).env).toContainEqual({ name: 'HOST', value: '::1' });
    expect(serverOf(injected(once, to(8080)).pod).env).toContainEqual({ name: 'HOST', value: '127.0.0.1' });
  });
});

describe('init containers', () => {
  it('that have ended when the server runs may use what it uses', () => {
    const pod = podFrom('deployment');
    const ports = [
      { name: 'http', containerPort: 80 },
      { containerPort: 8080, hostPort: 8080 },
    ];
    if (pod.spec !== undefined) pod.spec.initContainers = [{ name: 'early', image: 'x', ports }];
    const made = injected(pod, injection(resource('github-mcp'))).pod;
    expect(made.spec?.initContainers?.[0]?.ports).toEqual(ports);
  });
});

describe('the identity of the pod', () => {
  it('is not the recorder’s where the store has a Secret', () => {
    const sidecar = sidecarOf(injected(podFrom('pod-identity'), injection(resource('s3-mcp'))).pod);
    expect(sidecar.env?.filter(({ name }) => name.startsWith('AWS_'))).toEqual([]);
    expect(sidecar.volumeMounts?.map(({ name }) => name)).not.toContain('aws-iam-token');
  });
});

describe('the storage of the recorder', () => {
  it.each([
    ['512Mi', '640Mi', '704Mi'],
    ['64Mi', '80Mi', '144Mi'],
    ['1Gi', '1280Mi', '1344Mi'],
    ['100Mi', '125Mi', '189Mi'],
  ])('for a spool of %s: a volume of %s, a request of %s', (cap, volume, request) => {
    const of = resource('github-mcp', { recording: { spool: { sizeLimit: cap } } });
    const { pod } = injected(podFrom('deployment'), injection(of));
    const spool = pod.spec?.volumes?.find(({ name }) => name === 'mcp-recorder-spool');
    expect(spool?.emptyDir?.sizeLimit).toBe(volume);
    expect(sidecarOf(pod).resources?.requests?.['ephemeral-storage']).toBe(request);
  });

  it('has a limit only in a pod that has one, because it would else be the limit of the whole pod', () => {
    const of = injection(resource('memory-mcp'));
    expect(sidecarOf(injected(podFrom('statefulset'), of).pod).resources?.limits).toHaveProperty(
      'ephemeral-storage',
      '704Mi',
    );
    const deployment = injected(podFrom('deployment'), injection(resource('github-mcp'))).pod;
    expect(sidecarOf(deployment).resources?.limits).toEqual({ memory: '256Mi' });
  });

  it('takes more where the platform team gives more, never less', () => {
    const limits = (amount: string) => ({
      ...settings,
      sidecar: { ...settings.sidecar, resources: { requests: {}, limits: { 'ephemeral-storage': amount } } },
    });
    const limit = (amount: string) => {
      const given = injection(resource('memory-mcp'), { settings: limits(amount) });
      return sidecarOf(injected(podFrom('statefulset'), given).pod).resources?.limits;
    };
    expect(limit('4Gi')).toEqual({ 'ephemeral-storage': '4Gi' });
    expect(limit('100Mi')).toEqual({ 'ephemeral-storage': '704Mi' });
  });

  it('and CPU and memory are those of the pod, where that has its own', () => {
    const pod = podFrom('deployment');
    Object.assign(pod.spec ?? {}, { resources: { limits: { cpu: '1', memory: '1Gi' } } });
    const result = injected(pod, injection(resource('github-mcp')));
    expect(sidecarOf(result.pod).resources).toEqual({ requests: { 'ephemeral-storage': '704Mi' } });
    expect(result.flags).toContain('podResources');
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
