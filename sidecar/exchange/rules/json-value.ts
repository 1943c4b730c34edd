/**
 * Owns how JSON becomes values of CEL: numbers are doubles, integers that a double can't hold are ints, objects are maps.
 * Invariant: a member of a map is a member of the JSON, whatever it is called; no member of JavaScript's own objects is one.
 */

/** What plain parsing may get wrong: long integers, and names (escaped ones too) that the engine would take for JavaScript's own. */
const NEEDS_CARE = /\d{16}|constructor|__proto__|\\u/;
const LONG_INTEGER = /^-?\d{16,}$/;
/** Longer integers are infinite as doubles, and are not worth the time of an exact reading. */
const LONGEST_INTEGER = 310;

interface SourceContext {
  source?: string;
}

/**
 * Reads a JSON text.
 * @throws SyntaxError where it is none; RangeError where it is nested too deeply for an exact reading
 */
export function parseCelValue(text: string): unknown {
  if (!NEEDS_CARE.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key, value: unknown, context?: SourceContext) => {
    if (typeof value === 'number') return exactNumber(value, context?.source);
    return isPlainObject(value) ? new Map(Object.entries(value)) : value;
  });
}

/** The same for a value that was parsed already. */
export function toCelValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toCelValue);
  if (!isPlainObject(value)) return value ?? null;
  return new Map(Object.entries(value).map(([key, member]) => [key, toCelValue(member)]));
}

function exactNumber(value: number, source: string | undefined): number | bigint {
  if (Number.isSafeInteger(value) || source === undefined) return value;
  return source.length <= LONGEST_INTEGER && LONG_INTEGER.test(source) ? BigInt(source) : value;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
