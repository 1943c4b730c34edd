/**
 * Owns how a whole body is masked, whatever its bytes are.
 * Invariant: text is found in every encoding that a reader may take the bytes for; bytes in which nothing is found come back as they are.
 */
import { Buffer, isUtf8 } from 'node:buffer';
import type { Masked } from '@mcp-recorder/recording/format/line';
import type { Masker } from './masking.ts';

export type MaskedBody =
  | { found: 'nothing' }
  | {
      found: 'something';
      bytes: Buffer;
      /** The masked text; null when the bytes are no text in UTF-8. */
      text: string | null;
      masked: Masked[];
    }
  /** It took longer than the bound, or grew past it: none of it may be shown. */
  | { found: 'too_much' };

/** What is put in the place of short texts is longer than they are: so many times the length of the body it may get. */
const MAX_GROWTH = 4;
const LEAST_BOUND_BYTES = 64 * 1024;
const NOTHING: MaskedBody = { found: 'nothing' };
const TOO_MUCH: MaskedBody = { found: 'too_much' };
const BYTE_ORDER_MARK = '\ufeff';

/**
 * @param decoded the body without content coding
 * @param text what `decodeBodyText` made of it; null when it is no text that can be read in one way only
 */
export function maskBody(masker: Masker, decoded: Buffer, text: string | null): MaskedBody {
  if (text !== null) return maskText(masker, decoded.length, text, '', (shown) => Buffer.from(shown));
  const wide = wideEncodingOf(decoded);
  if (wide !== null) {
    const swapped = wide === 'be' ? swap(decoded) : decoded;
    const read = swapped.toString('utf16le');
    const found = maskText(masker, decoded.length, ...withoutMark(read), (shown) => {
      const bytes = Buffer.from(shown, 'utf16le');
      return wide === 'be' ? swap(bytes) : bytes;
    });
    if (found.found !== 'nothing') return found.found === 'something' ? { ...found, text: null } : found;
  }
  if (isUtf8(decoded)) {
    const [plain, mark] = withoutMark(decoded.toString('utf8'));
    return maskText(masker, decoded.length, plain, mark, (shown) => Buffer.from(shown));
  }
  const found = masker.bytes(decoded);
  if (found?.exceeded) return TOO_MUCH;
  const shown = found?.bytes ?? decoded;
  // Readers who replace what is no UTF-8 may find what can't be masked in the bytes.
  const left = masker.content(shown.toString('utf8'));
  if (left.masked !== null || left.exceeded) return TOO_MUCH;
  return found === null ? NOTHING : { found: 'something', text: null, bytes: shown, masked: found.masked };
}

function maskText(
  masker: Masker,
  length: number,
  text: string,
  mark: string,
  encode: (shown: string) => Buffer,
): MaskedBody {
  const { text: shown, masked, exceeded } = masker.content(text);
  if (exceeded) return TOO_MUCH;
  if (masked === null) return NOTHING;
  const bytes = encode(mark + shown);
  if (bytes.length > Math.max(LEAST_BOUND_BYTES, MAX_GROWTH * length)) return TOO_MUCH;
  return { found: 'something', bytes, text: mark + shown, masked };
}

function withoutMark(text: string): [plain: string, mark: string] {
  return text.startsWith(BYTE_ORDER_MARK) ? [text.slice(1), BYTE_ORDER_MARK] : [text, ''];
}

/** UTF-16 by its mark, or by the zero that each ASCII character has beside it. */
function wideEncodingOf(bytes: Buffer): 'le' | 'be' | null {
  const first = bytes[0];
  const second = bytes[1];
  if (first === undefined || second === undefined) return null;
  if ((first === 0xff && second === 0xfe) || (second === 0 && first !== 0)) return 'le';
  return (first === 0xfe && second === 0xff) || (first === 0 && second !== 0) ? 'be' : null;
}

function swap(bytes: Buffer): Buffer {
  const even = bytes.subarray(0, bytes.length - (bytes.length % 2));
  return Buffer.concat([Buffer.from(even).swap16(), bytes.subarray(even.length)]);
}
