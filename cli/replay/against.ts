/**
 * Owns `replay --against`: which recorded requests are sent, in which order, and what is said of the answers.
 * Invariants: nothing is sent that was not allowed by name, but for what opens a session; who runs it has been told before what will be.
 */
import { createInterface } from 'node:readline/promises';
import { CommandFailure, EXIT } from '../failure.ts';
import { printableLine } from '../printable.ts';
import { count } from '../table.ts';
import { describeCall } from './answer-book.ts';
import { type Difference, differencesOf } from './differences.ts';
import type { RecordedCall } from './recorded-calls.ts';
import { createServerClient, type ServerClient } from './server-client.ts';

export interface AgainstOptions {
  url: URL;
  methods: readonly string[];
  tools: readonly string[];
  headers: readonly [string, string][];
  ignore: readonly string[];
  /** Nobody is asked. */
  yes: boolean;
  json: boolean;
}

type Verdict = 'same' | 'different' | 'failed' | 'not_recorded';

interface Compared {
  recorded: RecordedCall;
  verdict: Verdict;
  differences: Difference[];
  /** Why there is no answer, on either side. */
  reason: string | null;
}

/** Sent to open a session, and not by itself. */
const OPENS = 'initialize';
const MOST_SHOWN = 10;

/** @throws CommandFailure */
export async function callServer(calls: readonly RecordedCall[], options: AgainstOptions): Promise<void> {
  const { url, yes, json } = options;
  const sent = calls.filter((call) => isAllowed(call, options));
  const left = calls.filter(({ call }) => call.method !== OPENS).length - sent.length;
  const say = (text: string): void => void process.stderr.write(`${printableLine(text)}\n`);
  if (sent.length === 0) {
    throw new CommandFailure(
      `Nothing would be sent: none of ${count(calls.length, 'recorded call')} is allowed. Name methods with --allow and tools with --allow-tool.`,
    );
  }
  say(`This ACTS on ${url.href}: ${count(sent.length, 'call')} will be sent.`);
  for (const [what, of] of Map.groupBy(sent, ({ message }) => describeCall(message)))
    say(`  ${what} x${of.length}`);
  if (left > 0) say(`${count(left, 'other call')} will not be sent: not allowed by --allow or --allow-tool.`);
  if (!yes) await confirm();

  const verdicts: Record<Verdict, number> = { same: 0, different: 0, failed: 0, not_recorded: 0 };
  for await (const compared of compareAll(calls, sent, options)) {
    verdicts[compared.verdict] += 1;
    process.stdout.write(json ? `${JSON.stringify(jsonOf(compared))}\n` : describe(compared));
  }
  const summary = { v: 1, type: 'summary', url: url.href, sent: sent.length, not_sent: left, ...verdicts };
  process.stdout.write(
    json
      ? `${JSON.stringify(summary)}\n`
      : `${count(sent.length, 'call')}: ${verdicts.same} the same, ${verdicts.different} different, ${verdicts.failed} without an answer, ${verdicts.not_recorded} whose recorded answer is not known.\n`,
  );
  if (verdicts.different + verdicts.failed > 0) process.exitCode = EXIT.no;
}

function isAllowed({ call, message }: RecordedCall, { methods, tools }: AgainstOptions): boolean {
  if (call.method === OPENS) return false;
  if (call.method !== 'tools/call') return methods.includes(call.method);
  const name = message.params?.['name'];
  return typeof name === 'string' && tools.some((pattern) => isLike(name, pattern));
}

function isLike(name: string, pattern: string): boolean {
  const parts = pattern.split('*').map((part) => RegExp.escape(part));
  return new RegExp(`^${parts.join('.*')}$`, 's').test(name);
}

async function confirm(): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new CommandFailure('Nobody can be asked here: give --yes if these calls are to be sent.');
  }
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await prompt.question('Send them? Type "yes": ');
  prompt.close();
  if (answer.trim() !== 'yes') throw new CommandFailure('Nothing was sent.');
}

/** Sends session by session, as they were opened; calls of one session in their order. */
async function* compareAll(
  calls: readonly RecordedCall[],
  sent: readonly RecordedCall[],
  { url, headers, ignore }: AgainstOptions,
): AsyncIterable<Compared> {
  for (const [, of] of Map.groupBy(sent, ({ session }) => session?.id ?? null)) {
    const client = createServerClient(url, headers);
    const isLegacy = of.some(({ protocol }) => protocol === null || protocol < '2026-07-28');
    const opening = isLegacy
      ? (calls.find(({ call, session }) => call.method === OPENS && session?.id === of[0]?.session?.id) ??
        calls.find(({ call }) => call.method === OPENS))
      : undefined;
    try {
      if (opening !== undefined) await client.open(opening.message);
      for (const recorded of of) yield await compare(client, recorded, ignore);
    } catch (error) {
      throw new CommandFailure(`No session with ${url.href} could be opened: ${reasonOf(error)}.`);
    } finally {
      await client.close();
    }
  }
}

async function compare(
  client: ServerClient,
  recorded: RecordedCall,
  ignore: readonly string[],
): Promise<Compared> {
  try {
    const answer = await client.call(recorded.message, recorded.protocol);
    const [before] = recorded.answer?.messages ?? [];
    if (before === undefined) {
      return { recorded, verdict: 'not_recorded', differences: [], reason: recorded.missing };
    }
    const differences = differencesOf(partOf(before), partOf(answer), ignore);
    return { recorded, verdict: differences.length === 0 ? 'same' : 'different', differences, reason: null };
  } catch (error) {
    return { recorded, verdict: 'failed', differences: [], reason: reasonOf(error) };
  }
}

/** What is compared of an answer. */
function partOf({ result, error }: { result?: unknown; error?: unknown }): object {
  return error === undefined ? { result } : { error };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}

function jsonOf({ recorded, verdict, differences, reason }: Compared): object {
  const { exchange, call, session } = recorded;
  const { operation, method, target } = call;
  return {
    v: 1,
    type: 'call',
    exchange,
    operation,
    session: session?.id ?? null,
    method,
    target,
    verdict,
    reason,
    differences,
  };
}

function describe({ recorded, verdict, differences, reason }: Compared): string {
  const what = `${verdict.padEnd(12)}  ${describeCall(recorded.message)}  ${recorded.call.operation}`;
  const lines = [`${what}${reason === null ? '' : `: ${reason}`}`];
  for (const { path, kind, recorded: before, now } of differences.slice(0, MOST_SHOWN)) {
    lines.push(`    ${path} ${kind}`);
    if (kind !== 'added') lines.push(`      recorded  ${shown(before)}`);
    if (kind !== 'removed') lines.push(`      now       ${shown(now)}`);
  }
  if (differences.length > MOST_SHOWN) lines.push(`    and ${differences.length - MOST_SHOWN} more`);
  return `${lines.map(printableLine).join('\n')}\n`;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? '';
  return text.length > 300 ? `${text.slice(0, 300)}...` : text;
}
