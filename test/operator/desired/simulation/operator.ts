/**
 * Owns the operator's part in the simulated cluster: observe, decide, carry out, as far as it gets.
 * Invariant: a decision may be broken off after any write, and the memory be lost, as when another replica takes over.
 */
import { decide } from '../../../../operator/desired/decide.ts';
import type { Memory, Observed } from '../../../../operator/desired/observed.ts';
import type { Plan } from '../../../../operator/desired/plan.ts';
import { injection } from '../../webhook/scene.ts';
import { AUTHORITY, CLUSTER_ISSUER, settings, sign } from '../world.ts';
import type { Cluster } from './cluster.ts';

/** Admission counts as ready so long after it was changed (ms). */
const ADMISSION_SURE_MS = 1_000;

/** Copies are told of a change at the latest after this (ms). */
const LATEST_MS = 1_500;

export interface Operator {
  observe(): Observed | null;
  /** @param writes how many are made before it breaks off; all by default. @returns null when the resource is gone */
  operate(writes?: number): Plan | null;
  /** Another replica takes over. */
  restart(): void;
  /** Writes of the last decision, but for the status. */
  readonly lastWrites: string[];
}

/** @param isLate whether a copy of some kind of objects has not been told of the newest changes yet */
export function createOperator(cluster: Cluster, isLate: () => boolean = () => false): Operator {
  const { state } = cluster;
  const copies = new Map<string, { atMs: number; content: unknown }>();
  let memory: Memory | null = null;
  let lastWrites: string[] = [];

  function observe(): Observed | null {
    const { resource } = state;
    if (resource === null) return null;
    const wanted = resource.metadata.deletionTimestamp === undefined;
    return {
      resource: copyOf('resources', resource),
      nowMs: state.nowMs,
      settings,
      siblings: [],
      pods: copyOf(
        'pods',
        state.pods.map(({ pod }) => pod),
      ),
      workloads: copyOf('workloads', cluster.workloadsByPod()),
      services: copyOf('services', state.services),
      endpointSlices: copyOf('slices', cluster.slices()),
      networkPolicies: copyOf('policies', state.policies),
      configMap: copyOf('configMaps', state.configMap),
      looks: structuredClone(state.looks),
      admissionReady:
        state.admission.on === wanted && state.nowMs - state.admission.sinceMs >= ADMISSION_SURE_MS,
      refusals: new Map<string, string>(),
      memory,
      clusterIssuer: { known: CLUSTER_ISSUER, problem: null },
      linkAuthority: AUTHORITY,
      sessionKey: injection(resource).sessionKey,
      sign,
    };
  }

  /** Objects as the operator's copy of them has them; each kind is told of changes on its own. */
  function copyOf<T>(kind: string, now: T): T {
    const copy = copies.get(kind);
    if (copy !== undefined && isLate() && state.nowMs - copy.atMs <= LATEST_MS) return copy.content as T;
    const content = structuredClone(now);
    copies.set(kind, { atMs: state.nowMs, content });
    return content;
  }

  return {
    observe,
    get lastWrites() {
      return lastWrites;
    },
    restart() {
      memory = null;
      copies.clear();
      state.looks.clear();
    },
    operate(writes = Number.POSITIVE_INFINITY) {
      const seen = observe();
      if (seen === null) return null;
      const plan = decide(seen);
      ({ memory } = plan);
      const steps = writesOf(plan);
      lastWrites = steps.map(([what]) => what);
      for (const [, write] of steps.slice(0, writes)) write();
      if (steps.length > writes) return plan;
      if (state.resource !== null) state.resource = { ...state.resource, status: plan.status };
      if (!plan.finalizer) state.resource = null;
      return plan;
    },
  };

  /** What changes something, in the order in which it is carried out. */
  function writesOf(plan: Plan): [string, () => void][] {
    const steps: [string, () => void][] = [];
    if (state.admission.on !== plan.admission) {
      steps.push([
        'admission',
        () => {
          state.admission = { on: plan.admission, sinceMs: state.nowMs };
        },
      ]);
    }
    if (JSON.stringify(plan.configMap) !== JSON.stringify(state.configMap)) {
      steps.push(['ConfigMap', () => void (state.configMap = plan.configMap)]);
    }
    const ours = state.policies.find(({ metadata }) => metadata?.name === 'github-mcp-recorder') ?? null;
    if (JSON.stringify(plan.networkPolicy) !== JSON.stringify(ours)) {
      steps.push([
        'NetworkPolicy',
        () => {
          state.policies = state.policies.filter((policy) => policy.metadata?.name !== 'github-mcp-recorder');
          if (plan.networkPolicy !== null) state.policies.push(plan.networkPolicy);
        },
      ]);
    }
    for (const { name, target } of plan.services)
      steps.push([`Service ${name}`, () => cluster.annotate(name, target)]);
    for (const { workload, restartedFor } of plan.restart) {
      steps.push([
        `restart ${workload.name}`,
        () => {
          const sim = cluster.workloads.find(({ name }) => name === workload.name);
          if (sim !== undefined) sim.restartedFor = restartedFor;
        },
      ]);
    }
    for (const { uid, name } of plan.evict) {
      steps.push([
        `evict ${name}`,
        () => {
          const sim = state.pods.find(({ pod }) => pod.metadata?.uid === uid);
          if (sim !== undefined) cluster.stop(sim);
        },
      ]);
    }
    return steps;
  }
}
