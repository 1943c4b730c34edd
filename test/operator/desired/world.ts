/**
 * Owns small observed worlds for tests of decisions: resources, pods, Services, looks, put together by hand.
 * Invariant: pods with a recorder are made by the webhook's own injection; nothing here decides anything.
 */
import { createHash, createPrivateKey } from 'node:crypto';
import { configurationDigest, signConfiguration } from '@mcp-recorder/sidecar/config/signature';
import type { ConfigMap, Pod, Service } from 'kubernetes-types/core/v1';
import type { EndpointSlice } from 'kubernetes-types/discovery/v1';
import type { NetworkPolicy } from 'kubernetes-types/networking/v1';
import type { RecordedMCPServer } from '../../../operator/api/recorded-mcp-server.ts';
import { decide } from '../../../operator/desired/decide.ts';
import type { LinkAnswer, Look, Observed, Workload } from '../../../operator/desired/observed.ts';
import type { Plan } from '../../../operator/desired/plan.ts';
import { RESTART_ANNOTATION, TARGET_ANNOTATION } from '../../../operator/naming.ts';
import type { Settings } from '../../../operator/settings.ts';
import { inject } from '../../../operator/webhook/inject/inject.ts';
import { injection, resource, settings } from '../webhook/scene.ts';

export { resource, settings } from '../webhook/scene.ts';

export const NAMESPACE = 'tools';
export const NOW_MS = Date.parse('2026-11-26T12:00:00Z');

/** Of nobody's; it lasts a hundred years. */
export const AUTHORITY = `-----BEGIN CERTIFICATE-----
MIIBkDCCATWgAwIBAgIUccYrrz682E+E917lAKKRLLCN0wkwCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRbWNwLXJlY29yZGVyIGxpbmswIBcNMjYxMTI2MDIzNTEyWhgP
MjEyNjExMDIwMjM1MTJaMBwxGjAYBgNVBAMMEW1jcC1yZWNvcmRlciBsaW5rMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEMrU2F/9QWL7IMnrXyb4YF3ZrQAQCl637
WZsmk6ZUAP8FuODeh/9DK854BYQ3XruEbYbROo8bhZvDhGwWWN3qnKNTMFEwHQYD
VR0OBBYEFCY0Z/fQ8LOx5fXpFrOP7d4sboLzMB8GA1UdIwQYMBaAFCY0Z/fQ8LOx
5fXpFrOP7d4sboLzMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIh
AMlHhlZ45ZQgGZiaESWpMwT+MW2PW1prN4cXqlw7wzZ1AiEA9xlKVpMmG+NT/hn1
Zg2R92srcUr6KjVF0mRbxM0Gku0=
-----END CERTIFICATE-----
`;

/** The API server's issuer, with the public key of RFC 8037 A.2. */
export const CLUSTER_ISSUER = {
  issuer: 'https://kubernetes.default.svc.cluster.local',
  keys: [{ kty: 'OKP', crv: 'Ed25519', kid: 'a', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }],
};

/** Always the same, so that signatures are. */
export const signingKey = createPrivateKey({
  key: Buffer.concat([
    Buffer.from('302e020100300506032b657004220420', 'hex'),
    createHash('sha256').update('test').digest(),
  ]),
  format: 'der',
  type: 'pkcs8',
});

export function sign(files: Record<string, string>, name = 'github'): string {
  return signConfiguration(signingKey, NAMESPACE, name, files);
}

export function digestOf(configMap: ConfigMap | null, name = 'github'): string {
  return configurationDigest(NAMESPACE, name, configMap?.data ?? {});
}

export interface PodState {
  phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed';
  ready?: boolean;
  terminating?: boolean;
  labels?: Record<string, string>;
  /** Of its template. */
  restartedFor?: string;
  /** Name of the server's port; null: it has none. */
  portName?: string | null;
  port?: number;
  createdMs?: number;
}

/** A pod of a server on port 8080, as its owner wrote it. */
export function barePod(name: string, state: PodState = {}): Pod {
  const { phase = 'Running', ready = phase === 'Running', terminating = false, port = 8080 } = state;
  const { portName = 'mcp', createdMs = NOW_MS - 3_600_000, restartedFor } = state;
  const number = Number(/\d+$/.exec(name)?.[0] ?? 0);
  const at = new Date(createdMs).toISOString();
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: NAMESPACE,
      uid: `uid-of-${name}`,
      creationTimestamp: at,
      labels: { app: 'github', ...state.labels },
      ...(restartedFor === undefined ? {} : { annotations: { [RESTART_ANNOTATION]: restartedFor } }),
      ...(terminating ? { deletionTimestamp: new Date(NOW_MS + 30_000).toISOString() } : {}),
    },
    spec: {
      containers: [
        {
          name: 'server',
          image: 'github-mcp',
          ports: [{ containerPort: port, ...(portName === null ? {} : { name: portName }) }],
        },
      ],
    },
    status: {
      phase,
      hostIP: '192.168.0.1',
      ...(phase === 'Pending' ? {} : { podIP: `10.0.0.${number + 1}` }),
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: at }],
    },
  };
}

