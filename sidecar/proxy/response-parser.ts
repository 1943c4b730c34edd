/**
 * Owns the parsing of HTTP/1.1 responses (RFC 9112) on one upstream connection.
 * Invariant: body bytes are handed on exactly as framed, never past the end of a message; anything that two parsers
 * could frame differently (both length and transfer coding, folded lines, bare line feeds) is an error, not a guess.
 */

/** What arrives of one response, in this order: information*, head, body*, end. */
export interface ResponseEvents {
  onInformation(status: number, reason: string, rawHeaders: string[]): void;
  onHead(status: number, reason: string, rawHeaders: string[]): void;
  onBody(bytes: Buffer): void;
  onEnd(rawTrailers: string[]): void;
}

/** The response is no valid HTTP/1.1; the connection can't be used any further. */
export class MalformedResponse extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'MalformedResponse';
  }
}

export interface ResponseParser {
  /** Starts the next response; `headRequest` says that it has no body whatever its headers say. */
  expect(events: ResponseEvents, headRequest: boolean): void;
  /** Feeds received bytes. Returns true when the response is complete. @throws MalformedResponse */
  push(bytes: Buffer): boolean;
  /** Forgets the response that is under way: its events hear nothing more. */
  cancel(): void;
  /** The server closed its side. Returns true when that ended the response as it may (body until close). */
  finish(): boolean;
  /** After completion: may the connection carry another request, and for how long idle (ms, null = not said)? */
  readonly reusable: boolean;
  readonly keepAliveMs: number | null;
}

/** Heads beyond these would not fit on the line that records them; requests are held to the same. */
const MAX_HEAD_BYTES = 64 * 1024;
const MAX_FIELDS = 1_000;
/** Informational responses before the final one; a server that sends more is not informing anybody. */
const MAX_INFORMATIONAL = 100;
const MAX_CHUNK_LINE_BYTES = 4096;
const NO_TRAILERS: string[] = [];
const HEAD_END = Buffer.from('\r\n\r\n');
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// Field values: any byte except controls other than HTAB (RFC 9110 5.5).
const INVALID_VALUE = /[\0-\x08\x0a-\x1f\x7f]/;
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: (.*))?$/;
const DIGITS = /^\d{1,15}$/;
const CHUNK_SIZE = /^([0-9a-fA-F]{1,12})[ \t]*(?:;.*)?$/;

const STATE = {
  idle: 0,
  head: 1,
  length: 2,
  untilClose: 3,
  chunkSize: 4,
  chunkData: 5,
  chunkEnd: 6,
  trailers: 7,
} as const;

/** Splits header lines into a flat list of names and values, as they stood. @throws MalformedResponse */
function parseFields(text: string, from: number): string[] {
  const fields: string[] = [];
  let start = from;
  while (start < text.length) {
    let end = text.indexOf('\r\n', start);
    if (end === -1) end = text.length;
    const colon = text.indexOf(':', start);
    if (colon <= start || colon >= end) throw new MalformedResponse('a header line has no name');
    const name = text.slice(start, colon);
    if (!TOKEN.test(name))
      throw new MalformedResponse('a header name holds a character that no name may hold');
    let valueStart = colon + 1;
    let valueEnd = end;
    while (valueStart < valueEnd && isBlank(text.charCodeAt(valueStart))) valueStart++;
    while (valueEnd > valueStart && isBlank(text.charCodeAt(valueEnd - 1))) valueEnd--;
    const value = text.slice(valueStart, valueEnd);
    if (INVALID_VALUE.test(value))
      throw new MalformedResponse(`the value of header ${name} holds a control character`);
    if (fields.length === 2 * MAX_FIELDS) throw new MalformedResponse(`more than ${MAX_FIELDS} headers`);
    fields.push(name, value);
    start = end + 2;
  }
  return fields;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

interface Framing {
  length: number | null;
  chunked: boolean;
  close: boolean;
  keepAlive: boolean;
  keepAliveMs: number | null;
}

/** Reads what frames the message (RFC 9112 6.3) and the connection (9.3). @throws MalformedResponse */
function readFraming(fields: readonly string[]): Framing {
  const framing: Framing = {
    length: null,
    chunked: false,
    close: false,
    keepAlive: false,
    keepAliveMs: null,
  };
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    if (name.length !== 10 && name.length !== 14 && name.length !== 17) continue;
    const value = fields[i + 1] as string;
    switch (name.toLowerCase()) {
      case 'content-length': {
        if (!DIGITS.test(value)) throw new MalformedResponse('Content-Length is no number');
        const length = Number(value);
        if (framing.length !== null && framing.length !== length) {
          throw new MalformedResponse('two Content-Length headers disagree');
        }
        framing.length = length;
        break;
      }
      case 'transfer-encoding':
        if (framing.chunked || value.toLowerCase() !== 'chunked') {
          throw new MalformedResponse(`Transfer-Encoding other than chunked`);
        }
        framing.chunked = true;
        break;
      case 'connection':
        for (const option of value.toLowerCase().split(',')) {
          if (option.trim() === 'close') framing.close = true;
          if (option.trim() === 'keep-alive') framing.keepAlive = true;
        }
        break;
      case 'keep-alive': {
        const seconds = /timeout=(\d{1,6})/i.exec(value)?.[1];
        if (seconds !== undefined) framing.keepAliveMs = Number(seconds) * 1000;
        break;
      }
      default:
    }
  }
  if (framing.chunked && framing.length !== null) {
    throw new MalformedResponse('both Content-Length and Transfer-Encoding');
  }
  return framing;
}

