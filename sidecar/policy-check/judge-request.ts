/**
 * Owns what rules would have decided about a request of a recording.
 * Invariant: it is the recorder's own judgement, and where that depends on what is not recorded, it is said to be undecidable.
 */
import type { Buffer } from 'node:buffer';
import type { Call, Decision, RequestLine } from '@mcp-recorder/recording/format/line';
import { decodeBodyText } from '../exchange/body-text.ts';
import { type Classification, classifyRequest } from '../exchange/classify.ts';
import type { Message } from '../exchange/json-scan.ts';
import type { RuleDecision, RuleRequest, Rules } from '../exchange/rules/rules.ts';
import { judge } from '../proxy/judge.ts';
import { isMasked } from './recorded-request.ts';
import type { Unrecorded } from './unrecorded.ts';

export interface RecordedBody {
  /** Decoded; null when there was none, or it is not in the recording. */
  bytes: Buffer | null;
  /** Why it is not, or not all of it, in the recording; null when it is. */
  missing: string | null;
}

export type Outcome = 'allowed' | 'metadata_only' | 'denied' | 'refused' | 'undecidable';

export interface RequestVerdict {
  outcome: Outcome;
  /** Refused before any rule is asked, because rules could be deceived. */
  refusal: string | null;
  /** One for each message, or one for a request without any. */
  messages: MessageVerdict[];
}

export interface MessageVerdict {
  kind: Message['kind'] | 'none';
  method: string | null;
  target: string | null;
  action: RuleDecision['action'] | 'undecidable';
  /** The rule that decides, or can't be decided about. */
  rule: string | null;
  /** Denied because the rule could not be evaluated. */
  error: string | null;
  /** Undecidable: what the rule reads that is not in the recording. */
  unrecorded: string[];
  /** What was decided then; null for what is no call. */
  recorded: Decision | null;
}

type Passed = Extract<Classification, { verdict: 'pass' }>;

/** What is asked about, and what of it is not as it was. */
interface Read {
  classification: Passed;
  text: string | null;
  /** Arguments that rules can't read; null: they are those of the request. */
  withoutArguments: string | null;
  /** What all rules may depend on, and is not as it was. */
  unknownNames: string[];
}

/** Metrics are for recorders. */
const UNCOUNTED = { decided() {}, ruleFailed() {} };

/** @param request made of the line by `recordedRequest`, with the same `unrecorded` */
export function judgeRequest(
  rules: Rules,
  request: RuleRequest,
  line: RequestLine,
  body: RecordedBody,
  unrecorded: Unrecorded,
): RequestVerdict {
  const read = readRequest(line, body);
  // What is refused whatever the rules say did not depend on them then either.
  if (read === null) return { outcome: 'allowed', refusal: null, messages: [] };
  const { classification, text, withoutArguments } = read;
  let decided: RuleDecision[] = [];
  const watched: Rules = {
    ...rules,
    ambiguity: (whole) => rules.ambiguity(whole),
    decide(_, messages, whole) {
      unrecorded.forget();
      decided = rules.decide(request, messages, withoutArguments ?? whole);
      return decided;
    },
  };
  // The judge counts headers; for the rules some may not be readable.
  const head = {
    ...request,
    rawHeaders: line.http.headers.flatMap(({ name, value }) => [name, value ?? '']),
  };
  const judged = judge(watched, head, classification, text, UNCOUNTED);
  if (judged.verdict === 'refuse') return { outcome: 'refused', refusal: judged.reason, messages: [] };
  const calls = (line.calls ?? []).values();
  const messages = decided.map((decision, index): MessageVerdict => {
    const message = classification.messages[index];
    const isCall = message?.kind === 'request' || message?.kind === 'notification';
    return {
      kind: message?.kind ?? 'none',
      method: message?.method ?? null,
      target: message?.target ?? null,
      ...settle(decision, unrecorded.read, read),
      recorded: isCall ? (calls.next().value?.decision ?? null) : null,
    };
  });
  return { outcome: outcomeOf(messages), refusal: null, messages };
}

/** Null: refused before any rule is asked, by what it is. */
function readRequest(line: RequestLine, body: RecordedBody): Read | null {
  const unknownNames = namesUnknown(line);
  if (body.missing !== null) {
    const messages = (line.calls ?? []).map(messageOf);
    // No call stood in it, so it held answers.
    if (messages.length === 0) messages.push({ ...NO_MESSAGE, kind: 'response' });
    const classification: Passed = {
      verdict: 'pass',
      messages,
      batch: messages.length > 1,
      ambiguous: line.ambiguous ?? [],
      readable: true,
    };
    return { classification, text: null, withoutArguments: unreadableArguments(messages), unknownNames };
  }
  const decoded = body.bytes === null ? null : decodeBodyText(body.bytes);
  const text = decoded?.ok === true ? decoded.text : null;
  const type = line.http.headers.find(({ name }) => name === 'content-type')?.value ?? null;
  const classification = classifyRequest({
    method: line.http.method ?? '',
    contentType: body.bytes === null ? null : type,
    hasBody: body.bytes !== null && body.bytes.length > 0,
    text,
    headers: { mcpMethod: null, mcpName: null },
  });
  if (classification.verdict === 'refuse') return null;
  const { messages } = classification;
  if (messages.some(({ method, target }) => isMasked(method) || isMasked(target)))
    unknownNames.push('mcp.target');
  const withoutArguments = isMasked(text) ? unreadableArguments(messages) : null;
  return { classification, text, withoutArguments, unknownNames };
}

function namesUnknown({ principal }: RequestLine): string[] {
  const { issuer, subject, name, client_id } = principal;
  return [issuer, subject, name, client_id].some(isMasked) ? ['principal'] : [];
}

/** A text in which the arguments of each message are none that a rule can read. */
function unreadableArguments(messages: readonly Message[]): string {
  return JSON.stringify(messages.map(() => ({ params: { arguments: 0 } })));
}

function settle(
  { action, rule, error }: RuleDecision,
  read: readonly string[],
  { withoutArguments, unknownNames }: Read,
): Pick<MessageVerdict, 'action' | 'rule' | 'error' | 'unrecorded'> {
  if (unknownNames.length > 0) {
    return { action: 'undecidable', rule: null, error: null, unrecorded: unknownNames };
  }
  if (error !== null && (read.length > 0 || withoutArguments !== null)) {
    const unrecorded = read.length > 0 ? [...read] : ['mcp.arguments'];
    return { action: 'undecidable', rule, error: null, unrecorded };
  }
  return { action, rule, error, unrecorded: [] };
}

function outcomeOf(messages: readonly MessageVerdict[]): Outcome {
  const some = (action: MessageVerdict['action']): boolean =>
    messages.some((message) => message.action === action);
  if (some('deny')) return 'denied';
  if (some('undecidable')) return 'undecidable';
  return some('metadata_only') ? 'metadata_only' : 'allowed';
}

const NO_MESSAGE: Message = {
  kind: 'other',
  rpcId: null,
  method: null,
  target: null,
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

function messageOf({ kind, method, target, rpc_id }: Call): Message {
  return { ...NO_MESSAGE, kind, method, target, rpcId: rpc_id };
}