/** The same pod as the webhook makes it. */
export function recordedPod(of: RecordedMCPServer, name: string, state: PodState = {}, as = settings): Pod {
  const injected = inject(barePod(name, state), injection(of, { settings: as }));
  if (!injected.ok) throw new Error(injected.refused);
  return injected.pod;
}

export function workload(changes: Partial<Workload> = {}): Workload {
  return {
    kind: 'Deployment',
    apiVersion: 'apps/v1',
    ownerKind: changes.kind === undefined || changes.kind === 'Other' ? 'Deployment' : changes.kind,
    name: 'github',
    uid: `uid-of-${changes.name ?? 'github'}`,
    templateLabels: { app: 'github' },
    restartedFor: null,
    settled: true,
    rolls: 'byItself',
    partition: 0,
    ...changes,
  };
}

export function service(
  name: string,
  targetPort: number | string = 8080,
  changes: Partial<Service['spec']> = {},
): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: NAMESPACE },
    spec: {
      type: 'ClusterIP',
      clusterIP: '10.96.0.1',
      selector: { app: 'github' },
      ports: [{ port: 80, protocol: 'TCP', targetPort }],
      ...changes,
    },
  };
}

/** With our annotation, as it stands after the webhook has done what it says. */
export function ledService(name: string): Service {
  const led = service(name, 9080);
  return { ...led, metadata: { ...led.metadata, annotations: { [TARGET_ANNOTATION]: 'recorder' } } };
}

/** A slice as the control plane makes it. */
export function slice(
  of: string,
  port: number,
  pods: readonly Pod[],
  changes: Partial<EndpointSlice> = {},
): EndpointSlice {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    addressType: 'IPv4',
    metadata: {
      name: `${of}-${port}`,
      namespace: NAMESPACE,
      labels: {
        'kubernetes.io/service-name': of,
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
      },
    },
    ports: [{ port, protocol: 'TCP' }],
    endpoints: pods.map(({ metadata, status }) => ({
      addresses: [status?.podIP ?? ''],
      conditions: { ready: true },
      targetRef: { kind: 'Pod', name: metadata?.name ?? '', uid: metadata?.uid ?? '' },
    })),
    ...changes,
  };
}

export function policy(name: string, spec: NetworkPolicy['spec']): NetworkPolicy {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace: NAMESPACE },
    ...(spec === undefined ? {} : { spec }),
  };
}

/** A recorder that is well, with what is given in place. */
export function answer(digest: string, changes: Partial<LinkAnswer> = {}): LinkAnswer {
  return {
    proven: true,
    status: { gate: OPEN, stream: '01J', draining: false, version: '0.1.0' },
    configuration: { digest, restartNeeded: [], refused: null },
    server: { port: 8080, listens: 'any', foreignConnections: [] },
    ...changes,
  };
}

const OPEN: LinkAnswer['status']['gate'] = { state: 'Open', reason: null, message: null, hint: null };

export function gated(
  state: LinkAnswer['status']['gate']['state'],
  reason: string | null,
  message: string | null,
): LinkAnswer['status'] {
  return {
    gate: { state, reason, message, hint: 'A hint.' },
    stream: '01J',
    draining: false,
    version: '0.1.0',
  };
}

export function look(answer: LinkAnswer, changes: Partial<Look> = {}): Look {
  return { atMs: NOW_MS - 1_000, link: { ok: true, answer }, dial: 'timeout', ...changes };
}

/** A world where nothing is there but the resource. */
export function world(of: RecordedMCPServer, changes: Partial<Observed> = {}): Observed {
  return {
    resource: of,
    nowMs: NOW_MS,
    settings,
    siblings: [],
    pods: [],
    workloads: new Map(),
    services: [],
    endpointSlices: [],
    networkPolicies: [],
    configMap: null,
    looks: new Map(),
    admissionReady: true,
    refusals: new Map(),
    memory: null,
    clusterIssuer: { known: CLUSTER_ISSUER, problem: null },
    linkAuthority: AUTHORITY,
    sessionKey: injection(of).sessionKey,
    sign,
    ...changes,
  };
}

