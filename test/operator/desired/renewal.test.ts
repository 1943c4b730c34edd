/** Which pods are made anew, in what order, and what is left to people. */
import { describe, expect, it } from 'vitest';
import { decide } from '../../../operator/desired/decide.ts';
import type { Observed, Workload } from '../../../operator/desired/observed.ts';
import {
  barePod,
  bareWorld,
  conditionIn,
  enforcedWorld,
  NOW_MS,
  ownedBy,
  recordedPod,
  workload,
} from './world.ts';

const WISH = decide(bareWorld()).restart[0]?.restartedFor ?? '';

/** Two bare pods of each of these workloads, `NAME-0` and `NAME-1`. */
function bare(...workloads: Workload[]): Observed {
  const observed = bareWorld();
  const owned = workloads.map((of) => [of, [barePod(`${of.name}-0`), barePod(`${of.name}-1`)]] as const);
  return {
    ...observed,
    services: [],
    pods: owned.flatMap(([, pods]) => pods),
    workloads: new Map(owned.flatMap(([of, pods]) => [...ownedBy(of, pods)])),
  };
}

const restarted = (observed: Observed) => decide(observed).restart.map(({ workload: { name } }) => name);
const evicted = (observed: Observed) => decide(observed).evict.map(({ name }) => name);

describe('workloads', () => {
  it('are restarted one after the other, by name', () => {
    const [a, b] = [workload({ name: 'a' }), workload({ name: 'b', kind: 'StatefulSet' })];
    expect(restarted(bare(b, a))).toEqual(['a']);
    expect(restarted(bare({ ...a, restartedFor: WISH, settled: false }, b))).toEqual([]);
  });

  it('wait for the last pod of the one before to be ready', () => {
    const [a, b] = [workload({ name: 'a', restartedFor: WISH, settled: false }), workload({ name: 'b' })];
    const observed = bare(b);
    const last = recordedPod(observed.resource, 'a-0', { ready: false, restartedFor: WISH });
    const pods = [...observed.pods, last];
    const workloads = new Map([...observed.workloads, ...ownedBy(a, [last])]);
    expect(restarted({ ...observed, pods, workloads })).toEqual([]);
    const ready = new Map([...observed.workloads, ...ownedBy({ ...a, settled: true }, [last])]);
    expect(restarted({ ...observed, pods, workloads: ready })).toEqual(['b']);
  });

  it('are not restarted again for the same wish, whoever leads', () => {
    expect(restarted(bare(workload({ restartedFor: WISH, settled: false })))).toEqual([]);
    expect(restarted({ ...bare(workload({ restartedFor: WISH, settled: false })), memory: null })).toEqual(
      [],
    );
  });

  it('are not restarted for pods that are going', () => {
    const observed = enforcedWorld();
    const going = barePod('old-0', { terminating: true });
    const workloads = new Map([...observed.workloads, ...ownedBy(workload({ name: 'old' }), [going])]);
    expect(restarted({ ...observed, pods: [...observed.pods, going], workloads })).toEqual([]);
  });

  it('are restarted for another wish while they still roll', () => {
    expect(restarted(bare(workload({ restartedFor: 'for something else', settled: false })))).toEqual([
      'github',
    ]);
  });

  it('come to their turn though another one can not be rolled', () => {
    const paused = workload({ name: 'a', rolls: 'paused' });
    const observed = bare(paused, workload({ name: 'b' }));
    expect(restarted(observed)).toEqual(['b']);
    expect(conditionIn(decide(observed), 'RolloutBlocked').message).toContain('Deployment/a');
  });

  it('come to their turn though the restart of another one is refused', () => {
    const refusals = new Map([['Deployment/a', 'denied']]);
    const observed = { ...bare(workload({ name: 'a' }), workload({ name: 'b' })), refusals };
    expect(restarted(observed)).toEqual(['b']);
    expect(restarted({ ...bare(workload({ name: 'a' })), refusals })).toEqual(['a']);
  });

  it('are rolled above the partition of a StatefulSet, and the pods below it named', () => {
    const observed = bare(workload({ kind: 'StatefulSet', partition: 1 }));
    expect(restarted(observed)).toEqual(['github']);
    const below = { ...observed, pods: observed.pods.slice(0, 1) };
    expect(restarted(below)).toEqual([]);
    expect(conditionIn(decide(below), 'RolloutBlocked').reason).toBe('PartitionedStatefulSet');
  });
});

