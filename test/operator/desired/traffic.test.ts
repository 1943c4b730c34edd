/** Which Services lead to a server, and what is said of those that can not be led. */
import type { Service } from 'kubernetes-types/core/v1';
import { describe, expect, it } from 'vitest';
import { decide } from '../../../operator/desired/decide.ts';
import type { Observed } from '../../../operator/desired/observed.ts';
import { TARGET_ANNOTATION } from '../../../operator/naming.ts';
import {
  barePod,
  bareWorld,
  conditionIn,
  enforcedWorld,
  ledService,
  recordedPod,
  service,
  slice,
} from './world.ts';

function withServices(services: readonly Service[], slices: Observed['endpointSlices'] = []): Observed {
  const observed = bareWorld();
  const pods = [recordedPod(observed.resource, 'github-0'), recordedPod(observed.resource, 'github-1')];
  return { ...observed, pods, services, endpointSlices: slices };
}

const led = (observed: Observed) => decide(observed).services;
const notes = (observed: Observed) => decide(observed).status.notes?.join('\n') ?? '';

describe('a Service is led to the recorder', () => {
  it.each<[string, Service]>([
    ["with the number of the server's port", service('github')],
    ['with no target port and the same number', service('github', 0, { ports: [{ port: 8080 }] })],
    [
      'with the number among others',
      service('github', 0, {
        ports: [
          { port: 1, targetPort: 1 },
          { port: 2, targetPort: 8080 },
        ],
      }),
    ],
    ['that is headless', service('github', 8080, { clusterIP: 'None' })],
    ['of a node port', service('github', 8080, { type: 'NodePort' })],
  ])('%s', (_, one) => {
    expect(led(withServices([one]))).toEqual([{ name: 'github', target: 'recorder' }]);
  });

  it.each<[string, Service]>([
    ['with a name', service('github', 'mcp')],
    ['with another number', service('github', 9100)],
    [
      'of another protocol',
      service('github', 0, { ports: [{ port: 8080, protocol: 'UDP', targetPort: 8080 }] }),
    ],
    ['that is an external name', service('github', 8080, { type: 'ExternalName' })],
    ['without a selector', service('github', 8080, { selector: {} })],
    ['of other pods', service('github', 8080, { selector: { app: 'other' } })],
    ['that leads there already', ledService('github')],
  ])('and not one %s', (_, one) => {
    expect(led(withServices([one]))).toEqual([]);
  });

  it('again when somebody wrote its port without the webhook', () => {
    const rewritten = service('github');
    rewritten.metadata = { ...rewritten.metadata, annotations: { [TARGET_ANNOTATION]: 'recorder' } };
    expect(led({ ...enforcedWorld(), services: [rewritten] })).toEqual([
      { name: 'github', target: 'recorder' },
    ]);
  });

  it('and not one that leads to pods of others too, which is named', () => {
    const observed = withServices([service('github')]);
    const stranger = barePod('stranger-5', { labels: { app: 'other' } });
    const mixed = { ...observed, endpointSlices: [slice('github', 8080, [...observed.pods, stranger])] };
    expect(led(mixed)).toEqual([]);
    expect(conditionIn(decide(mixed), 'RolloutBlocked').message).toContain(
      'Service github also leads to stranger-5.',
    );
  });

  it('though some of its addresses are of no pod', () => {
    const observed = withServices([service('github')]);
    const made = slice('github', 8080, observed.pods);
    const endpoints = [...made.endpoints, { addresses: ['10.0.9.9'] }];
    expect(led({ ...observed, endpointSlices: [{ ...made, endpoints }] })).toEqual([
      { name: 'github', target: 'recorder' },
    ]);
  });

  it('and not where the server was relocated', () => {
    const traffic = { mode: 'Relocate' as const, relocate: { port: 18_080, args: ['x'] } };
    expect(led(enforcedWorld({ traffic }))).toEqual([]);
  });

  it('and led back where the server is relocated from now on, when all pods are', () => {
    const traffic = { mode: 'Relocate' as const, relocate: { port: 18_080, args: ['x'] } };
    const relocated = { ...enforcedWorld({ traffic }), services: [ledService('github')] };
    expect(led(relocated)).toEqual([{ name: 'github', target: 'server' }]);
    const back = ledService('github');
    back.spec = { ...back.spec, ports: [{ port: 80, targetPort: 8080 }] };
    expect(led({ ...relocated, services: [back] })).toEqual([{ name: 'github', target: null }]);
    const old = recordedPod(bareWorld().resource, 'github-7');
    expect(led({ ...relocated, pods: [...relocated.pods, old] })).toEqual([]);
  });
});

describe('a note is made', () => {
  it.each<[string, Service]>([
    ['by number', service('github', 8080, { clusterIP: 'None' })],
    ['by name', service('github', 'mcp', { clusterIP: 'None' })],
  ])('of a headless Service %s', (_, one) => {
    expect(notes(withServices([one]))).toContain('Service github is headless');
  });

  it('of no headless Service for another port, nor for a relocated server', () => {
    expect(notes(withServices([service('github', 9100, { clusterIP: 'None' })]))).not.toContain('headless');
    const traffic = { mode: 'Relocate' as const, relocate: { port: 18_080, args: ['x'] } };
    const services = [service('github', 8080, { clusterIP: 'None' })];
    expect(notes({ ...enforcedWorld({ traffic }), services })).not.toContain('headless');
  });

  it('of EndpointSlices that somebody made by hand', () => {
    const observed = withServices([]);
    const byHand = slice('own', 8080, observed.pods, { metadata: { name: 'own', labels: {} } });
    expect(notes({ ...observed, endpointSlices: [byHand] })).toContain('EndpointSlices made by hand');
    const toRecorder = slice('own', 9080, observed.pods, { metadata: { name: 'own', labels: {} } });
    expect(notes({ ...observed, endpointSlices: [toRecorder] })).not.toContain('by hand');
  });

  it('of a Service through nodes where only some clients are admitted', () => {
    const of = bareWorld({ traffic: { clients: [{ podSelector: {} }] } });
    expect(notes({ ...of, services: [service('github', 8080, { type: 'LoadBalancer' })] })).toContain(
      'is a LoadBalancer',
    );
  });

  it('of what injection noticed', () => {
    const observed = enforcedWorld();
    const pods = observed.pods.map((pod) => ({
      ...pod,
      metadata: {
        ...pod.metadata,
        annotations: { ...pod.metadata?.annotations, 'mcp-recorder.dev/flags': '["ambient"]' },
      },
    }));
    expect(notes({ ...observed, pods })).toContain('github-0, github-1: The pod is in an ambient mesh');
  });
});
