/**
 * Owns the questions that the proxy puts to the rules.
 * Invariant: each message of a request gets one decision; what can't be decided is denied.
 */
import type { Caller } from '../caller.ts';
import type { Message } from '../json-scan.ts';

/** What stays the same for all requests of a recorder. */
export interface RecordedServer {
  name: string;
  namespace: string;
  cluster: string;
  labels: Readonly<Record<string, string>>;
}

/** One HTTP request, as rules see it. */
export interface RuleRequest {
  caller: Caller;
  clientAddress: string;
  /** HTTP method and request target. */
  method: string;
  target: string;
  rawHeaders: readonly string[];
  /** Hash of the session id, or null. */
  session: string | null;
  protocol: string | null;
}

export interface RuleDecision {
  action: 'allow' | 'deny' | 'metadata_only';
  /** Name of the rule that decided; null when none matched. */
  rule: string | null;
  /** Denied: what the caller is told. */
  message: string | null;
  /** Denied because a rule could not be evaluated; without anything of the request. */
  error: string | null;
}

export interface Rules {
  /**
   * One decision for each message, in order; for a request without messages one decision about the request itself.
   * @param text the JSON text that the messages were scanned from; null without body
   */
  decide(request: RuleRequest, messages: readonly Message[], text: string | null): RuleDecision[];
  /** Why the body may be read otherwise by the server than by the rules, though its envelope may not; null when it may not. */
  ambiguity(text: string | null): string | null;
  /** Some rule hides tools. */
  readonly hidesTools: boolean;
  /** Some rule lets only metadata be recorded. */
  readonly metadataOnly: boolean;
  /** The rule that hides this tool from this caller, or null. */
  hides(request: RuleRequest, tool: string): string | null;
}
