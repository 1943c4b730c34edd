/**
 * Owns finding arguments that the server may read otherwise than the rules did.
 * Invariant: linear time, constant stack, memory for the names of the objects that are open at one time.
 */
import { codesOf, skipColon, skipSpace, skipString, skipValue, stringOf } from '../json-text.ts';
import { argumentSpans } from './argument-text.ts';

const QUOTE = 0x22;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COMMA = 0x2c;

/** Deepest nesting of arguments. Parsers differ in how deep they go; Go's encoding/json stops at 10,000. */
export const MAX_DEPTH = 200;

/** Names that rules read, by their form without case. */
export type FoldedNames = ReadonlyMap<string, ReadonlySet<string>>;

export function foldedNames(names: Iterable<string>): FoldedNames {
  const folded = new Map<string, Set<string>>();
  for (const name of names) {
    const exact = folded.get(foldCase(name));
    if (exact === undefined) folded.set(foldCase(name), new Set([name]));
    else exact.add(name);
  }
  return folded;
}

/**
 * One form for all strings that parsers take for one name when they ignore case: Go's encoding/json (simple case folding, so
 * long s is s and the Kelvin sign is k), .NET's and Jackson's options.
 */
export function foldCase(name: string): string {
  return /^[\u0000-\u007f]*$/.test(name)
    ? name.toLowerCase()
    : name.toLowerCase().toUpperCase().toLowerCase();
}

/**
 * What is ambiguous in the arguments of a body, in words that tell nothing of them; null when nothing is.
 * @param text a body in which messages were found
 * @param names what rules read
 */
export function findAmbiguity(text: string, names: FoldedNames): string | null {
  const codes = codesOf(text);
  for (const span of argumentSpans(text, codes)) {
    const found = span === null ? null : lookThrough(text, codes, span.start, names);
    if (found !== null) return found;
  }
  return null;
}

function lookThrough(text: string, codes: Uint16Array, start: number, names: FoldedNames): string | null {
  /** For each open object the names seen, for each open array null. */
  const open: (Set<string> | null)[] = [];
  let index = start;
  for (;;) {
    // Here a value begins.
    const code = codes[index] as number;
    if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      if (open.length === MAX_DEPTH) return `The arguments are nested more than ${MAX_DEPTH} levels deep`;
      open.push(code === OPEN_BRACE ? new Set() : null);
      index = skipSpace(codes, index + 1);
    } else {
      index = skipSpace(codes, skipValue(codes, index));
    }
    // Here a value has ended or an object or array was opened: go to where the next value begins.
    for (;;) {
      const seen = open.at(-1);
      if (seen === undefined) return null;
      const next = codes[index] as number;
      if (next === CLOSE_BRACE || next === CLOSE_BRACKET) {
        open.pop();
        index = skipSpace(codes, index + 1);
        continue;
      }
      if (next === COMMA) index = skipSpace(codes, index + 1);
      if (seen === null) break;
      if (codes[index] !== QUOTE) return 'The arguments are not JSON';
      const keyEnd = skipString(codes, index);
      const problem = problemOf(stringOf(text, index, keyEnd), seen, names);
      if (problem !== null) return problem;
      index = skipColon(codes, keyEnd);
      break;
    }
  }
}

function problemOf(key: string, seen: Set<string>, names: FoldedNames): string | null {
  const folded = foldCase(key);
  if (seen.has(folded))
    return 'The arguments have two members whose names differ in nothing but case, or not at all';
  seen.add(folded);
  if (key.includes('\0')) return 'The arguments have a member with a NUL in its name';
  const exact = names.get(folded);
  if (exact === undefined || exact.has(key)) return null;
  return 'The arguments have a member whose name differs in nothing but case from one that a rule reads';
}
