/**
 * Owns showing exchanges one after the other, in each of the forms: as text, as JSON lines, or as they were recorded.
 * Invariant: an exchange is shown as soon as it is read, and held no longer, so that memory does not grow with a session.
 */
import type { ExchangeName, Reader } from '@mcp-recorder/recording/index/reader';
import { type ExchangeView, viewOf } from '@mcp-recorder/recording/read/exchange-view';
import { parseMicros } from '@mcp-recorder/recording/format/time';
import type { Reading } from '../audit/reading-log.ts';
import { describeExchange, formatTime } from '../exchange-text.ts';
import { printableLine } from '../printable.ts';
import { formatDuration } from '../table.ts';
import { exchangeJson } from './exchange-json.ts';
import { saveContents } from './save-contents.ts';

export type ShowForm = 'text' | 'json' | 'raw';

export interface ShowParts {
  reader: Reader;
  reading: Reading;
  form: ShowForm;
  /** Where contents of results are saved; null: nowhere. */
  save: string | null;
}

type Names = AsyncIterable<ExchangeName> | Iterable<ExchangeName>;

/** @returns how many exchanges there were */
export async function showExchanges(names: Names, parts: ShowParts): Promise<number> {
  const { reader, reading, form, save } = parts;
  const seen = (view: ExchangeView): void =>
    reading.saw({ session: view.session?.id ?? null, exchange: view.exchange });
  const print = createTextPrinter(reader);
  let shown = 0;
  for await (const read of reader.readExchanges(names, { raw: form === 'raw' })) {
    const view = viewOf(read);
    seen(view);
    shown += 1;
    if (form === 'raw') for (const line of read.raw) process.stdout.write(Buffer.concat([line, LF]));
    else if (form === 'json') process.stdout.write(`${JSON.stringify(exchangeJson(view))}\n`);
    else await print(view);
    if (save !== null) {
      for (const saved of await saveContents(view, save)) process.stderr.write(`${printableLine(saved)}\n`);
    }
  }
  return shown;
}

const LF = Buffer.from('\n');

/** Prints exchanges with the time between them, and what was not recorded meanwhile. */
function createTextPrinter(reader: Reader): (view: ExchangeView) => Promise<void> {
  let before: ExchangeView | null = null;
  return async (view) => {
    const text: string[] = [];
    if (before !== null) {
      const waitedUs = parseMicros(view.time) - parseMicros(before.time);
      text.push('', '', `- - -  ${formatDuration(Math.max(0, waitedUs))} later`, '');
      const gaps = await reader.gaps({
        between: { since: before.time, until: view.time },
        servers: [view.place.server],
        namespaces: [view.place.namespace],
      });
      for (const { gap } of gaps) {
        const which = `${gap.exact ? '' : 'about '}${gap.exchanges} exchanges`;
        text.push(
          printableLine(
            `NOT RECORDED: ${which} from ${formatTime(gap.first_time)} to ${formatTime(gap.last_time)} (${gap.cause})`,
          ),
          '',
        );
      }
    }
    before = view;
    process.stdout.write(`${[...text, ...describeExchange(view)].join('\n')}\n`);
  };
}
