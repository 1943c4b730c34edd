/**
 * Owns what was found about one recorded exchange when rules and masks were tried on it, and the sums over all.
 * Invariant: examples are bounded, so that memory grows with rules and not with exchanges; nothing here holds what a mask matched.
 */
import type { Principal } from '@mcp-recorder/recording/format/line';
import type {
  MaskFindings,
  Outcome,
  RequestVerdict,
  ToolHiding,
  TriedPolicy,
} from '@mcp-recorder/sidecar/config/policy-check';
import type { Missing, RecordedPart, RecordedPlace } from './recorded-bodies.ts';

/** Kinds of lines with a body; pieces of one count with the line that it began on. */
export type BodyLine = Exclude<RecordedPart['kind'], 'end'>;

export interface ExchangeFindings {
  exchange: string;
  time: string;
  place: RecordedPlace;
  principal: Principal;
  verdict: RequestVerdict;
  masks: { line: BodyLine; rule: string; in: 'record' | 'wire'; count: number }[];
  /** Masking would have met its bound. */
  beyondBound: boolean;
  hidden: ToolHiding['hidden'];
  /** Rules of which it is not known whether they would have hidden tools. */
  hidingUndecidable: string[];
  /** Bodies that are not, or not whole, in the recording. */
  notRead: { line: BodyLine; why: Missing; count: number }[];
}

export interface Example {
  exchange: string;
  time: string;
  principal: Principal;
  method: string | null;
  target: string | null;
}

export interface RuleSums {
  name: string;
  action: string;
  /** Messages (of a request without any: the request) that it decides about, and exchanges with one. */
  messages: number;
  exchanges: number;
  /** Of those messages: decided in the same way when they were recorded. */
  already: number;
  /** Of those messages: denied because the rule could not be evaluated. */
  errors: number;
  undecidable: number;
  /** What it reads that was not recorded. */
  unrecorded: Set<string>;
  /** Answers that it would have taken tools out of, and which tools. */
  lists: number;
  tools: Set<string>;
  examples: Example[];
}

export interface MaskSums {
  rule: string;
  in: 'record' | 'wire';
  counts: Record<BodyLine, number>;
  exchanges: number;
  examples: string[];
}

export interface PolicySums {
  exchanges: number;
  first: string | null;
  last: string | null;
  /** Of exchanges whose caller was not verified when they were recorded. */
  unverified: number;
  outcomes: Record<Outcome, number>;
  refusals: Map<string, number>;
  rules: RuleSums[];
  masks: MaskSums[];
  beyondBound: number;
  notRead: Map<string, number>;
  add(findings: ExchangeFindings): void;
}

/** So many names of tools are kept of a rule. */
const MAX_TOOLS = 100;

export function addMasks(
  findings: ExchangeFindings,
  line: BodyLine,
  { counts, beyondBound }: MaskFindings,
): void {
  findings.beyondBound ||= beyondBound;
  for (const { rule, in: where, count } of counts) {
    const known = findings.masks.find((one) => one.line === line && one.rule === rule && one.in === where);
    if (known === undefined) findings.masks.push({ line, rule, in: where, count });
    else known.count += count;
  }
}

export function addNotRead(findings: ExchangeFindings, line: BodyLine, why: Missing): void {
  const known = findings.notRead.find((one) => one.line === line && one.why === why);
  if (known === undefined) findings.notRead.push({ line, why, count: 1 });
  else known.count += 1;
}

/** Whether there is something to say about the exchange. */
export function isNotable(findings: ExchangeFindings): boolean {
  const { verdict, masks, hidden, hidingUndecidable, notRead, beyondBound } = findings;
  const lists = [masks, hidden, hidingUndecidable, notRead];
  return verdict.outcome !== 'allowed' || beyondBound || lists.some(({ length }) => length > 0);
}

