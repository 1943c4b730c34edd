/**
 * Owns how a line becomes JSON text: a head that the writer of the stream gives, and a tail that the recorder encodes before.
 * Invariant: head + tail is one JSON object without line feed, its columns in one fixed order, absent and empty optional columns left out,
 * every string well-formed Unicode (a lone surrogate would make a whole object unreadable for some SQL engines).
 */
import type {
  Body,
  Call,
  ChunkLine,
  EndLine,
  EventLine,
  Http,
  Known,
  LineDraft,
  Principal,
  RequestLine,
  ResponseLine,
  ResultLine,
} from './line.ts';

/** `(seq, time)` to the start of a line of this stream, without the comma that the tail begins with. */
export function encodeHead(stream: string): (seq: number, time: string) => string {
  const start = `{"v":1,"stream":${quote(stream)},"seq":`;
  return (seq, time) => `${start}${seq},"time":"${time}"`;
}

/** One order for the columns of all types: so that a line reads the same whoever wrote it. */
const COLUMNS = [
  'type',
  'exchange',
  'part',
  'operation',
  'call_exchange',
  'rpc_id',
  'principal',
  'session',
  'protocol',
  'client_info',
  'answered_by',
  'content_coding',
  'http',
  'sse',
  'method',
  'target',
  'sender',
  'outcome',
  'cause',
  'error_code',
  'duration_us',
  'cut',
  'body_offset',
  'body',
  'body_encoding',
  'wire_bytes',
  'withheld',
  'masked',
  'wire_masked',
  'hidden',
  'ambiguous',
  'calls',
  'ended',
  'denied',
  'gap',
  'config',
  'open',
  'seal',
] as const;
const OMITTED_WHEN_EMPTY = new Set<string>(['masked', 'wire_masked', 'hidden', 'ambiguous', 'calls']);

/**
 * Any line without its head as JSON text from `,"type":` to the closing brace, without line feed.
 * Columns that the format does not know are left out; nested columns keep the order of the draft.
 */
export function encodeTail(draft: LineDraft): string {
  const columns = draft as unknown as Record<string, unknown>;
  let text = '';
  for (const name of COLUMNS) {
    const value = columns[name];
    if (value === undefined) continue;
    if (OMITTED_WHEN_EMPTY.has(name) && (value as unknown[]).length === 0) continue;
    text += `,"${name}":${encodeJson(value)}`;
  }
  return `${text}}`;
}

/** JSON text of a value with lone surrogates replaced by U+FFFD. For columns that the caller caches as text. */
export function encodeJson(value: unknown): string {
  const text = JSON.stringify(value);
  // JSON.stringify writes `\ud...` only for lone surrogates, so that nearly every value is done here.
  if (!text.includes('\\ud')) return text;
  return JSON.stringify(value, (_, v: unknown) => (typeof v === 'string' ? v.toWellFormed() : v));
}

function quote(text: string): string {
  return JSON.stringify(text.toWellFormed());
}

function orNull(text: string | null): string {
  return text === null ? 'null' : quote(text);
}

type Encoded<D, K extends string> = D extends unknown ? Omit<D, K> : never;
/** The draft of a line whose `principal` and `http` are JSON text already (see `encodeJson`). */
export type RequestTail = Encoded<LineDraft<RequestLine>, 'principal' | 'http' | 'type'> & {
  principalJson: string;
  httpJson: string;
};
export type ResponseTail = Encoded<LineDraft<ResponseLine>, 'http' | 'type'> & { httpJson: string };
export type EventTail = Encoded<LineDraft<EventLine>, 'type'>;
export type ChunkTail = Encoded<LineDraft<ChunkLine>, 'type'>;
export type EndTail = Encoded<LineDraft<EndLine>, 'type'>;
export type ResultTail = Encoded<LineDraft<ResultLine>, 'principal' | 'type'> & { principalJson: string };

/** JSON text of a principal, for the `principalJson` of tails. */
export function encodePrincipal(principal: Principal): string {
  return encodeJson(principal);
}

/** JSON text of the HTTP part, for the `httpJson` of tails. */
export function encodeHttp(http: Http): string {
  return encodeJson(http);
}

function cut(f: { cut?: true }): string {
  return f.cut === undefined ? '' : ',"cut":true';
}

function known(f: Known): string {
  let text =
    f.session === undefined ? '' : `,"session":{"id":${quote(f.session.id)},"how":"${f.session.how}"}`;
  if (f.protocol !== undefined) text += `,"protocol":${quote(f.protocol)}`;
  if (f.client_info !== undefined) {
    text += `,"client_info":{"name":${quote(f.client_info.name)},"version":${orNull(f.client_info.version)}${cut(f.client_info)}}`;
  }
  return text;
}

