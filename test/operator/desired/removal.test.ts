/** The way out of the recording. */
import { describe, expect, it } from 'vitest';
import { decide } from '../../../operator/desired/decide.ts';
import type { Observed } from '../../../operator/desired/observed.ts';
import {
  barePod,
  carriedOut,
  conditionIn,
  deleted,
  enforcedWorld,
  ledService,
  NOW_MS,
  ownedBy,
  recordedPod,
  service,
  workload,
} from './world.ts';

const MARK = 'removed-uid-of-g';
const OURS = 'uid-of-g-0123456789abcdef';

/** Deleted a while ago, with direct access open and no Service of ours any more. */
function opened(of = workload({ restartedFor: OURS })): Observed {
  const observed = deleted(enforcedWorld(), NOW_MS - 10_000);
  const pods = [
    recordedPod(observed.resource, 'github-0', { restartedFor: OURS }),
    recordedPod(observed.resource, 'github-1', { restartedFor: OURS }),
  ];
  const world = { ...observed, services: [service('github')], pods, workloads: ownedBy(of, pods) };
  return carriedOut(world, decide(world));
}

const restarts = (observed: Observed) => decide(observed).restart.map(({ restartedFor }) => restartedFor);

/** Nothing recorded any more. */
function emptied(observed: Observed, of = workload()): Observed {
  const pods = [barePod('github-0'), barePod('github-1')];
  return { ...observed, pods, workloads: ownedBy(of, pods) };
}

describe('removal', () => {
  it('asks admission no more, and opens the server beside the recorder, before anything else', () => {
    const plan = decide(deleted(enforcedWorld()));
    expect(plan).toMatchObject({ admission: false, restart: [], evict: [], services: [], finalizer: true });
    expect(plan.networkPolicy?.spec?.ingress?.[0]?.ports?.map(({ port }) => port)).toEqual([8080, 9080]);
    expect(plan.configMap).not.toBeNull();
  });

  it('says from the deletion on that direct access is open', () => {
    const { status } = decide(deleted(enforcedWorld()));
    expect(status).toMatchObject({ phase: 'Removing', directAccess: 'Open' });
    expect(status).not.toHaveProperty('enforcedSince');
  });

  it('leads Services back when the server is open, and takes the annotation away when they lead there', () => {
    const closed = { ...deleted(enforcedWorld()), services: [ledService('github')] };
    const open = carriedOut(closed, decide(closed));
    expect(decide(open)).toMatchObject({ services: [{ name: 'github', target: 'server' }], restart: [] });
    const back = service('github');
    back.metadata = { ...back.metadata, annotations: { 'mcp-recorder.dev/target': 'server' } };
    expect(decide({ ...open, services: [back] }).services).toEqual([{ name: 'github', target: null }]);
  });

  it('restarts nothing before the server is open', () => {
    const closed = enforcedWorld().networkPolicies;
    expect(restarts({ ...opened(), services: [], networkPolicies: closed })).toEqual([]);
    expect(restarts({ ...opened(), services: [] })).toEqual([null]);
  });

  it('restarts nothing before Services lead back', () => {
    expect(restarts({ ...opened(), services: [ledService('github')] })).toEqual([]);
  });

  it('restarts nothing while admission still gives recorders', () => {
    expect(restarts(opened())).toEqual([null]);
    expect(restarts({ ...opened(), admissionReady: false })).toEqual([]);
  });

  it('restarts a workload by taking its annotation away, and by giving one where there was none', () => {
    expect(restarts(opened())).toEqual([null]);
    const pods = opened().pods.map((pod) => recordedPod(opened().resource, pod.metadata?.name ?? ''));
    const unmarked = { ...opened(), pods, workloads: ownedBy(workload(), pods) };
    expect(restarts(unmarked)).toEqual([MARK]);
  });

  it('does not restart a workload twice: not while its annotated pods go, nor when it was marked', () => {
    const rolling = opened(workload({ restartedFor: null, settled: false }));
    expect(restarts(rolling)).toEqual([]);
    expect(restarts(opened(workload({ restartedFor: MARK, settled: false })))).toEqual([]);
  });

  it('takes the annotation from workloads that have no recorded pod or do not roll', () => {
    expect(restarts(emptied(opened(), workload({ restartedFor: OURS })))).toEqual([null]);
    expect(restarts(opened(workload({ restartedFor: OURS, rolls: 'paused' })))).toEqual([null]);
  });

  it('ends when no pod is recorded, no Service annotated and no workload marked', () => {
    const plan = decide(emptied(opened()));
    expect(plan).toMatchObject({ finalizer: false, networkPolicy: null, configMap: null });
    expect(decide(opened()).finalizer).toBe(true);
    expect(decide({ ...emptied(opened()), services: [ledService('github')] }).finalizer).toBe(true);
    expect(decide(emptied(opened(), workload({ restartedFor: OURS }))).finalizer).toBe(true);
  });

  it('waits for recorded pods that are going', () => {
    const observed = emptied(opened());
    const going = recordedPod(observed.resource, 'github-2', { terminating: true });
    expect(decide({ ...observed, pods: [...observed.pods, going] }).finalizer).toBe(true);
  });

  it('does not end in the first seconds, when what was done last may not have been told yet', () => {
    expect(decide(emptied(deleted(opened(), NOW_MS - 4_900))).finalizer).toBe(true);
    expect(decide(emptied(deleted(opened(), NOW_MS - 5_000))).finalizer).toBe(false);
  });

  it('ends ten minutes after the deletion whatever is left, and names it', () => {
    const late = (ms: number) => decide(deleted(opened(), NOW_MS - ms));
    expect(late(599_000)).toMatchObject({ finalizer: true, againMs: 1_000 });
    const plan = late(600_000);
    expect(plan).toMatchObject({ finalizer: false, networkPolicy: null, configMap: null });
    expect(plan.events).toContainEqual(
      expect.objectContaining({
        type: 'Warning',
        reason: 'RemovalIncomplete',
        note: expect.stringContaining('Pod/github-0 (has the recorder)'),
      }),
    );
  });

  it('names what keeps it, before its time is over', () => {
    const plan = decide({ ...opened(), workloads: new Map() });
    expect(conditionIn(plan, 'RolloutBlocked')).toMatchObject({ status: 'True', reason: 'NakedPods' });
  });

  it('leaves Services of other resources alone', () => {
    const other = ledService('other');
    other.spec = { ...other.spec, selector: { app: 'other' } };
    expect(decide({ ...emptied(opened()), services: [other] })).toMatchObject({
      services: [],
      finalizer: false,
    });
  });

  it('leaves a Service alone that leads to none of the pods that are there', () => {
    const other = ledService('other');
    other.spec = { ...other.spec, selector: { app: 'github', tier: 'elsewhere' } };
    expect(decide({ ...opened(), services: [other] }).services).toEqual([]);
  });

  it('leads a Service back though no pod is left', () => {
    const observed = { ...opened(), pods: [], services: [ledService('github')] };
    expect(decide(observed).services).toEqual([{ name: 'github', target: 'server' }]);
  });
});
