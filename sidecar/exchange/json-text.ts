/**
 * Owns the strict skipping of JSON values (RFC 8259), without building them.
 * Invariant: constant stack at any depth of nesting, no allocation for a value, and every function looks at a character at most twice.
 * It works on UTF-16 codes, not on the string: reading an element of an array takes half the time of `charCodeAt`.
 * Each function takes an index and returns the index behind what it skipped, or `~offset` (negative) of the fault.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COMMA = 0x2c;
const COLON = 0x3a;

/** Longest text, in characters, whose array is kept for the next one: fresh memory costs more than the scan. */
const LONGEST_KEPT = 1024 * 1024;
let kept = Buffer.alloc(2 * 32_768);
let keptCodes = new Uint16Array(kept.buffer);

/** Non-zero for what a run of plain characters in a string ends with: quote, backslash, control characters. */
const endsRun = new Uint8Array(65_536);
endsRun.fill(1, 0, 0x20);
endsRun[QUOTE] = 1;
endsRun[BACKSLASH] = 1;

const TRUE = Uint16Array.from([0x74, 0x72, 0x75, 0x65]);
const FALSE = Uint16Array.from([0x66, 0x61, 0x6c, 0x73, 0x65]);
const NULL = Uint16Array.from([0x6e, 0x75, 0x6c, 0x6c]);

/** One byte a level: 1 for an object, 0 for an array. Grown for hostile depths, and let go again afterwards. */
const USUAL_DEPTH = 4096;
const usualLevels = new Uint8Array(USUAL_DEPTH);

/**
 * The text's UTF-16 codes with a NUL behind the last. NUL is valid nowhere in JSON, so no reader needs to look for the end.
 * The array is shared: it holds until the next call.
 */
export function codesOf(text: string): Uint16Array {
  const units = text.length + 1;
  let bytes = kept;
  let codes = keptCodes;
  if (units > codes.length) {
    bytes = Buffer.allocUnsafeSlow(2 * Math.max(units, Math.min(LONGEST_KEPT, 2 * codes.length)));
    codes = new Uint16Array(bytes.buffer);
    if (codes.length <= LONGEST_KEPT) {
      kept = bytes;
      keptCodes = codes;
    }
  }
  bytes.write(text, 0, 'utf16le');
  codes[text.length] = 0;
  return codes;
}

/** Skips space, tab, line feed and carriage return: the only white space that JSON has. */
export function skipSpace(codes: Uint16Array, start: number): number {
  let index = start;
  for (;;) {
    const code = codes[index] as number;
    if (code > 0x20 || (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09)) return index;
    index += 1;
  }
}

/** Skips a string; `start` is its opening quote. */
export function skipString(codes: Uint16Array, start: number): number {
  let index = start + 1;
  for (;;) {
    const code = codes[index] as number;
    if (endsRun[code] === 0) {
      index += 1;
    } else if (code === QUOTE) {
      return index + 1;
    } else if (code === BACKSLASH) {
      index = skipEscape(codes, index);
      if (index < 0) return index;
    } else {
      return ~index;
    }
  }
}

function skipEscape(codes: Uint16Array, backslash: number): number {
  const at = backslash + 1;
  switch (codes[at]) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f: // /
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return at + 1;
    case 0x75: // u
      for (let digit = at + 1; digit < at + 5; digit += 1) {
        if (!isHex(codes[digit] as number)) return ~digit;
      }
      return at + 5;
    default:
      return ~at;
  }
}

function isHex(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x46) || (code >= 0x61 && code <= 0x66);
}