/** A parser for one connection; use it for one response after another. */
export function createResponseParser(): ResponseParser {
  let state: number = STATE.idle;
  let events: ResponseEvents | null = null;
  let headRequest = false;
  let held: Buffer | null = null;
  let remaining = 0;
  let informational = 0;
  let reusable = false;
  let keepAliveMs: number | null = null;

  /** Puts what was left over before the new bytes. */
  function joined(bytes: Buffer): Buffer {
    if (held === null) return bytes;
    const all = Buffer.concat([held, bytes]);
    held = null;
    return all;
  }

  function hold(bytes: Buffer, limit: number, what: string): void {
    if (bytes.length > limit) throw new MalformedResponse(`${what} is longer than ${limit} bytes`);
    held = bytes;
  }

  /** @param excess bytes that follow: they belong to no request and are dropped with the connection */
  function complete(trailers: string[], excess: number): boolean {
    state = STATE.idle;
    if (excess > 0) reusable = false;
    const target = events as ResponseEvents;
    events = null;
    target.onEnd(trailers);
    return true;
  }

  /** Consumes a head at `at`; returns the offset behind it, or -1 when it is not whole yet. */
  function readHead(bytes: Buffer, at: number): number {
    const end = bytes.indexOf(HEAD_END, at);
    if (end === -1) {
      hold(at === 0 ? bytes : bytes.subarray(at), MAX_HEAD_BYTES, 'the response head');
      return -1;
    }
    if (end - at > MAX_HEAD_BYTES)
      throw new MalformedResponse(`the response head is longer than ${MAX_HEAD_BYTES} bytes`);
    const text = bytes.toString('latin1', at, end);
    let lineEnd = text.indexOf('\r\n');
    if (lineEnd === -1) lineEnd = text.length;
    const match = STATUS_LINE.exec(text.slice(0, lineEnd));
    if (match === null) throw new MalformedResponse('the status line is no HTTP/1.1 status line');
    const status = Number(match[2]);
    const reason = match[3] ?? '';
    if (INVALID_VALUE.test(reason))
      throw new MalformedResponse('the reason phrase holds a control character');
    const fields = parseFields(text, lineEnd + 2);
    const target = events as ResponseEvents;
    if (status < 200) {
      informational += 1;
      if (informational > MAX_INFORMATIONAL)
        throw new MalformedResponse(`more than ${MAX_INFORMATIONAL} informational responses`);
      if (status === 101) throw new MalformedResponse('the server switched protocols without being asked');
      target.onInformation(status, reason, fields);
      return end + 4;
    }
    const framing = readFraming(fields);
    reusable = match[1] === '1' ? !framing.close : framing.keepAlive && !framing.close;
    keepAliveMs = framing.keepAliveMs;
    if (headRequest || status === 204 || status === 304) {
      remaining = 0;
      state = STATE.length;
      // A body that must not be there may follow all the same; it would be taken for the next answer.
      if (status === 204 && (framing.chunked || (framing.length ?? 0) > 0)) reusable = false;
    } else if (framing.chunked) {
      state = STATE.chunkSize;
    } else if (framing.length !== null) {
      remaining = framing.length;
      state = STATE.length;
    } else {
      reusable = false;
      state = STATE.untilClose;
    }
    target.onHead(status, reason, fields);
    return end + 4;
  }

  /** Reads one CRLF line at `at`; null when it is not whole yet (its start is held). */
  function readLine(bytes: Buffer, at: number): string | null {
    const end = bytes.indexOf(10, at);
    if (end === -1) {
      hold(bytes.subarray(at), MAX_CHUNK_LINE_BYTES, 'a chunk line');
      return null;
    }
    if (end === at || bytes[end - 1] !== 13)
      throw new MalformedResponse('a chunk line does not end in CR LF');
    return bytes.toString('latin1', at, end - 1);
  }

  function push(received: Buffer): boolean {
    const bytes = joined(received);
    let at = 0;
    for (;;) {
      if (events === null) return false;
      if (state === STATE.length && remaining === 0) {
        return complete(NO_TRAILERS, bytes.length - at);
      }
      if (at >= bytes.length) return false;
      switch (state) {
        case STATE.head: {
          at = readHead(bytes, at);
          if (at === -1) return false;
          break;
        }
        case STATE.length:
        case STATE.chunkData: {
          const take = Math.min(remaining, bytes.length - at);
          remaining -= take;
          const piece = at === 0 && take === bytes.length ? bytes : bytes.subarray(at, at + take);
          at += take;
          if (remaining === 0 && state === STATE.chunkData) state = STATE.chunkEnd;
          events.onBody(piece);
          break;
        }
        case STATE.untilClose:
          events.onBody(at === 0 ? bytes : bytes.subarray(at));
          return false;
        case STATE.chunkSize: {
          const line = readLine(bytes, at);
          if (line === null) return false;
          const size = CHUNK_SIZE.exec(line)?.[1];
          if (size === undefined) throw new MalformedResponse('a chunk has no valid size');
          at += line.length + 2;
          remaining = Number.parseInt(size, 16);
          state = remaining === 0 ? STATE.trailers : STATE.chunkData;
          break;
        }
        case STATE.chunkEnd: {
          if (bytes.length - at < 2) {
            hold(bytes.subarray(at), 2, 'the end of a chunk');
            return false;
          }
          if (bytes[at] !== 13 || bytes[at + 1] !== 10)
            throw new MalformedResponse('a chunk does not end in CR LF');
          at += 2;
          state = STATE.chunkSize;
          break;
        }
        case STATE.trailers: {
          if (bytes[at] === 13 && bytes[at + 1] === 10) {
            return complete(NO_TRAILERS, bytes.length - at - 2);
          }
          const end = bytes.indexOf(HEAD_END, at);
          if (end === -1) {
            hold(bytes.subarray(at), MAX_HEAD_BYTES, 'the trailer section');
            return false;
          }
          return complete(parseFields(bytes.toString('latin1', at, end), 0), bytes.length - end - 4);
        }
        default:
          throw new MalformedResponse('the server sent bytes that belong to no request');
      }
    }
  }

  return {
    expect(next, isHeadRequest) {
      events = next;
      headRequest = isHeadRequest;
      held = null;
      state = STATE.head;
      informational = 0;
      reusable = false;
      keepAliveMs = null;
    },
    push,
    cancel() {
      state = STATE.idle;
      events = null;
    },
    finish() {
      if (state !== STATE.untilClose) return false;
      return complete(NO_TRAILERS, 0);
    },
    get reusable() {
      return reusable;
    },
    get keepAliveMs() {
      return keepAliveMs;
    },
  };
}
