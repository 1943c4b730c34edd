/**
 * Owns what is taken out of a recording, by export and replay: the rows that match, or the exchanges that they belong to, each read once more for every form that asks.
 * Invariant: what was not recorded in that time and place is part of every export.
 */
import type { Filter } from '@mcp-recorder/recording/index/filter';
import type { ExchangeName, Reader } from '@mcp-recorder/recording/index/reader';
import type { PlacedGap, Row } from '@mcp-recorder/recording/index/row';
import type { ReadExchange } from '@mcp-recorder/recording/read/exchange-reader';
import { type ExchangeView, viewOf } from '@mcp-recorder/recording/read/exchange-view';
import type { Reading } from './audit/reading-log.ts';
import { findGaps } from './find-gaps.ts';
import type { Where } from './where.ts';

export interface Selection {
  about: About;
  /** The rows, oldest first. */
  rows(): AsyncIterable<Row>;
  /** The exchanges, in the order in which they began. */
  exchanges(): AsyncIterable<{ view: ExchangeView; read: ReadExchange }>;
}

/** What every export says of itself. */
export interface About {
  store: string;
  /** The options as they were given. */
  asked: Record<string, unknown>;
  /** When it was made, RFC 3339. */
  made: string;
  gaps: PlacedGap[];
}

export interface Selecting {
  reader: Reader;
  reading: Reading;
  store: string;
  asked: Record<string, unknown>;
  filter: Filter;
  where: Where | null;
  /** Only this exchange; the filter asks for nothing then. */
  exchange: string | null;
}

/** @throws StoreError */
export async function select(selecting: Selecting): Promise<Selection> {
  const { reader, reading, store, asked, filter, where, exchange } = selecting;
  const gaps = exchange === null ? await findGaps(reader, filter) : [];

  async function* rows(): AsyncIterable<Row> {
    for await (const row of reader.search(filter, { limit: null, order: 'oldest' })) {
      if (exchange !== null && row.exchange !== exchange) continue;
      if (where !== null && !where.matches(row)) continue;
      reading.saw({ session: row.session?.id ?? null, exchange: row.exchange });
      yield row;
    }
  }

  async function* names(): AsyncIterable<ExchangeName> {
    if (exchange !== null) yield { exchange, stream: '' };
    else if (where === null) yield* reader.exchanges(filter);
    else {
      // Each once: rows of one exchange stand near each other, but need not stand together.
      const given = new Set<string>();
      for await (const { exchange: name, stream } of rows()) {
        if (name === null || given.has(name)) continue;
        given.add(name);
        yield { exchange: name, stream };
      }
    }
  }

  return {
    about: { store, asked, made: new Date().toISOString(), gaps },
    rows,
    async *exchanges() {
      for await (const read of reader.readExchanges(names())) {
        const view = viewOf(read);
        reading.saw({ session: view.session?.id ?? null, exchange: view.exchange });
        yield { view, read };
      }
    },
  };
}