describe('pods that a restart does not reach', () => {
  const other = workload({ kind: 'Other', ownerKind: 'Rollout' });

  it('are evicted one at a time', () => {
    expect(evicted(bare(other))).toEqual(['github-0']);
  });

  it('are evicted when they are not ready before others', () => {
    const observed = bare(other);
    const pods = [barePod('github-0'), barePod('github-1', { ready: false })];
    expect(evicted({ ...observed, pods })).toEqual(['github-1']);
  });

  it('wait for the one before to be gone and its successor to be ready', () => {
    const observed = bare(other);
    const with_ = (pod: Observed['pods'][number]) => ({
      ...observed,
      pods: [...observed.pods, pod],
      workloads: new Map([...observed.workloads, ...ownedBy(other, [pod])]),
    });
    expect(evicted(with_(barePod('github-2', { terminating: true })))).toEqual([]);
    expect(evicted(with_(recordedPod(observed.resource, 'github-2', { ready: false })))).toEqual([]);
    expect(evicted(with_(recordedPod(observed.resource, 'github-2')))).toEqual(['github-0']);
  });

  it('wait for workloads that are being restarted', () => {
    expect(evicted(bare(other, workload({ name: 'a', uid: 'a' })))).toEqual([]);
    const rolling = workload({ name: 'a', uid: 'a', restartedFor: WISH, settled: false });
    expect(evicted(bare(other, rolling))).toEqual([]);
  });

  it('come to their turn though another eviction is refused', () => {
    const refusals = new Map([['Pod/github-0', 'it would violate the disruption budget']]);
    expect(evicted({ ...bare(other), refusals })).toEqual(['github-1']);
    const both = new Map([...refusals, ['Pod/github-1', 'no']]);
    expect(evicted({ ...bare(other), refusals: both })).toEqual(['github-0']);
  });

  it('are evicted when their settled workload has left them without a recorder for a minute', () => {
    const of = workload({ restartedFor: WISH });
    const left = (ageMs: number): Observed => {
      const pods = [barePod('github-0', { restartedFor: WISH, createdMs: NOW_MS - ageMs })];
      return { ...bare(of), pods, workloads: ownedBy(of, pods) };
    };
    expect(evicted(left(61_000))).toEqual(['github-0']);
    expect(evicted(left(59_000))).toEqual([]);
  });

  it('are not evicted when they are of the template before and only seen late', () => {
    expect(evicted(bare(workload({ restartedFor: WISH })))).toEqual([]);
  });

  it('are never evicted where nobody would make them anew', () => {
    expect(evicted({ ...bare(other), workloads: new Map() })).toEqual([]);
    expect(evicted(bare(workload({ kind: 'Job' })))).toEqual([]);
    expect(evicted(bare(workload({ kind: 'Other', ownerKind: 'Node' })))).toEqual([]);
  });
});

describe('pods that admission would refuse', () => {
  it('keep their workload from being restarted, and are told with the reason', () => {
    const observed = bare(workload());
    const pods = observed.pods.map((pod) => ({
      ...pod,
      spec: { containers: [], ...pod.spec, hostNetwork: true },
    }));
    const plan = decide({ ...observed, pods });
    expect(plan.restart).toEqual([]);
    expect(conditionIn(plan, 'RolloutBlocked').message).toMatch(/^Deployment\/github: It has hostNetwork/);
  });
});

describe('everything that blocks', () => {
  it('is named in one condition', () => {
    const observed = bare(
      workload({ name: 'a', rolls: 'paused' }),
      workload({ name: 'b', uid: 'b', kind: 'Job' }),
    );
    const { message } = conditionIn(decide(observed), 'RolloutBlocked');
    expect(message).toContain('Deployment/a');
    expect(message).toContain('Also JobPods: Job/b.');
  });
});
