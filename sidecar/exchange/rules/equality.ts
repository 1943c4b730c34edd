/**
 * Owns when two values of CEL are equal: numbers by value whatever their type, lists and maps by what is in them.
 * Invariant: members of JavaScript's prototypes are none of a map, and each comparison is paid for.
 */
import type { Meter } from './meter.ts';

/** Values of different types are unequal, not an error (CEL, "Equality"). */
export function equalValues(left: unknown, right: unknown, meter: Meter): boolean {
  if (typeof left === 'string') return typeof right === 'string' && equalStrings(left, right, meter);
  if (left === right) return true;
  if (typeof left === 'bigint') return typeof right === 'number' && left === exactly(right);
  if (typeof left === 'number') return typeof right === 'bigint' && right === exactly(left);
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
  meter.spend(2);
  if (Array.isArray(left)) return Array.isArray(right) && equalLists(left, right, meter);
  return isMap(left) && isMap(right) && equalMaps(left, right, meter);
}

/** `value in list`. */
export function isInList(value: unknown, list: readonly unknown[], meter: Meter): boolean {
  for (let index = 0; index < list.length; index += 1) {
    meter.spend(1);
    if (equalValues(value, list[index], meter)) return true;
  }
  return false;
}

function equalStrings(left: string, right: string, meter: Meter): boolean {
  if (left.length !== right.length) return false;
  if (left.length > 64) meter.spend(left.length >> 4);
  return left === right;
}

/** The integer that a double is; undefined when it is none. */
function exactly(value: number): bigint | undefined {
  return Number.isInteger(value) ? BigInt(value) : undefined;
}

function equalLists(left: readonly unknown[], right: readonly unknown[], meter: Meter): boolean {
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index += 1) {
    meter.spend(1);
    if (!equalValues(left[index], right[index], meter)) return false;
  }
  return true;
}

type CelMap = Map<unknown, unknown> | Record<string, unknown>;

function isMap(value: object): value is CelMap {
  if (value instanceof Map) return true;
  const prototype = Object.getPrototypeOf(value) as unknown;
  return prototype === Object.prototype || prototype === null;
}

function equalMaps(left: CelMap, right: CelMap, meter: Meter): boolean {
  const keys = left instanceof Map ? [...left.keys()] : Object.keys(left);
  const size = right instanceof Map ? right.size : Object.keys(right).length;
  meter.spend(10 * (keys.length + size));
  if (keys.length !== size) return false;
  for (const key of keys) {
    const other = memberOf(right, key);
    if (other === undefined || !equalValues(memberOf(left, key), other, meter)) return false;
  }
  return true;
}

function memberOf(map: CelMap, key: unknown): unknown {
  if (map instanceof Map) return map.get(key);
  return Object.hasOwn(map, key as string) ? map[key as string] : undefined;
}
