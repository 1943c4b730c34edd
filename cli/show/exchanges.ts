/**
 * Owns showing exchanges one after the other, in each of the forms: as text, as JSON lines, or as they were recorded.
 * Invariant: an exchange is shown as soon as it is read, and held no longer, so that memory does not grow with a session.
 */
import { once } from 'node:events';
import type { Filter } from '@mcp-recorder/recording/index/filter';
import type { Reader } from '@mcp-recorder/recording/index/reader';
import type { PlacedGap } from '@mcp-recorder/recording/index/row';
import { type ExchangeView, viewOf } from '@mcp-recorder/recording/read/exchange-view';
import { parseMicros } from '@mcp-recorder/recording/format/time';
import type { Reading } from '../audit/reading-log.ts';
import { describeExchange } from '../exchange-text.ts';
import { printableLine } from '../printable.ts';
import { findGaps } from '../find-gaps.ts';
import { describeGap } from '../search/print-rows.ts';
import { formatDuration } from '../table.ts';
import { exchangeLine } from '../exchange-json.ts';
import type { Named } from './find-shown.ts';
import { saveContents } from './save-contents.ts';

export type ShowForm = 'text' | 'json' | 'raw';

export interface ShowParts {
  reader: Reader;
  reading: Reading;
  form: ShowForm;
  /** Where contents of results are saved; null: nowhere. */
  save: string | null;
}

/** @returns how many exchanges there were */
export async function showExchanges(named: Named, parts: ShowParts): Promise<number> {
  const { reader, reading, form, save } = parts;
  const names =
    'session' in named ? reader.exchanges(named.filter) : [{ exchange: named.exchange, stream: '' }];
  const gaps = 'session' in named && form === 'text' ? await gapsOf(reader, named.filter) : [];
  const textOf = createTeller(gaps);
  let shown = 0;
  for await (const read of reader.readExchanges(names, { raw: form === 'raw' })) {
    const view = viewOf(read);
    reading.saw({ session: view.session?.id ?? null, exchange: view.exchange });
    shown += 1;
    if (form === 'raw') for (const line of read.raw) await write(Buffer.concat([line, LF]));
    else if (form === 'json') await write(`${exchangeLine(view)}\n`);
    else await write(`${textOf(view).join('\n')}\n`);
    if (save !== null) {
      for (const saved of await saveContents(view, save)) process.stderr.write(`${printableLine(saved)}\n`);
    }
  }
  for (const gap of gaps.splice(0)) await write(`\n${sayGap(gap)}\n`);
  return shown;
}

const LF = Buffer.from('\n');

/** What was not recorded from the first to the last of what is shown, oldest first. */
async function gapsOf(reader: Reader, filter: Filter): Promise<PlacedGap[]> {
  const [first] = await Array.fromAsync(reader.search(filter, { limit: 1, order: 'oldest' }));
  const [last] = await Array.fromAsync(reader.search(filter, { limit: 1, order: 'newest' }));
  if (first === undefined || last === undefined) return [];
  const { server, namespace } = first.place;
  const between = { since: first.time, until: last.result?.time ?? last.time };
  return await findGaps(reader, { between, servers: [server], namespaces: [namespace] });
}

/** Tells exchanges with the time between them, and what was not recorded before each. */
function createTeller(gaps: PlacedGap[]): (view: ExchangeView) => string[] {
  let before: ExchangeView | null = null;
  return (view) => {
    const text: string[] = [];
    while (gaps[0] !== undefined && gaps[0].gap.first_time <= view.time) {
      text.push(sayGap(gaps[0]), '');
      gaps.shift();
    }
    if (before !== null) {
      const waitedUs = parseMicros(view.time) - parseMicros(before.time);
      text.unshift('', '', `- - -  ${formatDuration(Math.max(0, waitedUs))} later`, '');
    }
    before = view;
    return [...text, ...describeExchange(view)];
  };
}

function sayGap(gap: PlacedGap): string {
  return printableLine(`NOT RECORDED: ${describeGap(gap)}`);
}

/** Waits for a reader that is slower, so that nothing piles up. */
async function write(text: string | Buffer): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
}
