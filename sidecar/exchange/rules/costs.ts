/**
 * Owns what each operation of an expression costs, in units of `meter.ts`.
 * Invariant: an operation whose work grows with its operands is in these tables; what it makes is paid for too, since it takes memory.
 */

/** A comprehension pays this for each element, and for each node that it evaluates there. */
export const COST_OF_ELEMENT = 5;
export const COST_OF_NODE = 5;
/** An error that `all` and `exists` go on after; its stack trace is what is dear. */
export const COST_OF_ERROR = 2000;

/** Reading arguments: each value, and each member of a map, each list and each map more. A text pays a sixteenth of a character beside. */
export const COST_OF_VALUE = 10;
export const COST_OF_MEMBER = 60;

/** By the name of the function; operands with the receiver first. */
type CallCost = (operands: readonly unknown[]) => number;

const CALLS: Record<string, CallCost> = {
  size: ([of]) => (typeof of === 'string' ? of.length : 10 * sizeOf(of)),
  contains: searchCost,
  indexOf: searchCost,
  lastIndexOf: backwardsCost,
  split: (operands) => searchCost(operands) + 4 * lengthOf(operands[0]),
  join: joinCost,
  startsWith: ([, part]) => lengthOf(part) / 16,
  endsWith: ([, part]) => lengthOf(part) / 16,
  lowerAscii: ([text]) => 2 * lengthOf(text),
  upperAscii: ([text]) => 2 * lengthOf(text),
  trim: ([text]) => lengthOf(text),
  double: ([text]) => lengthOf(text),
  int: ([text]) => lengthOf(text),
  bool: ([text]) => lengthOf(text) / 16,
};
const COST_OF_CALL = new Map(Object.entries(CALLS));

/** What a call costs before it is made; null for one whose work does not grow. */
export function costOfCall(name: string): CallCost | null {
  return COST_OF_CALL.get(name) ?? null;
}

/** `left + right`: a new string or list. */
export function costOfJoining(left: unknown, right: unknown): number {
  if (typeof left === 'string') return (left.length + lengthOf(right)) / 2;
  return Array.isArray(left) ? 8 * (left.length + sizeOf(right)) : 0;
}

/** `left < right` and the like. */
export function costOfOrdering(left: unknown, right: unknown): number {
  return Math.min(lengthOf(left), lengthOf(right)) / 16;
}

/** Measured with texts that make V8's search slow: 7 to 20 ns for each character, and with long parts half a nanosecond for each of both. */
function searchCost([text, part]: readonly unknown[]): number {
  return lengthOf(text) * (1 + lengthOf(part) / 16);
}

/** From the end V8 compares at each place. */
function backwardsCost([text, part]: readonly unknown[]): number {
  return lengthOf(text) * (1 + lengthOf(part) / 8);
}

function joinCost([list, separator]: readonly unknown[]): number {
  if (!Array.isArray(list)) return 0;
  let length = list.length * (10 + lengthOf(separator));
  for (const part of list) length += lengthOf(part);
  return length;
}

function lengthOf(value: unknown): number {
  return typeof value === 'string' ? value.length : 0;
}

function sizeOf(value: unknown): number {
  if (Array.isArray(value)) return value.length;
  if (value instanceof Map) return value.size;
  return typeof value === 'object' && value !== null ? Object.keys(value).length : 0;
}
