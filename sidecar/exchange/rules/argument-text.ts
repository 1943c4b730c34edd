/**
 * Owns where the arguments of calls stand in the text of a body.
 * Invariant: constant stack, nothing is built; of repeated members the last counts, as in `JSON.parse`.
 */
import { isAt, skipColon, skipSpace, skipString, skipValue, stringOf } from '../json-text.ts';

const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const BACKSLASH = 0x5c;

const PARAMS = codesOfName('params');
const ARGUMENTS = codesOfName('arguments');

/** A part of a text: from its first character to behind its last. */
export interface Span {
  start: number;
  end: number;
}

/**
 * Where `params.arguments` of each message is, in the order of `scanMessages`; null for a message without.
 * @param codes `codesOf(text)`
 * @throws SyntaxError where a message is not JSON
 */
export function argumentSpans(text: string, codes: Uint16Array): (Span | null)[] {
  const index = skipSpace(codes, 0);
  if (codes[index] === OPEN_BRACE) return [argumentsOf(text, codes, index)];
  const spans: (Span | null)[] = [];
  if (codes[index] === OPEN_BRACKET) {
    for (const element of elementsOf(codes, index)) {
      spans.push(codes[element.start] === OPEN_BRACE ? argumentsOf(text, codes, element.start) : null);
    }
  }
  return spans;
}

function argumentsOf(text: string, codes: Uint16Array, message: number): Span | null {
  const params = memberOf(text, codes, message, PARAMS);
  if (params === null || codes[params.start] !== OPEN_BRACE) return null;
  return memberOf(text, codes, params.start, ARGUMENTS);
}

interface Name {
  text: string;
  codes: Uint16Array;
}

function codesOfName(text: string): Name {
  return { text, codes: Uint16Array.from(text, (character) => character.charCodeAt(0)) };
}

function memberOf(text: string, codes: Uint16Array, object: number, name: Name): Span | null {
  let found: Span | null = null;
  for (const { keyStart, keyEnd, start, end } of membersOf(codes, object)) {
    if (isName(text, codes, keyStart, keyEnd, name)) found = { start, end };
  }
  return found;
}

function isName(text: string, codes: Uint16Array, start: number, end: number, name: Name): boolean {
  const length = end - start - 2;
  if (length === name.codes.length) return isAt(codes, start + 1, name.codes);
  if (length < name.codes.length) return false;
  for (let index = start; index < end; index += 1) {
    if (codes[index] === BACKSLASH) return stringOf(text, start, end) === name.text;
  }
  return false;
}

/** A member of an object: its name with the quotes, and its value. */
export interface MemberSpan extends Span {
  keyStart: number;
  keyEnd: number;
}

/** The members of an object; `open` is its brace. @throws SyntaxError where it is none */
export function* membersOf(codes: Uint16Array, open: number): Generator<MemberSpan> {
  let index = skipSpace(codes, open + 1);
  while (codes[index] !== CLOSE_BRACE) {
    const keyStart = index;
    const keyEnd = skipString(codes, keyStart);
    const start = skipColon(codes, keyEnd);
    const end = skipValue(codes, start);
    if (end < 0) throw new SyntaxError('The text is not JSON');
    yield { keyStart, keyEnd, start, end };
    index = skipSpace(codes, end);
    if (codes[index] !== CLOSE_BRACE) index = skipSpace(codes, index + 1);
  }
}

/** The elements of an array; `open` is its bracket. @throws SyntaxError where it is none */
export function* elementsOf(codes: Uint16Array, open: number): Generator<Span> {
  let start = skipSpace(codes, open + 1);
  while (codes[start] !== CLOSE_BRACKET) {
    const end = skipValue(codes, start);
    if (end < 0) throw new SyntaxError('The text is not JSON');
    yield { start, end };
    start = skipSpace(codes, end);
    if (codes[start] !== CLOSE_BRACKET) start = skipSpace(codes, start + 1);
  }
}
