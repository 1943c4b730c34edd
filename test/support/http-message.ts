/**
 * Owns cutting one HTTP/1.1 message out of bytes (RFC 9112), for tests that look at the wire. It reads strictly and
 * keeps what it saw: names as they were spelled, duplicates and order kept, chunk borders kept.
 */

export interface HttpMessage {
  /** The message as it stood on the wire (of a `headOnly` message: its head). */
  bytes: Buffer;
  /** Request line or status line. */
  startLine: string;
  /** Name and value pairs in order, as they were spelled; white space around values removed. */
  headers: [name: string, value: string][];
  /** The body without its framing. */
  body: Buffer;
  /** The chunks of a chunked body (or of a body in one piece: that piece). */
  chunks: Buffer[];
  trailers: [name: string, value: string][];
}

export interface ParseOptions {
  headOnly?: boolean;
  /** The sender finished: a response without framing is then whole. */
  ended?: boolean;
}

const HEAD_END = '\r\n\r\n';

/**
 * Gives the message at the beginning of `bytes`, or null while it is not whole.
 * A response to HEAD, 1xx, 204 and 304 has no body (HEAD: ask with `headOnly`).
 *
 * @throws when the bytes are no HTTP message; silence would make a test wait for ever.
 */
export function parseHttpMessage(bytes: Buffer, options: ParseOptions = {}): HttpMessage | null {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) {
    return null;
  }
  const [startLine = '', ...lines] = bytes.toString('latin1', 0, headEnd).split('\r\n');
  const headers = lines.map(parseField);
  const bodyStart = headEnd + HEAD_END.length;
  const message = (end: number, chunks: Buffer[], trailers: [string, string][] = []): HttpMessage => ({
    bytes: bytes.subarray(0, end),
    startLine,
    headers,
    body: Buffer.concat(chunks),
    chunks,
    trailers,
  });
  if (options.headOnly) {
    return message(bodyStart, []);
  }
  const isResponse = startLine.startsWith('HTTP/');
  if (isResponse && /^HTTP\/1\.\d (1\d\d|204|304)/.test(startLine)) {
    return message(bodyStart, []);
  }
  if (valueOf(headers, 'transfer-encoding')?.toLowerCase().endsWith('chunked')) {
    return parseChunked(bytes, bodyStart, message);
  }
  const length = valueOf(headers, 'content-length');
  if (length === null) {
    if (!isResponse) {
      return message(bodyStart, []);
    }
    return options.ended ? message(bytes.length, [bytes.subarray(bodyStart)]) : null;
  }
  const end = bodyStart + Number(length);
  return bytes.length < end ? null : message(end, [bytes.subarray(bodyStart, end)]);
}

/** The value of the first header of that name (any case), or null. */
export function valueOf(headers: readonly [string, string][], name: string): string | null {
  return headers.find(([candidate]) => candidate.toLowerCase() === name)?.[1] ?? null;
}

/** Frames pieces as a chunked body with its end, for scripts that answer by hand. */
export function chunked(...pieces: string[]): string {
  const framed = pieces.map((piece) => `${Buffer.byteLength(piece, 'latin1').toString(16)}\r\n${piece}\r\n`);
  return `${framed.join('')}0\r\n\r\n`;
}

function parseField(line: string): [string, string] {
  const colon = line.indexOf(':');
  if (colon <= 0) {
    throw new Error(`not a header field: ${JSON.stringify(line)}`);
  }
  return [line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')];
}

function parseChunked(
  bytes: Buffer,
  bodyStart: number,
  message: (end: number, chunks: Buffer[], trailers: [string, string][]) => HttpMessage,
): HttpMessage | null {
  const chunks: Buffer[] = [];
  let at = bodyStart;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) {
      return null;
    }
    const sizeText = bytes.toString('latin1', at, lineEnd).split(';')[0] ?? '';
    if (!/^[0-9a-fA-F]+$/.test(sizeText)) {
      throw new Error(`not the size of a chunk: ${JSON.stringify(sizeText)}`);
    }
    const size = Number.parseInt(sizeText, 16);
    at = lineEnd + 2;
    if (size === 0) {
      break;
    }
    if (bytes.length < at + size + 2) {
      return null;
    }
    chunks.push(bytes.subarray(at, at + size));
    at += size + 2;
  }
  const trailers: [string, string][] = [];
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) {
      return null;
    }
    const line = bytes.toString('latin1', at, lineEnd);
    at = lineEnd + 2;
    if (line === '') {
      return message(at, chunks, trailers);
    }
    trailers.push(parseField(line));
  }
}
