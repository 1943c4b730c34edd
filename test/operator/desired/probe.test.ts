/** What is said of direct access: never better than what was seen. */
import { describe, expect, it } from 'vitest';
import { decide } from '../../../operator/desired/decide.ts';
import type { Look, Observed } from '../../../operator/desired/observed.ts';
import {
  carriedOut,
  conditionIn,
  enforcedWorld,
  heard,
  looked,
  NOW_MS,
  policy,
  recordedPod,
  wanting,
} from './world.ts';

const direct = (observed: Observed) => {
  const { status, reason } = conditionIn(decide(observed), 'DirectAccessBlocked');
  return `${status} ${reason}`;
};
const server = { port: 8080, listens: 'any' as const, foreignConnections: [] };
const RELOCATED = { traffic: { mode: 'Relocate' as const, relocate: { port: 18_080, args: ['x'] } } };

/** The world where only the second pod's look is another. */
function second(observed: Observed, change: Partial<Look>): Observed {
  const looks = new Map(
    [...observed.looks].map(([uid, look], index) => [uid, index === 1 ? { ...look, ...change } : look]),
  );
  return { ...observed, looks };
}

describe('direct access', () => {
  it.each(['timeout', 'refused', 'unreachable'] as const)(
    'is blocked when a dial ends with %s and all else is well',
    (dial) => {
      expect(direct(looked(enforcedWorld(), (look) => ({ ...look, dial })))).toBe('True Blocked');
    },
  );

  it('is unknown when nobody dialled', () => {
    expect(direct(looked(enforcedWorld(), (look) => ({ ...look, dial: 'not-tried' })))).toBe(
      'Unknown ProbeStale',
    );
  });

  it('is open when one of many pods was connected to', () => {
    expect(direct(second(enforcedWorld(), { dial: 'connected' }))).toBe('False DirectConnectionSucceeded');
  });

  it('is open when a pod was connected to, though its recorder does not answer', () => {
    const link = { ok: false as const, why: 'no answer' };
    expect(direct(second(enforcedWorld(), { dial: 'connected', link }))).toBe(
      'False DirectConnectionSucceeded',
    );
  });

  it('is unknown when one of many pods does not answer', () => {
    expect(direct(second(enforcedWorld(), { link: { ok: false, why: 'no answer' } }))).toBe(
      'Unknown OperatorCannotReachPod',
    );
  });

  it('is unknown 45 s after the last look', () => {
    const at = (ms: number) => direct(second(enforcedWorld(), { atMs: NOW_MS - ms }));
    expect(at(45_000)).toBe('True Blocked');
    expect(at(45_001)).toBe('Unknown ProbeStale');
  });

  it('is unknown when the last look was before the policies closed the port', () => {
    const observed = enforcedWorld();
    const memory = { servicesRightSinceMs: 0, closedSinceMs: NOW_MS - 500, peers: {} };
    expect(direct({ ...observed, memory })).toBe('Unknown ProbeStale');
    expect(direct(looked({ ...observed, memory }, (look) => ({ ...look, atMs: NOW_MS - 500 })))).toBe(
      'True Blocked',
    );
  });

  it('begins anew when another policy had opened the port for a while', () => {
    const observed = enforcedWorld();
    const opening = policy('opening', { podSelector: {}, ingress: [{}] });
    const open = { ...observed, networkPolicies: [...observed.networkPolicies, opening] };
    const { memory } = decide(open);
    expect(memory.closedSinceMs).toBeNull();
    expect(direct({ ...observed, memory, nowMs: NOW_MS + 100 })).toBe('Unknown ProbeStale');
  });

  it('is open when the policies say so, whatever looks found', () => {
    const observed = enforcedWorld();
    expect(direct({ ...observed, networkPolicies: [] })).toBe('False PolicyMissing');
  });

  it('is open when the policy selects other pods', () => {
    const observed = enforcedWorld();
    const networkPolicies = observed.networkPolicies.map((one) => ({
      ...one,
      spec: { ...one.spec, podSelector: { matchLabels: { app: 'other' } } },
    }));
    expect(direct({ ...observed, networkPolicies })).toBe('False PolicyChanged');
  });

  it('is unknown while the policy is not as it has to be and closes all the same', () => {
    const clients = [{ podSelector: {} }];
    expect(direct(wanting(enforcedWorld(), { traffic: { mode: 'Service', clients } }))).toBe(
      'Unknown PolicyChanged',
    );
  });

  it('is blocked for relocated servers on loopback', () => {
    expect(direct(enforcedWorld(RELOCATED))).toBe('True Blocked');
    const alone = looked(enforcedWorld(RELOCATED), (look) => ({ ...look, dial: 'refused' }));
    expect(direct(alone)).toBe('True Blocked');
  });

  it('is unknown for a relocated server that has not moved', () => {
    const none = { port: 18_080, listens: 'none' as const, foreignConnections: [] };
    expect(direct(heard(enforcedWorld(RELOCATED), { server: none }))).toBe('Unknown ServerNotListening');
  });

  it('is unknown when a recorder watches another port', () => {
    expect(direct(heard(enforcedWorld(), { server: { ...server, port: 9000 } }))).toBe(
      'Unknown ConfigurationPending',
    );
  });

  it('is not doubted for a server that has ended in a pod that is going', () => {
    const observed = enforcedWorld();
    const [first, ...others] = observed.pods;
    const going = recordedPod(observed.resource, first?.metadata?.name ?? '', { terminating: true });
    const ended = heard(observed, { server: { ...server, listens: 'none' } });
    const one = new Map(
      [...observed.looks].map(([uid, look], index) => [
        uid,
        index === 0 ? (ended.looks.get(uid) ?? look) : look,
      ]),
    );
    expect(direct({ ...observed, pods: [going, ...others], looks: one })).toBe('True Blocked');
  });

  it('is open while a pod that is going has a direct connection', () => {
    const observed = heard(enforcedWorld(), { server: { ...server, foreignConnections: ['10.9.9.9:1'] } });
    const pods = observed.pods.map(({ metadata }) =>
      recordedPod(observed.resource, metadata?.name ?? '', { terminating: true }),
    );
    expect(direct({ ...observed, pods })).toBe('False DirectConnectionsRemain');
  });
});

