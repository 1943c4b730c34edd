/** What is not seen, or is seen open, is never called closed. */
import type { Pod, PodStatus } from 'kubernetes-types/core/v1';
import { describe, expect, it } from 'vitest';
import { decide } from '../../../operator/desired/decide.ts';
import type { Observed } from '../../../operator/desired/observed.ts';
import type { Stored } from '../../../operator/reconcile/kinds.ts';
import { lookTargets } from '../../../operator/reconcile/observe.ts';
import { trimPod } from '../../../operator/reconcile/trim.ts';
import {
  barePod,
  conditionIn,
  enforcedWorld,
  heard,
  policy,
  recordedPod,
  resource,
  wanting,
} from './world.ts';

const directAccess = (observed: Observed) => conditionIn(decide(observed), 'DirectAccessBlocked');

/** The kubelet calls a pod Pending while any of its ordinary containers has never started: here the image of one can't be pulled. */
function waiting(pod: Pod): Pod {
  const status: PodStatus = {
    ...pod.status,
    phase: 'Pending',
    podIP: '10.0.0.9',
    containerStatuses: [
      { name: 'server', image: '', imageID: '', ready: true, restartCount: 0, state: { running: {} } },
      {
        name: 'late',
        image: '',
        imageID: '',
        ready: false,
        restartCount: 0,
        state: { waiting: { reason: 'ImagePullBackOff' } },
      },
    ],
  };
  return { ...pod, status };
}

describe('a pod whose server runs while another of its containers waits for its image', () => {
  const withPod = (pod: Pod): Observed => {
    const observed = enforcedWorld();
    return { ...observed, pods: [...observed.pods, waiting(pod)] };
  };

  it('counts as open without a recorder', () => {
    expect(directAccess(withPod(barePod('github-8')))).toMatchObject({
      status: 'False',
      reason: 'PodUnrecorded',
    });
  });

  it('is not passed over with one: it is looked at, and until then nobody knows', () => {
    const observed = withPod(recordedPod(resource('github'), 'github-8'));
    expect(directAccess(observed)).toMatchObject({ status: 'Unknown', reason: 'ProbeStale' });
    expect(lookTargets(observed, 8080).map(({ name }) => name)).toContain('github-8');
  });

  it('is passed over while only its recorder runs', () => {
    const observed = withPod(recordedPod(resource('github'), 'github-8'));
    const starting = observed.pods.map((pod) =>
      pod.metadata?.name === 'github-8' ? { ...pod, status: { ...pod.status, containerStatuses: [] } } : pod,
    );
    expect(directAccess({ ...observed, pods: starting })).toMatchObject({ status: 'True' });
  });
});

describe('a relocated server that listens on all addresses all the same', () => {
  const relocate = { port: 18_080 };
  const server = { port: 18_080, listens: 'any' as const, foreignConnections: [] };
  const letsSomebodyIn = policy('neighbours', {
    podSelector: {},
    ingress: [{ from: [{ podSelector: { matchLabels: { app: 'agent' } } }] }],
  });
  const relocated = () => {
    const observed = enforcedWorld({ traffic: { mode: 'Relocate', relocate } });
    return { ...observed, networkPolicies: [...observed.networkPolicies, letsSomebodyIn] };
  };

  it('is open where another policy admits somebody to the port it was moved to, whom the operator is not', () => {
    const found = directAccess(heard(relocated(), { server }));
    expect(found).toMatchObject({ status: 'False', reason: 'OtherPolicyAllows' });
    expect(found.message).toContain('18080');
    expect(found.message).toContain('neighbours');
  });

  it('is closed while no policy admits anybody there, and when it listens on loopback, whatever policies say', () => {
    const closed = enforcedWorld({ traffic: { mode: 'Relocate', relocate } });
    expect(directAccess(heard(closed, { server }))).toMatchObject({ status: 'True' });
    expect(directAccess(relocated())).toMatchObject({ status: 'True' });
  });
});

describe('while the way of the traffic changes, a pod is tried', () => {
  const traffic = { mode: 'Relocate' as const, relocate: { port: 18_080 } };
  const portsTried = (observed: Observed) => lookTargets(observed, 8080).map(({ serverPort }) => serverPort);

  it('at the port where its server still is, not where it will be', () => {
    expect(portsTried(wanting(enforcedWorld(), { traffic }))).toEqual([8080, 8080]);
    expect(portsTried(enforcedWorld({ traffic }))).toEqual([18_080, 18_080]);
  });

  it('nowhere where its recorder stands in its place and the resource says no more where it is', () => {
    const back = wanting(enforcedWorld({ traffic }), { traffic: { mode: 'Service' } });
    expect(portsTried(back)).toEqual([null, null]);
  });
});

it('a pod is tried at all of its addresses', () => {
  const observed = enforcedWorld();
  const pods = observed.pods.map((pod) => ({
    ...pod,
    status: { ...pod.status, podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }] },
  }));
  const [first] = lookTargets({ ...observed, pods }, 8080);
  expect(first).toMatchObject({ host: '10.0.0.1', addresses: ['10.0.0.1', 'fd00::1'] });
});

describe('a pod with a recorder that another than our webhook put there, before admission asked about it', () => {
  const forged = (): Observed => {
    const observed = enforcedWorld();
    const [first, ...others] = observed.pods;
    const pod = structuredClone(first) as Pod;
    const [recorder] = pod.spec?.initContainers ?? [];
    for (const variable of recorder?.env ?? []) {
      if (variable.name === 'MCP_RECORDER_SESSION_KEY')
        variable.value = 'bm90IHRoZSBrZXkgb2YgdGhpcyBvcGVyYXRvciAgICA=';
    }
    return { ...observed, pods: [pod, ...others] };
  };

  it('proves nothing by its answers, the token of its pod among them', () => {
    const plan = decide(forged());
    expect(conditionIn(plan, 'DirectAccessBlocked')).toMatchObject({
      status: 'Unknown',
      reason: 'SidecarUnproven',
    });
    expect(conditionIn(plan, 'Recording')).toMatchObject({ status: 'Unknown', reason: 'SidecarUnproven' });
  });

  it('opens no port of its choice', () => {
    const { pods, ...observed } = forged();
    const choosing = structuredClone(pods);
    for (const port of choosing[0]?.spec?.initContainers?.[0]?.ports ?? [])
      if (port.name === 'mcp') port.containerPort = 7777;
    const { networkPolicy } = decide({ ...observed, pods: choosing });
    expect(networkPolicy?.spec?.ingress?.[0]?.ports).toEqual([{ protocol: 'TCP', port: 9080 }]);
  });

  it('is made anew', () => {
    expect(decide(forged()).restart.map(({ workload }) => workload.name)).toEqual(['github']);
  });

  it('is known as such from what is kept of it', () => {
    const { pods, ...observed } = forged();
    const kept = pods.map((pod) => trimPod(pod as Stored<Pod>));
    expect(directAccess({ ...observed, pods: kept })).toMatchObject({ reason: 'SidecarUnproven' });
    const genuine = enforcedWorld();
    expect(
      directAccess({ ...genuine, pods: genuine.pods.map((pod) => trimPod(pod as Stored<Pod>)) }),
    ).toMatchObject({ status: 'True' });
  });
});