/** @param examples how many exchanges are named for each rule and mask */
export function createSums({ rules, masking }: TriedPolicy, examples: number): PolicySums {
  const ruleSums = rules.map(
    ({ name, action }): RuleSums => ({
      name,
      action,
      messages: 0,
      exchanges: 0,
      already: 0,
      errors: 0,
      undecidable: 0,
      unrecorded: new Set(),
      lists: 0,
      tools: new Set(),
      examples: [],
    }),
  );
  const byName = new Map(ruleSums.map((one) => [one.name, one]));
  const maskSums: MaskSums[] = [];
  const maskOf = (rule: string, where: 'record' | 'wire'): MaskSums => {
    let found = maskSums.find((one) => one.rule === rule && one.in === where);
    if (found === undefined) {
      const counts = { request: 0, response: 0, event: 0 };
      maskSums.push((found = { rule, in: where, counts, exchanges: 0, examples: [] }));
    }
    return found;
  };
  // A mask that finds nothing is news too; of detectors there are too many.
  for (const rule of masking.rules) {
    if (rule.kind === 'detectors') continue;
    if (rule.appliesTo !== 'Wire') maskOf(rule.name, 'record');
    if (rule.appliesTo !== 'Record') maskOf(rule.name, 'wire');
  }

  const sums: PolicySums = {
    exchanges: 0,
    first: null,
    last: null,
    unverified: 0,
    outcomes: { allowed: 0, metadata_only: 0, denied: 0, refused: 0, undecidable: 0 },
    refusals: new Map(),
    rules: ruleSums,
    masks: maskSums,
    beyondBound: 0,
    notRead: new Map(),
    add(findings) {
      const { time, principal, verdict, masks, exchange } = findings;
      sums.exchanges += 1;
      if (sums.first === null || time < sums.first) sums.first = time;
      if (sums.last === null || time > sums.last) sums.last = time;
      if (principal.how === 'anonymous' || principal.how === 'unverified') sums.unverified += 1;
      sums.outcomes[verdict.outcome] += 1;
      if (verdict.refusal !== null) increase(sums.refusals, verdict.refusal, 1);
      if (findings.beyondBound) sums.beyondBound += 1;
      for (const { line, why, count } of findings.notRead) increase(sums.notRead, `${line}/${why}`, count);
      addDecisions(byName, findings, examples);
      const seen = new Set<MaskSums>();
      for (const { line, rule, in: where, count } of masks) {
        const of = maskOf(rule, where);
        of.counts[line] += count;
        seen.add(of);
      }
      for (const of of seen) {
        of.exchanges += 1;
        if (of.examples.length < examples) of.examples.push(exchange);
      }
    },
  };
  return sums;
}

function addDecisions(
  byName: ReadonlyMap<string, RuleSums>,
  { exchange, time, principal, verdict, hidden, hidingUndecidable }: ExchangeFindings,
  examples: number,
): void {
  const seen = new Set<RuleSums>();
  for (const { rule, action, error, unrecorded, recorded, method, target } of verdict.messages) {
    const of = rule === null ? undefined : byName.get(rule);
    if (of === undefined) continue;
    if (action === 'undecidable') {
      of.undecidable += 1;
      for (const name of unrecorded) of.unrecorded.add(name);
      continue;
    }
    of.messages += 1;
    if (error !== null) of.errors += 1;
    if (recorded?.action === action) of.already += 1;
    if (seen.has(of)) continue;
    seen.add(of);
    of.exchanges += 1;
    if (of.examples.length < examples) of.examples.push({ exchange, time, principal, method, target });
  }
  for (const { rule, names } of hidden) {
    const of = byName.get(rule);
    if (of === undefined) continue;
    of.lists += 1;
    for (const name of names) if (of.tools.size < MAX_TOOLS) of.tools.add(name);
  }
  for (const rule of hidingUndecidable) {
    const of = byName.get(rule);
    if (of !== undefined) of.undecidable += 1;
  }
}

function increase(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}
