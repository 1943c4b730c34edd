/**
 * Owns a tiny simulated cluster: controllers that make pods, kubelets that run them, endpoints, proxies that follow late, clients that connect
 * past the recorder, and admission by the webhook's own functions.
 * Invariant: nothing happens by itself: each `step...` does one thing, so that any interleaving can be tried.
 */
import type { ConfigMap, Pod, Service } from 'kubernetes-types/core/v1';
import type { EndpointSlice } from 'kubernetes-types/discovery/v1';
import type { NetworkPolicy } from 'kubernetes-types/networking/v1';
import type { RecordedMCPServer } from '../../../../operator/api/recorded-mcp-server.ts';
import type { Look, Workload } from '../../../../operator/desired/observed.ts';
import {
  ORIGINAL_PORTS_ANNOTATION,
  RESTART_ANNOTATION,
  SERVER_LABEL,
  SIDECAR_CONTAINER,
  TARGET_ANNOTATION,
} from '../../../../operator/naming.ts';
import { inject } from '../../../../operator/webhook/inject/inject.ts';
import { decideTarget } from '../../../../operator/webhook/services/decide.ts';
import { retarget } from '../../../../operator/webhook/services/retarget.ts';
import { injection, settings } from '../../webhook/scene.ts';
import { answer, barePod, digestOf, NOW_MS, slice } from '../world.ts';
import { isAdmitted, namedPort, type Origin } from './network.ts';

export interface WorkloadPlan {
  kind: 'Deployment' | 'StatefulSet' | 'DaemonSet' | 'ReplicaSet' | 'Job' | 'Naked';
  name: string;
  replicas: number;
  rolls?: 'byItself' | 'paused' | 'onDelete';
  partition?: number;
}

interface SimWorkload extends Required<WorkloadPlan> {
  restartedFor: string | null;
}

interface SimPod {
  pod: Pod;
  workload: SimWorkload;
  /** Peers whose connections to the server's own port are established. */
  direct: string[];
}

export interface ClusterPlan {
  resource: RecordedMCPServer;
  workloads: readonly WorkloadPlan[];
  services: readonly Service[];
  policies?: readonly NetworkPolicy[];
  /** Name of the server's port in the pods; null: none. */
  portName: string | null;
}

export const SERVER_PORT = 8080;
/** Proxies follow a change at the latest after this (ms). */
const PROXY_LAG_MS = 4_000;
/** Admission follows a change at the latest after this (ms). */
const ADMISSION_LAG_MS = 200;

export type Cluster = ReturnType<typeof createCluster>;

