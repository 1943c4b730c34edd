import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createGate, type GateState, isShared, type StoreHealth } from '../../sidecar/gate.ts';

const WELL: StoreHealth = { troubleMs: 0, failing: false, lagMs: 0, unproven: false, cause: null };
const REFUSED = { reason: 'store_unreachable', message: 'connection refused', hint: 'Start it.' } as const;
const FULL = { reason: 'spool_full', message: 'no room' } as const;

function failing(troubleMs: number, more: Partial<StoreHealth> = {}): StoreHealth {
  return { ...WELL, troubleMs, failing: true, cause: REFUSED, ...more };
}

function setUp(onFailure: 'Closed' | 'Open' = 'Closed') {
  let now = 0;
  const states: string[] = [];
  const gate = createGate({
    maxUploadLagMs: 10_000,
    onFailure,
    nowMs: () => now,
    onChange: ({ state, cause }: GateState) =>
      states.push(cause === null ? state : `${state} ${cause.reason}`),
  });
  return {
    gate,
    states,
    /** Observes this health now and after each quarter of a second, for so long. */
    observe(health: StoreHealth, forMs = 0) {
      for (const until = now + forMs; ; now += 250) {
        gate.observeStore(health);
        if (now >= until) return;
      }
    },
  };
}

describe('the gate', () => {
  it('is closed until the store has been seen, and open once it has answered', () => {
    const { gate, states, observe } = setUp();
    expect(gate.current).toMatchObject({ state: 'Closed', cause: { reason: 'starting' } });
    observe(WELL);
    expect(gate.current).toMatchObject({ state: 'Open', cause: null });
    expect(states).toEqual(['Open']);
  });

  it('stays closed while the store has not answered for the first time', () => {
    const { gate, observe } = setUp();
    observe({ ...WELL, unproven: true, troubleMs: 100 });
    expect(gate.current).toMatchObject({ state: 'Closed', cause: { reason: 'starting' } });
    observe({ ...WELL, unproven: true, troubleMs: 5_000, cause: REFUSED });
    expect(gate.current).toMatchObject({ state: 'Closed', cause: REFUSED });
    observe(WELL, 1_500);
    expect(gate.current.state).toBe('Open');
  });

  it('stays closed, with the reason, when the store has never taken anything', () => {
    const { gate, observe } = setUp();
    observe(failing(1, { unproven: true }));
    expect(gate.current).toMatchObject({ state: 'Closed', cause: REFUSED });
  });

  it('says Degraded at the first failure, Closed when it has lasted, and why', () => {
    const { gate, states, observe } = setUp();
    observe(WELL);
    observe(failing(50));
    observe(failing(9_999));
    expect(gate.current.state).toBe('Degraded');
    observe(failing(10_000));
    expect(gate.current).toMatchObject({ state: 'Closed', cause: REFUSED });
    expect(states).toEqual(['Open', 'Degraded store_unreachable', 'Closed store_unreachable']);
  });

  it('says Degraded when half the bound has passed in silence, and Closed at the bound', () => {
    const { gate, observe } = setUp();
    const cause = { reason: 'store_timeout', message: 'no answer', hint: '' } as const;
    observe({ ...WELL, troubleMs: 4_999, cause });
    expect(gate.current.state).toBe('Open');
    observe({ ...WELL, troubleMs: 5_000, cause });
    expect(gate.current).toMatchObject({ state: 'Degraded', cause: { reason: 'store_timeout' } });
    observe({ ...WELL, troubleMs: 10_000, cause });
    expect(gate.current.state).toBe('Closed');
  });

  it('closes for a store that is only too slow, and names that', () => {
    const { gate, observe } = setUp();
    observe({ ...WELL, lagMs: 5_000 });
    expect(gate.current).toMatchObject({ state: 'Degraded', cause: { reason: 'store_lag' } });
    observe({ ...WELL, lagMs: 10_000 });
    expect(gate.current).toMatchObject({
      state: 'Closed',
      cause: { reason: 'store_lag', message: 'the store is 10.0 s behind' },
    });
  });

  it('opens again only when it has been well for a second', () => {
    const { gate, observe } = setUp();
    observe(failing(10_000));
    observe(WELL, 750);
    expect(gate.current.state).toBe('Closed');
    observe(WELL, 500);
    expect(gate.current.state).toBe('Open');
  });

  it('does not swing with a store that comes and goes', () => {
    const { gate, states, observe } = setUp();
    observe(WELL);
    for (let n = 0; n < 50; n += 1) {
      observe(failing(10_000), 250);
      observe(WELL, 500);
    }
    expect(gate.current.state).toBe('Closed');
    expect(states).toEqual(['Open', 'Closed store_unreachable']);
  });

  it('opens, degraded, when the store has caught up to half the bound although some uploads still fail', () => {
    const { gate, observe } = setUp();
    observe(failing(10_000));
    observe(failing(5_000), 3_000);
    expect(gate.current.state).toBe('Closed');
    observe(failing(4_999), 1_500);
    expect(gate.current.state).toBe('Degraded');
  });

  it('closes at once when the spool can not be written, and opens at once when it can', () => {
    const { gate, states, observe } = setUp();
    observe(WELL);
    gate.observeSpool({ reason: 'spool_failed', message: 'EIO' });
    gate.observeSpool(null);
    gate.observeSpool({ reason: 'spool_stalled', message: 'a sync hangs' });
    gate.observeSpool(null);
    expect(states).toEqual(['Open', 'Closed spool_failed', 'Open', 'Closed spool_stalled', 'Open']);
  });

  it('blames the store for a spool that is full because the store takes nothing', () => {
    const { gate, observe } = setUp();
    observe(failing(2_000));
    gate.observeSpool(FULL);
    expect(gate.current.cause).toEqual({ ...REFUSED, message: 'connection refused; meanwhile no room' });
    expect(isShared(gate.current.cause as never)).toBe(true);
  });

  it('blames the disk for a spool that is full while the store is well', () => {
    const { gate, observe } = setUp();
    observe(WELL);
    gate.observeSpool(FULL);
    expect(gate.current).toMatchObject({ state: 'Closed', cause: FULL });
    expect(isShared(gate.current.cause as never)).toBe(false);
  });

  it('lets calls pass where that was chosen: recorded while the disk takes them, unrecorded when it does not', () => {
    const { gate, states, observe } = setUp('Open');
    observe(failing(60_000, { unproven: true }));
    gate.observeSpool(FULL);
    gate.observeSpool(null);
    expect(states).toEqual([
      'Degraded store_unreachable',
      'FailOpen store_unreachable',
      'Degraded store_unreachable',
    ]);
  });

  it('stays closed when the recorder has stopped', () => {
    const { gate, observe } = setUp();
    observe(WELL);
    gate.drained();
    observe(WELL, 5_000);
    gate.observeSpool(null);
    expect(gate.current).toMatchObject({ state: 'Closed', cause: { reason: 'drained' } });
  });

  it('is never open in trouble, never lets anything begin past the bound, and always opens in the end', () => {
    const healths = fc.record({
      troubleMs: fc.nat(20_000),
      failing: fc.boolean(),
      lagMs: fc.nat(20_000),
      unproven: fc.boolean(),
      cause: fc.constantFrom(null, REFUSED),
    });
    fc.assert(
      fc.property(fc.array(fc.tuple(healths, fc.nat(2_000))), (story) => {
        const { gate, observe } = setUp();
        for (const [health, forMs] of story) {
          observe(health, forMs);
          const { state, cause } = gate.current;
          if (health.failing) expect(state).not.toBe('Open');
          if (Math.max(health.troubleMs, health.lagMs) >= 10_000) expect(state).toBe('Closed');
          expect(cause === null).toBe(state === 'Open');
        }
        observe(WELL, 2_500);
        expect(gate.current.state).toBe('Open');
        observe({ ...WELL, unproven: true });
        expect(gate.current.state).toBe('Closed');
      }),
    );
  });
});

