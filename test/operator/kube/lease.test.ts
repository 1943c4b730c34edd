import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { KubeClient } from '../../../operator/kube/client.ts';
import { type Clock, systemClock } from '../../../operator/kube/clock.ts';
import { createLeadership, type LeadershipOptions, takeLeaseByForce } from '../../../operator/kube/lease.ts';
import { type Lease, LEASES } from '../../../operator/kube/lease-record.ts';
import { startBreakableLink } from '../../support/breakable-link.ts';
import { spawnProcess } from '../../support/child-process.ts';
import { type ControlPlane, startControlPlane } from '../../support/control-plane.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { eventually } from '../../support/poll.ts';

/** In the proportions of production, five times as fast. */
const TIMES = { leaseMs: 3_000, renewDeadlineMs: 2_000, retryMs: 400 };
/** Long enough that nothing runs out by itself. */
const LONG = { leaseMs: 60_000, renewDeadlineMs: 40_000, retryMs: 100 };
const SOON = { withinMs: 20_000 };
const log = pino({ level: 'silent' });

let plane: ControlPlane;
let client: KubeClient;
let leases = 0;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  plane = await startControlPlane();
  client = plane.client();
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});
afterAll(async () => {
  await plane.stop();
});

function freshLease() {
  leases += 1;
  return { namespace: 'default', name: `lease-${leases}` };
}

/** A contender, and when its terms began and ended (ms). */
function contend(identity: string, options: Partial<LeadershipOptions> & Pick<LeadershipOptions, 'lease'>) {
  const terms: { beganMs: number; endedMs: number | null; why: unknown }[] = [];
  const leadership = createLeadership({
    client,
    identity,
    log,
    times: LONG,
    lead: (signal) =>
      new Promise((resolve) => {
        const term = { beganMs: performance.now(), endedMs: null as number | null, why: null as unknown };
        terms.push(term);
        const end = () => {
          term.endedMs = performance.now();
          term.why = signal.reason;
          resolve();
        };
        if (signal.aborted) end();
        else signal.addEventListener('abort', end);
      }),
    ...options,
  });
  open.push(leadership);
  return { leadership, terms };
}

async function specOf(lease: { namespace: string; name: string }): Promise<NonNullable<Lease['spec']>> {
  return (await client.get(LEASES, lease)).spec ?? {};
}

/** How often a client has looked at Leases. */
function looks(by: KubeClient): number {
  return by
    .counts()
    .filter(({ verb, resource }) => verb === 'get' && resource === 'leases')
    .reduce((sum, { count }) => sum + count, 0);
}

async function linkedClient() {
  const link = await startBreakableLink(plane.port);
  open.push(link);
  const groups = ['system:masters'];
  return { link, linked: plane.client(await plane.kubeconfigFor('admin', { groups, port: link.port })) };
}

