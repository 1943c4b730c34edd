/**
 * Owns `mcp-recorder export`: sessions or what a search finds, as files for others, with what proves them.
 * Exit codes: 0 exported; 1 there is nothing that matches; 2 it could not be done, and no file was left.
 */
import fs from 'node:fs/promises';
import { isUlid } from '@mcp-recorder/recording/format/ulid';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { Command, Option } from 'commander';
import type { Reading } from '../audit/reading-log.ts';
import { CommandFailure, EXIT } from '../failure.ts';
import { addFilterOptions, askedOf, type FilterOptions, readFilter } from '../filter-options.ts';
import { catchInterrupt } from '../interrupt.ts';
import { addIndexOption, type IndexFlags, withReader } from '../open-reader.ts';
import {
  addReadingOptions,
  addStoreArgument,
  type ReadingFlags,
  readingFlagsOf,
  withStore,
} from '../store-argument.ts';
import { compileWhere, describeWhereErrors } from '../where.ts';
import { type Output, openOutput } from './output.ts';
import { exportProofs } from './proofs.ts';
import { select, type Selection } from '../selection.ts';

const FORMS = ['markdown', 'html', 'json', 'csv', 'parquet', 'har'] as const;
type Form = (typeof FORMS)[number];

interface ExportOptions extends ReadingFlags, FilterOptions, IndexFlags {
  as: Form;
  out: string;
  exchange?: string;
  proof?: string;
  force?: boolean;
}

interface Writing {
  /** What is there may be replaced. */
  force: boolean;
  /** Aborted: no file is left. */
  signal: AbortSignal;
}

/** What was written, for the manifest. */
interface Written {
  file: string;
  bytes: number;
  sha256: string;
}

export function exportCommand(): Command {
  const command = new Command('export')
    .summary('write sessions or what a search finds to files, with their proofs')
    .description(
      'Writes what matches to a file: exchanges as a transcript (markdown, html), as JSON lines or as an HTTP archive (har), rows of a search as csv or ' +
        'parquet. What was masked stays masked. Beside it goes FILE.manifest.json: what was asked for, and the SHA-256 of each file.\n' +
        'Exit code 0: exported; 1: nothing matches; 2: it could not be done, and no file is left.',
    );
  addFilterOptions(
    addStoreArgument(command)
      .addOption(new Option('--as <form>', 'in which form').choices(FORMS).makeOptionMandatory())
      .requiredOption('--out <file>', 'where it goes; "-" for standard output, without a manifest')
      .option('--exchange <id>', 'only this exchange')
      .option(
        '--proof <file>',
        'a proof of each exchange for a third party; "mcp-recorder verify-proof" checks them',
      )
      .option('--force', 'replace files that are there'),
  );
  return addReadingOptions(addIndexOption(command)).action(runExport);
}

async function runExport(argument: string, options: ExportOptions): Promise<void> {
  const { as: form, out, exchange, proof, force = false, index = true } = options;
  const filter = readFilter(options);
  const where = options.where === undefined ? null : await compileWhere(options.where);
  if (exchange !== undefined && !isUlid(exchange)) {
    throw new CommandFailure(
      `--exchange needs an id of 26 letters and digits; found ${JSON.stringify(exchange)}.`,
    );
  }
  if (out === '-' && form === 'parquet') throw new CommandFailure('--as parquet needs a file: --out FILE.');
  if (out === '-' && proof !== undefined) throw new CommandFailure('--proof needs a file for --out as well.');
  const asked = Object.fromEntries(
    Object.entries({ ...askedOf(options), exchange, as: form }).filter(([, value]) => value !== undefined),
  );
  const { signal, release } = catchInterrupt();
  const work = async (store: ObjectStore, reading: Reading): Promise<void> =>
    await withReader(store, { index, signal }, async ({ reader, unreadable }) => {
      const selection = await select({
        reader,
        reading,
        store: store.location,
        asked,
        filter,
        where,
        exchange: exchange ?? null,
      });
      const counted = countItems(selection);
      if (out === '-') {
        for await (const piece of await piecesOf(counted.selection, form)) process.stdout.write(piece);
      } else {
        const written = [await writeForm(counted.selection, form, out, { force, signal })];
        if (proof !== undefined) {
          written.push(
            await writeWhole(proof, { force, signal }, (output) => exportProofs(store, selection, output)),
          );
        }
        await writeManifest(`${out}.manifest.json`, force, { selection, written, unreadable: unreadable() });
        say(`${counted.items()} ${form === 'csv' || form === 'parquet' ? 'rows' : 'exchanges'} in ${out}.`);
      }
      for (const note of where === null ? [] : describeWhereErrors(where)) say(note);
      if (unreadable() > 0) say('Something could not be read as it should be: this may not be all.');
      if (counted.items() === 0) process.exitCode = EXIT.no;
    });
  await withStore(argument, readingFlagsOf(options), work, {
    asked: { command: 'export', asked },
  }).finally(release);
}

function say(text: string): void {
  process.stderr.write(`mcp-recorder: ${text}\n`);
}

function countItems(selection: Selection): { selection: Selection; items(): number } {
  let items = 0;
  async function* counted<T>(of: AsyncIterable<T>): AsyncIterable<T> {
    for await (const item of of) {
      items += 1;
      yield item;
    }
  }
  const { about, rows, exchanges } = selection;
  return {
    selection: { about, rows: () => counted(rows()), exchanges: () => counted(exchanges()) },
    items: () => items,
  };
}

/** Each form is loaded only by those who ask for it. */
async function piecesOf(selection: Selection, form: Form): Promise<AsyncIterable<string>> {
  switch (form) {
    case 'markdown':
      return (await import('./markdown.ts')).exportMarkdown(selection);
    case 'html':
      return (await import('./html.ts')).exportHtml(selection);
    case 'csv':
      return (await import('./csv.ts')).exportCsv(selection);
    case 'har':
      return (await import('./har.ts')).exportHar(selection);
    default:
      return (await import('./json.ts')).exportJson(selection);
  }
}

async function writeForm(selection: Selection, form: Form, file: string, writing: Writing): Promise<Written> {
  if (form === 'parquet') {
    const { writeParquet } = await import('./parquet.ts');
    return await writeWhole(file, writing, ({ temporary }) => writeParquet(selection, temporary));
  }
  return await writeWhole(file, writing, async (output) => {
    for await (const piece of await piecesOf(selection, form)) {
      if (writing.signal.aborted) return;
      await output.write(piece);
    }
  });
}

async function writeWhole(
  file: string,
  { force, signal }: Writing,
  write: (output: Output) => Promise<void>,
): Promise<Written> {
  const output = await openOutput(file, force);
  try {
    await write(output);
    if (signal.aborted) throw new CommandFailure(`Interrupted: ${file} was not written.`);
    return { file, ...(await output.finish()) };
  } catch (error) {
    await output.discard();
    throw error;
  }
}

async function writeManifest(
  file: string,
  force: boolean,
  { selection, written, unreadable }: { selection: Selection; written: Written[]; unreadable: number },
): Promise<void> {
  const { store, asked, made, gaps } = selection.about;
  const manifest = {
    v: 1,
    store,
    asked,
    made,
    gaps: gaps.map(({ place, gap }) => ({ ...place, ...gap })),
    unreadable,
    files: written,
  };
  await fs
    .writeFile(file, `${JSON.stringify(manifest, null, 2)}\n`, { flag: force ? 'w' : 'wx' })
    .catch((error: NodeJS.ErrnoException) => {
      throw new CommandFailure(`Can't write ${file}: ${error.code ?? error.message}.`);
    });
}
