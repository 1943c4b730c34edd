/**
 * Owns the check that an exchange is whole: parts 0, 1, 2 ... without a hole, and `end` as the last of them.
 * Invariant: an exchange whose `end` is recorded and that passes here has every line that its recorder wrote for it.
 */

/** Parts of one exchange that stand next to each other in a segment. */
export interface ExchangeParts {
  exchange: string;
  /** First and last part seen. */
  first: number;
  last: number;
  ended: boolean;
}

/** The columns of a line that are looked at; anything may stand in them. */
export interface PartColumns {
  type?: unknown;
  exchange?: unknown;
  part?: unknown;
  ended?: { parts?: unknown } | undefined;
}

export type ReportPart = (line: number, what: string) => void;

/** Collects the lines of one segment, in order. */
export function createExchangeParts(report: ReportPart): {
  add(line: number, columns: PartColumns): void;
  unfinished(): ExchangeParts[];
} {
  const seen = new Map<string, ExchangeParts>();
  return {
    add(line, { type, exchange, part, ended }) {
      if (typeof exchange !== 'string' || typeof part !== 'number') return;
      let parts = seen.get(exchange);
      if (parts === undefined) {
        parts = { exchange, first: part, last: part, ended: false };
        seen.set(exchange, parts);
      } else {
        if (parts.ended) report(line, `exchange ${exchange} goes on after its end`);
        if (part !== parts.last + 1) {
          report(
            line,
            `part ${part} of exchange ${exchange} stands where part ${parts.last + 1} must follow`,
          );
        }
        parts.last = part;
      }
      if (type !== 'end') return;
      parts.ended = true;
      if (ended?.parts !== part + 1) {
        report(
          line,
          `the end of exchange ${exchange} is part ${part} and counts ${String(ended?.parts)} parts`,
        );
      }
    },
    unfinished: () => [...seen.values()].filter((parts) => parts.first !== 0 || !parts.ended),
  };
}

/**
 * Joins what the segments of one stream left unfinished. After a loss (a segment that is gone, a failed sync) an exchange
 * may lack parts without anybody having removed them, and is not reported.
 */
export function createExchangeJoin(): {
  /** The segment's exchanges; returns what does not fit. */
  add(exchanges: readonly ExchangeParts[]): string[];
  lossBefore(): void;
} {
  const open = new Map<string, number>();
  let lossy = false;
  return {
    add(exchanges) {
      const wrong: string[] = [];
      for (const { exchange, first, last, ended } of exchanges) {
        const expected = open.get(exchange) ?? 0;
        if (first !== expected && !lossy) {
          wrong.push(`exchange ${exchange} goes on with part ${first} where part ${expected} must follow`);
        }
        if (ended) open.delete(exchange);
        else open.set(exchange, last + 1);
      }
      return wrong;
    },
    lossBefore() {
      lossy = true;
    },
  };
}
