/**
 * Owns `mcp-recorder replay`: a recording as a mock server, or its requests against another server.
 */
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { Command, Option } from 'commander';
import type { Reading } from '../audit/reading-log.ts';
import { CommandFailure } from '../failure.ts';
import { addFilterOptions, askedOf, type FilterOptions, readFilter } from '../filter-options.ts';
import { addIndexOption, type IndexFlags, withReader } from '../open-reader.ts';
import {
  addReadingOptions,
  addStoreArgument,
  type ReadingFlags,
  readingFlagsOf,
  withStore,
} from '../store-argument.ts';
import { compileWhere } from '../where.ts';
import { recordedServer } from './recorded-calls.ts';

interface ReplayOptions extends ReadingFlags, FilterOptions, IndexFlags {
  serve?: string | true;
  strict?: boolean;
  lenient?: boolean;
  timing?: boolean;
  against?: string;
  allow?: string[];
  allowTool?: string[];
  header?: string[];
  ignore?: string[];
  yes?: boolean;
  json?: boolean;
}

const DEFAULT_LISTEN = '127.0.0.1:0';

export function replayCommand(): Command {
  const command = new Command('replay')
    .summary('serve a recording as a mock server, or call another server with it')
    .description(
      'With --serve: a mock MCP server that answers as the recording does, for any MCP client. With --against: calls another server with the ' +
        'recorded requests and shows what it answers otherwise. THAT ACTS ON THE SERVER: only what --allow and --allow-tool name is sent.\n' +
        'Exit code with --against 0: the same answers; 1: others; 2: it could not be done.',
    );
  const several = (flags: string, text: string): Option =>
    new Option(flags, text).argParser((value: string, before: string[] = []) => [...before, value]);
  addFilterOptions(
    addStoreArgument(command)
      .option('--serve [host:port]', `be a mock server there (default: ${DEFAULT_LISTEN}, a free port)`)
      .addOption(
        new Option('--strict', 'with --serve: only what was recorded is answered (default)').conflicts(
          'lenient',
        ),
      )
      .option('--lenient', 'with --serve: other arguments get the answer to the nearest call of that tool')
      .option('--timing', 'with --serve: answers take as long as they took')
      .addOption(
        new Option('--against <url>', 'call this server with the recorded requests').conflicts('serve'),
      )
      .addOption(several('--allow <method>', 'with --against: send requests of this method; may be repeated'))
      .addOption(
        several(
          '--allow-tool <name>',
          'with --against: send calls of this tool; may be repeated, * for any characters',
        ),
      )
      .addOption(
        several('--header <header>', 'with --against: "Name: value" of each request, such as a credential'),
      )
      .addOption(
        several(
          '--ignore <path>',
          'with --against: no difference there: a JSON pointer into the answer, * for any name',
        ),
      )
      .option('--yes', 'with --against: do not ask before anything is sent')
      .option('--json', 'with --against: print JSON lines: each call, and a summary'),
  );
  return addReadingOptions(addIndexOption(command)).action(replay);
}

async function replay(argument: string, options: ReplayOptions): Promise<void> {
  const { serve, against, index = true, allow = [], allowTool = [], ignore = [], header = [] } = options;
  const { timing = false, lenient = false, yes = false, json = false } = options;
  if (serve === undefined && against === undefined)
    throw new CommandFailure('Give --serve or --against URL.');
  const filter = readFilter(options);
  const where = options.where === undefined ? null : await compileWhere(options.where);
  const listen = serve === undefined ? null : readListen(serve === true ? DEFAULT_LISTEN : serve);
  const mode = against === undefined ? 'serve' : 'against';
  const url = against === undefined ? null : readUrl(against);
  const headers = header.map(readHeader);
  const work = async (store: ObjectStore, reading: Reading): Promise<void> =>
    await withReader(store, { index }, async ({ reader }) => {
      const { select } = await import('../selection.ts');
      const asked = askedOf(options) as Record<string, unknown>;
      const selecting = { reader, reading, store: store.location, asked, filter, where, exchange: null };
      const selection = await select(selecting);
      const recorded = await recordedServer(readsOf(selection.exchanges()));
      if (recorded.calls.length === 0)
        throw new CommandFailure(`No call of a client in ${store.location} matches.`);
      if (listen !== null) {
        const { serveRecording } = await import('./serve.ts');
        await serveRecording({
          recorded,
          listen,
          lenient,
          timing,
        });
        return;
      }
      if (url === null) return;
      const { callServer } = await import('./against.ts');
      await callServer(recorded.calls, {
        url,
        methods: allow,
        tools: allowTool,
        headers,
        ignore,
        yes,
        json,
      });
    });
  // Headers may hold credentials: they are not logged.
  const asked = { command: 'replay', asked: { ...askedOf(options), mode, against, allow, allowTool } };
  await withStore(argument, readingFlagsOf(options), work, { asked });
}

async function* readsOf<T>(exchanges: AsyncIterable<{ read: T }>): AsyncIterable<T> {
  for await (const { read } of exchanges) yield read;
}

function readListen(given: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:]*)):(\d{1,5})$/.exec(given);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new CommandFailure(
      `--serve: found ${JSON.stringify(given)}; needs HOST:PORT, such as 127.0.0.1:8080.`,
    );
  }
  return { host: match[1] ?? (match[2] === '' ? '127.0.0.1' : (match[2] ?? '127.0.0.1')), port };
}

function readUrl(given: string): URL {
  const url = URL.canParse(given) ? new URL(given) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.username !== '') {
    throw new CommandFailure('--against needs a URL of http or https, without user and password in it.');
  }
  return url;
}

function readHeader(given: string): [string, string] {
  const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*)$/.exec(given);
  // What was given may be a credential: it is not repeated.
  if (match === null) throw new CommandFailure('--header needs "Name: value".');
  return [match[1] ?? '', match[2] ?? ''];
}
