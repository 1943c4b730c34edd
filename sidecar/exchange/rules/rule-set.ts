/**
 * Owns the decisions that a set of compiled rules makes.
 * Invariant: the first rule that matches, or that can't be evaluated, decides; nothing of a request is kept after it.
 */
import type { Caller } from '../caller.ts';
import type { Message } from '../json-scan.ts';
import { codesOf } from '../json-text.ts';
import { findAmbiguity, foldedNames } from './ambiguity.ts';
import { argumentSpans, type Span } from './argument-text.ts';
import type { CompiledRule } from './compile.ts';
import { ArgumentsError, errorOf } from './evaluation-error.ts';
import type { Scope } from './instrument.ts';
import { parseCelValue } from './json-value.ts';
import { COST_EXCEEDED, type Meter } from './meter.ts';
import type { RecordedServer, RuleDecision, RuleRequest, Rules } from './rules.ts';
import { ClientView, HttpView, McpView, PrincipalView, ServerView, type Variables } from './views.ts';

const ALLOWED: RuleDecision = { action: 'allow', rule: null, message: null, error: null };

/** Methods whose `params.arguments` rules see. */
const METHODS_WITH_ARGUMENTS = new Set(['tools/call', 'prompts/get']);

export function createRules(rules: readonly CompiledRule[], server: RecordedServer, scope: Scope): Rules {
  const serverView = new ServerView(server);
  const principals = new WeakMap<Caller, PrincipalView>();
  const hidesTools = rules.some(({ configuration }) => configuration.hideTools);
  const readsArguments = rules.some(({ reads }) => reads.arguments);
  const argumentNames = foldedNames(rules.flatMap(({ reads }) => [...reads.argumentNames]));

  function principalOf(caller: Caller): PrincipalView {
    let view = principals.get(caller);
    if (view === undefined) principals.set(caller, (view = new PrincipalView(caller)));
    return view;
  }

  /** Gives the rules the variables of a request, for as long as `use` takes; `use` puts in the messages. */
  function withRequest<T>(request: RuleRequest, use: (variables: Variables) => T): T {
    const principal = principalOf(request.caller);
    const variables: Variables = {
      principal,
      mcp: new McpView(request, null, noArguments),
      client: new ClientView(request.clientAddress, principal.client_id),
      http: new HttpView(request),
      server: serverView,
    };
    scope.meter.refill();
    scope.variables = variables;
    try {
      return use(variables);
    } finally {
      scope.variables = null;
    }
  }

  function decideOne(): RuleDecision {
    for (const rule of rules) {
      const outcome = evaluate(rule, scope);
      if (outcome === true) return matched(rule);
      if (outcome !== false) return failed(rule, outcome);
    }
    return ALLOWED;
  }

  return {
    hidesTools,
    metadataOnly: rules.some(({ configuration }) => configuration.action === 'MetadataOnly'),
    decide(request, messages, text) {
      return withRequest(request, (variables) => {
        if (messages.length === 0) return [decideOne()];
        const readArguments = argumentReader(messages, text, scope.meter);
        return messages.map((message, index) => {
          variables.mcp = new McpView(request, message, () => readArguments(index));
          return decideOne();
        });
      });
    },
    ambiguity: (text) => (readsArguments && text !== null ? findAmbiguity(text, argumentNames) : null),
    hides(request, tool) {
      if (!hidesTools) return null;
      return withRequest(request, (variables) => {
        variables.mcp = new McpView(request, callOf(tool), noArguments);
        for (const rule of rules) {
          // What it says of a call depends on arguments that are not known yet: it hides nothing, and lets nothing be hidden less.
          if (rule.reads.arguments) continue;
          const outcome = evaluate(rule, scope);
          if (outcome === false) continue;
          return outcome !== true || rule.configuration.hideTools ? rule.configuration.name : null;
        }
        return null;
      });
    },
  };
}

/** True or false, or what stopped the evaluation. */
function evaluate(rule: CompiledRule, { meter }: Scope): unknown {
  let outcome: unknown;
  try {
    outcome = rule.evaluate();
  } catch (error) {
    outcome = error;
  }
  if (meter.exceeded) return COST_EXCEEDED;
  return outcome;
}

function matched({ configuration: { name, action, message } }: CompiledRule): RuleDecision {
  if (action === 'MetadataOnly') return { action: 'metadata_only', rule: name, message: null, error: null };
  return { action: 'deny', rule: name, message: message ?? `The rule ${name} denies this`, error: null };
}

function failed({ configuration: { name, when } }: CompiledRule, outcome: unknown): RuleDecision {
  const message = `The rule ${name} could not be evaluated for this, so it is denied`;
  return { action: 'deny', rule: name, message, error: errorOf(name, when, outcome) };
}

/** Reads the arguments of the message with this index. The text is looked through once, and only when a rule asks. */
function argumentReader(
  messages: readonly Message[],
  text: string | null,
  meter: Meter,
): (index: number) => unknown {
  let spans: (Span | null)[] | null = null;
  return (index) => {
    const { method } = messages[index] as Message;
    if (text === null || method === null || !METHODS_WITH_ARGUMENTS.has(method)) return noArguments();
    spans ??= argumentSpans(text, codesOf(text));
    const span = spans[index];
    if (span === undefined || span === null) return noArguments();
    const value = parseCelValue(text.slice(span.start, span.end), meter);
    if (value === null) return noArguments();
    if (!(value instanceof Map)) throw new ArgumentsError();
    return value;
  };
}

function noArguments(): unknown {
  return new Map();
}

/** The call that a client makes of a tool whose name it found in a list. */
function callOf(tool: string): Message {
  return {
    kind: 'request',
    rpcId: null,
    method: 'tools/call',
    target: tool,
    protocolVersion: null,
    clientInfo: null,
    traceparent: null,
    requestState: null,
    taskId: null,
    cancelledRequestId: null,
    isError: false,
    hasError: false,
    errorCode: null,
    resultType: null,
    hasTask: false,
  };
}
