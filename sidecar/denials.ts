/**
 * Owns the counted record of requests that were refused before an exchange began.
 * Invariant: every refusal is counted in exactly one `denied` line; floods cost at most `maxKeys` lines a segment,
 * the rest is counted together under source `other`.
 */
import type { DeniedLine, LineDraft, Principal } from '@mcp-recorder/recording/format/line';
import { encodeTail } from '@mcp-recorder/recording/format/encode';
import type { LineTail } from './spool/spool.ts';

export interface Denials {
  /** Counts one refusal. @param source the client's address */
  count(reason: string, source: string, principal: Principal | null): void;
  /** The lines for what was counted since the last call; empties the counts. */
  take(): LineTail[];
  /** A new segment began: its lines are counted afresh. */
  segmentEnded(): void;
  readonly waiting: boolean;
}

/** @param now the current time as the format writes it */
export function createDenials(now: () => string, maxKeys = 1_000): Denials {
  const counts = new Map<string, DeniedLine['denied']>();
  let linesInSegment = 0;

  return {
    count(reason, source, principal) {
      const time = now();
      let key = `${reason} ${source} ${principal?.issuer ?? ''} ${principal?.subject ?? ''}`;
      let named = true;
      if (!counts.has(key) && linesInSegment + counts.size >= maxKeys) {
        key = `${reason} other`;
        named = false;
      }
      const known = counts.get(key);
      if (known !== undefined) {
        known.count++;
        known.last_time = time;
        return;
      }
      counts.set(key, {
        reason,
        source: named ? source : 'other',
        principal: named ? principal : null,
        count: 1,
        first_time: time,
        last_time: time,
      });
    },
    take() {
      const tails: LineTail[] = [];
      for (const denied of counts.values()) {
        const draft: LineDraft<DeniedLine> = { type: 'denied', denied };
        tails.push(encodeTail(draft));
      }
      linesInSegment += counts.size;
      counts.clear();
      return tails;
    },
    segmentEnded() {
      linesInSegment = 0;
    },
    get waiting() {
      return counts.size > 0;
    },
  };
}
