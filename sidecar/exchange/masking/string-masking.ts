/**
 * Owns the masking of one decoded string, whatever is written in it: JSON text, base64 of text, or plain text.
 * Invariant: what is written within is masked as it is read, and written back in the same coding; depth is bounded.
 */
import { Buffer, isUtf8 } from 'node:buffer';
import { isExceeded, payForReading, type Run } from './compiled-rules.ts';
import { maskJson } from './json-masking.ts';
import { maskPlain, ownCodes } from './plain-text.ts';

/** Texts within texts that are looked into. */
const MAX_DEPTH = 4;
/** Shortest text whose base64 is looked into, in bytes. */
const FEWEST_BYTES = 12;
/** Characters in which base64 that is broken into lines has its first line end. */
const LONGEST_LINE = 1024;
const BASE64 = /^(?:[A-Za-z0-9+/]+|[A-Za-z0-9_-]+)={0,2}$/;
const DATA_URL = /^data:[^,]{0,200};base64,/i;

/**
 * @param depth how many texts this string stands in, 0 for a string of the body
 * @returns the same string when nothing is found
 */
export function maskString(run: Run, text: string, depth: number): string {
  if (depth < MAX_DEPTH) {
    if (looksLikeJson(text)) {
      payForReading(run, text.length);
      const masked = maskJson(run, text, ownCodes(text), null, depth + 1);
      if (masked !== null || isExceeded(run)) return masked ?? '';
    }
    if (run.rules.base64) {
      const masked = maskBase64(run, text, depth);
      if (masked !== null) return masked;
    }
  }
  return maskPlain(run, text);
}

function looksLikeJson(text: string): boolean {
  return /^\s*[[{"]/.test(text.slice(0, 64)) && /[\]}"]\s*$/.test(text.slice(-64));
}

/** Null when the string is no base64 of text, or nothing is found in that text. */
function maskBase64(run: Run, text: string, depth: number): string | null {
  const prefix = DATA_URL.exec(text.slice(0, 256))?.[0] ?? '';
  const written = text.slice(prefix.length);
  // Many encoders break lines (RFC 2045 6.8); what reads them needs none.
  const coded = /[\r\n]/.test(written.slice(0, LONGEST_LINE)) ? written.replace(/[\r\n]+/g, '') : written;
  if (coded.length < (FEWEST_BYTES * 4) / 3 || !BASE64.test(coded)) return null;
  payForReading(run, coded.length);
  const coding = /[-_]/.test(coded) ? 'base64url' : 'base64';
  const bytes = Buffer.from(coded, coding);
  if (bytes.length < FEWEST_BYTES || !isUtf8(bytes)) return null;
  const decoded = bytes.toString('utf8');
  const masked = maskString(run, decoded, depth + 1);
  if (masked === decoded) return null;
  const recoded = Buffer.from(masked, 'utf8').toString(coding);
  return prefix + (coded.endsWith('=') || coding === 'base64' ? padded(recoded) : recoded);
}

function padded(base64: string): string {
  return base64.padEnd(Math.ceil(base64.length / 4) * 4, '=');
}
