/**
 * Decisions carried out in a simulated cluster, in every order that comes to mind: they come to rest where they should, and on no way there
 * does a call fail or a promise stand that does not hold.
 */
import fc from 'fast-check';
import type { Service } from 'kubernetes-types/core/v1';
import type { NetworkPolicy } from 'kubernetes-types/networking/v1';
import { describe, expect, it } from 'vitest';
import { RESTART_ANNOTATION, SERVER_LABEL } from '../../../operator/naming.ts';
import { type Cluster, type ClusterPlan, createCluster, type WorkloadPlan } from './simulation/cluster.ts';
import { createOperator, type Operator } from './simulation/operator.ts';
import { conditionIn, policy, resource, service } from './world.ts';

/** More of them to search for longer. */
const WORLDS = Number(process.env['SIMULATED_WORLDS'] ?? 1);

const WORKLOADS: readonly (readonly WorkloadPlan[])[] = [
  [{ kind: 'Deployment', name: 'web', replicas: 3 }],
  [{ kind: 'Deployment', name: 'web', replicas: 1 }],
  [
    { kind: 'Deployment', name: 'web', replicas: 2 },
    { kind: 'Deployment', name: 'canary', replicas: 1 },
  ],
  [{ kind: 'StatefulSet', name: 'set', replicas: 3 }],
  [{ kind: 'DaemonSet', name: 'every', replicas: 2 }],
  [{ kind: 'ReplicaSet', name: 'bare', replicas: 2 }],
  [
    { kind: 'ReplicaSet', name: 'bare', replicas: 2 },
    { kind: 'StatefulSet', name: 'set', replicas: 2 },
  ],
];
const SERVICES: readonly (readonly Service[])[] = [
  [service('numeric')],
  [service('named', 'mcp')],
  [
    service('numeric'),
    service('named', 'mcp'),
    service('second', 8080, { ports: [{ port: 8080, targetPort: 8080 }] }),
  ],
  [],
  [service('headless', 8080, { clusterIP: 'None' })],
];
/** An owner's own policy, which closes the pods but for the server's port by name. */
const ISOLATING = policy('own', {
  podSelector: { matchLabels: { app: 'github' } },
  policyTypes: ['Ingress'],
  ingress: [{ ports: [{ port: 'mcp' }] }],
});

const worlds = fc.record({
  workloads: fc.constantFrom(...WORKLOADS),
  services: fc.constantFrom(...SERVICES),
  adoption: fc.constantFrom('Rolling' as const, 'Immediate' as const),
  mode: fc.constantFrom('Service' as const, 'Relocate' as const),
  policies: fc.constantFrom<readonly NetworkPolicy[]>([], [ISOLATING]),
});
type World = typeof worlds extends fc.Arbitrary<infer T> ? T : never;

function planOf({ workloads, services, adoption, mode, policies }: World): ClusterPlan {
  const relocate = { mode, relocate: { port: 18_080, args: ['--port=18080'] } };
  return {
    resource: resource(
      'github',
      {
        adoption: adoption as never,
        server: { port: 8080 },
        traffic: mode === 'Relocate' ? relocate : { mode },
      },
      { generation: 1 },
    ),
    workloads,
    services,
    policies,
    portName: 'mcp',
  };
}

/** What must hold after every step. */
interface Rules {
  /** No Service leads where nobody answers. */
  noDeadEnds: boolean;
  /** What is said is so. Who sees changes late can only say what was so. */
  honest: boolean;
}

/** Numbers in [0, 1) that follow from the seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Decides, and holds what is said against what is so. */
function decideAndCheck(cluster: Cluster, operator: Operator, honest: boolean): void {
  const ways = cluster.openWays();
  const plan = operator.operate();
  if (plan === null || !honest) return;
  for (const type of ['DirectAccessBlocked', 'Enforced', 'Ready']) {
    const { status } = conditionIn(plan, type);
    if (status === 'True') expect(ways, `${type} is said to be True`).toEqual([]);
  }
}

/** One of the things that may happen next. */
function happen(
  cluster: Cluster,
  operator: Operator,
  random: () => number,
  { disturbed, honest }: { disturbed: boolean; honest: boolean },
): void {
  const which = Math.floor(random() * 64);
  const dice = random();
  if (dice < 0.25) decideAndCheck(cluster, operator, honest);
  else if (dice < 0.4) cluster.stepController(which);
  else if (dice < 0.6) cluster.stepPod(which);
  else if (dice < 0.7) cluster.lookAt(which);
  else if (dice < 0.75) cluster.connect(which);
  else if (dice < 0.78) cluster.stepProxies();
  else if (dice < 0.8 && disturbed) {
    operator.operate(which % 4);
    operator.restart();
  } else cluster.advance(Math.floor(random() * 1_500));
}

