/** The way of a running server into the recording, step by step. */
import type { Pod } from 'kubernetes-types/core/v1';
import { describe, expect, it } from 'vitest';
import { decide } from '../../../operator/desired/decide.ts';
import type { Observed } from '../../../operator/desired/observed.ts';
import type { Plan } from '../../../operator/desired/plan.ts';
import { SERVER_LABEL } from '../../../operator/naming.ts';
import {
  barePod,
  bareWorld,
  carriedOut,
  conditionIn,
  enforcedWorld,
  heard,
  ledService,
  looked,
  NOW_MS,
  ownedBy,
  policy,
  recordedPod,
  resource,
  service,
  slice,
  wanting,
  workload,
  world,
} from './world.ts';

const server = { port: 8080, listens: 'any' as const, foreignConnections: [] };

/** All pods recorded, and Services as given. */
function rolled(
  services: Observed['services'],
  port = 9080,
  given: Parameters<typeof bareWorld>[0] = {},
): Observed {
  const observed = bareWorld(given);
  const pods = [recordedPod(observed.resource, 'github-0'), recordedPod(observed.resource, 'github-1')];
  const endpointSlices = services.map(({ metadata }) => slice(metadata?.name ?? '', port, pods));
  return { ...observed, pods, workloads: ownedBy(workload(), pods), services, endpointSlices };
}

/** The world some time after the plan was carried out. */
function later(observed: Observed, plan: Plan, ms: number): Observed {
  return { ...carriedOut(observed, plan), nowMs: observed.nowMs + ms };
}

function portsOf({ networkPolicy }: Plan): unknown {
  return networkPolicy?.spec?.ingress?.[0]?.ports?.map(({ port }) => port);
}

describe('before anything is restarted', () => {
  it('the ConfigMap is written and admission asked for', () => {
    const plan = decide({ ...bareWorld(), configMap: null });
    expect(plan).toMatchObject({ admission: true, finalizer: true, restart: [], networkPolicy: null });
    expect(plan.configMap?.data?.['config.yaml']).toContain('name: github');
    expect(plan.status.phase).toBe('Pending');
  });

  it('admission must ask the webhook', () => {
    expect(decide({ ...bareWorld(), admissionReady: false }).restart).toEqual([]);
  });

  it('the ConfigMap must stand as it is wanted', () => {
    const observed = bareWorld();
    const data = { ...observed.configMap?.data, 'config.yaml': 'of before' };
    expect(decide({ ...observed, configMap: { ...observed.configMap, data } }).restart).toEqual([]);
  });

  it('the configuration must be possible', () => {
    const plan = decide(bareWorld({ storage: { store: 'nowhere' } }));
    expect(plan).toMatchObject({
      configMap: null,
      networkPolicy: null,
      restart: [],
      evict: [],
      services: [],
    });
    expect(plan.status.phase).toBe('Pending');
  });
});

