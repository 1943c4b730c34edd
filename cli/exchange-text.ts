/**
 * Owns how one exchange is told to people: who asked which tool for what, when, what came back and how long it took.
 * Invariant: every word from the recording is made printable; what is not shown is said to be left out.
 */
import type { Call, Line, Principal, ResultLine } from '@mcp-recorder/recording/format/line';
import { type BodyPiece, findMessage, joinBody, type Message } from '@mcp-recorder/recording/read/messages';
import { printableLine, printableText } from './printable.ts';
import { formatDuration } from './table.ts';

const MAX_LINES = 200;
const MAX_CHARACTERS = 16_384;

type ExchangeLine = Extract<Line, { exchange: string | null }>;

/**
 * The lines of one exchange, in order, as text.
 * @param results `result` lines of its operations that arrived in other exchanges
 */
export function describeExchange(lines: readonly Line[], results: readonly ResultLine[] = []): string[] {
  const own = lines.filter((line): line is ExchangeLine => 'exchange' in line);
  const request = own.find((line) => line.type === 'request');
  const ended = own.find((line) => line.type === 'end')?.ended ?? null;
  const calls = own.flatMap((line) => ('calls' in line ? (line.calls ?? []) : []));
  const outcomes = new Map(
    [...own, ...results]
      .filter((line): line is ResultLine => line.type === 'result')
      .map((result) => [result.operation, result]),
  );
  const text = [
    `Exchange  ${own[0]?.exchange ?? ''}`,
    `When      ${formatTime(own[0]?.time ?? '')}, ${ended === null ? 'not ended' : `took ${formatDuration(ended.duration_us)}`}`,
    `Who       ${request === undefined ? 'the request is not in the recording' : describePrincipal(request.principal)}`,
    `From      ${[request?.http.client_address, describeClient(own)].filter(Boolean).join(', ') || 'unknown'}`,
    `Session   ${describeSession(own)}`,
    `HTTP      ${describeHttp(own)}`,
  ].map(printableLine);
  const sent = findMessages(own, 'client');
  const answered = findMessages(own, 'server');
  for (const call of calls) {
    const outcome = outcomes.get(call.operation) ?? null;
    const [asked, came] = call.sender === 'client' ? [sent, answered] : [answered, sent];
    text.push('', describeCall(call, outcome));
    text.push(...section('asked', describeParams(findMessage(asked, call.rpc_id, call.method))));
    if (call.kind === 'request') text.push(...section('answer', describeAnswer(call, outcome, came, own)));
  }
  if (calls.length === 0) text.push('', 'No call in it.');
  return text;
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

function describeClient(lines: readonly ExchangeLine[]): string | null {
  const info = lines.map((line) => ('client_info' in line ? line.client_info : undefined)).find(Boolean);
  return info === undefined ? null : `client ${info.name}${info.version === null ? '' : ` ${info.version}`}`;
}

function describeSession(lines: readonly ExchangeLine[]): string {
  const session = lines.map((line) => ('session' in line ? line.session : undefined)).find(Boolean);
  const protocol = lines.map((line) => ('protocol' in line ? line.protocol : undefined)).find(Boolean);
  const name = session === undefined ? 'none' : `${session.id} (known by ${session.how})`;
  return protocol === undefined ? name : `${name}, protocol ${protocol}`;
}

function describeHttp(lines: readonly ExchangeLine[]): string {
  const request = lines.find((line) => line.type === 'request')?.http;
  const response = lines.findLast((line) => line.type === 'response');
  const ended = lines.find((line) => line.type === 'end')?.ended;
  const asked = request === undefined ? 'request unknown' : `${request.method} ${request.target}`;
  const by = response?.answered_by === 'recorder' ? ' by the recorder' : '';
  const answer = response === undefined ? 'no answer' : `${response.http.status}${by}`;
  const sizes =
    ended === undefined
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

/** All JSON-RPC messages of one side: of its body, and of each of its events. */
function findMessages(lines: readonly ExchangeLine[], sender: 'client' | 'server'): Message[] {
  const body: BodyPiece[] = [];
  const messages: Message[] = [];
  let event: BodyPiece[] = [];
  for (const line of lines) {
    if (line.type === 'event' && sender === 'server') {
      event.push(line);
      if (line.sse.partial) continue;
      messages.push(...joinBody(event, 'event'));
      event = [];
    } else if (
      (line.type === 'request' && sender === 'client') ||
      (line.type === 'response' && sender === 'server') ||
      (line.type === 'chunk' && line.sender === sender)
    ) {
      body.push(line);
    }
  }
  return [...joinBody(body, 'body'), ...messages];
}

function describeParams(message: Message | null): string {
  if (message === null) return 'not readable as JSON-RPC (see the body in the recording)';
  const { params } = message;
  if (params === undefined) return '';
  const { arguments: given } = params;
  return toText(given ?? Object.fromEntries(Object.entries(params).filter(([key]) => key !== '_meta')));
}

function describeAnswer(
  call: Call,
  outcome: ResultLine | null,
  messages: readonly Message[],
  lines: readonly ExchangeLine[],
): string {
  const message = findMessage(messages, call.rpc_id, null);
  if (message?.error !== undefined) return toText(message.error);
  if (message?.result !== undefined) return describeResult(message.result);
  if (outcome === null) return '';
  if (outcome.exchange === null) return 'none arrived';
  if (outcome.exchange !== lines[0]?.exchange) return `arrived in exchange ${outcome.exchange}`;
  return 'not readable as JSON-RPC (see the body in the recording)';
}

/** Text content as text; anything else as JSON. */
function describeResult(result: unknown): string {
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

function toText(value: unknown): string {
  try {
    return JSON.stringify(value, null, 2) ?? '';
  } catch {
    return '(nested too deeply to be shown)';
  }
}

function section(title: string, content: string): string[] {
  if (content === '') return [];
  const cut = content.length > MAX_CHARACTERS ? content.slice(0, MAX_CHARACTERS) : content;
  const all = printableText(cut).split('\n');
  const shown = all.slice(0, MAX_LINES);
  const text = shown.map((line, n) => `  ${n === 0 ? title.padEnd(8) : ' '.repeat(8)}${line}`);
  if (cut.length < content.length || shown.length < all.length) {
    text.push(`  ${' '.repeat(8)}... (cut here; ${content.length} characters in all)`);
  }
  return text;
}
