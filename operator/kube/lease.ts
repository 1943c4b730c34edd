/**
 * Owns who of several processes acts: the one that holds the Lease.
 * Invariants: a holder that could not renew stops before another may begin; nobody trusts another's clock, only how long a Lease has stood
 * unchanged before its own eyes; who closes holds on until its work has ended, and then lets go.
 */
import type { Logger } from 'pino';
import type { KubeClient } from './client.ts';
import { type Clock, pause, systemClock } from './clock.ts';
import { isKubeError } from './kube-error.ts';
import { clearHolder, holderOf, type Lease, LEASES, type LeaseName, writeHolder } from './lease-record.ts';

export interface LeaseTimes {
  /** A Lease that stands unchanged for so long is free. */
  leaseMs: number;
  /** A holder that has not renewed for so long stops. */
  renewDeadlineMs: number;
  /** Between two looks at it, and between two renewals. */
  retryMs: number;
}

export const LEASE_TIMES: LeaseTimes = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 };

export interface LeadershipOptions {
  client: KubeClient;
  lease: LeaseName;
  /** Of this process and of no other, ever: a pod's name and something random. */
  identity: string;
  /**
   * What the holder does. When the signal aborts it has to stop soon: 5 s later (leaseMs - renewDeadlineMs) another may begin.
   * When it ends by itself, or rejects, the Lease is given up, and contended for again.
   */
  lead(signal: AbortSignal): Promise<void>;
  log: Logger;
  times?: LeaseTimes;
  clock?: Clock;
  random?(): number;
}

export interface Leadership {
  /** Whether we may act, at this moment: also right when this process was stopped for a while and no timer has gone off yet. */
  readonly isLeader: boolean;
  /** Who held the Lease when it was last seen; null: nobody. */
  readonly holder: string | null;
  /** Stops the work, waits for its end, and lets go. */
  close(): Promise<void>;
}

