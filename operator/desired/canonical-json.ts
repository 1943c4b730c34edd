/**
 * Owns one text for one JSON value, and short digests of it.
 * Invariant: values that are equal as JSON give the same text, in whatever order their keys were written.
 */
import { hash } from 'node:crypto';

/** JSON with the keys of each object in order; members that are undefined are left out, as JSON does. */
export function canonicalJson(value: unknown): string {
  return (
    JSON.stringify(value, (_, part: unknown) => {
      if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
      return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
    }) ?? 'undefined'
  );
}

/** 16 hex digits that tell values apart; no protection against someone who looks for a collision. */
export function digestOf(value: unknown): string {
  return hash('sha256', canonicalJson(value), 'hex').slice(0, 16);
}