/** Skips one whole value of any kind; `start` is its first character. */
export function skipValue(codes: Uint16Array, start: number): number {
  let levels = usualLevels;
  let depth = 0;
  let index = start;
  for (;;) {
    // Here a value begins.
    const code = codes[index] as number;
    if (code === QUOTE) {
      index = skipString(codes, index);
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      const close = code === OPEN_BRACE ? CLOSE_BRACE : CLOSE_BRACKET;
      index = skipSpace(codes, index + 1);
      if (codes[index] === close) {
        index += 1;
      } else {
        if (depth === levels.length) levels = deeper(levels);
        levels[depth] = code === OPEN_BRACE ? 1 : 0;
        depth += 1;
        if (code === OPEN_BRACE) index = skipKey(codes, index);
        if (index < 0) return index;
        continue;
      }
    } else {
      index = skipScalar(codes, index, code);
    }
    if (index < 0) return index;
    // Here a value has ended: close what ends with it.
    for (;;) {
      if (depth === 0) return index;
      index = skipSpace(codes, index);
      const inObject = levels[depth - 1] === 1;
      const next = codes[index];
      if (next === COMMA) {
        index = skipSpace(codes, index + 1);
        if (inObject) index = skipKey(codes, index);
        if (index < 0) return index;
        break;
      }
      if (next !== (inObject ? CLOSE_BRACE : CLOSE_BRACKET)) return ~index;
      depth -= 1;
      index += 1;
    }
  }
}

function deeper(levels: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const grown = new Uint8Array(levels.length * 4);
  grown.set(levels);
  return grown;
}

/** Skips a member's name and colon, to the first character of its value. */
function skipKey(codes: Uint16Array, start: number): number {
  if (codes[start] !== QUOTE) return ~start;
  const index = skipString(codes, start);
  return index < 0 ? index : skipColon(codes, index);
}

/** Skips white space, a colon, and white space. */
export function skipColon(codes: Uint16Array, start: number): number {
  const index = skipSpace(codes, start);
  if (codes[index] !== COLON) return ~index;
  return skipSpace(codes, index + 1);
}

function skipScalar(codes: Uint16Array, start: number, code: number): number {
  if (code === 0x74) return skipWord(codes, start, TRUE);
  if (code === 0x66) return skipWord(codes, start, FALSE);
  if (code === 0x6e) return skipWord(codes, start, NULL);
  return skipNumber(codes, start);
}

function skipWord(codes: Uint16Array, start: number, word: Uint16Array): number {
  return isAt(codes, start, word) ? start + word.length : ~start;
}

/** Whether these very codes stand at `start`. */
export function isAt(codes: Uint16Array, start: number, word: Uint16Array): boolean {
  for (let index = 0; index < word.length; index += 1) {
    if (codes[start + index] !== word[index]) return false;
  }
  return true;
}

/** RFC 8259 6: no leading zero, no plus sign, digits on both sides of the point. */
function skipNumber(codes: Uint16Array, start: number): number {
  let index = start;
  if (codes[index] === 0x2d) index += 1;
  const whole = index;
  index = skipDigits(codes, whole);
  if (index === whole) return ~index;
  if (index - whole > 1 && codes[whole] === 0x30) return ~(whole + 1);
  if (codes[index] === 0x2e) {
    const fraction = index + 1;
    index = skipDigits(codes, fraction);
    if (index === fraction) return ~index;
  }
  if (((codes[index] as number) | 0x20) === 0x65) {
    let exponent = index + 1;
    const sign = codes[exponent];
    if (sign === 0x2b || sign === 0x2d) exponent += 1;
    index = skipDigits(codes, exponent);
    if (index === exponent) return ~index;
  }
  return index;
}

function skipDigits(codes: Uint16Array, start: number): number {
  let index = start;
  for (;;) {
    const code = codes[index] as number;
    if (code < 0x30 || code > 0x39) return index;
    index += 1;
  }
}

/** Whether the source of a string, from `start` to before `end`, has an escape. */
export function hasEscape(text: string, start: number, end: number): boolean {
  for (let index = start; index < end; index += 1) {
    if (text.charCodeAt(index) === BACKSLASH) return true;
  }
  return false;
}

/** The string with this source (quotes included), as a copy of its own. */
export function stringOf(text: string, start: number, end: number): string {
  // V8 keeps a slice of 13 or more characters as a view of its parent; a parsed string stands alone.
  if (end - start > 14 || hasEscape(text, start, end)) return JSON.parse(text.slice(start, end)) as string;
  return text.slice(start + 1, end - 1);
}