describe('leadership', () => {
  it('is of one of many who begin at the same time', async () => {
    const lease = freshLease();
    const all = Array.from({ length: 8 }, (_, index) =>
      contend(`p${index}`, { lease, client: plane.client() }),
    );
    await eventually(() => all.some(({ leadership }) => leadership.isLeader), SOON);
    await eventually(() => all.every(({ leadership }) => leadership.holder !== null), SOON);
    const leaders = all.filter(({ leadership }) => leadership.isLeader);
    expect(leaders).toHaveLength(1);
    expect(all.flatMap(({ terms }) => terms)).toHaveLength(1);
    expect(await specOf(lease)).toMatchObject({
      holderIdentity: leaders[0]?.leadership.holder,
      leaseDurationSeconds: 60,
      leaseTransitions: 0,
    });
  });

  it('is renewed, its beginning kept', async () => {
    const lease = freshLease();
    const { leadership, terms } = contend('one', { lease });
    await eventually(() => leadership.isLeader, SOON);
    const first = await specOf(lease);
    await eventually(async () => (await specOf(lease)).renewTime !== first.renewTime, SOON);
    expect(await specOf(lease)).toMatchObject({ acquireTime: first.acquireTime, leaseTransitions: 0 });
    expect(terms).toHaveLength(1);
  });

  it('passes on when the holder is killed, not before the Lease has stood still for its time', async () => {
    const lease = freshLease();
    const script = new URL('lease-process.ts', import.meta.url).pathname;
    const child = spawnProcess({
      args: [script, plane.kubeconfig, lease.namespace, lease.name, 'first', JSON.stringify(TIMES)],
      ready: /first leads/,
    });
    await child.ready;
    const { terms } = contend('second', { lease, times: TIMES });
    const before = (await specOf(lease)).renewTime;
    await eventually(async () => (await specOf(lease)).renewTime !== before, SOON);
    const renewedMs = performance.now();
    await child.stop('SIGKILL');
    await eventually(() => terms.length === 1, SOON);
    const waitedMs = (terms[0]?.beganMs as number) - renewedMs;
    expect(waitedMs).toBeGreaterThan(TIMES.leaseMs - TIMES.retryMs);
    expect(await specOf(lease)).toMatchObject({ holderIdentity: 'second', leaseTransitions: 1 });
  });

  it('is given up by who can not renew it, before another has it', async () => {
    const lease = freshLease();
    const { link, linked } = await linkedClient();
    const first = contend('first', { lease, client: linked, times: TIMES });
    await eventually(() => first.leadership.isLeader, SOON);
    const second = contend('second', { lease, times: TIMES });
    const cutMs = performance.now();
    link.cut();
    await eventually(() => second.terms.length === 1, SOON);
    const [lost, gained] = [first.terms[0], second.terms[0]];
    expect(lost?.endedMs as number).toBeLessThan(gained?.beganMs as number);
    expect((lost?.endedMs as number) - cutMs).toBeLessThanOrEqual(TIMES.renewDeadlineMs + 500);
    expect(String(lost?.why)).toContain('leadership is lost: it could not be renewed for 2000 ms');
    expect(first.leadership.isLeader).toBe(false);
    link.restore();
    await eventually(() => first.leadership.holder === 'second', SOON);
    expect(first.terms).toHaveLength(1);
  });

  it('survives a connection that fell silent, by another connection', async () => {
    const lease = freshLease();
    const { link, linked } = await linkedClient();
    const times = { leaseMs: 9_000, renewDeadlineMs: 6_000, retryMs: 100 };
    const { leadership, terms } = contend('first', { lease, client: linked, times });
    await eventually(() => leadership.isLeader, SOON);
    link.freeze();
    const before = await specOf(lease);
    await eventually(async () => (await specOf(lease)).renewTime !== before.renewTime, SOON);
    expect(terms).toEqual([expect.objectContaining({ endedMs: null })]);
  });

  it('is taken back when the Lease was deleted', async () => {
    const lease = freshLease();
    const { leadership, terms } = contend('first', { lease });
    await eventually(() => leadership.isLeader, SOON);
    await client.delete(LEASES, lease);
    await eventually(async () => (await specOf(lease)).holderIdentity === 'first', SOON);
    expect(terms).toEqual([expect.objectContaining({ endedMs: null })]);
  });

  it('passes on at once when the holder closes, after its work has ended', async () => {
    const lease = freshLease();
    const { promise: workMayEnd, resolve: endWork } = Promise.withResolvers<void>();
    const order: string[] = [];
    const first = contend('first', {
      lease,
      async lead(signal) {
        await new Promise((aborted) => signal.addEventListener('abort', aborted));
        order.push('told to stop');
        await workMayEnd;
        order.push('stopped');
      },
    });
    await eventually(() => first.leadership.isLeader, SOON);
    const second = contend('second', { lease, lead: async () => void order.push('second leads') });
    const closing = first.leadership.close();
    await eventually(() => order.includes('told to stop'), SOON);
    expect(first.leadership.isLeader).toBe(false);
    const before = (await specOf(lease)).renewTime;
    // While its work ends the Lease is renewed.
    await eventually(async () => (await specOf(lease)).renewTime !== before, SOON);
    expect(second.leadership.holder).toBe('first');
    endWork();
    await closing;
    await eventually(() => order.length === 3, { withinMs: 5_000 });
    expect(order).toEqual(['told to stop', 'stopped', 'second leads']);
  });

  it('is given up, and contended for again, when the work fails', async () => {
    const lease = freshLease();
    let runs = 0;
    const { leadership } = contend('first', {
      lease,
      async lead() {
        runs += 1;
        throw new Error('a fault of the work');
      },
    });
    await eventually(() => runs === 2, SOON);
    await leadership.close();
    expect((await specOf(lease)).holderIdentity ?? null).toBeNull();
  });

  it('trusts no clock of others: a Lease is free when it has stood still for its time here', async () => {
    const lease = freshLease();
    await client.create(LEASES, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { ...lease },
      spec: {
        holderIdentity: 'ghost',
        leaseDurationSeconds: 15,
        // By the clock on the wall it ran out long ago.
        renewTime: '2001-01-01T00:00:00.000000Z',
        leaseTransitions: 4,
      },
    } as Lease);
    const clock = createManualClock();
    const counted = plane.client();
    const { leadership, terms } = contend('second', {
      lease,
      client: counted,
      clock,
      times: { ...LONG, retryMs: 1_000 },
      random: () => 0,
    });
    await eventually(() => leadership.holder === 'ghost' && clock.pending === 1, SOON);
    for (let second = 1; second < 15; second += 1) {
      clock.advance(1_000);
      await eventually(() => looks(counted) === second + 1 && clock.pending === 1, SOON);
    }
    expect(terms).toEqual([]);
    // What is not the holder's word does not count as a renewal.
    await client.patch(LEASES, lease, { metadata: { annotations: { seen: 'yes' } } });
    clock.advance(1_000);
    await eventually(() => terms.length === 1, SOON);
    expect(await specOf(lease)).toMatchObject({ holderIdentity: 'second', leaseTransitions: 5 });
  });

  it('is not believed by a process that was stopped for a while, before any timer has gone off', async () => {
    const lease = freshLease();
    let jumpedMs = 0;
    const clock: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + jumpedMs };
    const { leadership } = contend('first', { lease, clock });
    await eventually(() => leadership.isLeader, SOON);
    jumpedMs = LONG.renewDeadlineMs;
    expect(leadership.isLeader).toBe(false);
  });

  it('leaves no name in the Lease when it is closed at any moment of its beginning', async () => {
    for (let steps = 0; steps < 12; steps += 1) {
      const lease = freshLease();
      const { leadership } = contend('hasty', { lease });
      for (let step = 0; step < steps * 8; step += 1) await new Promise((resolve) => setImmediate(resolve));
      await leadership.close();
      const left = await client.find(LEASES, lease);
      expect(left?.spec?.holderIdentity ?? null).toBeNull();
    }
  });
});

