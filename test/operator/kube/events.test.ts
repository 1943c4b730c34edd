import { Writable } from 'node:stream';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeClient } from '../../../operator/kube/client.ts';
import { createEvents, type EventFacts } from '../../../operator/kube/events.ts';
import type { KubeObject, Resource } from '../../../operator/kube/resource.ts';
import { type ControlPlane, startControlPlane } from '../../support/control-plane.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { eventually } from '../../support/poll.ts';

interface KubeEvent extends KubeObject {
  eventTime: string;
  note: string;
  regarding: { uid: string };
  series?: { count: number; lastObservedTime: string };
}

const EVENTS: Resource<KubeEvent> = {
  group: 'events.k8s.io',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced: true,
};
const SOON = { withinMs: 20_000 };
const BLOCKED: EventFacts = {
  type: 'Warning',
  reason: 'RolloutBlocked',
  action: 'Enforce',
  note: 'The pod tools/github-0 has no owner that would make another.',
};
let plane: ControlPlane;
let client: KubeClient;
let resources = 0;

beforeAll(async () => {
  plane = await startControlPlane();
  client = plane.client();
});
afterAll(async () => {
  await plane.stop();
});

/** Events at a resource of its own. */
function createScene(options: { by?: KubeClient } = {}) {
  resources += 1;
  const uid = `uid-${resources}`;
  const lines: string[] = [];
  const sink = new Writable({
    write(chunk, _, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const clock = createManualClock();
  const events = createEvents({
    client: options.by ?? client,
    controller: 'mcp-recorder.dev/operator',
    instance: 'operator-0',
    log: pino(sink),
    clock,
  });
  const regarding: KubeObject = {
    apiVersion: 'mcp-recorder.dev/v1alpha1',
    kind: 'RecordedMCPServer',
    metadata: { name: `server-${resources}`, namespace: 'default', uid, resourceVersion: '7' },
  };
  const written = async () =>
    (await client.list(EVENTS, { namespace: 'default' })).filter((event) => event.regarding.uid === uid);
  return { clock, events, regarding, written, lines };
}

describe('an Event', () => {
  it('appears at its resource, with who says what and why', async () => {
    const { clock, events, regarding, written } = createScene();
    events.emit(regarding, BLOCKED);
    await events.close();
    expect(await written()).toEqual([
      expect.objectContaining({
        ...BLOCKED,
        eventTime: new Date(clock.wallMs()).toISOString().replace('Z', '000Z'),
        reportingController: 'mcp-recorder.dev/operator',
        reportingInstance: 'operator-0',
        regarding: {
          apiVersion: 'mcp-recorder.dev/v1alpha1',
          kind: 'RecordedMCPServer',
          namespace: 'default',
          name: regarding.metadata.name,
          uid: regarding.metadata.uid,
          resourceVersion: '7',
        },
      }),
    ]);
  });

  it('is one object with a count when it repeats, written once a minute', async () => {
    const by = plane.client();
    const { clock, events, regarding, written } = createScene({ by });
    events.emit(regarding, BLOCKED);
    for (let times = 0; times < 4; times += 1) {
      clock.advance(10_000);
      events.emit(regarding, BLOCKED);
    }
    const lastObservedTime = new Date(clock.wallMs()).toISOString().replace('Z', '000Z');
    clock.advance(60_000);
    await events.close();
    expect((await written()).map(({ series }) => series)).toEqual([{ count: 5, lastObservedTime }]);
    expect(by.counts().map(({ verb, count }) => [verb, count])).toEqual([
      ['create', 1],
      ['patch', 1],
    ]);
  });

  it('is another one when its words are others, or it comes after a long time', async () => {
    const { clock, events, regarding, written } = createScene();
    events.emit(regarding, BLOCKED);
    events.emit(regarding, { ...BLOCKED, note: 'Something else.' });
    clock.advance(6 * 60_000);
    events.emit(regarding, BLOCKED);
    await events.close();
    expect((await written()).map(({ note }) => note).sort()).toEqual([
      'Something else.',
      BLOCKED.note,
      BLOCKED.note,
    ]);
  });

  it('is written anew when the API server has deleted it meanwhile', async () => {
    const { clock, events, regarding, written, lines } = createScene();
    events.emit(regarding, BLOCKED);
    await eventually(async () => (await written()).length === 1, SOON);
    const name = (await written())[0]?.metadata.name ?? '';
    await client.delete(EVENTS, { namespace: 'default', name });
    events.emit(regarding, BLOCKED);
    clock.advance(60_000);
    await eventually(async () => (await written()).length === 1, SOON);
    expect((await written())[0]?.metadata.name).not.toBe(name);
    expect(lines).toEqual([]);
  });

  it('has its count written when the emitter closes', async () => {
    const { events, regarding, written } = createScene();
    for (let times = 0; times < 3; times += 1) events.emit(regarding, BLOCKED);
    await events.close();
    expect((await written()).map(({ series }) => series?.count)).toEqual([3]);
  });

  it('is cut to the length that the API takes, after a whole character', async () => {
    const { events, regarding, written } = createScene();
    for (const start of ['', 'a', 'ab'])
      events.emit(regarding, { ...BLOCKED, note: start + '日'.repeat(2000) });
    await events.close();
    const notes = (await written()).map(({ note }) => note);
    expect(notes).toHaveLength(3);
    for (const note of notes) {
      expect(Buffer.byteLength(note)).toBeLessThanOrEqual(1024);
      expect(note).toMatch(/^(ab?)?日+\.\.\.$/);
    }
  });

  it('of a resource without namespace stands in the namespace default', async () => {
    const { events, regarding, written } = createScene();
    const { namespace: _, ...metadata } = regarding.metadata;
    events.emit({ ...regarding, metadata }, BLOCKED);
    await events.close();
    expect(await written()).toHaveLength(1);
  });
});

describe('a lost Event', () => {
  it('is logged and disturbs nothing', async () => {
    const visitor = plane.client(await plane.kubeconfigFor('visitor'));
    const { events, regarding, lines } = createScene({ by: visitor });
    events.emit(regarding, BLOCKED);
    await events.close();
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] as string)).toMatchObject({
      reason: 'RolloutBlocked',
      name: regarding.metadata.name,
      msg: expect.stringContaining('an Event is lost: create events default/'),
    });
  });

  it('comes of too many at a time, so that what waits is bounded', async () => {
    const { events, regarding, written, lines } = createScene();
    plane.signal('SIGSTOP');
    for (let index = 0; index < 150; index += 1)
      events.emit(regarding, { ...BLOCKED, note: `note ${index}` });
    plane.signal('SIGCONT');
    await events.close();
    expect(await written()).toHaveLength(100);
    expect(lines).toHaveLength(50);
    expect(lines[0]).toContain('100 others wait for the API server');
  });

  it('that repeats is tried again', async () => {
    const { clock, events, regarding, written, lines } = createScene();
    await plane.kill();
    events.emit(regarding, BLOCKED);
    await eventually(() => lines.length === 1, SOON);
    await plane.restart();
    events.emit(regarding, BLOCKED);
    clock.advance(60_000);
    await events.close();
    expect(await written()).toHaveLength(1);
  });
});