/**
 * Lets things happen in any order until nothing is left to do.
 * @param isThere where it has to come to rest
 */
function run(cluster: Cluster, operator: Operator, seed: number, rules: Rules, isThere: () => boolean): void {
  const random = randomFrom(seed);
  for (let step = 0; step < 6_000; step += 1) {
    // Operators come and go at first; nothing comes to rest while they do.
    happen(cluster, operator, random, { disturbed: step < 1_000, honest: rules.honest });
    if (rules.noDeadEnds) expect(cluster.deadEnds()).toEqual([]);
    if (step % 20 === 0 && isThere() && cluster.isQuiet()) return;
  }
  const plan = operator.operate();
  throw new Error(
    `no rest: ${JSON.stringify({ writes: operator.lastWrites, status: plan?.status }, null, 1)}`,
  );
}

const phase = (cluster: Cluster) => cluster.state.resource?.status?.phase;

describe('adoption in a simulated cluster', () => {
  it(
    'comes to rest enforced from any world, whatever comes between, and never says so too early',
    () => {
      fc.assert(
        fc.property(worlds, fc.integer(), (world, seed) => {
          const cluster = createCluster(planOf(world));
          const operator = createOperator(cluster);
          run(
            cluster,
            operator,
            seed,
            { noDeadEnds: world.adoption === 'Rolling', honest: true },
            () => phase(cluster) === 'Enforced',
          );
          cluster.state.pods.forEach((_, index) => cluster.lookAt(index));
          const first = operator.operate()?.status;
          expect(operator.operate()?.status).toEqual(first);
          expect(first?.phase).toBe('Enforced');
          expect(operator.lastWrites).toEqual([]);
          expect(cluster.openWays()).toEqual([]);
        }),
        { numRuns: 40 * WORLDS },
      );
    },
    60_000 * WORLDS,
  );

  it(
    'comes to rest enforced, and no call fails, though the operator sees some changes late',
    () => {
      fc.assert(
        fc.property(worlds, fc.integer(), (world, seed) => {
          const cluster = createCluster(planOf(world));
          const late = randomFrom(seed + 1);
          const operator = createOperator(cluster, () => late() < 0.5);
          const rules = { noDeadEnds: world.adoption === 'Rolling', honest: false };
          run(cluster, operator, seed, rules, () => phase(cluster) === 'Enforced');
          expect(cluster.openWays()).toEqual([]);
        }),
        { numRuns: 20 * WORLDS },
      );
    },
    60_000 * WORLDS,
  );
});

describe('removal in a simulated cluster', () => {
  it(
    'returns the world as it was from any moment of the adoption, and no call fails',
    () => {
      fc.assert(
        fc.property(
          worlds,
          fc.integer(),
          fc.nat(700),
          fc.boolean(),
          (world, seed, adopted, sometimesLate) => {
            const plan = planOf(world);
            const cluster = createCluster(plan);
            const random = randomFrom(seed);
            const operator = createOperator(cluster, () => sometimesLate && random() < 0.5);
            const rules = { noDeadEnds: world.adoption === 'Rolling', honest: !sometimesLate };
            for (let step = 0; step < adopted; step += 1)
              happen(cluster, operator, random, { disturbed: true, honest: rules.honest });
            const { state } = cluster;
            if (state.resource === null) throw new Error('gone too early');
            const deletedMs = state.nowMs;
            const deletionTimestamp = new Date(deletedMs).toISOString();
            state.resource = {
              ...state.resource,
              metadata: { ...state.resource.metadata, deletionTimestamp },
            };

            run(cluster, operator, seed, rules, () => state.resource === null);
            expect(state.nowMs - deletedMs).toBeLessThan(10 * 60_000);
            expect(cluster.traces()).toEqual([]);
            expect(state.services).toEqual(plan.services);
            expect(state.policies).toEqual(plan.policies);
            const marks = cluster.workloads.map(({ restartedFor }) => restartedFor ?? 'removed-');
            for (const mark of marks) expect(mark).toMatch(/^removed-/);
          },
        ),
        { numRuns: 40 * WORLDS },
      );
    },
    60_000 * WORLDS,
  );
});

