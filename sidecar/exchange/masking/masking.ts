/**
 * Owns the questions that the proxy puts to masking.
 * Invariant: a text in which nothing is found comes back as the same string; otherwise only what was found differs.
 */
import type { Masked } from '@mcp-recorder/recording/format/line';

export interface MaskedText {
  text: string;
  /** Counts per rule; null when nothing was found. */
  masked: Masked[] | null;
  /** The text took longer than the bound: `text` is "" and none of it may be shown. */
  exceeded: boolean;
}

/** What a stream of text lets through. */
export interface StreamedText extends MaskedText {
  /** Characters behind `text` that may never be shown, because what they belong to is longer than the bound; then `exceeded` is true. */
  withheld: number;
}

/** Text that streams past: neither JSON nor events, and no end in sight. Matches do not reach over line ends, private keys excepted. */
export interface TextStream {
  /**
   * All of the text so far that no match may begin in any more, masked.
   * @param least so many characters have to wait at least: another stream of the same text must be able to let go of it at the same place
   */
  push(text: string, least?: number): StreamedText;
  /** How many characters would wait after such a push. */
  wouldHold(text: string, least: number): number;
  /** What was held back, masked. */
  end(): StreamedText;
  /** Characters of what was given that wait. */
  readonly held: number;
}

/** The masking rules of one direction: those for the record, or those for the wire. */
export interface Masker {
  /**
   * A whole body, event data or line of a body: a JSON text is masked on its decoded strings, by keys and by paths, any other text as it stands
   * (and a form, RFC 1866 8.2.1, on its decoded values).
   */
  content(text: string): MaskedText;
  /** A name, id, header value or claim: no JSON, no keys. */
  value(text: string): MaskedText;
  /** The value of a member of that name: of a header or query parameter. `keys` apply to the name. */
  member(name: string, value: string): MaskedText;
  /** Bytes that are no UTF-8, as `content` masks them with one character a byte; null when nothing was found. Exceeded: `bytes` is empty and none of them may be shown. */
  bytes(bytes: Buffer): { bytes: Buffer; masked: Masked[]; exceeded: boolean } | null;
  /** Begins a stream of text, by the rules that `value` follows. */
  stream(): TextStream;
}

export interface Masking {
  /** Rules on Record and Both; null when there are none. */
  readonly record: Masker | null;
  /** Rules on Wire and Both; null when there are none. */
  readonly wire: Masker | null;
}