describe("a connection from the pod's own node", () => {
  const node = (observed: Observed, peers: string[]) =>
    heard(observed, { server: { ...server, foreignConnections: peers } });
  /** Closed a minute ago, and not enforced yet. */
  const fresh = () => {
    const observed = enforcedWorld();
    const { enforcedSince: _, ...status } = observed.resource.status ?? {};
    return {
      ...observed,
      resource: { ...observed.resource, status: { ...status, phase: 'Enforcing' as const } },
    };
  };

  /** A look before the closing without it, and one after it with it. */
  const seenOnce = () => {
    const observed = fresh();
    const memory = { ...decide(observed).memory, closedSinceMs: NOW_MS - 999 };
    return node({ ...observed, memory }, ['192.168.0.1:40000']);
  };

  it('is doubtful when the first look after the closing has it', () => {
    expect(direct(seenOnce())).toBe('Unknown ConnectionUnconfirmed');
  });

  it('stays doubtful until there is another look', () => {
    const once = seenOnce();
    expect(direct(carriedOut(once, decide(once)))).toBe('Unknown ConnectionUnconfirmed');
  });

  it('counts when the next look has it too', () => {
    const once = seenOnce();
    const twice = node(carriedOut(once, decide(once)), ['192.168.0.1:40000']);
    expect(direct(twice)).toBe('False DirectConnectionsRemain');
  });

  it('does not count when the next look has another one, as of the next probe', () => {
    const once = seenOnce();
    expect(direct(node(carriedOut(once, decide(once)), ['192.168.0.1:40001']))).toBe('True Blocked');
  });

  it('counts only until all is enforced, and is a note then', () => {
    const once = node(enforcedWorld(), ['192.168.0.1:40000']);
    const { memory } = decide(once);
    const twice = node({ ...once, memory }, ['192.168.0.1:40000']);
    expect(direct(twice)).toBe('True Blocked');
    expect(decide(twice).status.notes?.join()).toContain('no NetworkPolicy stops a node');
  });
});
