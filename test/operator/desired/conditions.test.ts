/** How conditions change, and what follows from that. */
import { describe, expect, it } from 'vitest';
import { decide } from '../../../operator/desired/decide.ts';
import type { Observed } from '../../../operator/desired/observed.ts';
import {
  barePod,
  bareWorld,
  carriedOut,
  conditionIn,
  enforcedWorld,
  gated,
  heard,
  looked,
  NOW_MS,
  wanting,
} from './world.ts';

const at = (observed: Observed, ms: number): Observed =>
  looked({ ...observed, nowMs: NOW_MS + ms }, (look) => ({ ...look, atMs: NOW_MS + ms - 1_000 }));

const since = (observed: Observed) => decide(observed).status.enforcedSince;

describe('a status', () => {
  it('is equal for an equal world, whenever it is decided', () => {
    const observed = enforcedWorld();
    expect(decide(at(observed, 3_600_000)).status).toEqual(observed.resource.status);
  });

  it('does not change with what a recorder counts in its words', () => {
    const lagging = (words: string) =>
      decide(heard(enforcedWorld(), { status: gated('Degraded', 'store_lag', words) })).status;
    expect(lagging('the store is 12.5 s behind')).toEqual(lagging('the store is 13.1 s behind'));
    const failing = (key: string) =>
      decide(
        heard(enforcedWorld(), {
          status: gated('Closed', 'store_denied', `put ${key} failed (denied): AccessDenied`),
        }),
      ).status;
    expect(failing('v1/a/b')).toEqual(failing('v1/c/d'));
  });

  it('keeps the time of a condition whose status is the same, and takes the new reason', () => {
    const observed = heard(enforcedWorld(), { status: gated('Closed', 'store_denied', 'x') });
    const denied = at(carriedOut(observed, decide(observed)), 60_000);
    const full = decide(heard(denied, { status: gated('Closed', 'store_full', 'y') }));
    const [before, after] = [denied.resource.status, full.status].map((status) =>
      status?.conditions?.find(({ type }) => type === 'StorageHealthy'),
    );
    expect(after).toMatchObject({ reason: 'StoreFull', lastTransitionTime: before?.lastTransitionTime });
  });

  it('carries the generation that it is about', () => {
    const observed = enforcedWorld();
    const resource = { ...observed.resource, metadata: { ...observed.resource.metadata, generation: 7 } };
    const { status } = decide({ ...observed, resource });
    expect(status.observedGeneration).toBe(7);
    expect(new Set(status.conditions?.map(({ observedGeneration }) => observedGeneration))).toEqual(
      new Set([7]),
    );
  });

  it('shows ports that nobody records', () => {
    const observed = enforcedWorld({ traffic: { otherPorts: [{ port: 9100, protocol: 'TCP' }] } });
    expect(decide(observed).status.unrecordedPorts).toEqual(['9100/TCP']);
  });
});

describe('enforcedSince', () => {
  const unknown = (observed: Observed) => ({ ...observed, looks: new Map() });

  it('is kept while it is enforced', () => {
    expect(since(at(enforcedWorld(), 3_600_000))).toBe('2026-11-26T12:00:00Z');
  });

  it('ends when a way is found open, and begins anew', () => {
    const open = { ...enforcedWorld(), networkPolicies: [] };
    const plan = decide(open);
    expect(plan.status).not.toHaveProperty('enforcedSince');
    const closed = at({ ...carriedOut(open, plan), nowMs: NOW_MS + 30_000 }, 30_000);
    const memory = { servicesRightSinceMs: 0, closedSinceMs: NOW_MS + 1_000, peers: {} };
    expect(since({ ...closed, memory })).toBe('2026-11-26T12:00:30Z');
  });

  it('is kept while nobody can tell, and not for more than ten minutes', () => {
    const blind = unknown(enforcedWorld());
    const told = carriedOut(blind, decide(blind));
    expect(since(blind)).toBe('2026-11-26T12:00:00Z');
    expect(since({ ...told, nowMs: NOW_MS + 599_000 })).toBe('2026-11-26T12:00:00Z');
    expect(since({ ...told, nowMs: NOW_MS + 601_000 })).toBeUndefined();
  });

  it('is kept while there are no pods, however long', () => {
    const empty = { ...unknown(enforcedWorld()), pods: [] };
    const told = carriedOut(empty, decide(empty));
    expect(since({ ...told, nowMs: NOW_MS + 86_400_000 })).toBe('2026-11-26T12:00:00Z');
  });

  it('ends when calls pass unrecorded', () => {
    const open = heard(enforcedWorld(), { status: gated('FailOpen', 'spool_failed', 'x') });
    expect(conditionIn(decide(open), 'Enforced')).toMatchObject({
      status: 'False',
      reason: 'PassesUnrecorded',
    });
    expect(since(open)).toBeUndefined();
  });
});

