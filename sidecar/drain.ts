/**
 * Owns how a recorder comes to rest: it lingers where others must first learn of it, lets calls finish, seals the stream as last, and stores.
 * Invariant: it is sealed and stored as soon as nothing is under way, not when the process is told to end: on Kubernetes two seconds may be
 * left then, and the spool may go with the pod.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ProxyContext } from './proxy/context.ts';
import { ENDS_MS, type Listener } from './proxy/listener.ts';
import type { DrainReport, Report } from './report.ts';
import type { Spool } from './spool/spool.ts';

export interface Drain {
  /**
   * Begins, or joins what was begun.
   * @param lingerMs for so long connections and requests are still taken, as part of the time that calls are given
   * @returns when all is stored, or given up
   */
  begin(lingerMs: number): Promise<DrainReport>;
  /** As `begin` for who asks by the hook of a pod: answered at the latest when calls and uploads have had their time, while uploads go on. */
  answer(): Promise<DrainReport>;
  /** Settled when a drain, whoever asked for it, has come to its end. */
  readonly ended: Promise<void>;
  /** The process is about to be killed: no lingering, a moment for calls, and then for uploads what there is. */
  hurry(): void;
}

export interface DrainParts {
  stream: string;
  log: Logger;
  context: Pick<ProxyContext, 'draining'>;
  listener: Pick<Listener, 'drain'>;
  spool: Spool;
  report: Report;
  /** The time that calls are given (ms). */
  timeoutMs: number;
  /** Whether the process lives on until it is told to end, so that uploads may take as long. */
  livesOn: boolean;
  /** The time that calls are given has passed: who waits for the store has nothing to wait for. */
  onLate(): void;
  /** Nothing is under way any more: what is left to say can be appended. */
  onRest(): void;
  /** The stream has ended. */
  close(): Promise<void>;
}

/** How long the endpoints of a Service take to tell everybody that this pod serves no more (ms). */
const LINGER_MS = 3_000;
/** How long a stop waits for the store; what is not stored by then stays in the spool for the next start (ms). */
const UPLOAD_MS = 10_000;
/** The least that uploads are given after the process was told to end (ms). */
const LAST_UPLOAD_MS = 2_000;
/** What calls are given after the process was told to end, of the two seconds that it may have (ms). */
const HURRIED_CALLS_MS = 1_000;
/** Longer than any pod is given to end (ms). */
const LIVES_ON_MS = 24 * 3_600_000;

export function createDrain(parts: DrainParts): Drain {
  const { stream, log, context, listener, spool, report, timeoutMs } = parts;
  const hurried = new AbortController();
  let begun: Promise<DrainReport> | null = null;
  let answered: Promise<DrainReport> | null = null;

  /** Aborted after `ms`, or `hurriedMs()` after the process was told to end, whichever comes first. */
  function limit(ms: number, hurriedMs: () => number): { signal: AbortSignal; end(): void } {
    const over = new AbortController();
    const timers: NodeJS.Timeout[] = [];
    const endAfter = (afterMs: number) => void timers.push(setTimeout(() => over.abort(), afterMs));
    const onHurry = () => endAfter(hurriedMs());
    endAfter(ms);
    if (hurried.signal.aborted) onHurry();
    else hurried.signal.addEventListener('abort', onHurry);
    return {
      signal: over.signal,
      end() {
        for (const timer of timers) clearTimeout(timer);
        hurried.signal.removeEventListener('abort', onHurry);
      },
    };
  }

  async function run(lingerMs: number): Promise<DrainReport> {
    log.info({ stream }, 'draining');
    const endMs = performance.now() + timeoutMs;
    context.draining = true;
    if (lingerMs > 0) await pause(lingerMs, undefined, { signal: hurried.signal }).catch(() => {});
    const late = limit(Math.max(0, endMs - performance.now()), () => HURRIED_CALLS_MS);
    late.signal.addEventListener('abort', parts.onLate);
    await listener.drain(late.signal);
    late.signal.removeEventListener('abort', parts.onLate);
    late.end();
    parts.onRest();
    const sinceMs = performance.now();
    const uploadMs = parts.livesOn ? LIVES_ON_MS : UPLOAD_MS;
    const enough = limit(uploadMs, () => Math.max(LAST_UPLOAD_MS, sinceMs + UPLOAD_MS - performance.now()));
    const { uploaded } = await spool.drain(enough.signal);
    enough.end();
    await parts.close();
    log.info({ stream, uploaded }, 'drained');
    return report.drained(spool.status().watermarks.synced, uploaded);
  }

  const rest = Promise.withResolvers<void>();
  function begin(lingerMs: number): Promise<DrainReport> {
    begun ??= run(lingerMs).finally(rest.resolve);
    return begun;
  }

  async function answerInTime(): Promise<DrainReport> {
    const drained = begin(LINGER_MS);
    const inTime = new AbortController();
    const boundMs = Math.max(timeoutMs, LINGER_MS) + ENDS_MS + UPLOAD_MS;
    const bound = pause(boundMs, null, { signal: inTime.signal, ref: false });
    const report = await Promise.race([drained, bound.catch(() => null)]);
    inTime.abort();
    return report ?? parts.report.drained(spool.status().watermarks.synced, false);
  }

  return {
    begin,
    ended: rest.promise,
    answer: () => (answered ??= answerInTime()),
    hurry: () => hurried.abort(),
  };
}
