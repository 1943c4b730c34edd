/**
 * Owns what a recorder's status port says over time: when the gate changed, why, and how much memory the process took.
 * Invariant: times are of this process, as late as one look at most; a status port that does not answer is seen as such, not as a state.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../support/poll.ts';

export type GateName = 'Open' | 'Degraded' | 'Closed' | 'FailOpen';

/** What the harness reads of `GET /status`. */
export interface StatusView {
  gate: { state: GateName; reason?: string | null; message?: string; hint?: string };
  spool: { bytes: number; size_limit_bytes: number; sealed_waiting: number };
  store?: { lag_ms: number; waiting: number; in_flight: number; last_error: unknown };
}

export interface GateChange {
  /** `performance.now()`. */
  atMs: number;
  state: GateName;
  reason: string | null;
}

export interface GateWatch {
  readonly changes: readonly GateChange[];
  /** The last status that was read; null before the first. */
  readonly status: StatusView | null;
  readonly peakRssBytes: number;
  readonly peakSpoolBytes: number;
  /** Waits until the gate is in one of these states, and gives the time at which it was seen, from `sinceMs` on. */
  until(states: readonly GateName[], sinceMs: number, withinMs: number): Promise<GateChange>;
  /** What is wrong with what was seen: a state without its reason, or reason and hint missing. */
  wrong(): string[];
  stop(): Promise<void>;
}

const EVERY_MS = 50;

/** Looks every 50 ms. @param pid whose memory is read */
export function watchGate(statusOrigin: string, pid: number): GateWatch {
  const stopping = new AbortController();
  const changes: GateChange[] = [];
  const wrong = new Set<string>();
  let status: StatusView | null = null;
  let peakRssBytes = 0;
  let peakSpoolBytes = 0;
  let looks = 0;

  async function look(): Promise<void> {
    const response = await fetch(`${statusOrigin}/status`, { signal: AbortSignal.timeout(2_000) });
    status = (await response.json()) as StatusView;
    const { state, reason = null, message, hint } = status.gate;
    peakSpoolBytes = Math.max(peakSpoolBytes, status.spool.bytes);
    if ((state === 'Open') !== (reason === null)) wrong.add(`gate ${state} with reason ${reason}`);
    if (state !== 'Open' && (message ?? '') === '') wrong.add(`gate ${state} (${reason}) without message`);
    if (state !== 'Open' && (hint ?? '') === '') wrong.add(`gate ${state} (${reason}) without hint`);
    const last = changes.at(-1);
    if (last?.state !== state || last.reason !== reason) {
      changes.push({ atMs: performance.now(), state, reason });
    }
    if (looks % 5 === 0) peakRssBytes = Math.max(peakRssBytes, await rssOf(pid));
    looks += 1;
  }

  const watching = (async () => {
    while (!stopping.signal.aborted) {
      await look().catch(() => {});
      await pause(EVERY_MS, undefined, { signal: stopping.signal }).catch(() => {});
    }
  })();

  return {
    changes,
    get status() {
      return status;
    },
    get peakRssBytes() {
      return peakRssBytes;
    },
    get peakSpoolBytes() {
      return peakSpoolBytes;
    },
    until: (states, sinceMs, withinMs) =>
      eventually(
        () => {
          const found = changes.find(({ atMs, state }) => atMs >= sinceMs && states.includes(state));
          if (found !== undefined) return found;
          const last = changes.at(-1);
          // It may have been so since before.
          if (last !== undefined && last.atMs < sinceMs && states.includes(last.state))
            return { ...last, atMs: sinceMs };
          throw new Error(`the gate is ${last?.state} (${last?.reason})`);
        },
        { withinMs, everyMs: 20 },
      ),
    wrong: () => [...wrong],
    async stop() {
      stopping.abort();
      await watching;
    },
  };
}

async function rssOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/VmRSS:\s+(\d+) kB/.exec(text)?.[1] ?? 0) * 1024;
}
