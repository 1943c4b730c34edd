/**
 * Owns what is recorded of the head of a response, and what of it passes.
 * Invariant: a head passes as it came, but for what belongs to one connection, for what a rule masks on the wire, and for what would describe
 * content that the client does not get.
 */
import type { IncomingMessage } from 'node:http';
import { encodeResponseTail } from '@mcp-recorder/recording/format/encode';
import type { Body, Masked } from '@mcp-recorder/recording/format/line';
import { alteredHeaders } from '../exchange/altered-headers.ts';
import { encodeRecordedHeaders, endToEndHeaders } from '../exchange/headers.ts';
import type { Masker } from '../exchange/masking/masking.ts';
import { maskedHeader, maskedName } from '../exchange/masking/names.ts';
import { Tally } from '../exchange/masking/tally.ts';
import type { LineTail } from '../spool/spool.ts';
import { countMasked } from './body-lines.ts';
import type { Exchange } from './exchange.ts';
import { headerOf, withoutHeader } from './headers.ts';

export interface Head {
  status: number;
  reason: string;
  /** Flat, as they stand on the wire. */
  headers: string[];
}

/** What is recorded of it. */
export interface RecordedHead {
  status: number;
  headers: readonly string[];
}

/** The `response` line of a head. */
export function encodeResponse(
  exchange: Exchange,
  { status, headers }: RecordedHead,
  answeredBy: 'server' | 'recorder',
  body: Body,
): LineTail {
  const { masker } = exchange;
  const { hash } = exchange.context.sessions;
  const tally = masker === null ? null : new Tally();
  tally?.add(body.masked);
  const coding = headerOf(headers, 'content-encoding');
  const known = exchange.known();
  const recorded = encodeRecordedHeaders(headers, hash, masker, tally);
  const masked = tally?.counts ?? body.masked;
  countMasked(exchange, { ...body, ...(masked === undefined ? {} : { masked }) });
  return encodeResponseTail({
    exchange: exchange.id,
    part: exchange.nextPart(),
    ...known,
    answered_by: answeredBy,
    content_coding: coding === null ? null : maskedName(masker, coding, null),
    httpJson: `{"method":null,"target":null,"status":${status},"client_address":null,"headers":${recorded}}`,
    ...body,
    ...(masked === undefined ? {} : { masked }),
  });
}

/** The headers or trailers that pass: all end-to-end ones. */
export function passedFields(
  fields: readonly string[],
  wire: Masker | null,
  isAltered: boolean,
): { fields: string[]; masked: Masked[] | undefined } {
  const passed = endToEndHeaders(fields, 'response');
  if (wire === null && !isAltered) return { fields: passed, masked: undefined };
  const tally = new Tally();
  const mask = wire === null ? null : (name: string, value: string) => maskedHeader(wire, name, value, tally);
  return { fields: alteredHeaders(passed, isAltered, mask), masked: tally.counts };
}

/**
 * The head that passes, in place of the server's.
 * @param contentBytes length of altered content, when it is known; null when it is not, so that it is framed anew; undefined: not altered
 */
export function passedHead(
  head: Head,
  request: IncomingMessage,
  wire: Masker | null,
  contentBytes: number | null | undefined,
): { head: Head; masked: Masked[] | undefined } {
  const { status, reason, headers } = head;
  const { fields, masked } = passedFields(headers, wire, contentBytes !== undefined);
  // `Trailer` announces what only a chunked body can carry; node refuses to write it elsewhere (RFC 9110 6.6.2).
  const isChunked =
    headerOf(headers, 'transfer-encoding') !== null &&
    request.method !== 'HEAD' &&
    request.httpVersion !== '1.0';
  const passed = isChunked ? fields : withoutHeader(fields, 'trailer');
  // What was chunked stays so: trailers may follow.
  if (typeof contentBytes === 'number' && !isChunked) passed.push('Content-Length', String(contentBytes));
  return { head: { status, reason, headers: passed }, masked };
}
