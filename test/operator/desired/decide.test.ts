/** What is decided for a server at rest in the recording. */
import { describe, expect, it } from 'vitest';
import { decide } from '../../../operator/desired/decide.ts';
import { carriedOut, conditionIn, enforcedWorld, wanting } from './world.ts';

describe('a server at rest in the recording', () => {
  it('is ready, enforced, and closed to direct access', () => {
    const plan = decide(enforcedWorld());
    expect(plan.status.phase).toBe('Enforced');
    for (const type of [
      'Ready',
      'SidecarsInjected',
      'Enforced',
      'DirectAccessBlocked',
      'StorageHealthy',
      'Recording',
    ]) {
      expect(conditionIn(plan, type), type).toMatchObject({ status: 'True' });
    }
  });
});

describe('a change of the resource that no pod could be made with', () => {
  it('is told before pods are taken away for it', () => {
    const relocate = { port: 9081, args: ['--port=9081'] };
    const asked = wanting(enforcedWorld(), { traffic: { mode: 'Relocate', relocate } });
    const plan = decide(carriedOut(asked, decide(asked)));
    expect(plan.restart).toEqual([]);
    expect(conditionIn(plan, 'RolloutBlocked')).toMatchObject({ status: 'True', reason: 'InjectionRefused' });
    expect(conditionIn(plan, 'RolloutBlocked').message).toContain('spec.traffic.relocate.port is 9081');
  });
});
