/**
 * Owns the way of a request through the rules: what can't be read in one way is refused, the rest is decided message by message.
 * Invariant: nothing passes about which a rule could have been deceived; where one message is denied, none of the request passes.
 */
import type { Decision } from '@mcp-recorder/recording/format/line';
import type { Classification } from '../exchange/classify.ts';
import { type DenialAnswer, denialAnswer } from '../exchange/denial.ts';
import type { RefusalReason } from '../exchange/refusals.ts';
import type { RuleRequest, Rules } from '../exchange/rules/rules.ts';
import type { ProxyMetrics } from './context.ts';

type Passed = Extract<Classification, { verdict: 'pass' }>;

export type Judgement =
  | { verdict: 'refuse'; reason: RefusalReason; message: string }
  | {
      verdict: 'decided';
      /** One for each message, or one for a request without any; null where there are no rules. */
      decisions: Decision[] | null;
      metadataOnly: boolean;
      /** What the client is told; null: the request passes. */
      denial: DenialAnswer | null;
    };

/** There are no rules. */
export const UNJUDGED: Judgement = { verdict: 'decided', decisions: null, metadataOnly: false, denial: null };

/** @param text of the body; null without one */
export function judge(
  rules: Rules,
  request: RuleRequest,
  classification: Passed,
  text: string | null,
  metrics: Pick<ProxyMetrics, 'decided' | 'ruleFailed'>,
): Judgement {
  const { messages, batch, ambiguous, readable } = classification;
  if (!readable) return refuse('unreadable_body', 'the body is not JSON in UTF-8');
  if (namesTwoTypes(request.rawHeaders)) {
    return refuse('unreadable_body', 'the request has more than one Content-Type header');
  }
  if (ambiguous.length > 0) return refuse('ambiguous_body', `the message has a ${ambiguous.join(', ')}`);
  const ambiguity = rules.ambiguity(text);
  if (ambiguity !== null) return refuse('ambiguous_body', ambiguity);
  const decided = rules.decide(request, messages, text);
  for (const { rule, action, error } of decided) {
    metrics.decided(rule, action);
    if (error !== null) metrics.ruleFailed(rule, error);
  }
  const isDenied = decided.some(({ action }) => action === 'deny');
  return {
    verdict: 'decided',
    decisions: decided.map(({ action, rule }) => ({ action, rule })),
    metadataOnly: decided.some(({ action }) => action === 'metadata_only'),
    denial: isDenied ? denialAnswer(messages, decided, batch) : null,
  };
}

function refuse(reason: RefusalReason, message: string): Judgement {
  return { verdict: 'refuse', reason, message };
}

/** The server may take another one of them than the recorder. */
function namesTwoTypes(rawHeaders: readonly string[]): boolean {
  let types = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if ((rawHeaders[i] as string).toLowerCase() === 'content-type') types++;
  }
  return types > 1;
}
