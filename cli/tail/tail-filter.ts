/**
 * Owns which of the lines that come are wanted: the flags, and what each asks of an operation whose end is not known yet.
 * Invariant: as in recording/index/filter.ts, names are whole and `*` stands for any run of characters; what can't be known yet does not match.
 */
import type { Call, Outcome, Principal, ResultLine, Session } from '@mcp-recorder/recording/format/line';
import type { Place } from '@mcp-recorder/recording/index/row';
import type { Command } from 'commander';
import { CommandFailure } from '../failure.ts';

export interface TailFilterFlags {
  user?: string[];
  group?: string[];
  tool?: string[];
  method?: string[];
  server?: string[];
  namespace?: string[];
  session?: string[];
  outcome?: string[];
}

const OUTCOMES: readonly Outcome[] = [
  'ok',
  'error',
  'tool_error',
  'denied',
  'cancelled',
  'input_required',
  'task',
  'unknown',
];

export function addTailFilterOptions(command: Command): Command {
  return command
    .option('--user <name...>', 'only of this user: name, subject or client id; * stands for anything')
    .option('--group <name...>', 'only of users of this group')
    .option('--tool <name...>', 'only calls of this tool')
    .option('--method <name...>', 'only this JSON-RPC method')
    .option('--server <name...>', 'only of this recorded server')
    .option('--namespace <name...>', 'only of this namespace')
    .option('--session <id...>', 'only of this session: its recorded id, or how it begins')
    .option('--outcome <outcome...>', `only what ended so: ${OUTCOMES.join(', ')}`);
}

/** What is known of an operation, or of what was refused. */
export interface Facts {
  principal: Principal | null;
  session: Session | null;
  method: string | null;
  target: string | null;
  outcome: Outcome | null;
}

export interface TailFilter {
  wantsPlace(place: Place): boolean;
  wants(facts: Facts): boolean;
}

/** @throws CommandFailure when an outcome is none */
export function createTailFilter(flags: TailFilterFlags): TailFilter {
  for (const outcome of flags.outcome ?? []) {
    if (OUTCOMES.some((known) => known === outcome)) continue;
    throw new CommandFailure(
      `--outcome: found ${JSON.stringify(outcome)}; needs one of ${OUTCOMES.join(', ')}.`,
    );
  }
  const user = anyOf(flags.user);
  const group = anyOf(flags.group);
  const tool = anyOf(flags.tool);
  const method = anyOf(flags.method);
  const server = anyOf(flags.server);
  const namespace = anyOf(flags.namespace);
  const session = anyOf(flags.session?.map((start) => `${start}*`));
  const outcome = anyOf(flags.outcome);
  return {
    wantsPlace: (place) => server([place.server]) && namespace([place.namespace]),
    wants: (facts) =>
      user([facts.principal?.name, facts.principal?.subject, facts.principal?.client_id]) &&
      group(facts.principal?.groups ?? []) &&
      tool(facts.method === 'tools/call' ? [facts.target] : []) &&
      method([facts.method]) &&
      session([facts.session?.id]) &&
      outcome([facts.outcome]),
  };
}

type Matches = (values: readonly (string | null | undefined)[]) => boolean;

/** Whether any value is one of the patterns; without patterns all are. */
function anyOf(patterns: readonly string[] | undefined): Matches {
  if (patterns === undefined) return () => true;
  const all = patterns.map((pattern) => pattern.split('*'));
  return (values) => values.some((value) => value != null && all.some((parts) => isLike(value, parts)));
}

/** Whether the parts stand in the value in their order, the first at its start and the last at its end. */
function isLike(value: string, parts: readonly string[]): boolean {
  const [first = '', ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return value === first;
  if (!value.startsWith(first) || value.length < first.length + last.length || !value.endsWith(last))
    return false;
  let at = first.length;
  const end = value.length - last.length;
  for (const part of rest) {
    const found = value.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

/** What is known when a call comes. */
export function factsOfCall(call: Call, principal: Principal | null, session: Session | null): Facts {
  return { principal, session, method: call.method, target: call.target, outcome: null };
}

export function factsOfResult({ principal, session, method, target, outcome }: ResultLine): Facts {
  return { principal, session: session ?? null, method, target, outcome };
}
