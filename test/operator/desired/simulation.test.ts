/**
 * Decisions carried out in a simulated cluster, in every order that comes to mind: they come to rest where they should, and on no way there
 * does a call fail or a promise stand that does not hold.
 */
import fc from 'fast-check';
import type { Service } from 'kubernetes-types/core/v1';
import type { NetworkPolicy } from 'kubernetes-types/networking/v1';
import { describe, expect, it } from 'vitest';
import { type Cluster, type ClusterPlan, createCluster, type WorkloadPlan } from './simulation/cluster.ts';
import { createOperator, type Operator } from './simulation/operator.ts';
import { conditionIn, policy, resource, service } from './world.ts';

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

/** What may happen next, and to which of the pods or workloads. */
const happenings = fc.array(
  fc.record({
    what: fc.constantFrom(
      'operate',
      'breakOff',
      'restart',
      'pod',
      'controller',
      'proxies',
      'connect',
      'look',
      'time',
    ),
    which: fc.nat(11),
  }),
  { maxLength: 150 },
);
type Happening = { what: string; which: number };

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
}

function happen(cluster: Cluster, operator: Operator, { what, which }: Happening): void {
  switch (what) {
    case 'operate':
      return honestly(cluster, operator);
    case 'breakOff':
      operator.operate(which % 3);
      return operator.restart();
    case 'restart':
      return operator.restart();
    case 'pod':
      return cluster.stepPod(which);
    case 'controller':
      return cluster.stepController(which);
    case 'proxies':
      return cluster.stepProxies();
    case 'connect':
      return cluster.connect(which);
    case 'look':
      return cluster.lookAt(which);
    default:
      return cluster.advance(100 * (which + 1));
  }
}

/** Decides, and holds what is said against what is so. */
function honestly(cluster: Cluster, operator: Operator): void {
  const ways = cluster.openWays();
  const plan = operator.operate();
  if (plan === null) return;
  for (const type of ['DirectAccessBlocked', 'Enforced', 'Ready']) {
    const { status } = conditionIn(plan, type);
    if (status === 'True') expect(ways, `${type} is said to be True`).toEqual([]);
  }
}

function hold(cluster: Cluster, { noDeadEnds }: Rules): void {
  if (noDeadEnds) expect(cluster.deadEnds()).toEqual([]);
}

/** Everything goes on at its own pace, until nothing changes any more. */
function settle(cluster: Cluster, operator: Operator, rules: Rules, isThere: () => boolean): void {
  for (let round = 0; round < 120; round += 1) {
    honestly(cluster, operator);
    hold(cluster, rules);
    for (let index = 0; index < cluster.workloads.length; index += 1) cluster.stepController(index);
    hold(cluster, rules);
    for (let index = cluster.state.pods.length - 1; index >= 0; index -= 1) {
      cluster.stepPod(index);
      hold(cluster, rules);
    }
    cluster.state.pods.forEach((_, index) => cluster.lookAt(index));
    cluster.advance(2_500);
    hold(cluster, rules);
    cluster.advance(2_500);
    hold(cluster, rules);
    if (isThere() && operator.lastWrites.length === 0) return;
  }
  const plan = operator.operate();
  throw new Error(
    `no rest: ${JSON.stringify({ writes: operator.lastWrites, status: plan?.status }, null, 1)}`,
  );
}

const phase = (cluster: Cluster) => cluster.state.resource?.status?.phase;

describe('adoption in a simulated cluster', () => {
  it('comes to rest enforced from any world, whatever comes between, and never says so too early', () => {
    fc.assert(
      fc.property(worlds, happenings, (world, between) => {
        const cluster = createCluster(planOf(world));
        const operator = createOperator(cluster);
        const rules: Rules = { noDeadEnds: world.adoption === 'Rolling' };
        for (const happening of between) {
          happen(cluster, operator, happening);
          hold(cluster, rules);
        }
        settle(cluster, operator, rules, () => phase(cluster) === 'Enforced');
        expect(cluster.openWays()).toEqual([]);
        const first = operator.operate()?.status;
        expect(operator.operate()?.status).toEqual(first);
      }),
      { numRuns: 300 },
    );
  });
});
