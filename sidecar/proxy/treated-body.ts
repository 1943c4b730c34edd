/**
 * Owns what a whole unit of a body becomes that is no event stream: what is recorded of it, and what passes.
 * Invariant: a byte order mark is no part of what rules see, and stays where it was.
 */
import type { Masked, Withheld } from '@mcp-recorder/recording/format/line';
import { decodeBodyText } from '../exchange/body-text.ts';
import type { BodyNotes } from './body-lines.ts';
import type { Exchange } from './exchange.ts';
import { type TreatedUnit, type Treatment, treatUnit } from './treatment.ts';

const BYTE_ORDER_MARK = '\ufeff';

/** The text of a unit as clients read it, and the byte order mark before it, which most of them skip. */
export function readText(bytes: Buffer): { text: string | null; mark: string } {
  const isMarked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  const decoded = decodeBodyText(isMarked ? bytes.subarray(3) : bytes);
  return { text: decoded.ok ? decoded.text : null, mark: isMarked ? BYTE_ORDER_MARK : '' };
}

/** What a line says of a unit beside its body. */
export function notesOf(
  { calls, masked, wireMasked, hidden }: TreatedUnit,
  recordMasked: Masked[] | undefined = masked ?? undefined,
): BodyNotes {
  return {
    ...(recordMasked === undefined ? {} : { masked: recordMasked }),
    ...(wireMasked === null ? {} : { wire_masked: wireMasked }),
    ...(hidden === null ? {} : { hidden }),
    ...(calls.length > 0 ? { calls } : {}),
  };
}

export interface TreatedBody extends Pick<TreatedUnit, 'broken' | 'malformed' | 'tooLarge'> {
  /** As it is recorded, or else why it is not. */
  recorded: Buffer | null;
  reason: Withheld['reason'] | null;
  notes: BodyNotes;
  /** What passes in its place; null for the unit as it came. */
  passes: Buffer | null;
}

/** Treats a unit of a body that is no event stream, and notes its messages. */
export function treatBody(
  exchange: Exchange,
  treatment: Treatment,
  bytes: Buffer,
  readsMessages: boolean,
  mayBeFragment = false,
): TreatedBody {
  const { text, mark } = readText(bytes);
  const treated = treatUnit(exchange, treatment, {
    bytes,
    text,
    readAs: readsMessages ? text : null,
    mayBeFragment,
  });
  const { shown, altered, broken, malformed, tooLarge } = treated;
  let recorded: Buffer | null = bytes;
  let reason: Withheld['reason'] | null = null;
  if (shown !== 'as it came') {
    if ('reason' in shown) {
      recorded = null;
      reason = shown.reason;
    } else recorded = shown.text === null ? shown.bytes : Buffer.from(mark + shown.text);
  }
  let passes: Buffer | null = null;
  if (altered !== null) passes = 'bytes' in altered ? altered.bytes : Buffer.from(mark + altered.text);
  return { recorded, reason, notes: notesOf(treated), passes, broken, malformed, tooLarge };
}
