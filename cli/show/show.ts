/**
 * Owns `mcp-recorder show`: an exchange or a session step by step, or the operations that ended last.
 * Exit codes: 0 shown; 1 there is none; 2 it could not be read.
 */
import { isUlid } from '@mcp-recorder/recording/format/ulid';
import { EVERYTHING } from '@mcp-recorder/recording/index/filter';
import type { ExchangeName, Reader } from '@mcp-recorder/recording/index/reader';
import { findLastExchange } from '@mcp-recorder/recording/read/exchange-reader';
import type { TimeRange } from '@mcp-recorder/recording/read/time-range';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { Command } from 'commander';
import type { Reading } from '../audit/reading-log.ts';
import { CommandFailure, EXIT } from '../failure.ts';
import { addIndexOption, type IndexFlags, withReader } from '../open-reader.ts';
import { printableLine } from '../printable.ts';
import { addReadingOptions, addStoreArgument, type ReadingFlags, withStore } from '../store-argument.ts';
import { addTimeOptions, inThatTime, readTimeOptions, type TimeOptions } from '../time-options.ts';
import { reportUnreadable } from '../unreadable.ts';
import { NEWEST_OPERATIONS, showNewest } from './newest.ts';
import { type ShowForm, showExchanges } from './exchanges.ts';

interface ShowOptions extends ReadingFlags, TimeOptions, IndexFlags {
  last?: boolean;
  raw?: boolean;
  json?: boolean;
  save?: string;
}

/** A session, or how it begins. */
const SESSION = /^h:[0-9a-f]{1,32}$/;
const SESSION_LENGTH = 34;
const MOST_NAMED = 20;

export function showCommand(): Command {
  const command = new Command('show')
    .summary('show a session or an exchange, or the operations that ended last')
    .description(
      'Shows an exchange, or a session with all of its exchanges: who asked which tool for what, when, what came back, and how long it took. ' +
        `Without an id: the ${NEWEST_OPERATIONS} operations that ended last.`,
    );
  addStoreArgument(command)
    .argument('[id]', 'id of an exchange, or of a session or how that begins (h:5d41)')
    .option('--last', 'the exchange that began last')
    .option('--raw', 'print the recorded lines exactly as they are')
    .option('--json', 'print JSON lines, one for each exchange')
    .option('--save <directory>', 'save images and other files of results there');
  addIndexOption(command);
  addTimeOptions(command, 'only what ended in this time (with --last or a session: what began in it)');
  return addReadingOptions(command).action(
    async (argument: string, id: string | undefined, options: ShowOptions) => {
      const { last = false, since, until, index = true, raw, json, save, ...flags } = options;
      const between = readTimeOptions({ since, until });
      const forms = { '--raw': raw, '--json': json };
      const given = Object.entries(forms).filter(([, is]) => is === true);
      if (given.length > 1) throw new CommandFailure(`Give one of ${Object.keys(forms).join(', ')}.`);
      if (id !== undefined && last) throw new CommandFailure('Give an id or --last, not both.');
      if (id === undefined && !last && (given.length > 0 || save !== undefined)) {
        throw new CommandFailure(
          `${given[0]?.[0] ?? '--save'} needs the id of an exchange or a session, or --last.`,
        );
      }
      const isExchange = id !== undefined && isUlid(id);
      if (id !== undefined && !isExchange && !SESSION.test(id)) {
        throw new CommandFailure(
          `${JSON.stringify(id)} is no id: an exchange has 26 letters and digits, a session begins with "h:". "mcp-recorder search" finds both.`,
        );
      }
      if (isExchange && (between.since !== null || between.until !== null)) {
        throw new CommandFailure(
          '--since and --until go with --last, a session or the list, not with an exchange.',
        );
      }
      const form: ShowForm = raw === true ? 'raw' : json === true ? 'json' : 'text';
      const asked = { command: 'show', asked: { id, last, since, until } };
      const show = async (store: ObjectStore, reading: Reading): Promise<void> => {
        if (id === undefined && !last) {
          process.stdout.write(`${(await showNewest(store, between, reading)).join('\n')}\n`);
          return;
        }
        await withReader(store, { index }, async ({ reader }) => {
          const names = await namesOf(reader, store, id ?? null, between);
          if (names === null) return;
          const shown = await showExchanges(names, { reader, reading, form, save: save ?? null });
          if (shown === 0) sayNone(id === undefined ? 'No exchange' : `No exchange ${id}`, store, between);
        });
      };
      await withStore(argument, flags, show, { asked });
    },
  );
}

function sayNone(what: string, { location }: ObjectStore, between: TimeRange): void {
  process.exitCode = EXIT.no;
  process.stdout.write(`${printableLine(`${what} in ${location}${inThatTime(between)}.`)}\n`);
}

/** What is to be shown; null when there is nothing, which has been said. */
async function namesOf(
  reader: Reader,
  store: ObjectStore,
  id: string | null,
  between: TimeRange,
): Promise<AsyncIterable<ExchangeName> | Iterable<ExchangeName> | null> {
  if (id === null) {
    const last = await findLastExchange(store, { onUnreadable: reportUnreadable, between });
    if (last !== null) return [{ exchange: last, stream: '' }];
    sayNone('No exchange', store, between);
    return null;
  }
  if (!id.startsWith('h:')) return [{ exchange: id, stream: '' }];
  const filter = { ...EVERYTHING, between, sessions: [id] };
  const sessions = new Set<string>();
  const isWhole = id.length === SESSION_LENGTH;
  for await (const { session } of reader.search(filter, { limit: isWhole ? 1 : null, order: 'oldest' })) {
    if (session !== null) sessions.add(session.id);
    if (sessions.size > MOST_NAMED) break;
  }
  if (sessions.size === 0) {
    sayNone(`No session ${id}`, store, between);
    return null;
  }
  if (sessions.size > 1) {
    process.exitCode = EXIT.no;
    const named = [...sessions].slice(0, MOST_NAMED);
    const more = sessions.size > MOST_NAMED ? ['...'] : [];
    process.stdout.write(`${[`Several sessions begin with ${id}:`, ...named, ...more].join('\n')}\n`);
    return null;
  }
  return reader.exchanges(filter);
}