describe('adoption by rolling', () => {
  it('restarts the workload of pods without a recorder, and closes and redirects nothing meanwhile', () => {
    const plan = decide(bareWorld());
    expect(plan.restart.map(({ workload: { name }, restartedFor }) => [name, restartedFor])).toEqual([
      ['github', expect.stringMatching(/^uid-of-g-[0-9a-f]{16}$/)],
    ]);
    expect(plan).toMatchObject({ networkPolicy: null, services: [], evict: [] });
    expect(plan.status).toMatchObject({ phase: 'Injecting', podsSummary: '0/2', directAccess: 'Open' });
  });

  it('leads a Service to the recorder when the last pod that stays has one', () => {
    const half = rolled([service('github')], 8080);
    const pods = [...half.pods, barePod('github-2')];
    expect(decide({ ...half, pods }).services).toEqual([]);
    const going = [...half.pods, barePod('github-2', { terminating: true })];
    expect(decide({ ...half, pods: going }).services).toEqual([{ name: 'github', target: 'recorder' }]);
    expect(decide(half).status.phase).toBe('Retargeting');
  });

  it('closes direct access five seconds after the last Service was led to the recorder', () => {
    const observed = rolled([ledService('github')]);
    const first = decide(observed);
    expect(first).toMatchObject({ networkPolicy: null, status: { phase: 'Retargeting' } });
    expect(first.againMs).toBeLessThanOrEqual(5_000);
    expect(decide(later(observed, first, 4_900)).networkPolicy).toBeNull();
    const last = decide(later(observed, first, 5_000));
    expect(last.status.phase).toBe('Enforcing');
    expect(portsOf(last)).toEqual([9080]);
  });

  it('closes at once where no Service had to be led', () => {
    expect(decide(rolled([service('github', 'mcp')])).networkPolicy).not.toBeNull();
    expect(decide(rolled([])).networkPolicy).not.toBeNull();
  });

  it('waits for a Service by name that still leads past a recorder', () => {
    const plan = decide(rolled([service('github', 'mcp')], 8080));
    expect(plan.networkPolicy).toBeNull();
    expect(conditionIn(plan, 'Enforced').message).toContain('github');
  });

  it('does not close while a pod without a recorder stays', () => {
    const observed = rolled([]);
    expect(decide({ ...observed, pods: [...observed.pods, barePod('github-2')] }).networkPolicy).toBeNull();
  });

  it('is not enforced while a pod without a recorder is going', () => {
    const observed = enforcedWorld();
    const plan = decide({
      ...observed,
      pods: [...observed.pods, barePod('github-2', { terminating: true })],
    });
    expect(conditionIn(plan, 'Enforced')).toMatchObject({ status: 'False', reason: 'PodUnrecorded' });
  });

  it('does nothing where the selector matches no pod', () => {
    const observed = { ...bareWorld({ server: { port: 8080 } }), pods: [] };
    const plan = decide(observed);
    expect(plan).toMatchObject({ networkPolicy: null, services: [], restart: [] });
    expect(conditionIn(plan, 'Ready')).toMatchObject({ status: 'False', reason: 'NoPods' });
  });

  it('adds the recorder to what other policies admit, from the start, where they close the pods already', () => {
    const own = policy('own', { podSelector: {}, ingress: [{ ports: [{ port: 8080 }] }] });
    const observed = { ...bareWorld(), networkPolicies: [own] };
    const plan = decide(observed);
    expect(portsOf(plan)).toEqual([8080, 9080]);
    expect(plan).toMatchObject({ restart: [], status: { phase: 'Injecting' } });
    expect(decide(carriedOut(observed, plan)).restart).toHaveLength(1);
  });

  it('says when other policies let only some clients in, and the recorder is open to all', () => {
    const own = policy('own', {
      podSelector: {},
      ingress: [{ from: [{ podSelector: {} }], ports: [{ port: 8080 }] }],
    });
    const noted = (observed: Observed) => decide(observed).status.notes?.join() ?? '';
    expect(noted({ ...bareWorld(), networkPolicies: [own] })).toContain('Set spec.traffic.clients');
    const clients = [{ podSelector: {} }];
    expect(noted({ ...bareWorld({ traffic: { clients } }), networkPolicies: [own] })).not.toContain(
      'clients',
    );
  });
});

describe('adoption at once', () => {
  const immediate = { adoption: 'Immediate' as never };

  it('closes pods without a recorder before it restarts them', () => {
    const observed = bareWorld(immediate);
    const closed = { ...observed, networkPolicies: [] };
    const plan = decide(closed);
    expect(plan.networkPolicy?.spec?.podSelector).toEqual({ matchLabels: { app: 'github' } });
    expect(portsOf(plan)).toEqual([9080]);
    expect(plan.restart).toEqual([]);
    expect(decide(carriedOut(closed, plan)).restart).toHaveLength(1);
  });

  it('selects recorded pods when all are', () => {
    const plan = decide(rolled([ledService('github')], 9080, immediate));
    expect(plan.networkPolicy?.spec?.podSelector).toEqual({ matchLabels: { [SERVER_LABEL]: 'github' } });
  });

  it('leads Services to the first recorder that is ready', () => {
    const observed = rolled([service('github')], 8080, immediate);
    const pods = [...observed.pods.slice(0, 1), barePod('github-1')];
    expect(decide({ ...observed, pods }).services).toEqual([{ name: 'github', target: 'recorder' }]);
    const unready = [recordedPod(observed.resource, 'github-0', { ready: false }), barePod('github-1')];
    expect(decide({ ...observed, pods: unready }).services).toEqual([]);
  });

  it('closes no pod of another resource', () => {
    const older = resource(
      'elder',
      { selector: { matchLabels: { app: 'github', tier: 'one' } } },
      { creationTimestamp: '2026-01-01T00:00:00Z' },
    );
    const pods = [barePod('github-0', { labels: { tier: 'one' } }), barePod('github-1')];
    const plan = decide({ ...bareWorld(immediate), pods, siblings: [older] });
    expect(plan.networkPolicy?.spec?.podSelector).toEqual({ matchLabels: { [SERVER_LABEL]: 'github' } });
  });

  it('closes nothing while no recorder can be configured', () => {
    expect(decide(bareWorld({ ...immediate, storage: { store: 'nowhere' } })).networkPolicy).toBeNull();
  });
});