/** All pods belong to one workload. */
export function ownedBy(of: Workload, pods: readonly Pod[]): Map<string, Workload> {
  return new Map(pods.map(({ metadata }) => [metadata?.uid ?? '', of]));
}

/** What a plan makes of a world at once: its own objects and the status. */
export function carriedOut(observed: Observed, plan: Plan): Observed {
  const others = observed.networkPolicies.filter(({ metadata }) => metadata?.name !== 'github-mcp-recorder');
  return {
    ...observed,
    resource: { ...observed.resource, status: plan.status },
    configMap: plan.configMap,
    networkPolicies: plan.networkPolicy === null ? others : [...others, plan.networkPolicy],
    memory: plan.memory,
  };
}

/** A server with two recorded pods and a Service, at rest in the recording: where changes are made to see what follows. */
export function enforcedWorld(given: Parameters<typeof resource>[1] = {}, as: Settings = settings): Observed {
  const of = resource('github', given, { generation: 1 });
  const pods = [recordedPod(of, 'github-0', {}, as), recordedPod(of, 'github-1', {}, as)];
  const relocated = of.spec.traffic.mode === 'Relocate';
  const services = [relocated ? service('github') : ledService('github')];
  let observed = world(of, {
    settings: as,
    pods,
    workloads: ownedBy(workload(), pods),
    services,
    endpointSlices: [slice('github', relocated ? 8080 : 9080, pods)],
    memory: { servicesRightSinceMs: NOW_MS - 60_000, closedSinceMs: NOW_MS - 60_000, peers: {} },
  });
  observed = carriedOut(observed, decide(observed));
  const digest = digestOf(observed.configMap);
  const server = relocated
    ? { port: of.spec.traffic.relocate?.port ?? 0, listens: 'loopback' as const, foreignConnections: [] }
    : { port: 8080, listens: 'any' as const, foreignConnections: [] };
  observed = {
    ...observed,
    looks: new Map(pods.map(({ metadata }) => [metadata?.uid ?? '', look(answer(digest, { server }))])),
  };
  for (let step = 0; step < 3; step += 1) {
    const memory = { servicesRightSinceMs: NOW_MS - 60_000, closedSinceMs: NOW_MS - 60_000, peers: {} };
    observed = carriedOut({ ...observed, memory }, decide({ ...observed, memory }));
  }
  return observed;
}

/** The condition of a plan's status. */
export function conditionIn(
  { status }: Plan,
  type: string,
): { status: string; reason: string; message: string } {
  const found = status.conditions?.find((condition) => condition.type === type);
  if (found === undefined) throw new Error(`no condition ${type}`);
  return found;
}

/** The world after another look, at which every recorder says this. */
export function heard(observed: Observed, changes: Partial<LinkAnswer>): Observed {
  return looked(observed, ({ link, atMs, dial }) => ({
    atMs: atMs + 1,
    dial,
    link: link.ok ? { ok: true, answer: { ...link.answer, ...changes } } : link,
  }));
}

/** The world with every look turned into another. */
export function looked(observed: Observed, change: (look: Look) => Look): Observed {
  return { ...observed, looks: new Map([...observed.looks].map(([uid, one]) => [uid, change(one)])) };
}

/** The world with another resource, of which only these fields differ. */
export function wanting(observed: Observed, spec: Partial<RecordedMCPServer['spec']>): Observed {
  const { resource } = observed;
  return { ...observed, resource: { ...resource, spec: { ...resource.spec, ...spec } } };
}

export function deleted(observed: Observed, sinceMs = NOW_MS): Observed {
  const { resource } = observed;
  const deletionTimestamp = new Date(sinceMs).toISOString();
  return { ...observed, resource: { ...resource, metadata: { ...resource.metadata, deletionTimestamp } } };
}

/** A server as it ran before there was a resource: two pods of a workload, a Service by number, and the ConfigMap there already. */
export function bareWorld(given: Parameters<typeof resource>[1] = {}, of: Partial<Workload> = {}): Observed {
  const pods = [barePod('github-0'), barePod('github-1')];
  const observed = world(resource('github', given, { generation: 1 }), {
    pods,
    workloads: ownedBy(workload(of), pods),
    services: [service('github')],
    endpointSlices: [slice('github', 8080, pods)],
  });
  return carriedOut(observed, decide(observed));
}
