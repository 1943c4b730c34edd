/**
 * Owns the command line of `mcp-recorder tail`: what is followed, and what of it is shown.
 */
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { Command } from 'commander';
import type { Reading } from '../audit/reading-log.ts';
import { CommandFailure } from '../failure.ts';
import { addNameOptions, askedOf, FILTER_HELP, type FilterOptions, readFilter } from '../filter-options.ts';
import { addReadingOptions, type ReadingFlags, readingFlagsOf, withStore } from '../store-argument.ts';
import type { Wanted } from './follow.ts';
import { createTailFilter } from './tail-filter.ts';

interface TailFlags extends ReadingFlags, FilterOptions {
  live?: string;
  tokenFile?: string;
  ca?: string;
  json?: boolean;
  raw?: boolean;
}

/** What a line by itself does not say. */
const NOT_OF_A_LINE = ['user', 'group', 'tool', 'method', 'session', 'outcome'] as const;

export function tailCommand(): Command {
  const command = new Command('tail')
    .summary('follow what is recorded, as it happens')
    .description(
      'Follows a recording: a line when a call comes, and one when its result does. From a store it is there within about five ' +
        'seconds; live from the status port of a recorder at once; with both nothing is shown twice, and what one can not give ' +
        'comes from the other. ' +
        FILTER_HELP +
        '\nEnds with Ctrl-C. Exit code 0: ended so; 2: could not begin.',
    )
    .argument('[store]', 'the recording: a directory, or s3://BUCKET/PREFIX')
    .option('--live <url>', 'status port of a recorder, for example http://127.0.0.1:8643')
    .option(
      '--token-file <file>',
      'holds the token for it: live-token in the spool, or status.live.tokenFile',
    )
    .option('--ca <file>', 'certificates (PEM) to trust there; its own certificate is one too')
    .option('--since <time>', 'begin then: 2026-11-21T08:40:00Z, 2026-11-21, today, yesterday, 2h or 7d ago')
    .option('--json', 'print each event as a line of JSON')
    .option('--raw', 'print the recorded lines exactly');
  addNameOptions(command);
  return addReadingOptions(command).action(async (argument: string | undefined, flags: TailFlags) => {
    const { live, tokenFile, ca, since, json = false, raw = false } = flags;
    const given = askedOf(flags);
    if (raw && (json || NOT_OF_A_LINE.some((name) => given[name] !== undefined))) {
      throw new CommandFailure('--raw prints all lines as they are: it takes only --server and --namespace.');
    }
    const filter = readFilter(given);
    const wanted: Wanted = {
      between: filter.between,
      filter: createTailFilter(filter),
      form: raw ? 'raw' : json ? 'json' : 'text',
      live: liveOf(live, tokenFile, ca),
    };
    const reading = readingFlagsOf(flags);
    // Loaded only by those who follow.
    const { follow } = await import('./follow.ts');
    if (argument !== undefined) {
      const asked = { command: 'tail', asked: { ...given, live: wanted.live?.url.origin, since } };
      const use = (store: ObjectStore, log: Reading): Promise<void> => follow(store, log, wanted);
      await withStore(argument, reading, use, { asked, mayBegin: true });
      return;
    }
    if (wanted.live === null)
      throw new CommandFailure('Give a store, or --live URL with --token-file FILE, or both.');
    if (Object.keys(reading).length > 0) throw new CommandFailure('--s3-* and --audit need a store.');
    await follow(null, null, wanted);
  });
}

function liveOf(
  live: string | undefined,
  tokenFile: string | undefined,
  ca: string | undefined,
): Wanted['live'] {
  if (live === undefined) {
    if (tokenFile !== undefined || ca !== undefined)
      throw new CommandFailure('--token-file and --ca need --live URL.');
    return null;
  }
  const url = URL.parse(live);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new CommandFailure(
      `--live: found ${JSON.stringify(live)}; needs a URL such as http://127.0.0.1:8643.`,
    );
  }
  if (tokenFile === undefined) throw new CommandFailure('--live needs --token-file FILE.');
  return { url, tokenFile, caFile: ca ?? null };
}
