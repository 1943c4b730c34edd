/**
 * Owns what counts as a difference between a recorded answer and another one.
 * Invariant: what was masked in the recording is not known, so it is never a difference; nor is what was declared to change.
 */
import { createPatch } from 'rfc6902';

export interface Difference {
  /** JSON pointer (RFC 6901) into the answer, such as `/result/content/0/text`. */
  path: string;
  kind: 'changed' | 'added' | 'removed';
  /** Left out where there is none on that side. */
  recorded?: unknown;
  now?: unknown;
}

const MASKED = /\[masked:[^\]]*\]/;
/** `_meta` is about the exchange, not of the answer. */
const ALWAYS_IGNORED = ['/result/_meta'];

/** The differences between two answers: `result` or `error` of each. @param ignore pointers with `*` for any name */
export function differencesOf(recorded: object, now: object, ignore: readonly string[]): Difference[] {
  const ignored = [...ALWAYS_IGNORED, ...ignore].map(patternOf);
  return createPatch(recorded, now).flatMap((operation): Difference[] => {
    const { path } = operation;
    if (ignored.some((pattern) => pattern.test(path))) return [];
    const before = at(recorded, path);
    if (operation.op === 'remove')
      return isMasked(before) ? [] : [{ path, kind: 'removed', recorded: before }];
    if (operation.op === 'add') return [{ path, kind: 'added', now: operation.value }];
    if (operation.op !== 'replace') return [];
    if (typeof before === 'string' && isMasked(before) && fitsMasked(before, operation.value)) return [];
    return [{ path, kind: 'changed', recorded: before, now: operation.value }];
  });
}

/** A path and all that is below it. */
function patternOf(pointer: string): RegExp {
  const parts = pointer.split('/').map((part) => (part === '*' ? '[^/]*' : RegExp.escape(part)));
  return new RegExp(`^${parts.join('/')}(?:/|$)`);
}

function isMasked(value: unknown): boolean {
  return typeof value === 'string' && MASKED.test(value);
}

/** Whether the text could be what was recorded with its masked places filled. */
function fitsMasked(masked: string, now: unknown): boolean {
  if (typeof now !== 'string') return false;
  const parts = masked.split(MASKED);
  let from = 0;
  for (const [n, part] of parts.entries()) {
    const found = n === 0 ? (now.startsWith(part) ? 0 : -1) : now.indexOf(part, from);
    if (found < 0) return false;
    from = found + part.length;
  }
  return now.endsWith(parts.at(-1) ?? '');
}

function at(value: unknown, pointer: string): unknown {
  let found = value;
  for (const part of pointer.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    found = typeof found === 'object' && found !== null ? Reflect.get(found, name) : undefined;
  }
  return found;
}
