/**
 * Owns how far the object store has confirmed this process's stream without a hole (`acked`), how long the oldest line that it has not
 * confirmed is waiting, and who waits for that.
 * Invariant: waiters are answered in the order in which they came, whatever their answer is.
 */
import { type AckPolicy, type Durable, type SealedObject, SpoolError } from './spool.ts';

export interface Acks {
  /** Every line with `seq` below this is on disk. */
  synced(upTo: number): void;
  confirmed(object: SealedObject): void;
  /** Every line with `seq` below this is confirmed. */
  readonly upTo: number;
  /** How long ago the oldest line that is not confirmed came to the disk (ms); 0 when there is none. */
  lagMs(): number;
  /**
   * Answers an append that the disk has answered, once every line with `seq` below `upTo` is confirmed.
   * @param lines how many it has, for who is refused: they are part of the recording all the same
   */
  wait(upTo: number, lines: number, error: SpoolError | null, durable: Durable): void;
  /** What answers an append that may not even begin to wait at present; null when it may. */
  refusal(): SpoolError | null;
  setPolicy(policy: AckPolicy): void;
}

interface Waiter {
  upTo: number;
  lines: number;
  error: SpoolError | null;
  durable: Durable;
}

/** Lines that came to the disk within this time of each other count as of the same age (ms). */
const SAME_AGE_MS = 100;
const HINT =
  'Look at the object store: with recording.commit ObjectStorage nothing passes before the store has confirmed it.';

/** @param nowMs monotonic */
export function createAcks(nowMs: () => number): Acks {
  let nextSegment = 0;
  let upTo = 0;
  /** Confirmed ahead of an older segment: where each ends. */
  const ahead = new Map<number, number>();
  /** When lines came to the disk, oldest first. */
  let ages: { upTo: number; atMs: number }[] = [];
  let waiters: Waiter[] = [];
  let policy: AckPolicy = { kind: 'wait' };

  function refuse(durableLines: number): SpoolError {
    const message = policy.kind === 'refuse' ? policy.message : '';
    return new SpoolError('not_stored', message, HINT, undefined, durableLines);
  }

  function answerDue(): void {
    if (waiters.length === 0) return;
    const all = policy.kind !== 'wait';
    const first = all ? waiters.length : waiters.findIndex((waiter) => waiter.upTo > upTo);
    const due = first < 0 ? waiters : waiters.slice(0, first);
    waiters = first < 0 ? [] : waiters.slice(first);
    for (const waiter of due) {
      const refused = policy.kind === 'refuse' && waiter.upTo > upTo;
      waiter.durable(refused ? (waiter.error ?? refuse(waiter.lines)) : waiter.error);
    }
  }

  return {
    synced(to) {
      const last = ages.at(-1);
      const now = nowMs();
      if (last !== undefined && now - last.atMs < SAME_AGE_MS) last.upTo = to;
      else ages.push({ upTo: to, atMs: now });
    },
    confirmed(object) {
      ahead.set(object.segment, object.firstSeq + object.lines);
      for (let end = ahead.get(nextSegment); end !== undefined; end = ahead.get(nextSegment)) {
        ahead.delete(nextSegment);
        nextSegment += 1;
        upTo = end;
      }
      const left = ages.findIndex((age) => age.upTo > upTo);
      ages = left < 0 ? [] : ages.slice(left);
      answerDue();
    },
    get upTo() {
      return upTo;
    },
    lagMs() {
      const oldest = ages[0];
      return oldest === undefined ? 0 : nowMs() - oldest.atMs;
    },
    wait(to, lines, error, durable) {
      // Behind one that waits an answer waits too, so that the order holds.
      const last = waiters.at(-1)?.upTo ?? 0;
      waiters.push({ upTo: error === null ? to : last, lines, error, durable });
      answerDue();
    },
    refusal: () => (policy.kind === 'refuse' ? refuse(0) : null),
    setPolicy(next) {
      policy = next;
      answerDue();
    },
  };
}
