/**
 * Owns how the trial of rules and masks is told: to people, and as JSON lines.
 * Invariant: members of the JSON may be added, none is renamed or removed (docs/cli.md).
 */
import type { TriedPolicy } from '@mcp-recorder/sidecar/config/policy-check';
import { describePrincipal, describeTarget, formatTime } from './exchange-text.ts';
import type { Example, ExchangeFindings, MaskSums, PolicySums, RuleSums } from './policy-findings.ts';
import { printableLine } from './printable.ts';
import { count, renderTable } from './table.ts';

const MAX_TOOLS_SHOWN = 8;

/** A line for one exchange. */
export function findingsJson(findings: ExchangeFindings): string {
  const { exchange, time, place, principal, verdict, masks, hidden } = findings;
  return JSON.stringify({
    type: 'exchange',
    exchange,
    time,
    ...place,
    principal,
    outcome: verdict.outcome,
    refusal: verdict.refusal,
    messages: verdict.messages,
    masks,
    beyond_bound: findings.beyondBound,
    hidden,
    hiding_undecidable: findings.hidingUndecidable,
    not_read: findings.notRead,
  });
}

/** The last line. */
export function sumsJson(sums: PolicySums, store: string): string {
  return JSON.stringify({
    type: 'summary',
    store,
    exchanges: sums.exchanges,
    first_time: sums.first,
    last_time: sums.last,
    unverified: sums.unverified,
    outcomes: sums.outcomes,
    refusals: Object.fromEntries(sums.refusals),
    rules: sums.rules.map(({ unrecorded, tools, examples, ...rule }) => ({
      ...rule,
      unrecorded: [...unrecorded],
      tools: [...tools],
      examples: examples.map(({ exchange }) => exchange),
    })),
    masks: sums.masks.map(({ rule, in: where, counts, exchanges, examples }) => ({
      rule,
      in: where,
      ...counts,
      exchanges,
      examples,
    })),
    beyond_bound: sums.beyondBound,
    not_read: notRead(sums),
  });
}

function notRead(sums: PolicySums): { line: string; why: string; count: number }[] {
  return [...sums.notRead].map(([key, number]) => {
    const [line = '', why = ''] = key.split('/');
    return { line, why, count: number };
  });
}

interface Tried {
  policy: TriedPolicy;
  file: string;
  store: string;
}

/** The whole report. */
export function describeSums(sums: PolicySums, { policy, file, store }: Tried): string[] {
  const { allowed, metadata_only, denied, refused, undecidable } = sums.outcomes;
  const text = [
    printableLine(`${file}, tried on ${count(sums.exchanges, 'exchange')} in ${store}`),
    `  from ${formatTime(sums.first ?? '-')} to ${formatTime(sums.last ?? '-')}`,
    `  ${allowed} pass, ${metadata_only} without bodies in the record, ${denied} denied, ${refused} refused, ${undecidable} not decidable`,
  ];
  if (policy.rules.length > 0) text.push('', ...ruleTable(sums.rules));
  else text.push('', 'No rules in it.');
  for (const rule of sums.rules) text.push(...describeRule(rule));
  if (sums.masks.length > 0) text.push('', ...maskTable(sums.masks));
  else text.push('', policy.masking.rules.length > 0 ? 'No mask found anything.' : 'No masks in it.');
  const notes = describeNotes(sums, policy);
  if (notes.length > 0) text.push('', ...notes);
  return text;
}

function ruleTable(rules: readonly RuleSums[]): string[] {
  const rows = rules.map(({ name, action, messages, exchanges, already, undecidable }) => [
    name,
    action,
    ...[messages, exchanges, already, undecidable].map(String),
  ]);
  return renderTable(['RULE', 'ACTION', 'CALLS', 'EXCHANGES', 'AS RECORDED', 'NOT DECIDABLE'], rows);
}

function describeRule(rule: RuleSums): string[] {
  const text: string[] = [];
  if (rule.examples.length > 0) {
    text.push('', `${rule.name}:`, ...rule.examples.map(describeExample));
    const more = rule.exchanges - rule.examples.length;
    if (more > 0) text.push(`  ... and ${more} more`);
  }
  if (rule.lists > 0) {
    const tools = [...rule.tools];
    const names = tools.slice(0, MAX_TOOLS_SHOWN).join(', ');
    const more = tools.length > MAX_TOOLS_SHOWN ? ', ...' : '';
    text.push(
      '',
      printableLine(`${rule.name} hides in ${count(rule.lists, 'list')} of tools: ${names}${more}`),
    );
  }
  if (rule.errors > 0)
    text.push('', `${rule.name} could not be evaluated for ${rule.errors} of these calls.`);
  if (rule.unrecorded.size > 0) {
    const names = [...rule.unrecorded].join(', ');
    text.push('', `${rule.name} reads what is not in the recording: ${names}.`);
  }
  return text;
}

function describeExample({ exchange, time, principal, method, target }: Example): string {
  const what = method === null ? 'a request without messages' : describeTarget(method, target);
  return printableLine(`  ${formatTime(time)}  ${exchange}  ${describePrincipal(principal)}  ${what}`);
}

function maskTable(masks: readonly MaskSums[]): string[] {
  const rows = masks.map(({ rule, in: where, counts, exchanges, examples }) => [
    rule,
    where === 'record' ? 'the record' : 'what passes',
    ...[counts.request, counts.response, counts.event, exchanges].map(String),
    examples[0] ?? '-',
  ]);
  return renderTable(['MASK', 'IN', 'REQUESTS', 'RESPONSES', 'EVENTS', 'EXCHANGES', 'FOR EXAMPLE'], rows);
}

function describeNotes(sums: PolicySums, policy: TriedPolicy): string[] {
  const notes = [...sums.refusals].map(
    ([reason, number]) =>
      `${count(number, 'exchange')} refused before the rules, since servers may read them otherwise: ${reason}.`,
  );
  if (policy.rules.length > 0 && sums.unverified > 0) {
    notes.push(
      `${count(sums.unverified, 'exchange')} had no verified caller: to rules nobody, with no groups.`,
    );
  }
  for (const { line, why, count: number } of notRead(sums)) {
    notes.push(`Of ${count(number, line)} the body is ${REASONS[why] ?? why}.`);
  }
  if (sums.beyondBound > 0) {
    notes.push(`${count(sums.beyondBound, 'exchange')} would have met the bound of masking.`);
  }
  return notes;
}

/** How the sentence ends. */
const REASONS: Record<string, string> = {
  withheld: 'not in the recording (withheld), so no mask was tried on it',
  cut_off: 'not whole in the recording; masks were tried on what is there',
  too_long: 'too long to be put together, so no mask was tried on it',
};
