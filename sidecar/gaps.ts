/**
 * Owns the account of what passed unrecorded, while `recording.onFailure` is `Open`.
 * Invariants: an exchange that met a gap is counted in it once, and nothing more of it is recorded; a gap ends when lines can be written
 * again and the last of its exchanges has ended, so that its `gap` line says from when to when and how many, exactly.
 */
import { encodeTail } from '@mcp-recorder/recording/format/encode';
import type { GapLine, LineDraft } from '@mcp-recorder/recording/format/line';
import type { LineTail } from './spool/spool.ts';

export interface Gaps {
  /** Whether what can't be recorded may pass. Changes with the configuration; what is under way is then cut by who changes it. */
  allowed: boolean;
  /** An exchange goes on, or begins, unrecorded. @param cause a reason of the gate */
  exchangeMet(cause: string): void;
  exchangeEnded(): void;
  /** Exchanges since the start. */
  readonly total: number;
  /** The line of the gap that has ended, or null. Call it only when lines can be written. */
  take(): LineTail | null;
}

/**
 * @param now the current time as the format writes it
 * @param met told of each exchange
 */
export function createGaps(now: () => string, met: () => void): Gaps {
  let gap: GapLine['gap'] | null = null;
  let running = 0;
  let total = 0;
  return {
    allowed: false,
    exchangeMet(cause) {
      const time = now();
      gap ??= { cause, first_time: time, last_time: time, exchanges: 0, exact: true };
      gap.exchanges += 1;
      gap.last_time = time;
      running += 1;
      total += 1;
      met();
    },
    exchangeEnded() {
      running -= 1;
      if (gap !== null) gap.last_time = now();
    },
    get total() {
      return total;
    },
    take() {
      if (gap === null || running > 0) return null;
      const draft: LineDraft<GapLine> = { type: 'gap', gap };
      gap = null;
      return encodeTail(draft);
    },
  };
}
