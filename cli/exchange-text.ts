/**
 * Owns how one exchange is told to people: who asked which tool for what, when, what came back and how long it took.
 * Invariant: every word from the recording is made printable; what is not shown is said to be left out.
 */
import type { Call, Principal, ResultLine } from '@mcp-recorder/recording/format/line';
import type { ExchangeView, Step } from '@mcp-recorder/recording/read/exchange-view';
import { printableLine, printableText } from './printable.ts';
import { count, formatDuration } from './table.ts';

/** What is shown of one text; more is said to be cut. */
interface Most {
  lines: number;
  characters: number;
}

const MOST: Most = { lines: 200, characters: 16_384 };
/** All of a text: where it can be scrolled or is kept. */
export const UNCUT: Most = { lines: Number.POSITIVE_INFINITY, characters: Number.POSITIVE_INFINITY };

/** An exchange as text. */
export function describeExchange(view: ExchangeView): string[] {
  const { exchange, time, ended, principal, http, client, steps } = view;
  const text = [
    `Exchange  ${exchange}`,
    `When      ${formatTime(time)}, ${ended === null ? 'not ended' : `took ${formatDuration(ended.duration_us)}`}`,
    `Who       ${principal === null ? 'the request is not in the recording' : describePrincipal(principal)}`,
    `From      ${[http.client_address, describeClient(client)].filter(Boolean).join(', ') || 'unknown'}`,
    `Session   ${describeSession(view)}`,
    `HTTP      ${describeHttp(view)}`,
    ...describeChanges(view).map((change) => `Note      ${change}`),
  ].map(printableLine);
  for (const step of steps) text.push('', ...describeStep(step, view));
  if (steps.length === 0) text.push('', ...describeBodies(view));
  return text;
}

/** A call with what was asked and what came back, as text. */
export function describeStep(step: Step, view: ExchangeView, most: Most = MOST): string[] {
  const { call, result } = step;
  const text = [describeCall(call, result), ...section('asked', describeParams(step, view), most)];
  if (call.kind === 'request') text.push(...section('answer', describeAnswer(step, view), most));
  return text;
}

/** What the bodies of an exchange without calls hold. */
export function describeBodies({ bodies }: ExchangeView, most: Most = MOST): string[] {
  if (bodies.length === 0) return ['No call in it, and no body.'];
  const text = ['No call in it.'];
  for (const { sender, text: body, bytes, withheld, messages } of bodies) {
    const said =
      withheld !== null
        ? `withheld (${withheld.reason}, ${count(withheld.bytes, 'byte')})`
        : body === null
          ? `${count(bytes?.length ?? 0, 'byte')} that are no text`
          : messages.length === 1
            ? toText(messages[0])
            : body;
    text.push(...section(sender === 'client' ? 'sent' : 'answer', said, most));
  }
  return text;
}

/** What is not in the record as it passed, or passed otherwise: whole sentences. */
export function describeChanges(view: ExchangeView): string[] {
  const { masked, wireMasked, hidden, ambiguous, bodies, complete } = view;
  const rules = (of: ExchangeView['masked']) =>
    of.map(({ rule, count: times }) => `${rule}${times === 1 ? '' : ` x${times}`}`).join(', ');
  return [
    ...(masked.length === 0 ? [] : [`masked in the record: ${rules(masked)}`]),
    ...(wireMasked.length === 0 ? [] : [`masked in what passed: ${rules(wireMasked)}`]),
    ...hidden.map(({ rule, names }) => `hidden from the client by ${rule}: ${names.join(', ')}`),
    ...(ambiguous.length === 0 ? [] : [`parsers may read a body differently: ${ambiguous.join(', ')}`]),
    ...bodies.flatMap(({ sender, withheld }) =>
      withheld === null
        ? []
        : [`body of the ${sender} withheld: ${withheld.reason}, ${count(withheld.bytes, 'byte')}`],
    ),
    ...(complete ? [] : ['not complete: it was still running, or its end has not been recorded']),
  ];
}

/** `ada@example.com (oidc)`; who it was as far as it is known. */
export function describePrincipal({ how, name, subject, client_id, issuer }: Principal): string {
  const who = name ?? subject ?? client_id;
  if (who === null) return how;
  return `${who} (${[how, issuer].filter(Boolean).join(', ')})`;
}

/** `2026-11-21 08:40:03.000 UTC`: milliseconds are enough for people. */
export function formatTime(time: string): string {
  return time.replace(/^(\S+)T(\S+\.\d{3})\d*Z$/, '$1 $2 UTC');
}

/** `tools/call echo`. */
export function describeTarget(method: string | null, target: string | null): string {
  return [method ?? 'unknown call', target].filter((part) => part !== null).join(' ');
}

/** `ok`, `error -32602`, `unknown (timeout)`. */
export function describeOutcome({ outcome, error_code, cause }: ResultLine): string {
  return `${outcome}${error_code === null ? '' : ` ${error_code}`}${cause === null ? '' : ` (${cause})`}`;
}

