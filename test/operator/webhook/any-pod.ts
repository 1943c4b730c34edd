/**
 * Owns pods of every shape that can be recorded, for properties.
 * Invariant: the container `server` is there, and nothing in a pod is a reason to refuse it.
 */
import fc from 'fast-check';
import type { Container, Pod, Probe } from 'kubernetes-types/core/v1';

const word = fc.stringMatching(/^[a-z]{1,8}$/);
const labels = fc.dictionary(word, word, { maxKeys: 3 });
const PORT_NAMES = ['http', 'mcp', 'web'] as const;
/** Names that never stand for the server's port. */
const OTHER_NAMES = ['metrics', 'admin'] as const;

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

const port = fc.oneof(
  fc.constantFrom<string | number>(...PORT_NAMES, ...OTHER_NAMES),
  fc.constantFrom(8080, 9100),
);
const handler = fc.oneof(
  port.map((to) => ({ httpGet: { path: '/x', port: to } })),
  port.map((to) => ({ tcpSocket: { port: to } })),
  fc.constant({ exec: { command: ['true'] as string[] } }),
);
const probe = fc
  .tuple(handler, fc.integer({ min: 1, max: 60 }))
  .map(([how, periodSeconds]): Probe => ({ ...how, periodSeconds }));

const declared = fc.oneof(
  fc.constantFrom(...PORT_NAMES).map((name) => ({ name, containerPort: 8080, protocol: 'TCP' as const })),
  fc.constant({ containerPort: 8080 }),
  fc.constantFrom(...OTHER_NAMES).map((name) => ({ name, containerPort: 9100 })),
  fc.constant({ name: 'dns', containerPort: 8080, protocol: 'UDP' as const }),
);

const container = (name: fc.Arbitrary<string>): fc.Arbitrary<Container> =>
  fc
    .record({
      name,
      image: word,
      ports: optional(fc.array(declared, { minLength: 1, maxLength: 3 })),
      env: optional(
        fc.array(fc.record({ name: fc.constantFrom('A', 'HOST', 'AWS_REGION'), value: word }), {
          minLength: 1,
        }),
      ),
      args: optional(fc.array(word, { minLength: 1, maxLength: 3 })),
      livenessProbe: optional(probe),
      readinessProbe: optional(probe),
      startupProbe: optional(probe),
      lifecycle: optional(fc.record({ postStart: handler, preStop: handler }, { requiredKeys: [] })),
      volumeMounts: optional(fc.constant([{ name: 'data', mountPath: '/data' }])),
      resources: optional(
        fc.constantFrom({ limits: { 'ephemeral-storage': '1Gi' } }, { requests: { cpu: '1' } }),
      ),
    })
    .map(defined);

/** JSON has no undefined members. */
function defined<T extends object>(value: T): never {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as never;
}

export const anyPod: fc.Arbitrary<Pod> = fc
  .record({
    labels: optional(labels.filter((map) => Object.keys(map).length > 0)),
    annotations: optional(labels.filter((map) => Object.keys(map).length > 0)),
    server: container(fc.constant('server')),
    before: fc.array(container(fc.constantFrom('a', 'b', 'istio-proxy')), { maxLength: 2 }),
    after: fc.array(container(fc.constantFrom('c', 'd')), { maxLength: 2 }),
    init: fc.array(
      fc
        .tuple(container(fc.constantFrom('e', 'f', 'istio-init')), fc.boolean())
        .map(([one, sidecar]) => (sidecar ? { ...one, restartPolicy: 'Always' } : one)),
      { maxLength: 2 },
    ),
    grace: optional(fc.integer({ min: 0, max: 600 })),
    securityContext: optional(fc.constantFrom({ fsGroup: 2000 }, { runAsUser: 1000 })),
    nodeName: optional(word),
  })
  .map(
    ({ labels: podLabels, annotations, server, before, after, init, grace, securityContext, nodeName }) => ({
      metadata: defined({ labels: podLabels, annotations }),
      spec: defined({
        containers: unique([...before, server, ...after]),
        initContainers: init.length === 0 ? undefined : unique(init),
        terminationGracePeriodSeconds: grace,
        securityContext,
        nodeName,
      }),
    }),
  );

function unique(containers: Container[]): Container[] {
  return [...new Map(containers.map((one) => [one.name, one])).values()];
}
