/**
 * Owns what the client is told when a rule denies its request.
 * Invariant: each JSON-RPC request of the body gets one error, with its own id; what no rule denied says that it was refused with the others.
 */
import type { Message } from './json-scan.ts';
import { REFUSALS, refusalError } from './refusals.ts';
import type { RuleDecision } from './rules/rules.ts';

export interface DenialAnswer {
  /** 200 where JSON-RPC errors answer requests, as servers do; 403 where there is none to answer. */
  status: number;
  contentType: string;
  body: string;
}

/** @param decisions one for each message, or one where there is none; one of them denies */
export function denialAnswer(
  messages: readonly Message[],
  decisions: readonly RuleDecision[],
  batch: boolean,
): DenialAnswer {
  const errors: string[] = [];
  for (const [index, { kind, rpcId }] of messages.entries()) {
    if (kind === 'request') errors.push(errorOf(decisions[index], rpcId ?? 'null'));
  }
  const contentType = 'application/json';
  if (errors.length > 0) {
    return { status: 200, contentType, body: batch ? `[${errors.join(',')}]` : (errors[0] as string) };
  }
  const denied = decisions.find(({ action }) => action === 'deny');
  return { status: REFUSALS.denied_by_rule.status, contentType, body: errorOf(denied, 'null') };
}

function errorOf(decision: RuleDecision | undefined, rpcId: string): string {
  if (decision?.action !== 'deny') return refusalError('batch_denied', rpcId);
  return refusalError('denied_by_rule', rpcId, { rule: decision.rule }, decision.message);
}