export function createCluster(plan: ClusterPlan) {
  const workloads = plan.workloads.map(
    (given): SimWorkload => ({ rolls: 'byItself', partition: 0, restartedFor: null, ...given }),
  );
  const state = {
    nowMs: NOW_MS,
    resource: plan.resource as RecordedMCPServer | null,
    pods: [] as SimPod[],
    services: structuredClone(plan.services) as Service[],
    policies: structuredClone(plan.policies ?? []) as NetworkPolicy[],
    configMap: null as ConfigMap | null,
    /** The network plugin does what policies say. */
    enforcing: true,
    /** The operator reaches pods. */
    egress: true,
    admission: { on: false, sinceMs: Number.NEGATIVE_INFINITY },
    looks: new Map<string, Look>(),
    proxied: new Map<string, { uid: string; port: number }[]>(),
    slicesChangedMs: null as number | null,
    peers: 0,
    made: 0,
  };

  const policiesInForce = () => (state.enforcing ? state.policies : []);
  const isRecorded = ({ pod }: SimPod) =>
    pod.metadata?.labels?.[SERVER_LABEL] === plan.resource.metadata.name &&
    (pod.spec?.initContainers ?? []).some(({ name }) => name === SIDECAR_CONTAINER);
  const recorderPort = ({ pod }: SimPod) =>
    pod.spec?.initContainers?.find(({ name }) => name === SIDECAR_CONTAINER)?.ports?.[0]?.containerPort ??
    null;
  const exposes = (sim: SimPod) => recorderPort(sim) !== SERVER_PORT;
  const runs = ({ pod }: SimPod) => pod.status?.phase === 'Running';
  const isReady = ({ pod }: SimPod) =>
    pod.metadata?.deletionTimestamp === undefined && pod.status?.conditions?.[0]?.status === 'True';
  const goes = ({ pod }: SimPod) => pod.metadata?.deletionTimestamp !== undefined;
  const reaches = (from: Origin, { pod }: SimPod, port: number) =>
    isAdmitted(from, pod, port, policiesInForce());
  const podsOf = (workload: SimWorkload) => state.pods.filter((sim) => sim.workload === workload);
  const isNew = ({ pod, workload }: SimPod) =>
    (pod.metadata?.annotations?.[RESTART_ANNOTATION] ?? null) === workload.restartedFor;

  /** Whether admission asks the webhook about new pods now: it follows what the operator wants a little later. */
  const injects = () => state.admission.on === state.nowMs - state.admission.sinceMs >= ADMISSION_LAG_MS;

  function makePod(workload: SimWorkload, name: string, restartedFor = workload.restartedFor): void {
    state.made += 1;
    const bare = barePod(name, {
      phase: 'Pending',
      portName: plan.portName,
      createdMs: state.nowMs,
      labels: { workload: workload.name },
      ...(restartedFor === null ? {} : { restartedFor }),
    });
    (bare.metadata as { uid: string }).uid = `${name}-${state.made}`;
    let pod = bare;
    if (state.resource !== null && injects()) {
      const injected = inject(bare, injection(state.resource));
      if (!injected.ok) throw new Error(injected.refused);
      pod = injected.pod;
    }
    state.pods.push({ pod, workload, direct: [] });
  }

  function stop(sim: SimPod): void {
    if (goes(sim)) return;
    const deletionTimestamp = new Date(state.nowMs + 30_000).toISOString();
    sim.pod = { ...sim.pod, metadata: { ...sim.pod.metadata, deletionTimestamp } };
  }

  function touchSlices(): void {
    state.slicesChangedMs ??= state.nowMs;
  }

  function slices(): EndpointSlice[] {
    return state.services.flatMap((of) => {
      const byPort = new Map<number, SimPod[]>();
      for (const sim of state.pods) {
        if (!runs(sim) || !selectedBy(of, sim.pod)) continue;
        for (const { targetPort = 0 } of of.spec?.ports ?? []) {
          const port = typeof targetPort === 'number' ? targetPort : namedPort(sim.pod, targetPort);
          if (port !== null) byPort.set(port, [...(byPort.get(port) ?? []), sim]);
        }
      }
      return [...byPort].map(([port, sims]) => {
        const made = slice(
          of.metadata?.name ?? '',
          port,
          sims.map(({ pod }) => pod),
        );
        sims.forEach((sim, index) => {
          const endpoint = made.endpoints[index];
          if (endpoint !== undefined) endpoint.conditions = { ready: isReady(sim) };
        });
        return made;
      });
    });
  }

  /** Proxies take over what the slices say. */
  function stepProxies(): void {
    state.slicesChangedMs = null;
    state.proxied = new Map();
    for (const { metadata, ports = [], endpoints } of slices()) {
      const of = metadata?.labels?.['kubernetes.io/service-name'] ?? '';
      const ready = endpoints.filter(({ conditions }) => conditions?.ready === true);
      const entries = ready.flatMap(({ targetRef }) =>
        ports.map(({ port = 0 }) => ({ uid: targetRef?.uid ?? '', port })),
      );
      state.proxied.set(of, [...(state.proxied.get(of) ?? []), ...entries]);
    }
  }

  /** One pod goes one step of its life. */
  function stepPod(index: number): void {
    const sim = state.pods[index % Math.max(1, state.pods.length)];
    if (sim === undefined) return;
    touchSlices();
    const status = sim.pod.status as NonNullable<Pod['status']>;
    const time = new Date(state.nowMs).toISOString();
    if (goes(sim)) {
      state.pods = state.pods.filter((other) => other !== sim);
      state.looks.delete(sim.pod.metadata?.uid ?? '');
    } else if (status.phase === 'Pending') {
      // The kubelet waits for the ConfigMap.
      if (isRecorded(sim) && state.configMap === null) return;
      status.phase = 'Running';
      status.podIP = `10.0.1.${state.made}-${sim.pod.metadata?.name}`;
    } else status.conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: time }];
  }

  /** One controller does the next thing. */
  function stepController(index: number): void {
    const workload = workloads[index % workloads.length];
    if (workload === undefined || workload.kind === 'Naked' || workload.kind === 'Job') return;
    touchSlices();
    const pods = podsOf(workload).filter((sim) => !goes(sim));
    const old = pods.filter((sim) => !isNew(sim));
    const canRoll = workload.rolls === 'byItself' && workload.kind !== 'ReplicaSet';
    if (workload.kind === 'Deployment' || workload.kind === 'ReplicaSet') {
      const surge = canRoll && old.length > 0 ? 1 : 0;
      const fresh = pods.length - old.length;
      if (pods.length < workload.replicas + surge && (!canRoll || fresh < workload.replicas)) {
        const template = canRoll
          ? workload.restartedFor
          : (old[0]?.pod.metadata?.annotations?.[RESTART_ANNOTATION] ?? null);
        makePod(workload, `${workload.name}-${state.made}`, template);
      } else if (canRoll && old[0] !== undefined && pods.filter(isReady).length > workload.replicas)
        stop(old[0]);
      return;
    }
    // In order, one at a time, as a StatefulSet does it; a DaemonSet here has as many nodes as replicas.
    for (let ordinal = 0; ordinal < workload.replicas; ordinal += 1) {
      const name = `${workload.name}-${ordinal}`;
      if (podsOf(workload).some(({ pod }) => pod.metadata?.name === name)) continue;
      makePod(workload, name, ordinal < workload.partition ? null : workload.restartedFor);
      return;
    }
    const next = old.toReversed().find(({ pod }) => ordinalOf(pod) >= workload.partition);
    if (canRoll && next !== undefined && podsOf(workload).every(isReady)) stop(next);
  }

  function ordinalOf(pod: Pod): number {
    return Number(/\d+$/.exec(pod.metadata?.name ?? '')?.[0] ?? 0);
  }

  /** A client tries to come past the recorder. */
  function connect(index: number): void {
    const sim = state.pods[index % Math.max(1, state.pods.length)];
    if (sim === undefined || !runs(sim) || !exposes(sim)) return;
    state.peers += 1;
    if (reaches('clients', sim, SERVER_PORT)) sim.direct.push(`10.9.0.9:${40_000 + state.peers}`);
  }

  function lookAt(index: number): void {
    const sim = state.pods[index % Math.max(1, state.pods.length)];
    if (sim === undefined || !runs(sim) || !isRecorded(sim)) return;
    const uid = sim.pod.metadata?.uid ?? '';
    const heard = state.egress && reaches('mcp-recorder-system', sim, 9081);
    const relocated = !exposes(sim);
    const port = relocated ? (state.resource?.spec.traffic.relocate?.port ?? 0) : SERVER_PORT;
    const opens = state.egress && !relocated && reaches('mcp-recorder-system', sim, SERVER_PORT);
    const dial = opens ? 'connected' : 'timeout';
    const server = {
      port,
      listens: relocated ? ('loopback' as const) : ('any' as const),
      foreignConnections: [...sim.direct],
    };
    const link: Look['link'] = heard
      ? { ok: true, answer: answer(digestOf(state.configMap), { server }) }
      : { ok: false, why: 'no answer within 2 s' };
    state.looks.set(uid, { atMs: state.nowMs, link, dial });
  }

  function advance(ms: number): void {
    const lagging = state.slicesChangedMs !== null && state.nowMs + ms - state.slicesChangedMs > PROXY_LAG_MS;
    if (lagging) stepProxies();
    state.nowMs += ms;
  }

  /** A Service as it stands after a write: the webhook has its say. */
  function writeService(written: Service): void {
    touchSlices();
    const pods = state.pods.map(({ pod }) => pod);
    const resources = state.resource === null ? [] : [state.resource];
    const retargeting = decideTarget(written, { resources, pods, settings });
    const after = retargeting === null ? written : retarget(written, retargeting);
    state.services = state.services.map((one) =>
      one.metadata?.name === written.metadata?.name ? after : one,
    );
  }

  function annotate(name: string, target: 'recorder' | 'server' | null): void {
    const standing = state.services.find(({ metadata }) => metadata?.name === name);
    if (standing === undefined) return;
    const written = structuredClone(standing);
    const { [TARGET_ANNOTATION]: _, ...others } = written.metadata?.annotations ?? {};
    const annotations = { ...others, ...(target === null ? {} : { [TARGET_ANNOTATION]: target }) };
    const { annotations: __, ...metadata } = written.metadata ?? {};
    written.metadata = Object.keys(annotations).length === 0 ? metadata : { ...metadata, annotations };
    writeService(written);
  }

  function workloadOf({ kind, name, rolls, partition, restartedFor, replicas }: SimWorkload): Workload {
    const pods = state.pods.filter(({ workload }) => workload.name === name);
    const isRolled = kind === 'Deployment' || kind === 'StatefulSet' || kind === 'DaemonSet';
    return {
      kind: kind === 'Job' ? 'Job' : isRolled ? kind : 'Other',
      apiVersion: 'apps/v1',
      ownerKind: kind,
      name,
      uid: `uid-of-${name}`,
      templateLabels: null,
      restartedFor,
      settled: pods.length === replicas && pods.every((sim) => isReady(sim) && isNew(sim)),
      rolls,
      partition,
    };
  }

  /** Ways past the recorder into pods of the resource, at this moment. */
  function openWays(): string[] {
    return state.pods.filter(runs).flatMap((sim) => {
      const name = sim.pod.metadata?.name ?? '';
      if (sim.direct.length > 0) return [`${name}: a direct connection is established`];
      const isOpen = exposes(sim) && reaches('clients', sim, SERVER_PORT);
      return isOpen ? [`${name}: port ${SERVER_PORT} is open`] : [];
    });
  }

  /** Calls that a Service would send where nobody answers. */
  function deadEnds(): string[] {
    return [...state.proxied].flatMap(([of, endpoints]) =>
      endpoints.flatMap(({ uid, port }) => {
        const sim = state.pods.find(({ pod }) => pod.metadata?.uid === uid);
        if (sim === undefined || !isReady(sim)) return [];
        const listens = port === SERVER_PORT || port === recorderPort(sim);
        return listens && reaches('clients', sim, port) ? [] : [`${of} -> ${sim.pod.metadata?.name}:${port}`];
      }),
    );
  }

  /** A pod is replaced by one without a recorder, as when admission asks nobody. */
  function makeBare(index: number): void {
    const sim = state.pods[index];
    if (sim === undefined) return;
    state.pods = state.pods.filter((other) => other !== sim);
    const { admission } = state;
    state.admission = { on: false, sinceMs: Number.NEGATIVE_INFINITY };
    makePod(sim.workload, sim.pod.metadata?.name ?? '');
    state.admission = admission;
  }

  for (const workload of workloads) {
    for (let number = 0; number < workload.replicas; number += 1) {
      makePod(workload, `${workload.name}-${number}`);
    }
  }
  for (let step = 0; step < 2; step += 1) state.pods.forEach((_, index) => stepPod(index));
  stepProxies();

  return {
    state,
    workloads,
    slices,
    stepPod,
    stepController,
    stepProxies,
    connect,
    lookAt,
    advance,
    annotate,
    writeService,
    openWays,
    deadEnds,
    stop,
    makeBare,
    isRecorded,
    injects,
    workloadsByPod: () =>
      new Map(
        state.pods
          .filter(({ workload }) => workload.kind !== 'Naked')
          .map(({ pod, workload }) => [pod.metadata?.uid ?? '', workloadOf(workload)]),
      ),
    /** All pods are there, ready and of their newest template. */
    isQuiet: () =>
      state.pods.every(
        (sim) =>
          isReady(sim) &&
          (isNew(sim) || !['Deployment', 'StatefulSet', 'DaemonSet'].includes(sim.workload.kind)),
      ) && workloads.every((workload) => podsOf(workload).length === workload.replicas),
    /** What is left of us in the cluster. */
    traces(): string[] {
      return [
        ...state.pods.filter(isRecorded).map(({ pod }) => `Pod ${pod.metadata?.name} is recorded`),
        ...state.services
          .filter(
            ({ metadata }) =>
              metadata?.annotations?.[TARGET_ANNOTATION] ??
              metadata?.annotations?.[ORIGINAL_PORTS_ANNOTATION],
          )
          .map(({ metadata }) => `Service ${metadata?.name} is annotated`),
        ...(state.configMap === null ? [] : ['the ConfigMap stands']),
        ...state.policies
          .filter(({ metadata }) => metadata?.name === `${plan.resource.metadata.name}-mcp-recorder`)
          .map(() => 'the policy stands'),
      ];
    },
  };
}

function selectedBy({ spec }: Service, pod: Pod): boolean {
  return Object.entries(spec?.selector ?? {}).every(([key, value]) => pod.metadata?.labels?.[key] === value);
}
