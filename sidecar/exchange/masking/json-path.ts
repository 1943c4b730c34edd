/**
 * Owns the JSON paths of the configuration: the part of RFC 9535 that a single pass over a text can follow.
 * Invariant: where a value is stays a number of bits a path, whatever the depth.
 * Names (`.name`, `['name']`), indexes from the start, wildcards and descendants (`..`); no filters, slices, unions or indexes from the end.
 */

interface Segment {
  /** Null: any member or element. */
  selector: string | number | null;
  /** At any depth below. */
  descendant: boolean;
}

export interface JsonPath {
  segments: readonly Segment[];
  /** Name of the last member that is named; null when the path names none. */
  lastName: string | null;
}

export type JsonPathResult = { ok: true; path: JsonPath } | { ok: false; message: string };

/** Bits of a state. */
const MAX_SEGMENTS = 30;
const NAME = /[A-Za-z_\u0080-\u{10ffff}][A-Za-z0-9_\u0080-\u{10ffff}]*/uy;
const INDEX = /0|[1-9][0-9]{0,8}/y;

/** Reads a path; `message` says what is wrong with it, and where (characters from 1). */
export function parseJsonPath(source: string): JsonPathResult {
  const fault = (index: number, expected: string): JsonPathResult => ({
    ok: false,
    message: `is no path that can be followed: at character ${index + 1} ${expected}`,
  });
  if (source[0] !== '$') return fault(0, 'it must begin with $, a JSON-RPC message');
  const segments: Segment[] = [];
  let index = 1;
  while (index < source.length) {
    const descendant = source.startsWith('..', index);
    if (descendant) index += 2;
    if (source[index] === '[') {
      const selected = bracketAt(source, index);
      if (typeof selected === 'string') return fault(index, selected);
      segments.push({ selector: selected.selector, descendant });
      index = selected.end;
      continue;
    }
    if (!descendant && source[index] !== '.') return fault(index, 'a dot or a bracket must follow');
    if (!descendant) index += 1;
    if (source[index] === '*') {
      segments.push({ selector: null, descendant });
      index += 1;
      continue;
    }
    const name = matchAt(NAME, source, index);
    if (name === null) return fault(index, "a name must follow; other names are written ['...']");
    segments.push({ selector: name, descendant });
    index += name.length;
  }
  if (segments.length === 0) return fault(source.length, 'something of the message must be named');
  if (segments.length > MAX_SEGMENTS) return fault(source.length, `it has more than ${MAX_SEGMENTS} steps`);
  const names = segments.flatMap(({ selector }) => (typeof selector === 'string' ? [selector] : []));
  return { ok: true, path: { segments, lastName: names.at(-1) ?? null } };
}

/** The one selector within brackets, or what is wrong. */
function bracketAt(source: string, open: number): { selector: string | number | null; end: number } | string {
  const quote = source[open + 1];
  if (quote === "'" || quote === '"') return quotedAt(source, open + 1, quote);
  const selector = quote === '*' ? '*' : matchAt(INDEX, source, open + 1);
  if (selector === null)
    return "['name'], [0] or [*] must stand; filters, slices and negative indexes are not supported";
  const end = open + 1 + selector.length;
  if (source[end] !== ']') return 'a bracket holds one name, index or *; slices and lists are not supported';
  return { selector: selector === '*' ? null : Number(selector), end: end + 1 };
}

/** A name in quotes, with JSON's escapes and `\'`. */
function quotedAt(source: string, open: number, quote: string): { selector: string; end: number } | string {
  let close = open + 1;
  while (close < source.length && source[close] !== quote) close += source[close] === '\\' ? 2 : 1;
  if (source[close] !== quote || source[close + 1] !== ']')
    return 'the name must end with a quote and a bracket';
  const inner = source.slice(open + 1, close);
  const json = quote === '"' ? inner : inner.replaceAll("\\'", "'").replaceAll(/(?<!\\)"/g, '\\"');
  try {
    return { selector: JSON.parse(`"${json}"`) as string, end: close + 2 };
  } catch {
    return 'the name has an escape that JSON does not know';
  }
}

function matchAt(pattern: RegExp, source: string, index: number): string | null {
  pattern.lastIndex = index;
  return pattern.exec(source)?.[0] ?? null;
}

/** For each path one bit a segment: those that may come next. Bit n of n segments: the value is meant. */
export type PathState = Int32Array;

/** Where a message is. */
export function rootState(paths: readonly JsonPath[]): PathState {
  return new Int32Array(paths.length).fill(1);
}

/** Where a member or element of a value is; null when no path leads further. */
export function stepInto(
  paths: readonly JsonPath[],
  state: PathState | null,
  step: string | number,
): PathState | null {
  if (state === null) return null;
  const next = new Int32Array(paths.length);
  let alive = 0;
  for (const [index, { segments }] of paths.entries()) {
    const bits = state[index] as number;
    for (const [position, { selector, descendant }] of segments.entries()) {
      if ((bits & (1 << position)) === 0) continue;
      if (descendant) next[index] = (next[index] as number) | (1 << position);
      if (selector === null || selector === step)
        next[index] = (next[index] as number) | (1 << (position + 1));
    }
    alive |= next[index] as number;
  }
  return alive === 0 ? null : next;
}

/** Index of the first path that means this value; -1 when none does. */
export function meantBy(paths: readonly JsonPath[], state: PathState | null): number {
  if (state === null) return -1;
  return paths.findIndex(({ segments }, index) => ((state[index] as number) & (1 << segments.length)) !== 0);
}