describe('what is closed', () => {
  it.each<[string, (observed: Observed) => Observed]>([
    ['the policy is deleted', (observed) => ({ ...observed, networkPolicies: [] })],
    ['the status is lost', (observed) => ({ ...observed, resource: { ...observed.resource, status: {} } })],
    [
      'a pod comes without a recorder',
      (observed) => ({ ...observed, pods: [...observed.pods, barePod('github-2')] }),
    ],
    ['no pod is left', (observed) => ({ ...observed, pods: [] })],
    ['admission is not ready', (observed) => ({ ...observed, admissionReady: false })],
    ['a Service leads to the server', (observed) => ({ ...observed, services: [service('github')] })],
    ['the store is unknown', (observed) => wanting(observed, { storage: { store: 'nowhere' } })],
  ])('stays so when %s', (_, change) => {
    expect(portsOf(decide(change(enforcedWorld())))).toEqual([9080]);
  });

  it('stays so before all is proven, when the policy is deleted and a pod comes without a recorder', () => {
    const observed = enforcedWorld();
    const { enforcedSince: _, ...status } = observed.resource.status ?? {};
    const resource = { ...observed.resource, status: { ...status, phase: 'Enforcing' as const } };
    const pods = [...observed.pods, barePod('github-2')];
    expect(portsOf(decide({ ...observed, resource, pods, networkPolicies: [] }))).toEqual([9080]);
  });

  it('stays so when the status is lost and a pod comes without a recorder', () => {
    const observed = enforcedWorld();
    const lost = { ...observed, resource: { ...observed.resource, status: {} } };
    const plan = decide({ ...lost, pods: [...lost.pods, barePod('github-2')] });
    expect(portsOf(plan)).toEqual([9080]);
    expect(plan.status.phase).toBe('Injecting');
  });

  it('keeps the phase when a pod comes without a recorder, so that it is remembered', () => {
    const observed = enforcedWorld();
    const plan = decide({ ...observed, pods: [...observed.pods, barePod('github-2')] });
    expect(plan.status.phase).toBe('Enforcing');
    expect(plan.status).not.toHaveProperty('enforcedSince');
  });

  it("opens no port that is the server's in pods of before, while the way of the traffic changes", () => {
    const traffic = { mode: 'Relocate' as const, relocate: { port: 18_080, args: ['--port=18080'] } };
    const plan = decide(wanting(enforcedWorld(), { traffic }));
    expect(portsOf(plan)).toEqual([9080]);
    const relocated = wanting(enforcedWorld({ traffic }), { traffic: { mode: 'Service' } });
    const mixed = [...relocated.pods, recordedPod(relocated.resource, 'github-7')];
    expect(portsOf(decide({ ...relocated, pods: mixed }))).toEqual([9080]);
  });
});

