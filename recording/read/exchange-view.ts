/**
 * Owns what happened in one exchange, as it is told to people: who asked for what, what came back, and what is not there to be told.
 * Invariant: a function of the exchange's lines; every call stands in it, and everything that was masked, hidden or withheld is named.
 */
import {
  type Ambiguity,
  type Body,
  type Call,
  type ClientInfo,
  type EndLine,
  type Hidden,
  type Masked,
  type Principal,
  type RecordedHeader,
  type ResultLine,
  type Sender,
  type Session,
  type Withheld,
  SESSION_STRENGTH,
} from '../format/line.ts';
import type { ExchangeLine, ReadExchange } from './exchange-reader.ts';
import { eventData, findMessage, joinText, type Message, messagesIn } from './messages.ts';

/** A JSON-RPC request or notification, with what became of it. */
export interface Step {
  /** Of the line on which it became complete. */
  time: string;
  call: Call;
  result: ResultLine | null;
  /** The call itself; null when no body that holds it can be read as JSON-RPC. */
  asked: Message | null;
  /** Its answer, when that is in this exchange; null when it is not, or can't be read. */
  answer: Message | null;
}

/** A whole body: of the request, of the answer, or of one event. */
export interface BodyView {
  sender: Sender;
  time: string;
  kind: 'request' | 'response' | 'event';
  /** Decoded, as recorded; null when nothing of it is. */
  bytes: Buffer | null;
  /** The bytes as text: of an event its data; null when they are no UTF-8. */
  text: string | null;
  messages: Message[];
  withheld: Withheld | null;
}

export interface ExchangeView {
  exchange: string;
  stream: string;
  place: { cluster: string; namespace: string; server: string };
  /** Of its first line. */
  time: string;
  /** Null: its request is not in the recording. */
  principal: Principal | null;
  session: Session | null;
  protocol: string | null;
  client: ClientInfo | null;
  http: {
    method: string | null;
    target: string | null;
    client_address: string | null;
    status: number | null;
  };
  /** Of the request, and of its newest response; a value that is null was not recorded. */
  headers: { request: RecordedHeader[]; response: RecordedHeader[] };
  /** `recorder`: it refused. */
  answeredBy: 'server' | 'recorder' | null;
  ended: EndLine['ended'] | null;
  /** All its lines are there. */
  complete: boolean;
  steps: Step[];
  bodies: BodyView[];
  masked: Masked[];
  wireMasked: Masked[];
  hidden: Hidden[];
  ambiguous: Ambiguity[];
}

/** Tells an exchange. */
export function viewOf(read: ReadExchange): ExchangeView {
  const { lines, resultsElsewhere, complete, exchange, stream, segment } = read;
  const { cluster, namespace, server } = segment.place;
  const request = lines.find((line) => line.type === 'request') ?? null;
  const response = lines.findLast((line) => line.type === 'response') ?? null;
  const ended = lines.find((line) => line.type === 'end')?.ended ?? null;
  const bodies = bodiesOf(lines);
  const carrying = lines.filter((line): line is ExchangeLine & Body => 'body' in line);
  return {
    exchange,
    stream,
    place: { cluster, namespace, server },
    time: lines[0]?.time ?? '',
    principal: request?.principal ?? null,
    session: bestSession(lines),
    protocol: lines.map((line) => ('protocol' in line ? line.protocol : undefined)).find(Boolean) ?? null,
    client: lines.map((line) => ('client_info' in line ? line.client_info : undefined)).find(Boolean) ?? null,
    http: {
      method: request?.http.method ?? null,
      target: request?.http.target ?? null,
      client_address: request?.http.client_address ?? null,
      status: ended?.status ?? response?.http.status ?? null,
    },
    headers: { request: request?.http.headers ?? [], response: response?.http.headers ?? [] },
    answeredBy: response?.answered_by ?? null,
    ended,
    complete,
    steps: stepsOf(lines, resultsElsewhere, bodies),
    bodies,
    masked: sum(carrying.flatMap(({ masked = [] }) => masked)),
    wireMasked: sum(carrying.flatMap(({ wire_masked = [] }) => wire_masked)),
    hidden: carrying.flatMap(({ hidden = [] }) => hidden),
    ambiguous: [...new Set(carrying.flatMap(({ ambiguous = [] }) => ambiguous))],
  };
}

function bestSession(lines: readonly ExchangeLine[]): Session | null {
  const named = lines.flatMap((line) =>
    'session' in line && line.session !== undefined ? [line.session] : [],
  );
  const strength = ({ how }: Session): number => SESSION_STRENGTH.indexOf(how);
  return named.reduce<Session | null>(
    (best, one) => (best === null || strength(one) > strength(best) ? one : best),
    null,
  );
}

function stepsOf(
  lines: readonly ExchangeLine[],
  elsewhere: readonly ResultLine[],
  bodies: readonly BodyView[],
): Step[] {
  const results = new Map(
    [...lines, ...elsewhere].filter((line) => line.type === 'result').map((line) => [line.operation, line]),
  );
  const messages = (sender: Sender): Message[] =>
    bodies.filter((body) => body.sender === sender).flatMap((body) => body.messages);
  const [sent, answered] = [messages('client'), messages('server')];
  return lines.flatMap((line) =>
    ('calls' in line ? (line.calls ?? []) : []).map((call): Step => {
      const [asked, came] = call.sender === 'client' ? [sent, answered] : [answered, sent];
      return {
        time: line.time,
        call,
        result: results.get(call.operation) ?? null,
        asked: findMessage(asked, call.rpc_id, call.method),
        answer: call.kind === 'request' ? findMessage(came, call.rpc_id, null) : null,
      };
    }),
  );
}

/** The bodies of an exchange, each put together from its pieces, in the order in which they began. */
function bodiesOf(lines: readonly ExchangeLine[]): BodyView[] {
  const bodies: BodyView[] = [];
  const pieces = new Map<BodyView['kind'], { first: ExchangeLine; all: Body[] }>();
  const finish = (kind: BodyView['kind']): void => {
    const of = pieces.get(kind);
    if (of === undefined) return;
    pieces.delete(kind);
    const { bytes, text } = joinText(of.all);
    const data = kind === 'event' && text !== null ? eventData(text) : text;
    bodies.push({
      sender: kind === 'request' ? 'client' : 'server',
      time: of.first.time,
      kind,
      bytes,
      text: data,
      messages: data === null ? [] : messagesIn(data),
      withheld: of.all.find(({ withheld }) => withheld !== undefined)?.withheld ?? null,
    });
  };
  for (const line of lines) {
    if (!('body' in line)) continue;
    const kind = line.type === 'chunk' ? (line.sender === 'client' ? 'request' : 'response') : line.type;
    // All of a request stands before its answer; an answer that is repeated (1xx) begins anew.
    if (kind !== 'request') finish('request');
    if (line.type === 'response') finish('response');
    const of = pieces.get(kind) ?? { first: line, all: [] };
    pieces.set(kind, of);
    of.all.push(line);
    if (line.type === 'event' && !line.sse.partial) finish('event');
  }
  for (const kind of ['request', 'response', 'event'] as const) finish(kind);
  return bodies.filter(({ bytes, withheld }) => bytes !== null || withheld !== null);
}

function sum(masked: readonly Masked[]): Masked[] {
  const counts = new Map<string, number>();
  for (const { rule, count } of masked) counts.set(rule, (counts.get(rule) ?? 0) + count);
  return [...counts].map(([rule, count]) => ({ rule, count }));
}