function describeClient(client: ExchangeView['client']): string | null {
  return client === null
    ? null
    : `client ${client.name}${client.version === null ? '' : ` ${client.version}`}`;
}

function describeSession({ session, protocol }: ExchangeView): string {
  const name = session === null ? 'none' : `${session.id} (known by ${session.how})`;
  return protocol === null ? name : `${name}, protocol ${protocol}`;
}

function describeHttp({ principal, http, answeredBy, ended }: ExchangeView): string {
  const asked = principal === null ? 'request unknown' : `${http.method} ${http.target}`;
  const by = answeredBy === 'recorder' ? ' by the recorder' : '';
  const answer = answeredBy === null ? 'no answer' : `${http.status}${by}`;
  const sizes =
    ended === null
      ? 'not ended'
      : `${ended.how}, ${ended.bytes_in} bytes in, ${ended.bytes_out} bytes out, ${ended.released_bytes} to the client`;
  return `${asked} -> ${answer}; ${sizes}`;
}

function describeCall(call: Call, outcome: ResultLine | null): string {
  const what = printableLine(describeTarget(call.method, call.target));
  const decision =
    call.decision.action === 'allow' ? '' : `, ${call.decision.action} by ${call.decision.rule}`;
  const from = `${call.kind} from the ${call.sender}${printableLine(decision)}`;
  if (call.kind === 'notification') return `${what}  [${from}]`;
  if (outcome === null) return `${what}  [${from}] -> no result in the recording`;
  const ended = printableLine(describeOutcome(outcome));
  return `${what}  [${from}] -> ${ended}, ${formatDuration(outcome.duration_us)}`;
}

function describeParams({ call, asked }: Step, { bodies }: ExchangeView): string {
  if (asked === null) return unreadable(bodies, call.sender);
  const { params } = asked;
  if (params === undefined) return '';
  const { arguments: given } = params;
  return toText(given ?? Object.fromEntries(Object.entries(params).filter(([key]) => key !== '_meta')));
}

function describeAnswer({ call, result, answer }: Step, { bodies, exchange }: ExchangeView): string {
  if (answer?.error !== undefined) return toText(answer.error);
  if (answer?.result !== undefined) return describeResult(answer.result);
  if (result === null) return '';
  if (result.exchange === null) return 'none arrived';
  if (result.exchange !== exchange) return `arrived in exchange ${result.exchange}`;
  return unreadable(bodies, call.sender === 'client' ? 'server' : 'client');
}

function unreadable(bodies: ExchangeView['bodies'], sender: 'client' | 'server'): string {
  const withheld = bodies.find((body) => body.sender === sender && body.withheld !== null)?.withheld;
  return withheld === undefined || withheld === null
    ? 'not readable as JSON-RPC (see the body in the recording)'
    : `withheld (${withheld.reason}, ${count(withheld.bytes, 'byte')})`;
}

/** Text content as text; anything else as JSON. */
export function describeResult(result: unknown): string {
  const content =
    typeof result === 'object' && result !== null && 'content' in result ? result.content : null;
  if (!Array.isArray(content) || content.length === 0) return toText(result);
  return content
    .map((item: unknown) => {
      if (typeof item !== 'object' || item === null || !('type' in item)) return toText(item);
      if (item.type === 'text' && 'text' in item) return String(item.text);
      if ('data' in item && typeof item.data === 'string') {
        const type = 'mimeType' in item ? ` ${String(item.mimeType)}` : '';
        return `[${String(item.type)}${type}, ${item.data.length} characters of base64]`;
      }
      return toText(item);
    })
    .join('\n');
}

/** Deeper than this nothing is indented: the spaces alone would be more than all else. */
const MOST_INDENTED = 64;

/** A value as JSON, over lines. */
export function toText(value: unknown): string {
  try {
    const text = JSON.stringify(value) ?? '';
    return nestingOf(text) > MOST_INDENTED ? text : (JSON.stringify(value, null, 2) ?? '');
  } catch {
    return '(nested too deeply to be shown)';
  }
}

/** How deep the brackets of a JSON text go; those in strings count too. */
function nestingOf(json: string): number {
  let deepest = 0;
  let depth = 0;
  for (let at = 0; at < json.length; at += 1) {
    const character = json.charCodeAt(at);
    if (character === 0x5b || character === 0x7b) deepest = Math.max(deepest, (depth += 1));
    else if (character === 0x5d || character === 0x7d) depth -= 1;
  }
  return deepest;
}

function section(title: string, content: string, { lines, characters }: Most): string[] {
  if (content === '') return [];
  const cut = content.length > characters ? content.slice(0, characters) : content;
  const all = printableText(cut).split('\n');
  const shown = all.slice(0, lines);
  const text = shown.map((line, n) => `  ${n === 0 ? title.padEnd(8) : ' '.repeat(8)}${line}`);
  if (cut.length < content.length || shown.length < all.length) {
    text.push(`  ${' '.repeat(8)}... (cut here; ${content.length} characters in all)`);
  }
  return text;
}
