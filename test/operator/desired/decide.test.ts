/** What is decided for a server at rest in the recording. */
import { describe, expect, it } from 'vitest';
import { decide } from '../../../operator/desired/decide.ts';
import type { Observed } from '../../../operator/desired/observed.ts';
import { barePod, carriedOut, conditionIn, enforcedWorld, resource, service, wanting } from './world.ts';

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

const LONG = 'a-name-as-workloads-of-charts-with-long-names-have-it';

describe('a status', () => {
  // One that the API server refuses leaves the one of before standing, whatever has been opened since.
  it.each<[string, (observed: Observed) => Observed]>([
    [
      'a thousand pods that declare as many ports',
      (observed) => {
        const pods = Array.from({ length: 1_000 }, (_, i) =>
          barePod(`${LONG}-${i + 10}`, { port: 10_000 + i }),
        );
        return { ...observed, pods: [...observed.pods, ...pods] };
      },
    ],
    [
      'a thousand resources that are older, each with a pod',
      (observed) => {
        const older = { creationTimestamp: '2020-01-01T00:00:00Z' };
        const numbers = Array.from({ length: 1_000 }, (_, i) => `${i}`);
        const siblings = numbers.map((n) =>
          resource(`${LONG.slice(0, 45)}-${n}`, { selector: { matchLabels: { n } } }, older),
        );
        const pods = numbers.map((n) => barePod(`${LONG}-${n}`, { labels: { n } }));
        return { ...observed, siblings, pods: [...observed.pods, ...pods] };
      },
    ],
    [
      'a thousand Services that are worth a note each',
      (observed) => {
        const services = Array.from({ length: 1_000 }, (_, i) =>
          service(`s${i}`, 8080, { clusterIP: 'None' }),
        );
        return { ...observed, services: [...observed.services, ...services] };
      },
    ],
  ])('stays as small as the API server takes it, with %s', (_, change) => {
    const { status } = decide(change(enforcedWorld()));
    for (const { message } of status.conditions ?? []) expect(message.length).toBeLessThan(32_768);
    expect(JSON.stringify(status).length).toBeLessThan(64_000);
  });
});