describe('taking the Lease by force', () => {
  it('ends the leadership of others, and lets nobody lead until it is given up', async () => {
    const lease = freshLease();
    const first = contend('first', { lease, times: TIMES });
    await eventually(() => first.leadership.isLeader, SOON);
    const second = contend('second', { lease, times: TIMES });
    const force = { client, lease, identity: 'uninstall', holdMs: 600_000, times: TIMES };
    const startMs = performance.now();
    const taken = await takeLeaseByForce(force);
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(TIMES.renewDeadlineMs - 10);
    expect(first.terms[0]?.endedMs).not.toBeNull();
    expect(String(first.terms[0]?.why)).toContain('uninstall holds the Lease');
    expect([first.terms.length, second.terms.length]).toEqual([1, 0]);
    expect(await specOf(lease)).toMatchObject({ holderIdentity: 'uninstall', leaseDurationSeconds: 600 });
    await taken.release();
    await eventually(() => first.terms.length + second.terms.length === 2, SOON);
  });

  it('needs no waiting where nobody leads', async () => {
    const lease = freshLease();
    const force = { client, lease, identity: 'uninstall', holdMs: 600_000, clock: createManualClock() };
    await takeLeaseByForce(force);
    await takeLeaseByForce(force);
    expect(await specOf(lease)).toMatchObject({ holderIdentity: 'uninstall' });
  });

  it('does not claim that the former holder has stopped when it was told not to wait', async () => {
    const lease = freshLease();
    await takeLeaseByForce({ client, lease, identity: 'first', holdMs: 1_000 });
    const abort = new AbortController();
    const force = { client, lease, identity: 'uninstall', holdMs: 1_000, signal: abort.signal };
    const taking = takeLeaseByForce(force);
    await eventually(async () => (await specOf(lease)).holderIdentity === 'uninstall', SOON);
    const why = new Error('no longer needed');
    abort.abort(why);
    await expect(taking).rejects.toBe(why);
  });

  it('runs out by itself', async () => {
    const lease = freshLease();
    const force = { client, lease, identity: 'uninstall', holdMs: 1_000, clock: createManualClock() };
    await takeLeaseByForce(force);
    const { leadership } = contend('first', { lease, times: TIMES });
    await eventually(() => leadership.isLeader, SOON);
  });
});
