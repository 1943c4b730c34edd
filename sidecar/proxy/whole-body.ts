/**
 * Owns what becomes of a body that is there whole with its head: most answers, on one line with it.
 * Invariant: the columns stand for all of the body, and its messages are noted once.
 */
import { bodyOf } from '@mcp-recorder/recording/format/body';
import type { Body } from '@mcp-recorder/recording/format/line';
import { createBodyUnits } from '../exchange/body-units.ts';
import { type MaskedBody, maskBody } from '../exchange/masking/mask-body.ts';
import { type BodyNotes, NO_NOTES, withheld } from './body-lines.ts';
import type { Exchange } from './exchange.ts';
import { headerOf } from './headers.ts';
import { readMessages } from './message-watch.ts';
import { INLINE_BYTES, mayBeMessages } from './response-body.ts';
import type { Head } from './response-head.ts';
import { treatBody } from './treated-body.ts';
import type { Treatment } from './treatment.ts';

export interface WholeBody {
  /** Columns for the `response` line. */
  columns: Body;
  /** What has no room on it, with its notes; null when all has. */
  rest: { recorded: Buffer; notes: BodyNotes } | null;
  /** What passes. */
  passes: Buffer;
  isAltered: boolean;
  /** It must not pass. */
  broken: boolean;
  tooLarge: boolean;
}

const NO_BODY: Body = { body: null, body_encoding: null, wire_bytes: 0 };

/** Null when the body has to be recorded unit by unit. @param bytes not coded */
export function takeWholeBody(
  exchange: Exchange,
  treatment: Treatment | null,
  { status, headers }: Head,
  bytes: Buffer,
): WholeBody | null {
  const whole = {
    columns: NO_BODY,
    rest: null,
    passes: bytes,
    isAltered: false,
    broken: false,
    tooLarge: false,
  };
  if (bytes.length === 0) return whole;
  const readsMessages = mayBeMessages(headerOf(headers, 'content-type'));
  if (treatment === null) {
    exchange.bytesOut += bytes.length;
    const columns: Body = { ...bodyOf(bytes), wire_bytes: bytes.length };
    if (columns.body_encoding === 'utf8' && readsMessages) {
      const messages = readMessages(columns.body as string) ?? [];
      const calls = exchange.takeMessages(messages, 'server', messages);
      if (calls.length > 0) columns.calls = calls;
    }
    return { ...whole, columns };
  }
  if (status === 206 || !isOneUnit(bytes)) return null;
  const unit = treatBody(exchange, treatment, bytes, readsMessages);
  const { recorded, reason, notes, passes, broken, tooLarge } = unit;
  const treated = { ...whole, passes: passes ?? bytes, isAltered: passes !== null, broken, tooLarge };
  if (recorded !== null && (recorded.length > INLINE_BYTES || notes.hidden !== undefined)) {
    return { ...treated, rest: { recorded, notes } };
  }
  exchange.bytesOut += bytes.length;
  const body = recorded === null ? withheld(reason ?? 'masking_bound', bytes.length) : bodyOf(recorded);
  return { ...treated, columns: { ...body, wire_bytes: bytes.length, ...notes } };
}

/** What is recorded of the recorder's own words: ids of the client's may stand in them. */
export function recordOwnBody(exchange: Exchange, bytes: Buffer): Pick<WholeBody, 'columns' | 'rest'> {
  const { masker, metadataOnly } = exchange;
  const found = metadataOnly || masker === null ? NOTHING : maskBody(masker, bytes, bytes.toString('utf8'));
  const recorded = found.found === 'something' ? found.bytes : bytes;
  const masked = found.found === 'something' ? { masked: found.masked } : NO_NOTES;
  const isShown = !metadataOnly && found.found !== 'too_much';
  if (isShown && recorded.length > INLINE_BYTES)
    return { columns: NO_BODY, rest: { recorded, notes: masked } };
  exchange.bytesOut += bytes.length;
  const body = isShown
    ? bodyOf(recorded)
    : withheld(metadataOnly ? 'metadata_only' : 'masking_bound', bytes.length);
  return { columns: { ...body, wire_bytes: bytes.length, ...masked }, rest: null };
}

const NOTHING: MaskedBody = { found: 'nothing' };

function isOneUnit(bytes: Buffer): boolean {
  const lineEnd = bytes.indexOf(10);
  if (lineEnd === -1 || lineEnd === bytes.length - 1) return true;
  const units = createBodyUnits({ maxPendingBytes: bytes.length });
  return units.push(bytes).length + units.end().length === 1;
}
