/**
 * Owns `mcp-recorder policy test`: what rules and masks of a file would have done to what was recorded.
 * Invariant: nothing that a mask of the file matches is printed.
 * Exit codes: 0 tried; 2 the file or the store can't be used.
 */
import type { Principal } from '@mcp-recorder/recording/format/line';
import type { TimeRange } from '@mcp-recorder/recording/read/time-range';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import type { CheckedRequest, PolicyCheck, TriedPolicy } from '@mcp-recorder/sidecar/config/policy-check';
import { Command, InvalidArgumentError } from 'commander';
import type { Reading } from './audit/reading-log.ts';
import { eventData } from '@mcp-recorder/recording/read/messages';
import {
  addMasks,
  addNotRead,
  createSums,
  type ExchangeFindings,
  isNotable,
  type PolicySums,
} from './policy-findings.ts';
import { describeSums, findingsJson, sumsJson } from './policy-text.ts';
import { createProgress, watchReads } from './progress.ts';
import { readBodies, type RecordedPart, type RecordedPartOf } from './recorded-bodies.ts';
import { addReadingOptions, type ReadingFlags, withStore } from './store-argument.ts';
import { addTimeOptions, inThatTime, readTimeOptions, type TimeOptions } from './time-options.ts';
import { reportUnreadable } from './unreadable.ts';

interface PolicyTestOptions extends ReadingFlags, TimeOptions {
  config: string;
  recording: string;
  json?: boolean;
  examples: number;
}

export function policyCommand(): Command {
  return new Command('policy')
    .summary('try rules and masks on what was recorded')
    .description('Works on rules and masks before they are in force.')
    .addCommand(policyTestCommand());
}

function policyTestCommand(): Command {
  const command = new Command('test')
    .summary('say what rules and masks would have done to past recordings')
    .description(
      'Tries the rules and masks of a file on recordings: what would have been denied, recorded without bodies, hidden ' +
        'or masked. Nothing that a mask matches is printed.\nExit code 0: tried; 2: the file or the recording can not be used.',
    )
    .requiredOption(
      '--config <file>',
      'configuration of the recorder, or only its rules and masking, or a RecordedMCPServer (YAML)',
    )
    .requiredOption('--recording <store>', 'the recording: a directory, or s3://BUCKET/PREFIX')
    .option('--json', 'print JSON lines: each exchange that something is to be said of, and a summary')
    .option('--examples <n>', 'how many exchanges are named for each rule', readCount, 3);
  addTimeOptions(command, 'only exchanges that began in this time');
  return addReadingOptions(command).action(async (options: PolicyTestOptions) => {
    const { config, recording, json = false, examples, since, until, ...flags } = options;
    const between = readTimeOptions({ since, until });
    // The rules' language and the detectors are loaded only by those who need them.
    const { loadPolicyCheck } = await import('@mcp-recorder/sidecar/config/policy-check');
    const { policy, check } = loadPolicyCheck(config);
    const asked = { command: 'policy test', asked: { config, since, until } };
    const work = async (store: ObjectStore, reading: Reading): Promise<void> => {
      const print = (text: string): void => void process.stdout.write(`${text}\n`);
      const each = (findings: ExchangeFindings): void => {
        reading.saw({ session: null, exchange: findings.exchange });
        if (json) print(findingsJson(findings));
      };
      const sums = await tryPolicy({ policy, check, store, between, examples, each });
      if (json) print(sumsJson(sums, store.location));
      else if (sums.exchanges === 0) print(`No exchange in ${store.location}${inThatTime(between)} yet.`);
      else print(describeSums(sums, { policy, file: config, store: store.location }).join('\n'));
    };
    await withStore(recording, flags, work, { asked });
  });
}

export interface Trial {
  policy: TriedPolicy;
  check: PolicyCheck;
  store: ObjectStore;
  between: TimeRange;
  /** How many exchanges are named for each rule. */
  examples: number;
  /** Told of each exchange that something is to be said of, when it has been read. */
  each: (findings: ExchangeFindings) => void;
}

/** Tries a policy on a store. @throws StoreError when it can't be read */
export async function tryPolicy({
  policy,
  check,
  store,
  between,
  examples,
  each,
}: Trial): Promise<PolicySums> {
  const sums = createSums(policy, examples);
  const progress = createProgress();
  const running = new Map<string, { findings: ExchangeFindings; request: CheckedRequest }>();
  try {
    const watched = watchReads(store, progress);
    for await (const found of readBodies(watched, { between, onUnreadable: reportUnreadable })) {
      const { id, part } = found;
      let of = running.get(id);
      if (part.kind === 'request') running.set(id, (of = begin(check, found, part)));
      if (of === undefined) continue;
      if (part.kind !== 'end') {
        look(check, of.findings, of.request, part);
        continue;
      }
      running.delete(id);
      sums.add(of.findings);
      if (isNotable(of.findings)) each(of.findings);
    }
  } finally {
    progress.done();
  }
  return sums;
}

function begin(
  check: PolicyCheck,
  { place }: RecordedPartOf,
  { line, body }: RecordedPart & { kind: 'request' },
): { findings: ExchangeFindings; request: CheckedRequest } {
  const request = check.request(place, line, body);
  const shown = <T extends string | null>(text: T) => (text === null ? null : check.shown(text)) as T;
  const { principal } = line;
  const shownPrincipal: Principal = {
    ...principal,
    issuer: shown(principal.issuer),
    subject: shown(principal.subject),
    name: shown(principal.name),
    client_id: shown(principal.client_id),
    groups: principal.groups.map(shown),
  };
  const messages = request.verdict.messages.map((message) => ({
    ...message,
    method: shown(message.method),
    target: shown(message.target),
  }));
  const findings: ExchangeFindings = {
    exchange: line.exchange,
    time: line.time,
    place,
    principal: shownPrincipal,
    verdict: { ...request.verdict, messages },
    masks: [],
    beyondBound: false,
    hidden: [],
    hidingUndecidable: [],
    notRead: [],
  };
  return { findings, request };
}

function look(
  check: PolicyCheck,
  findings: ExchangeFindings,
  request: CheckedRequest,
  part: Exclude<RecordedPart, { kind: 'end' }>,
): void {
  const { kind, line, body } = part;
  if (body.missing !== null) addNotRead(findings, kind, body.missing);
  const bytes =
    kind === 'event' && body.bytes !== null ? Buffer.from(eventData(body.bytes.toString())) : body.bytes;
  const http = kind === 'event' ? null : part.line.http;
  const target = http?.target ?? null;
  addMasks(findings, kind, check.masks({ kind, bytes, target, headers: http?.headers ?? [] }));
  if (kind === 'request' || bytes === null) return;
  if ('answered_by' in line && line.answered_by === 'recorder') return;
  const { hidden, undecidable } = request.hidden(bytes.toString('utf8'));
  const shown = hidden.map(({ rule, names }) => ({ rule, names: names.map((name) => check.shown(name)) }));
  findings.hidden.push(...shown);
  findings.hidingUndecidable.push(...undecidable);
}

function readCount(given: string): number {
  const count = Number(given);
  if (/^\d{1,4}$/.test(given)) return count;
  throw new InvalidArgumentError('It needs a number from 0 to 9999.');
}
