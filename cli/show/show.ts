/**
 * Owns `mcp-recorder show`: an exchange or a session step by step, or the operations that ended last.
 * Exit codes: 0 shown; 1 there is none; 2 it could not be read.
 */
import type { Reader } from '@mcp-recorder/recording/index/reader';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { Command } from 'commander';
import type { Reading } from '../audit/reading-log.ts';
import { CommandFailure } from '../failure.ts';
import { addIndexOption, type IndexFlags, withReader } from '../open-reader.ts';
import { addReadingOptions, addStoreArgument, type ReadingFlags, withStore } from '../store-argument.ts';
import { addTimeOptions, readTimeOptions, type TimeOptions } from '../time-options.ts';
import { type ShowForm, showExchanges } from './exchanges.ts';
import { checkId, findShown, type Named, sayNone } from './find-shown.ts';
import { NEWEST_OPERATIONS, showNewest } from './newest.ts';

interface ShowOptions extends ReadingFlags, TimeOptions, IndexFlags {
  last?: boolean;
  interactive?: boolean;
  raw?: boolean;
  json?: boolean;
  save?: string;
}

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
    .option('-i, --interactive', 'step through it on the terminal; ? tells the keys')
    .option('--raw', 'print the recorded lines exactly as they are')
    .option('--json', 'print JSON lines, one for each exchange')
    .option('--save <directory>', 'save images and other files of results there');
  addIndexOption(command);
  addTimeOptions(command, 'only what ended in this time (with --last or a session: what began in it)');
  return addReadingOptions(command).action(
    async (argument: string, id: string | undefined, options: ShowOptions) => {
      const { last = false, since, until, index = true, interactive, raw, json, save, ...flags } = options;
      const between = readTimeOptions({ since, until });
      const form = readForm({ interactive, raw, json });
      if (id !== undefined && last) throw new CommandFailure('Give an id or --last, not both.');
      if (id === undefined && !last && (form !== 'text' || save !== undefined)) {
        const given = form === 'text' ? '--save' : OPTION[form];
        throw new CommandFailure(`${given} needs the id of an exchange or a session, or --last.`);
      }
      if (id !== undefined) checkId(id, between);
      if (form === 'interactive') {
        if (save !== undefined) throw new CommandFailure('--save goes with what is printed, not with -i.');
        (await import('./step-through.ts')).needsTerminal();
      }
      const asked = { command: 'show', asked: { id, last, since, until } };
      const show = async (store: ObjectStore, reading: Reading): Promise<void> => {
        if (id === undefined && !last) {
          process.stdout.write(`${(await showNewest(store, between, reading)).join('\n')}\n`);
          return;
        }
        await withReader(store, { index }, async ({ reader }) => {
          const named = await findShown(reader, store, id ?? null, between);
          if (named === null) return;
          const shown =
            form === 'interactive'
              ? await showInteractive(named, reader, reading)
              : await showExchanges(named, { reader, reading, form, save: save ?? null });
          if (shown === 0) sayNone(id === undefined ? 'No exchange' : `No exchange ${id}`, store, between);
        });
      };
      await withStore(argument, flags, show, { asked });
    },
  );
}

const OPTION = { interactive: '-i', raw: '--raw', json: '--json' } as const;

function readForm(flags: Record<keyof typeof OPTION, boolean | undefined>): ShowForm | 'interactive' {
  const given = (['interactive', 'raw', 'json'] as const).filter((form) => flags[form] === true);
  if (given.length > 1) throw new CommandFailure(`Give one of ${Object.values(OPTION).join(', ')}.`);
  return given[0] ?? 'text';
}

/** @returns how many there were to step through: a session, an exchange, or none */
async function showInteractive(named: Named, reader: Reader, reading: Reading): Promise<number> {
  const { stepThrough } = await import('./step-through.ts');
  const { entriesOfExchange, entriesOfSession } = await import('./step-entries.ts');
  if ('session' in named) {
    reading.saw({ session: named.session, exchange: null });
    await stepThrough(entriesOfSession(reader, named), reading);
    return 1;
  }
  for await (const read of reader.readExchanges([{ exchange: named.exchange, stream: '' }])) {
    await stepThrough(entriesOfExchange(read), reading);
    return 1;
  }
  return 0;
}