/** Contends for the Lease, until it is closed. */
export function createLeadership(options: LeadershipOptions): Leadership {
  const { client, lease, identity, lead, log } = options;
  const { times = LEASE_TIMES, clock = systemClock, random = Math.random } = options;
  const { leaseMs, renewDeadlineMs, retryMs } = times;
  /** One silent connection must not cost all the time there is. */
  const timeoutMs = Math.ceil(renewDeadlineMs / 3);
  const stop = new AbortController();
  let seen: { lease: Lease; spec: string; sinceMs: number } | null = null;
  let term: { renewedMs: number; end: AbortController } | null = null;
  /** The Lease may hold our name although no term has begun: a write whose answer nobody heard. */
  let mayHold = false;

  function observe(now: Lease | null): void {
    const spec = JSON.stringify(now?.spec ?? {});
    if (now === null) seen = null;
    else seen = { lease: now, spec, sinceMs: seen?.spec === spec ? seen.sinceMs : clock.nowMs() };
  }

  function isFree(): boolean {
    if (seen === null) return true;
    const holder = holderOf(seen.lease);
    const heldMs = (seen.lease.spec?.leaseDurationSeconds ?? leaseMs / 1000) * 1000;
    return holder === null || holder === identity || clock.nowMs() - seen.sinceMs >= heldMs;
  }

  /** Writes us into the Lease as it was last seen. @returns when this was begun */
  async function write(signal: AbortSignal): Promise<number> {
    const startMs = clock.nowMs();
    const made = { identity, holdMs: leaseMs, clock, timeoutMs, signal };
    observe(await writeHolder(client, lease, seen?.lease ?? null, made));
    return startMs;
  }

  /** @returns when the Lease became ours; null: it is another's */
  async function acquire(): Promise<number | null> {
    observe(await client.find(LEASES, lease, { timeoutMs, signal: stop.signal }));
    if (!isFree()) return null;
    mayHold = true;
    try {
      return await write(stop.signal);
    } catch (error) {
      if (!isKubeError(error, 'Conflict', 'AlreadyExists')) throw error;
      mayHold = false;
      return null;
    }
  }

  /** @returns when it was renewed; null: another holds it */
  async function renew(signal: AbortSignal): Promise<number | null> {
    try {
      return await write(signal);
    } catch (error) {
      if (!isKubeError(error, 'Conflict', 'NotFound', 'AlreadyExists')) throw error;
    }
    observe(await client.find(LEASES, lease, { timeoutMs, signal }));
    const holder = holderOf(seen?.lease ?? null);
    if (holder !== null && holder !== identity) return null;
    return await write(signal);
  }

  /** Works and renews, until the Lease is lost, or the work has ended. */
  async function serve(acquiredMs: number): Promise<void> {
    const end = new AbortController();
    const current = { renewedMs: acquiredMs, end };
    term = current;
    const over = new AbortController();
    let isLost = false;
    let cancelDeadline = () => {};
    const lose = (why: string) => {
      if (isLost) return;
      isLost = true;
      log.warn({ lease: lease.name }, `leadership is lost: ${why}`);
      end.abort(new Error(`leadership is lost: ${why}`));
      over.abort();
    };
    const setDeadline = () => {
      cancelDeadline();
      const leftMs = current.renewedMs + renewDeadlineMs - clock.nowMs();
      cancelDeadline = clock.after(leftMs, () => lose(`it could not be renewed for ${renewDeadlineMs} ms`));
    };
    const stopWork = () => end.abort(new Error('this process ends'));
    setDeadline();
    stop.signal.addEventListener('abort', stopWork);
    if (stop.signal.aborted) stopWork();
    log.info({ lease: lease.name, identity }, 'this process leads');
    const work = runWork(end.signal).finally(() => over.abort());
    while (!over.signal.aborted) {
      await pause(clock, retryMs, over.signal);
      if (over.signal.aborted) break;
      try {
        const renewedMs = await renew(over.signal);
        if (renewedMs === null) lose(`${holderOf(seen?.lease ?? null)} holds the Lease`);
        else {
          current.renewedMs = renewedMs;
          setDeadline();
        }
      } catch (error) {
        if (!over.signal.aborted) log.warn({ lease: lease.name }, (error as Error).message);
      }
    }
    await work;
    cancelDeadline();
    stop.signal.removeEventListener('abort', stopWork);
    term = null;
    mayHold = false;
    if (!isLost) await release();
  }

  async function runWork(signal: AbortSignal): Promise<void> {
    try {
      await lead(signal);
    } catch (error) {
      if (!signal.aborted) log.error({ err: error }, 'the work of the leader failed');
    }
  }

  async function release(): Promise<void> {
    try {
      await clearHolder(client, lease, { identity, clock, timeoutMs });
    } catch (error) {
      log.warn({ lease: lease.name }, `the Lease was not given up: ${(error as Error).message}`);
    }
  }

  async function contend(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        const acquiredMs = await acquire();
        if (acquiredMs !== null) await serve(acquiredMs);
      } catch (error) {
        if (!stop.signal.aborted) log.warn({ lease: lease.name }, (error as Error).message);
      }
      await pause(clock, retryMs * (1 + random() / 5), stop.signal);
    }
    if (mayHold) await release();
  }

  const running = contend();
  return {
    get isLeader() {
      if (term === null || term.end.signal.aborted) return false;
      return clock.nowMs() < term.renewedMs + renewDeadlineMs;
    },
    get holder() {
      return holderOf(seen?.lease ?? null);
    },
    async close() {
      stop.abort();
      await running;
    },
  };
}

/**
 * Takes the Lease from whoever holds it, so that nobody acts any more, and returns when the former holder has stopped at the latest.
 * Nobody renews it: after `holdMs` it is free, so that what was begun and left does not stop the operator for good.
 * @returns what gives it up before that
 * @throws KubeError when the API server refuses or can't be reached
 */
export async function takeLeaseByForce(options: {
  client: KubeClient;
  lease: LeaseName;
  identity: string;
  holdMs: number;
  /** Of those who contend for it. */
  times?: LeaseTimes;
  clock?: Clock;
  signal?: AbortSignal;
}): Promise<{ release(): Promise<void> }> {
  const { client, lease, identity, holdMs, times = LEASE_TIMES, clock = systemClock } = options;
  const { signal = new AbortController().signal } = options;
  const timeoutMs = times.renewDeadlineMs;
  const write = { identity, holdMs, clock, timeoutMs, signal };
  for (;;) {
    signal.throwIfAborted();
    const seen = await client.find(LEASES, lease, { timeoutMs, signal });
    const before = holderOf(seen);
    try {
      await writeHolder(client, lease, seen, write);
    } catch (error) {
      // The holder has just renewed it.
      if (isKubeError(error, 'Conflict', 'AlreadyExists', 'NotFound')) continue;
      throw error;
    }
    if (before !== null && before !== identity) await pause(clock, times.renewDeadlineMs, signal);
    signal.throwIfAborted();
    return { release: () => clearHolder(client, lease, { identity, clock, timeoutMs }) };
  }
}
