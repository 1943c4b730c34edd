/**
 * Owns what a recording holds of a server's behaviour: each call of a client, with all that came back for it.
 * Invariant: only what the server itself said is an answer; what the recorder refused is left out, and what is missing or withheld is said to be.
 */
import type { Call, Session } from '@mcp-recorder/recording/format/line';
import { parseMicros } from '@mcp-recorder/recording/format/time';
import type { ReadExchange } from '@mcp-recorder/recording/read/exchange-reader';
import { type ExchangeView, viewOf } from '@mcp-recorder/recording/read/exchange-view';
import { findMessage, type Message } from '@mcp-recorder/recording/read/messages';

/** Something that came from the server, after so long. */
export interface Delivered {
  /** Since the request, ms. */
  afterMs: number;
  messages: Message[];
}

export interface RecordedCall {
  exchange: string;
  time: string;
  session: Session | null;
  protocol: string | null;
  call: Call;
  /** The request as it was sent. */
  message: Message;
  /** HTTP status of the answer. */
  status: number;
  /** As events (text/event-stream), or as one document. */
  asEvents: boolean;
  /** All that came in this exchange before the answer, in order: notifications, requests of the server. */
  before: Delivered[];
  /** What came meanwhile on the stream that the client listened on. */
  aside: Delivered[];
  /** Null: the recording does not have it, and `missing` says why. */
  answer: Delivered | null;
  missing: string | null;
  /** The answer gave the client a session (`Mcp-Session-Id`). */
  opensSession: boolean;
}

export interface RecordedServer {
  calls: RecordedCall[];
  /** What came on streams that clients listened on while no call ran, one stream after the other. */
  streams: Delivered[][];
}

/** What a server did in these exchanges, in their order. Answers may be in other exchanges than their calls. */
export async function recordedServer(exchanges: AsyncIterable<ReadExchange>): Promise<RecordedServer> {
  const views: ExchangeView[] = [];
  for await (const read of exchanges) views.push(viewOf(read));
  const byExchange = new Map(views.map((view) => [view.exchange, view]));
  const calls = views.flatMap((view) => callsIn(view, byExchange));
  // Where one opening gave a session each does: of some only a refusal may have been recorded.
  const hasSessions = calls.some(({ opensSession }) => opensSession);
  for (const one of calls) one.opensSession = hasSessions && one.call.method === 'initialize';
  const streams = views
    .filter(({ http, answeredBy }) => http.method === 'GET' && answeredBy === 'server')
    .map((view) => {
      const startUs = parseMicros(view.time);
      return deliveriesOf(view, startUs).filter((delivered) => {
        const atUs = startUs + delivered.afterMs * 1_000;
        // The call that began last of those that ran then: servers ask while they work on it.
        const during = calls.findLast((call) => call.session?.id === view.session?.id && runsAt(call, atUs));
        if (during === undefined) return true;
        during.aside.push({ ...delivered, afterMs: (atUs - parseMicros(during.time)) / 1_000 });
        return false;
      });
    });
  return { calls, streams };
}

/** Refusals for what stood in headers: the same call with others is answered. */
const ABOUT_HTTP = new Set([400, 401, 403, 404, 405, 406, 413, 415, 429]);

/** Whether the answer is to the HTTP request, and not to the call in it. */
function isAboutHttp({ http, steps }: ExchangeView): boolean {
  if (http.status === null || !ABOUT_HTTP.has(http.status)) return false;
  // Of 2026-07-28: 404 for a method that is not known, 400 for a capability that the call lacks.
  const codes = steps.map(({ answer }) => (answer?.error as { code?: unknown } | undefined)?.code);
  return !(http.status === 404 && codes.includes(-32601)) && !codes.includes(-32021);
}

function runsAt({ time, answer }: RecordedCall, atUs: number): boolean {
  const startUs = parseMicros(time);
  return atUs >= startUs && atUs <= startUs + (answer?.afterMs ?? 0) * 1_000;
}

function callsIn(view: ExchangeView, byExchange: ReadonlyMap<string, ExchangeView>): RecordedCall[] {
  if (view.answeredBy === 'recorder' || isAboutHttp(view)) return [];
  const startUs = parseMicros(view.time);
  const deliveries = deliveriesOf(view, startUs);
  const asEvents = view.bodies.some(({ kind }) => kind === 'event');
  return view.steps.flatMap(({ call, asked, result, answer }): RecordedCall[] => {
    if (call.kind !== 'request' || call.sender !== 'client' || asked === null) return [];
    const elsewhere = result?.exchange == null ? undefined : byExchange.get(result.exchange);
    const from = answer === null && elsewhere !== undefined ? elsewhere : view;
    const found = answer ?? answerIn(from, call.rpc_id);
    const index = deliveries.findIndex(({ messages }) => found !== null && messages.includes(found));
    const afterMs = (result?.duration_us ?? (deliveries[index]?.afterMs ?? 0) * 1_000) / 1_000;
    return [
      {
        exchange: view.exchange,
        time: view.time,
        session: view.session,
        protocol: view.protocol,
        call,
        message: asked,
        // An answer that came elsewhere (202 here) is given at once.
        status: from === view ? (view.http.status ?? 200) : 200,
        asEvents,
        before: asEvents ? deliveries.slice(0, index < 0 ? undefined : index) : [],
        aside: [],
        answer: found === null ? null : { afterMs, messages: [found] },
        missing: found === null ? whyMissing(view, result?.outcome ?? null) : null,
        opensSession: view.headers.response.some(({ name }) => name === 'mcp-session-id'),
      },
    ];
  });
}

function deliveriesOf({ bodies }: ExchangeView, startUs: number): Delivered[] {
  return bodies
    .filter(({ kind, messages }) => kind === 'event' && messages.length > 0)
    .map(({ time, messages }) => ({
      afterMs: Math.max(0, (parseMicros(time) - startUs) / 1_000),
      messages,
    }));
}

function answerIn({ bodies }: ExchangeView, rpcId: string | null): Message | null {
  const messages = bodies.filter(({ sender }) => sender === 'server').flatMap((body) => body.messages);
  return findMessage(messages, rpcId, null);
}

function whyMissing({ bodies, complete }: ExchangeView, outcome: string | null): string {
  const withheld = bodies.find((body) => body.sender === 'server' && body.withheld !== null)?.withheld;
  if (withheld !== undefined && withheld !== null) return `it was withheld (${withheld.reason})`;
  if (outcome === 'cancelled') return 'the call was cancelled';
  return complete ? 'none is in what is replayed' : 'the exchange is not complete';
}