/** What people and accidents do to a recorded server, and how it ends. */
const ACCIDENTS: Record<string, { happen(cluster: Cluster): void; end?(cluster: Cluster): void }> = {
  'the policy is deleted': {
    happen: ({ state }) =>
      void (state.policies = state.policies.filter((one) => one.metadata?.name !== 'github-mcp-recorder')),
  },
  'the policy is opened': {
    happen: ({ state }) => {
      for (const one of state.policies) {
        if (one.metadata?.name === 'github-mcp-recorder')
          Object.assign(one, { spec: { ...one.spec, ingress: [{}] } });
      }
    },
  },
  'another policy opens the port': {
    happen: ({ state }) =>
      void state.policies.push(
        policy('opening', {
          podSelector: {},
          ingress: [{ from: [{ ipBlock: { cidr: '0.0.0.0/0' } }], ports: [{ port: 8000, endPort: 9000 }] }],
        }),
      ),
    end: ({ state }) =>
      void (state.policies = state.policies.filter((one) => one.metadata?.name !== 'opening')),
  },
  'policies are not enforced': {
    happen: ({ state }) => void (state.enforcing = false),
    end: ({ state }) => void (state.enforcing = true),
  },
  'the operator reaches no pod': {
    happen: ({ state }) => void (state.egress = false),
    end: ({ state }) => void (state.egress = true),
  },
  'policies are not enforced and the operator reaches no pod': {
    happen: ({ state }) => void Object.assign(state, { enforcing: false, egress: false }),
    end: ({ state }) => void Object.assign(state, { enforcing: true, egress: true }),
  },
  'the ConfigMap is deleted': { happen: ({ state }) => void (state.configMap = null) },
  'the status is lost': {
    happen: ({ state }) => {
      if (state.resource !== null) {
        const { status: _, ...rest } = state.resource;
        state.resource = rest;
      }
    },
  },
  'a pod comes without a recorder': { happen: (cluster) => cluster.makeBare(0) },
  'a pod loses its label': {
    happen: ({ state }) => {
      const [sim] = state.pods;
      if (sim === undefined) return;
      const { [SERVER_LABEL]: _, ...labels } = sim.pod.metadata?.labels ?? {};
      sim.pod = { ...sim.pod, metadata: { ...sim.pod.metadata, labels } };
    },
  },
  'a Service is written again without the webhook': {
    happen: ({ state }) => {
      for (const one of state.services) {
        for (const port of one.spec?.ports ?? [])
          if (typeof port.targetPort === 'number') port.targetPort = 8080;
      }
    },
  },
  'the owner restarts the server': {
    happen: ({ state }) =>
      state.pods.forEach(({ pod }) => delete pod.metadata?.annotations?.[RESTART_ANNOTATION]),
  },
  'the owner wants another spool': {
    happen: ({ state }) => {
      if (state.resource === null) return;
      const { spec, metadata } = state.resource;
      state.resource = {
        ...state.resource,
        metadata: { ...metadata, generation: (metadata.generation ?? 0) + 1 },
        spec: { ...spec, recording: { ...spec.recording, spool: { sizeLimit: '1Gi' } } },
      };
    },
  },
};

describe('a recorded server in a simulated cluster', () => {
  it.each(Object.keys(ACCIDENTS))(
    'is never said to be closed while it is open, and closes again, when %s',
    (name) => {
      const accident = ACCIDENTS[name];
      fc.assert(
        fc.property(worlds, fc.integer(), (world, seed) => {
          const cluster = createCluster(planOf(world));
          const operator = createOperator(cluster);
          const rules = { noDeadEnds: false, honest: true };
          run(cluster, operator, seed, rules, () => phase(cluster) === 'Enforced');
          accident?.happen(cluster);
          cluster.state.pods.forEach((_, index) => cluster.lookAt(index));
          const random = randomFrom(seed + 1);
          for (let step = 0; step < 150; step += 1)
            happen(cluster, operator, random, { disturbed: step % 3 === 0, honest: true });
          accident?.end?.(cluster);
          run(cluster, operator, seed + 2, rules, () => phase(cluster) === 'Enforced');
          expect(cluster.openWays()).toEqual([]);
        }),
        { numRuns: 4 * WORLDS },
      );
    },
    60_000 * WORLDS,
  );
});
