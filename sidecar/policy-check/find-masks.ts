/**
 * Owns what masking would have found in a part of a recording.
 * Invariant: it is the recorder's own masking, of whole units; what comes out are names of rules and numbers.
 */
import type { Buffer } from 'node:buffer';
import type { Masked, RecordedHeader } from '@mcp-recorder/recording/format/line';
import { decodeBodyText } from '../exchange/body-text.ts';
import { createBodyUnits } from '../exchange/body-units.ts';
import { maskBody } from '../exchange/masking/mask-body.ts';
import type { Masker, Masking } from '../exchange/masking/masking.ts';
import { maskedHeader, maskedName } from '../exchange/masking/names.ts';
import { Tally } from '../exchange/masking/tally.ts';

export interface MaskCount {
  rule: string;
  in: 'record' | 'wire';
  count: number;
}

export interface MaskFindings {
  counts: MaskCount[];
  /** A unit would have taken longer than the bound: withheld from the record, and where masking is on the wire the exchange broken off. */
  beyondBound: boolean;
}

/** A part of an exchange; what it has not is null or empty. */
export interface MaskedPart {
  kind: 'request' | 'response' | 'event';
  bytes: Buffer | null;
  target: string | null;
  headers: readonly RecordedHeader[];
}

const NOTHING: MaskFindings = { counts: [], beyondBound: false };

export function findMasks({ record, wire }: Masking, part: MaskedPart): MaskFindings {
  const found = [
    ...(record === null ? [] : [{ in: 'record' as const, ...findWith(record, part) }]),
    ...(wire === null ? [] : [{ in: 'wire' as const, ...findWith(wire, part) }]),
  ];
  if (found.length === 0) return NOTHING;
  return {
    counts: found.flatMap((one) => one.masked.map(({ rule, count }) => ({ rule, in: one.in, count }))),
    beyondBound: found.some((one) => one.beyondBound),
  };
}

function findWith(
  masker: Masker,
  { kind, bytes, target, headers }: MaskedPart,
): { masked: readonly Masked[]; beyondBound: boolean } {
  const tally = new Tally();
  let beyondBound = false;
  for (const unit of unitsOf(kind, bytes)) {
    const decoded = decodeBodyText(unit);
    const found = maskBody(masker, unit, decoded.ok ? decoded.text : null);
    if (found.found === 'too_much') beyondBound = true;
    else if (found.found === 'something') tally.add(found.masked);
  }
  if (target !== null) maskedName(masker, target, tally);
  for (const { name, value } of headers) {
    if (value !== null && name !== 'mcp-session-id') maskedHeader(masker, name, value, tally);
  }
  return { masked: tally.counts ?? [], beyondBound };
}

/** A response may be one JSON text a line; everything else is one text. */
function unitsOf(kind: MaskedPart['kind'], bytes: Buffer | null): Buffer[] {
  if (bytes === null || bytes.length === 0) return [];
  if (kind !== 'response') return [bytes];
  const units = createBodyUnits({ maxPendingBytes: Number.POSITIVE_INFINITY });
  return [...units.push(bytes), ...units.end()].map((piece) => piece.bytes);
}
