/**
 * Owns the two-sided ledger: what each client really received and what the server really received, whatever
 * happened to the recorder between them, and the comparison of both with a recording.
 * Invariant of the comparison: the recording is a superset; of every call, the bytes that reached a side are a
 * prefix of the bytes recorded for that direction of that exchange.
 *
 * Every call carries a token of its own in its body, so an exchange is found without trusting ids or order.
 */
import type { Line } from '@mcp-recorder/recording/format/line';

/** What one side knows of one call. */
export interface LedgerEntry {
  token: string;
  /** Content bytes that arrived here, transfer framing removed. */
  received: Buffer[];
  /** Status of the response; null at the server, and at a client that saw none. */
  status: number | null;
  /** The message arrived to its end. */
  complete: boolean;
}

export interface Ledger {
  client: Map<string, LedgerEntry>;
  server: Map<string, LedgerEntry>;
  /** Requests without a token that reached the server, or as much of them as did. */
  beginnings: Buffer[];
  /** Tokens that reached the server more than once: somebody repeated a POST. */
  repeated: string[];
}

const TOKEN = /token-[a-z0-9-]+/;

/** An empty ledger. */
export function createLedger(): Ledger {
  return { client: new Map(), server: new Map(), beginnings: [], repeated: [] };
}

/** Opens the page of a call at one side, in place of an older one. */
export function openEntry(side: Map<string, LedgerEntry>, token: string): LedgerEntry {
  const entry: LedgerEntry = { token, received: [], status: null, complete: false };
  side.set(token, entry);
  return entry;
}

/** The token in a request body, or null (a body that was cut before it). */
export function tokenOf(body: string): string | null {
  return TOKEN.exec(body)?.[0] ?? null;
}

interface RecordedExchange {
  request: Buffer[];
  response: Buffer[];
  statuses: Set<number>;
}

/**
 * Compares the ledger with the recorded lines of every stream: one sentence for each byte, status or call that
 * reached a side and is not in the recording; none when the recording explains everything.
 *
 * Of traffic in identity coding and without masking only: there the recorded text is the text on the wire.
 */
export function missingFromRecording(ledger: Ledger, lines: Iterable<Line>): string[] {
  const { requests, exchanges } = byToken(lines);
  const missing = ledger.repeated.map((token) => `the server received ${token} more than once`);
  for (const beginning of ledger.beginnings) {
    if (!requests.some((request) => isPrefix(beginning, request))) {
      missing.push(`the server received a request (or its beginning) that was not recorded: ${beginning}`);
    }
  }
  for (const { token, received } of ledger.server.values()) {
    const recorded = exchanges.get(token);
    if (recorded === undefined) {
      missing.push(`the server received ${token}, which is not in the recording`);
      continue;
    }
    if (!isPrefix(Buffer.concat(received), Buffer.concat(recorded.request))) {
      missing.push(`the server received other bytes of ${token} than were recorded`);
    }
  }
  for (const { token, received, status } of ledger.client.values()) {
    if (status === null) {
      continue;
    }
    const recorded = exchanges.get(token);
    const bytes = Buffer.concat(received);
    if (recorded === undefined) {
      // A refusal before an exchange (the gate, a limit) is the recorder's own word and is only counted.
      if (status < 400 || ledger.server.has(token)) {
        missing.push(`a client received ${status} for ${token}, which is not in the recording`);
      }
      continue;
    }
    if (!recorded.statuses.has(status)) {
      missing.push(`a client received status ${status} for ${token}; recorded: ${[...recorded.statuses]}`);
    }
    if (!isPrefix(bytes, Buffer.concat(recorded.response))) {
      const had = Buffer.concat(recorded.response).length;
      missing.push(
        `a client received ${bytes.length} bytes for ${token} that are not among the ${had} recorded`,
      );
    }
  }
  return missing;
}

function isPrefix(part: Buffer, whole: Buffer): boolean {
  return whole.subarray(0, part.length).equals(part);
}

function byToken(lines: Iterable<Line>): { requests: Buffer[]; exchanges: Map<string, RecordedExchange> } {
  const byExchange = new Map<string, RecordedExchange>();
  for (const line of lines) {
    if (!('exchange' in line) || line.exchange === null) {
      continue;
    }
    const exchange = byExchange.get(line.exchange) ?? {
      request: [],
      response: [],
      statuses: new Set(),
    };
    byExchange.set(line.exchange, exchange);
    switch (line.type) {
      case 'request':
        exchange.request.push(bytesOf(line));
        break;
      case 'response':
        if (line.http.status !== null) {
          exchange.statuses.add(line.http.status);
        }
        exchange.response.push(bytesOf(line));
        break;
      case 'chunk':
        exchange[line.sender === 'client' ? 'request' : 'response'].push(bytesOf(line));
        break;
      case 'event':
        exchange.response.push(Buffer.from(line.sse.prefix), bytesOf(line), Buffer.from(line.sse.suffix));
        break;
      default:
        break;
    }
  }
  const requests: Buffer[] = [];
  const exchanges = new Map<string, RecordedExchange>();
  for (const exchange of byExchange.values()) {
    const request = Buffer.concat(exchange.request);
    requests.push(request);
    const token = tokenOf(request.toString('utf8'));
    if (token !== null) {
      exchanges.set(token, exchange);
    }
  }
  return { requests, exchanges };
}

function bytesOf(line: { body: string | null; body_encoding: 'utf8' | 'base64' | null }): Buffer {
  return Buffer.from(line.body ?? '', line.body_encoding ?? 'utf8');
}