describe('another policy', () => {
  const policy = (maxUploadLagMs: number, onFailure: 'Closed' | 'Open' = 'Closed') => ({
    maxUploadLagMs,
    onFailure,
  });

  it('with a shorter bound closes at once what is past it', () => {
    const { gate, observe } = setUp();
    observe(failing(4_000));
    expect(gate.current.state).toBe('Degraded');
    gate.setPolicy(policy(3_000));
    expect(gate.current).toMatchObject({ state: 'Closed', cause: REFUSED });
  });

  it('with a longer bound opens at once what is within it', () => {
    const { gate, observe } = setUp();
    observe(failing(12_000));
    expect(gate.current.state).toBe('Closed');
    gate.setPolicy(policy(20_000));
    expect(gate.current).toMatchObject({ state: 'Degraded', cause: REFUSED });
    observe({ ...WELL, lagMs: 12_000 });
    gate.setPolicy(policy(60_000));
    expect(gate.current.state).toBe('Open');
  });

  it('that lets calls pass counts for the store and for the disk, and so does its end', () => {
    const { gate, states, observe } = setUp();
    observe(failing(12_000));
    gate.setPolicy(policy(10_000, 'Open'));
    gate.observeSpool({ reason: 'spool_failed', message: 'EIO' });
    gate.setPolicy(policy(10_000));
    gate.observeSpool(null);
    expect(states).toEqual([
      'Closed store_unreachable',
      'Degraded store_unreachable',
      'FailOpen spool_failed',
      'Closed spool_failed',
      'Closed store_unreachable',
    ]);
  });

  it('opens no gate that has seen no store yet, and none that has stopped', () => {
    const { gate, observe } = setUp();
    gate.setPolicy(policy(60_000, 'Open'));
    expect(gate.current).toMatchObject({ state: 'Closed', cause: { reason: 'starting' } });
    observe(WELL);
    gate.drained();
    gate.setPolicy(policy(10_000));
    expect(gate.current).toMatchObject({ state: 'Closed', cause: { reason: 'drained' } });
  });
});

describe('a gate that has been open', () => {
  it('is known by that for ever', () => {
    const { gate, observe } = setUp();
    expect(gate.hasOpened).toBe(false);
    observe(failing(1, { unproven: true }));
    expect(gate.hasOpened).toBe(false);
    observe(WELL, 1_500);
    expect(gate.hasOpened).toBe(true);
    observe(failing(60_000));
    expect(gate.hasOpened).toBe(true);
  });

  it('is one that lets calls pass although the store has never answered', () => {
    const { gate, observe } = setUp('Open');
    observe(failing(1, { unproven: true }));
    expect(gate.current.state).toBe('Degraded');
    expect(gate.hasOpened).toBe(true);
  });
});

describe('the reasons of a closed gate', () => {
  it.each([
    ['starting', false],
    ['drained', false],
    ['spool_full', false],
    ['spool_failed', false],
    ['spool_stalled', false],
    ['spool_damaged', false],
    ['store_unreachable', true],
    ['store_timeout', true],
    ['store_throttled', true],
    ['store_denied', true],
    ['store_credentials', true],
    ['store_clock_skew', true],
    ['store_misconfigured', true],
    ['store_full', true],
    ['store_invalid', true],
    ['store_failed', true],
    ['store_lag', true],
  ] as const)('%s is shared by all pods: %s', (reason, shared) => {
    expect(isShared({ reason, message: '', hint: '' })).toBe(shared);
  });
});
