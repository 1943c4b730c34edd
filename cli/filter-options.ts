/**
 * Owns the options that say which rows are wanted: the same ones on every command that searches.
 * Invariant: what can't be asked for is refused before anything is read.
 */
import type { Outcome } from '@mcp-recorder/recording/format/line';
import type { Filter } from '@mcp-recorder/recording/index/filter';
import { NoWords, queryOfText } from '@mcp-recorder/recording/index/text';
import type { Command } from 'commander';
import { CommandFailure } from './failure.ts';
import { addTimeOptions, readTimeOptions, type TimeOptions } from './time-options.ts';

/** What the options give, as commander names it. */
export interface FilterOptions extends TimeOptions {
  user?: string[];
  group?: string[];
  tool?: string[];
  method?: string[];
  server?: string[];
  namespace?: string[];
  session?: string[];
  outcome?: string[];
  text?: string;
  where?: string;
}

/** What an operation can come to, each with its place in the help. */
const OUTCOMES: Record<Outcome, true> = {
  ok: true,
  error: true,
  tool_error: true,
  denied: true,
  cancelled: true,
  input_required: true,
  task: true,
  unknown: true,
};

/** What the description of a command says of them. */
export const FILTER_HELP =
  'All options must hold; those that name something may be given again, for any of several, and * in a name stands for any characters.';

/** Adds the options that name something. Each may be repeated, for any of them. */
export function addNameOptions(command: Command): Command {
  const several = (flags: string, text: string): void => {
    command.option(flags, text, (value: string, before: string[] = []) => [...before, value]);
  };
  several('--user <name>', 'only of this user: name, subject or client id');
  several('--group <name>', 'only of users in this group');
  several('--tool <name>', 'only calls of this tool');
  several('--method <method>', 'only calls of this JSON-RPC method');
  several('--server <name>', 'only on this server');
  several('--namespace <name>', 'only in this namespace');
  several('--session <id>', 'only in this session: its id, or how that begins');
  several('--outcome <outcome>', `only what came to this: ${Object.keys(OUTCOMES).join(', ')}`);
  return command;
}

/** Adds the options of a search. */
export function addFilterOptions(command: Command): Command {
  return addTimeOptions(addNameOptions(command), 'only what is of this time')
    .option(
      '--text <words>',
      'only with all these words in one body; "several words" in quotes in this order, word* for how one begins',
    )
    .option('--where <expression>', 'only where this is true: CEL over result (the result line) and call');
}

/**
 * What is asked for, without `--where` (where.ts).
 * @throws CommandFailure when an option can't be used
 */
export function readFilter(options: FilterOptions, nowMs = Date.now()): Filter {
  const {
    user = [],
    group = [],
    tool = [],
    method = [],
    server = [],
    namespace = [],
    session = [],
  } = options;
  const { outcome = [], text } = options;
  for (const name of ['user', 'group', 'tool', 'method', 'server', 'namespace', 'session'] as const) {
    if (options[name]?.includes('') === true) throw new CommandFailure(`--${name} needs a name; found "".`);
  }
  return {
    between: readTimeOptions(options, nowMs),
    users: user,
    groups: group,
    tools: tool,
    methods: method,
    servers: server,
    namespaces: namespace,
    sessions: session,
    outcomes: outcome.map(readOutcome),
    text: text === undefined ? null : readText(text),
  };
}

/** The options of the filter as they were given, for the log of readers. */
export function askedOf(options: FilterOptions): FilterOptions {
  const names = ['user', 'group', 'tool', 'method', 'server', 'namespace', 'session', 'outcome'] as const;
  const others = ['since', 'until', 'text', 'where'] as const;
  return Object.fromEntries([...names, ...others].map((name) => [name, options[name]]));
}

function readOutcome(given: string): Outcome {
  if (Object.hasOwn(OUTCOMES, given)) return given as Outcome;
  throw new CommandFailure(
    `--outcome: found ${JSON.stringify(given)}; needs one of ${Object.keys(OUTCOMES).join(', ')}.`,
  );
}

function readText(text: string): string {
  try {
    queryOfText(text);
  } catch (error) {
    if (!(error instanceof NoWords)) throw error;
    throw new CommandFailure(
      `--text: found ${JSON.stringify(text)}; needs a word: a letter or digit at least.`,
    );
  }
  return text;
}