function call(c: Call): string {
  return (
    `{"operation":"${c.operation}","kind":"${c.kind}","sender":"${c.sender}","rpc_id":${orNull(c.rpc_id)},` +
    `"method":${quote(c.method)},"target":${orNull(c.target)},` +
    `"decision":{"action":"${c.decision.action}","rule":${orNull(c.decision.rule)}},` +
    `"continues":${orNull(c.continues)}${cut(c)}}`
  );
}

function body(f: Body): string {
  let text =
    f.body === null
      ? `,"body":null,"body_encoding":null,"wire_bytes":${f.wire_bytes}`
      : `,"body":${quote(f.body)},"body_encoding":"${f.body_encoding}","wire_bytes":${f.wire_bytes}`;
  if (f.withheld !== undefined) text += `,"withheld":${encodeJson(f.withheld)}`;
  if (f.masked !== undefined && f.masked.length > 0) text += `,"masked":${encodeJson(f.masked)}`;
  if (f.wire_masked !== undefined && f.wire_masked.length > 0)
    text += `,"wire_masked":${encodeJson(f.wire_masked)}`;
  if (f.hidden !== undefined && f.hidden.length > 0) text += `,"hidden":${encodeJson(f.hidden)}`;
  if (f.ambiguous !== undefined && f.ambiguous.length > 0) text += `,"ambiguous":${encodeJson(f.ambiguous)}`;
  if (f.calls !== undefined && f.calls.length > 0) {
    text += ',"calls":[';
    for (let i = 0; i < f.calls.length; i += 1) text += (i === 0 ? '' : ',') + call(f.calls[i] as Call);
    text += ']';
  }
  return text;
}

/** As `encodeTail` of the same request line. */
export function encodeRequestTail(f: RequestTail): string {
  return (
    `,"type":"request","exchange":"${f.exchange}","part":${f.part},"principal":${f.principalJson}` +
    `${known(f)},"http":${f.httpJson}${body(f)}}`
  );
}

/** As `encodeTail` of the same response line. */
export function encodeResponseTail(f: ResponseTail): string {
  return (
    `,"type":"response","exchange":"${f.exchange}","part":${f.part}${known(f)},"answered_by":"${f.answered_by}",` +
    `"content_coding":${orNull(f.content_coding)},"http":${f.httpJson}${body(f)}}`
  );
}

/** As `encodeTail` of the same event line. */
export function encodeEventTail(f: EventTail): string {
  const { prefix, suffix, id, data_lines, partial } = f.sse;
  return (
    `,"type":"event","exchange":"${f.exchange}","part":${f.part}${known(f)},"sse":{"prefix":${quote(prefix)},` +
    `"suffix":${quote(suffix)},"id":${orNull(id)},"data_lines":${data_lines},"partial":${partial}}${body(f)}}`
  );
}

/** As `encodeTail` of the same chunk line. */
export function encodeChunkTail(f: ChunkTail): string {
  return (
    `,"type":"chunk","exchange":"${f.exchange}","part":${f.part}${known(f)},"sender":"${f.sender}",` +
    `"body_offset":${f.body_offset}${body(f)}}`
  );
}

/** As `encodeTail` of the same end line. */
export function encodeEndTail(f: EndTail): string {
  const e = f.ended;
  return (
    `,"type":"end","exchange":"${f.exchange}","part":${f.part},"ended":{"parts":${e.parts},"how":"${e.how}",` +
    `"status":${e.status},"bytes_in":${e.bytes_in},"bytes_out":${e.bytes_out},"released_bytes":${e.released_bytes},` +
    `"duration_us":${e.duration_us},"trailers":${e.trailers.length === 0 ? '[]' : encodeJson(e.trailers)},` +
    `"open_operations":${e.open_operations.length === 0 ? '[]' : encodeJson(e.open_operations)}}}`
  );
}

/** As `encodeTail` of the same result line. */
export function encodeResultTail(f: ResultTail): string {
  return (
    `,"type":"result","exchange":${orNull(f.exchange)},"part":${f.part},"operation":${orNull(f.operation)},` +
    `"call_exchange":${orNull(f.call_exchange)},"rpc_id":${quote(f.rpc_id)},"principal":${f.principalJson}` +
    `${known(f)},"method":${orNull(f.method)},"target":${orNull(f.target)},"sender":"${f.sender}",` +
    `"outcome":"${f.outcome}","cause":${orNull(f.cause)},"error_code":${f.error_code},"duration_us":${f.duration_us}${cut(f)}}`
  );
}