describe('a pod with connections from before the policy', () => {
  const connected = (observed: Observed, peers = ['10.9.9.9:40000']) =>
    heard(observed, { server: { ...server, foreignConnections: peers } });

  it('is evicted, one after the other', () => {
    const plan = decide(connected(enforcedWorld()));
    expect(plan.evict).toEqual([{ name: 'github-0', uid: 'uid-of-github-0', why: expect.any(String) }]);
  });

  it('is left alone while another is going or is not ready', () => {
    const observed = connected(enforcedWorld());
    const going = recordedPod(observed.resource, 'github-2', { terminating: true });
    expect(decide({ ...observed, pods: [...observed.pods, going] }).evict).toEqual([]);
    const unready = recordedPod(observed.resource, 'github-2', { ready: false });
    expect(decide({ ...observed, pods: [...observed.pods, unready] }).evict).toEqual([]);
  });

  it('is left alone while it can still be connected to: its successor would have them too', () => {
    const observed = looked(connected(enforcedWorld()), (look) => ({ ...look, dial: 'connected' }));
    expect(decide(observed).evict).toEqual([]);
  });

  it('is left alone while its workload is restarted anyway', () => {
    const spool = { sizeLimit: '1Gi' };
    const changed = wanting(connected(enforcedWorld()), {
      recording: { ...resource('github').spec.recording, spool },
    });
    const plan = decide(carriedOut(changed, decide(changed)));
    expect(plan.restart).toHaveLength(1);
    expect(plan.evict).toEqual([]);
  });

  it('is left alone while the one before it is gone and its successor is not there yet', () => {
    const [first, ...others] = connected(enforcedWorld()).pods;
    const set = workload({ kind: 'StatefulSet', settled: false });
    const observed = { ...connected(enforcedWorld()), pods: others, workloads: ownedBy(set, others) };
    expect(decide(observed).evict).toEqual([]);
    const back = [first as Pod, ...others];
    const settled = { ...observed, pods: back, workloads: ownedBy({ ...set, settled: true }, back) };
    expect(decide(settled).evict).toHaveLength(1);
  });

  it('is evicted when it is what keeps its workload from coming back', () => {
    const observed = connected(enforcedWorld());
    const unready = recordedPod(observed.resource, 'github-1', { ready: false });
    const pods = [...observed.pods.slice(0, 1), unready];
    const workloads = ownedBy(workload({ settled: false }), pods);
    expect(decide({ ...observed, pods, workloads }).evict).toMatchObject([{ name: 'github-1' }]);
  });

  it('is left alone and named where nobody would make it anew', () => {
    const plan = decide({ ...connected(enforcedWorld()), workloads: new Map() });
    expect(plan.evict).toEqual([]);
    expect(conditionIn(plan, 'RolloutBlocked')).toMatchObject({ status: 'True', reason: 'NakedPods' });
  });

  it('is left alone when it is younger than the policy: its successor would have them too', () => {
    const observed = connected(enforcedWorld());
    const memory = { servicesRightSinceMs: 0, closedSinceMs: NOW_MS - 4_000_000, peers: {} };
    const plan = decide({ ...observed, memory });
    expect(plan.evict).toEqual([]);
    expect(conditionIn(plan, 'Enforced').reason).toBe('DirectConnectionsMade');
  });

  it('is not evicted for connections of its own node once it is enforced', () => {
    const observed = connected(connected(enforcedWorld(), ['192.168.0.1:1']), ['192.168.0.1:1']);
    const plan = decide(carriedOut(observed, decide(observed)));
    expect(plan.evict).toEqual([]);
    expect(conditionIn(plan, 'Enforced').status).toBe('True');
  });
});

describe('a resource that was changed', () => {
  const recording = resource('github').spec.recording;

  it('has its workloads restarted when pods must be other ones, and stays enforced', () => {
    const changed = wanting(enforcedWorld(), { recording: { ...recording, spool: { sizeLimit: '1Gi' } } });
    const plan = decide(carriedOut(changed, decide(changed)));
    expect(plan.restart).toHaveLength(1);
    expect(conditionIn(plan, 'Enforced').status).toBe('True');
  });

  it('restarts nothing for what recorders take by themselves', () => {
    const changed = wanting(enforcedWorld(), { recording: { ...recording, maxUploadLag: '1m' } });
    const plan = decide(carriedOut(changed, decide(changed)));
    expect(plan.restart).toEqual([]);
    expect(plan.configMap?.data?.['config.yaml']).toContain('maxUploadLag: 1m');
  });
});

describe("the chart's settings", () => {
  it('restart nothing when they change: pods are counted as outdated', () => {
    const observed = enforcedWorld();
    const sidecar = { ...observed.settings.sidecar, image: 'registry.example.com/newer' };
    const plan = decide({ ...observed, settings: { ...observed.settings, sidecar } });
    expect(plan.restart).toEqual([]);
    expect(plan.status.pods).toEqual({ matched: 2, recorded: 2, outdated: 2 });
    expect(plan.status.notes?.join()).toContain('restart github to renew it');
    expect(conditionIn(plan, 'Ready').status).toBe('True');
  });

  it('count no pod as outdated that the resource wants to be another one anyway', () => {
    const observed = wanting(enforcedWorld(), {
      recording: { ...resource('github').spec.recording, spool: { sizeLimit: '1Gi' } },
    });
    const sidecar = { ...observed.settings.sidecar, image: 'registry.example.com/newer' };
    const plan = decide({ ...observed, settings: { ...observed.settings, sidecar } });
    expect(plan.status.pods?.outdated).toBe(0);
  });

  it('count pods as outdated that say that they need a restart for their configuration', () => {
    const configuration = { digest: 'sha256:of before', restartNeeded: ['storage'], refused: null };
    const plan = decide(heard(enforcedWorld(), { configuration }));
    expect(plan.status.pods?.outdated).toBe(2);
    expect(plan.restart).toEqual([]);
    expect(conditionIn(plan, 'Ready').status).toBe('True');
  });
});

