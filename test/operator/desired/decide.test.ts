/** What is decided for a server at rest in the recording. */
import { describe, expect, it } from 'vitest';
import { decide } from '../../../operator/desired/decide.ts';
import { conditionIn, enforcedWorld } from './world.ts';

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
