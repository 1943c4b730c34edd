/**
 * Owns how JSON becomes values of CEL: numbers are doubles, integers that a double can't hold are ints, objects are maps.
 * Invariant: a member of a map is a member of the JSON, whatever it is called; what is built is paid for.
 * `JSON.parse` is no help: it tells integers only to a function that it calls for each value, which takes a microsecond each.
 */
import { codesOf, skipColon, skipSpace, skipString, skipValue, stringOf } from '../json-text.ts';
import { MAX_DEPTH } from './ambiguity.ts';
import { COST_OF_MEMBER, COST_OF_VALUE } from './costs.ts';
import type { Meter } from './meter.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

const INTEGER = /^-?\d+$/;
/** Every integer of so many characters is exact as a double. */
const EXACT_LENGTH = 15;
/** Longer integers are infinite as doubles, and are not worth the time of an exact reading. */
const LONGEST_INTEGER = 310;

interface Reader {
  text: string;
  codes: Uint16Array;
  /** Where the next value begins, then where it ended. */
  index: number;
  meter: Meter;
}

/**
 * Reads a JSON text.
 * @throws SyntaxError where it is none; RangeError where it is nested too deeply; COST_EXCEEDED
 */
export function parseCelValue(text: string, meter: Meter): unknown {
  const codes = codesOf(text);
  const reader = { text, codes, index: skipSpace(codes, 0), meter };
  const value = readValue(reader, 0);
  if (skipSpace(codes, reader.index) < text.length) throw new SyntaxError('The text is not JSON');
  return value;
}

/** The same for a value that was parsed already, as the claims of a token are. */
export function toCelValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toCelValue);
  if (typeof value !== 'object' || value === null) return value ?? null;
  return new Map(Object.entries(value).map(([key, member]) => [key, toCelValue(member)]));
}

function readValue(reader: Reader, depth: number): unknown {
  const { text, codes, index: start, meter } = reader;
  const code = codes[start];
  if (code === OPEN_BRACE || code === OPEN_BRACKET) {
    if (depth === MAX_DEPTH) throw new RangeError('The value is nested too deeply');
    return code === OPEN_BRACE ? readMap(reader, depth + 1) : readList(reader, depth + 1);
  }
  const end = skipValue(codes, start);
  if (end < 0) throw new SyntaxError('The text is not JSON');
  reader.index = end;
  meter.spend(COST_OF_VALUE + ((end - start) >> 4));
  if (code === QUOTE) return stringOf(text, start, end);
  if (code === 0x74) return true;
  if (code === 0x66) return false;
  if (code === 0x6e) return null;
  return end - start === 1 ? (code as number) - 0x30 : readNumber(text.slice(start, end));
}

function readNumber(source: string): number | bigint {
  const value = Number(source);
  if (source.length <= EXACT_LENGTH || source.length > LONGEST_INTEGER) return value;
  return !Number.isSafeInteger(value) && INTEGER.test(source) ? BigInt(source) : value;
}

function readList(reader: Reader, depth: number): unknown[] {
  const { codes, meter } = reader;
  const list: unknown[] = [];
  meter.spend(COST_OF_MEMBER);
  reader.index = skipSpace(codes, reader.index + 1);
  while (codes[reader.index] !== CLOSE_BRACKET) {
    list.push(readValue(reader, depth));
    toNext(reader, CLOSE_BRACKET);
  }
  reader.index += 1;
  return list;
}

function readMap(reader: Reader, depth: number): Map<string, unknown> {
  const { text, codes, meter } = reader;
  const map = new Map<string, unknown>();
  meter.spend(COST_OF_MEMBER);
  reader.index = skipSpace(codes, reader.index + 1);
  while (codes[reader.index] !== CLOSE_BRACE) {
    const start = reader.index;
    const end = codes[start] === QUOTE ? skipString(codes, start) : -1;
    const value = end < 0 ? end : skipColon(codes, end);
    if (value < 0) throw new SyntaxError('The text is not JSON');
    meter.spend(COST_OF_MEMBER + ((end - start) >> 4));
    reader.index = value;
    map.set(stringOf(text, start, end), readValue(reader, depth));
    toNext(reader, CLOSE_BRACE);
  }
  reader.index += 1;
  return map;
}

/** To where the next value or name begins, or to what closes. */
function toNext(reader: Reader, close: number): void {
  const { codes } = reader;
  const index = skipSpace(codes, reader.index);
  if (codes[index] === COMMA) reader.index = skipSpace(codes, index + 1);
  else if (codes[index] === close) reader.index = index;
  else throw new SyntaxError('The text is not JSON');
}