describe('Ready', () => {
  it('has the reason that tells most: what the owner must correct, before what follows from it', () => {
    const recording = { ...enforcedWorld().resource.spec.recording, onFailure: 'Open' as const };
    const observed = heard(wanting(enforcedWorld(), { recording }), {
      status: gated('Closed', 'store_denied', 'x'),
    });
    expect(conditionIn(decide(observed), 'Ready').reason).toBe('FailOpenNotAllowed');
    expect(
      conditionIn(decide(heard(enforcedWorld(), { status: gated('Closed', 'store_denied', 'x') })), 'Ready')
        .reason,
    ).toBe('StoreDenied');
  });

  it('is false for what is certain before it is unknown for what is not', () => {
    const observed = heard(
      { ...enforcedWorld(), admissionReady: false },
      { status: gated('Closed', 'store_denied', 'x') },
    );
    expect(conditionIn(decide(observed), 'Ready')).toMatchObject({ status: 'False', reason: 'StoreDenied' });
    expect(conditionIn(decide({ ...enforcedWorld(), admissionReady: false }), 'Ready')).toMatchObject({
      status: 'Unknown',
      reason: 'AdmissionNotReady',
    });
  });
});

describe('events', () => {
  const reasons = (observed: Observed) => decide(observed).events.map(({ reason }) => reason);

  it('come when something has become wrong, once', () => {
    const denied = heard(enforcedWorld(), { status: gated('Closed', 'store_denied', 'x') });
    expect(reasons(denied)).toEqual(['StoreDenied', 'StoreDenied']);
    expect(reasons(carriedOut(denied, decide(denied)))).toEqual([]);
  });

  it('come for each step with pods, and when it is enforced', () => {
    expect(reasons(bareWorld())).toContain('Restarting');
    const { enforcedSince: _, conditions: __, ...status } = enforcedWorld().resource.status ?? {};
    const observed = enforcedWorld();
    expect(reasons({ ...observed, resource: { ...observed.resource, status } })).toEqual(['Enforced']);
  });

  it('do not warn of stations on the way, and do when they come back later', () => {
    expect(reasons(bareWorld())).toEqual(['Restarting']);
    const observed = enforcedWorld();
    expect(reasons({ ...observed, pods: [...observed.pods, barePod('github-9')] })).toContain(
      'PodUnrecorded',
    );
  });

  it('fit what the API server takes', () => {
    const denied = heard(enforcedWorld(), { status: gated('Closed', 'store_denied', 'x'.repeat(5_000)) });
    for (const { note } of decide(denied).events) expect(note.length).toBeLessThanOrEqual(1_000);
  });
});

describe('the next decision', () => {
  it('comes at the latest when a look no longer counts', () => {
    const observed = looked(enforcedWorld(), (look) => ({ ...look, atMs: NOW_MS - 40_000 }));
    expect(decide(observed).againMs).toBe(5_001);
  });

  it('comes sooner while something is under way', () => {
    expect(decide(enforcedWorld()).againMs).toBe(15_000);
    expect(decide(bareWorld()).againMs).toBe(5_000);
  });
});
