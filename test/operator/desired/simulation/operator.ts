/**
 * Owns the operator's part in the simulated cluster: observe, decide, carry out, as far as it gets.
 * Invariant: a decision may be broken off after any write, and the memory be lost, as when another replica takes over.
 */
import { decide } from '../../../../operator/desired/decide.ts';
import type { Memory, Observed } from '../../../../operator/desired/observed.ts';
import type { Plan } from '../../../../operator/desired/plan.ts';
import { AUTHORITY, settings, sign } from '../world.ts';
import type { Cluster } from './cluster.ts';

/** Admission counts as ready so long after it was changed (ms). */
const ADMISSION_SURE_MS = 1_000;

export interface Operator {
  observe(): Observed | null;
  /** @param writes how many are made before it breaks off; all by default. @returns null when the resource is gone */
  operate(writes?: number): Plan | null;
  /** Another replica takes over. */
  restart(): void;
  /** Writes of the last decision, but for the status. */
  readonly lastWrites: string[];
}

export function createOperator(cluster: Cluster): Operator {
  const { state } = cluster;
  let memory: Memory | null = null;
  let lastWrites: string[] = [];

  function observe(): Observed | null {
    const { resource } = state;
    if (resource === null) return null;
    const wanted = resource.metadata.deletionTimestamp === undefined;
    return structuredClone(
      {
        resource,
        nowMs: state.nowMs,
        settings,
        siblings: [],
        pods: state.pods.map(({ pod }) => pod),
        workloads: cluster.workloadsByPod(),
        services: state.services,
        endpointSlices: cluster.slices(),
        networkPolicies: state.policies,
        configMap: state.configMap,
        looks: state.looks,
        admissionReady:
          state.admission.on === wanted && state.nowMs - state.admission.sinceMs >= ADMISSION_SURE_MS,
        refusals: new Map<string, string>(),
        memory,
        linkAuthority: AUTHORITY,
      },
      {},
    ) as Omit<Observed, 'sign'> as Observed;
  }

  return {
    observe,
    get lastWrites() {
      return lastWrites;
    },
    restart() {
      memory = null;
      state.looks.clear();
    },
    operate(writes = Number.POSITIVE_INFINITY) {
      const seen = observe();
      if (seen === null) return null;
      const plan = decide({ ...seen, sign });
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
