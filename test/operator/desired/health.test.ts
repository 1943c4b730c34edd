/** What the recorders' own words make of storage and recording. */
import { describe, expect, it } from 'vitest';
import { decide } from '../../../operator/desired/decide.ts';
import type { LinkAnswer, Observed } from '../../../operator/desired/observed.ts';
import { barePod, conditionIn, enforcedWorld, gated, heard, looked, NOW_MS, recordedPod } from './world.ts';

const said = (observed: Observed, type: 'StorageHealthy' | 'Recording') => {
  const { status, reason } = conditionIn(decide(observed), type);
  return `${status} ${reason}`;
};
const allSay = (status: LinkAnswer['status']) => heard(enforcedWorld(), { status });

/** Only the first recorder says this. */
function oneSays(status: LinkAnswer['status']): Observed {
  const observed = enforcedWorld();
  const [first] = observed.looks.keys();
  const changed = heard(observed, { status }).looks;
  return {
    ...observed,
    looks: new Map(
      [...observed.looks].map(([uid, look]) => [uid, uid === first ? (changed.get(uid) ?? look) : look]),
    ),
  };
}

describe('StorageHealthy', () => {
  it('is false when uploads fail, though calls still pass and are recorded', () => {
    const degraded = oneSays(gated('Degraded', 'store_unreachable', 'no connection'));
    expect(said(degraded, 'StorageHealthy')).toBe('False StoreUnreachable');
    expect(said(degraded, 'Recording')).toBe('True Recording');
  });

  it('is unknown when only disks are in trouble', () => {
    expect(said(allSay(gated('Closed', 'spool_failed', 'EIO')), 'StorageHealthy')).toBe(
      'Unknown SpoolFailed',
    );
  });

  it("names the pods and has the recorder's words", () => {
    const { message } = conditionIn(
      decide(oneSays(gated('Closed', 'store_misconfigured', 'NoSuchBucket'))),
      'StorageHealthy',
    );
    expect(message).toMatch(/^At github-0: NoSuchBucket\./);
  });

  it('counts a reason that only a newer recorder knows to its family', () => {
    expect(said(allSay(gated('Closed', 'store_haunted', 'x')), 'StorageHealthy')).toBe('False StoreFailed');
    expect(said(allSay(gated('Closed', 'spool_haunted', 'x')), 'Recording')).toBe('False SpoolFailed');
  });

  it('tells the worst of several troubles', () => {
    const observed = oneSays(gated('Degraded', 'store_lag', 'x'));
    const [, second] = observed.looks.keys();
    const worse = heard(observed, { status: gated('Closed', 'store_credentials', 'x') }).looks;
    const looks = new Map(
      [...observed.looks].map(([uid, look]) => [uid, uid === second ? (worse.get(uid) ?? look) : look]),
    );
    expect(said({ ...observed, looks }, 'StorageHealthy')).toBe('False StoreCredentials');
  });
});

describe('Recording', () => {
  it('is false where nothing passes', () => {
    expect(said(oneSays(gated('Closed', 'store_denied', 'x')), 'Recording')).toBe('False StoreDenied');
  });

  it('is false while a selected pod runs without a recorder', () => {
    const observed = enforcedWorld();
    expect(said({ ...observed, pods: [...observed.pods, barePod('github-9')] }, 'Recording')).toBe(
      'False PodsUnrecorded',
    );
  });

  it('is unknown when a recorder was not heard', () => {
    const silent = looked(enforcedWorld(), (look) => ({ ...look, link: { ok: false, why: 'x' } }));
    expect(said(silent, 'Recording')).toBe('Unknown OperatorCannotReachPod');
    expect(
      said(
        looked(enforcedWorld(), (look) => ({ ...look, atMs: NOW_MS - 46_000 })),
        'Recording',
      ),
    ).toBe('Unknown ProbeStale');
    expect(said(heard(enforcedWorld(), { proven: false }), 'Recording')).toBe('Unknown SidecarUnproven');
  });

  it('is unknown while a recorder starts', () => {
    expect(said(allSay(gated('Closed', 'starting', 'x')), 'Recording')).toBe('Unknown Starting');
  });

  it('does not ask pods that are going', () => {
    const observed = enforcedWorld();
    const going = recordedPod(observed.resource, 'github-7', { terminating: true });
    expect(said({ ...observed, pods: [...observed.pods, going] }, 'Recording')).toBe('True Recording');
  });
});