describe('the port of a server', () => {
  const serving = (port: number) => (name: string) => recordedPod(resource('github'), name, { port });

  it('stays that of the beginning when pods come with another one', () => {
    const observed = enforcedWorld();
    const plan = decide({ ...observed, pods: ['github-0', 'github-1'].map(serving(9000)) });
    expect(conditionIn(plan, 'Ready')).toMatchObject({ status: 'False', reason: 'ServerPortDiffers' });
    expect(plan.status.serverPort).toBe(8080);
    expect(plan.configMap).toEqual(observed.configMap);
    expect(portsOf(plan)).toEqual([9080]);
  });

  it('is taken from the resource when it names one', () => {
    const plan = decide(wanting(bareWorld(), { server: { port: 9000 } }));
    expect(plan.status.serverPort).toBe(9000);
    expect(plan.configMap?.data?.['config.yaml']).toContain('http://127.0.0.1:9000/');
  });
});

describe('pods', () => {
  it('that have ended are not there', () => {
    const observed = enforcedWorld();
    const ended = [barePod('github-8', { phase: 'Succeeded' }), barePod('github-9', { phase: 'Failed' })];
    expect(decide({ ...observed, pods: [...observed.pods, ...ended] }).status.podsSummary).toBe('2/2');
  });

  it('that are not scheduled yet count, and can not be reached', () => {
    const observed = enforcedWorld();
    const waiting = recordedPod(observed.resource, 'github-2', { phase: 'Pending' });
    const plan = decide({ ...observed, pods: [...observed.pods, waiting] });
    expect(plan.status.podsSummary).toBe('3/3');
    expect(conditionIn(plan, 'DirectAccessBlocked').status).toBe('True');
  });

  it('of a relocated server are recorded without a Service being touched', () => {
    const traffic = { mode: 'Relocate' as const, relocate: { port: 18_080, args: ['--port=18080'] } };
    const plan = decide(enforcedWorld({ traffic }));
    expect(plan.services).toEqual([]);
    expect(portsOf(plan)).toEqual([8080]);
    expect(conditionIn(plan, 'Ready').status).toBe('True');
  });

  it('of an older resource are left to it', () => {
    const older = resource(
      'elder',
      { selector: { matchLabels: { app: 'github' } } },
      { creationTimestamp: '2026-01-01T00:00:00Z' },
    );
    const plan = decide({ ...bareWorld(), siblings: [older] });
    expect(plan).toMatchObject({ restart: [], evict: [], services: [], networkPolicy: null });
    expect(plan.status.podsSummary).toBe('0/0');
    expect(conditionIn(plan, 'Ready')).toMatchObject({ status: 'False', reason: 'OlderResourceWins' });
    const deletionTimestamp = '2026-11-26T00:00:00Z';
    const going = { ...older, metadata: { ...older.metadata, deletionTimestamp } };
    expect(decide({ ...bareWorld(), siblings: [going] }).restart).toHaveLength(1);
  });

  it('that carry the recorder and are not selected any more are told', () => {
    const observed = enforcedWorld();
    const [first, second] = observed.pods;
    const labels = { ...first?.metadata?.labels, app: 'moved' };
    const moved = { ...first, metadata: { ...first?.metadata, labels } };
    const plan = decide({ ...observed, pods: second === undefined ? [moved] : [moved, second] });
    expect(plan.status).toMatchObject({ podsSummary: '1/1', notes: [expect.stringContaining('github-0')] });
    expect(conditionIn(plan, 'DirectAccessBlocked').status).toBe('True');
  });

  it('without any resource of their own leave a world untouched', () => {
    expect(decide(world(resource('github'))).configMap).toBeNull();
  });
});
