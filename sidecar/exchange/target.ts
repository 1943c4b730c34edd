/**
 * Owns how a request target is recorded, and how it goes on where its query is masked.
 * Invariant: of a query only names and keyed hashes of session ids are recorded, and no credential of an absolute URL; the path stays as it
 * was, unless something in it is to be masked.
 */
import type { Masker } from './masking/masking.ts';
import { maskedName } from './masking/names.ts';
import type { Tally } from './masking/tally.ts';

export interface RecordedTarget {
  target: string;
  /** How many values were masked. */
  masked: number;
}

const MASKED = '[masked:query]';
const MASKED_USER = '[masked:userinfo]';

/**
 * The target as it is recorded. Session ids (`sessionId`, `session_id`) become their hash; every other query value is
 * masked, and so is a query part without `=`, since nothing says that it is a name. Path and names are shown as far as masking lets them.
 * @param target request target of any form (RFC 9112 3.2), or a reference to one
 */
export function recordedTarget(
  target: string,
  hashSession: (id: string) => string,
  masker: Masker | null = null,
  tally: Tally | null = null,
): RecordedTarget {
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const anonymous = withoutUser(path);
  let masked = anonymous === path ? 0 : 1;
  const shown = maskedPath(masker, anonymous, tally);
  if (mark === -1) return { target: shown, masked };
  const parts = target.slice(mark + 1).split('&');
  const recorded = parts.map((part) => {
    const equals = part.indexOf('=');
    const name = equals === -1 ? '' : part.slice(0, equals);
    const value = part.slice(equals + 1);
    if (value === '') return maskedPart(masker, part, tally);
    const shownName = maskedPart(masker, name, tally);
    if (isSessionName(name)) return `${shownName}=${hashSession(decoded(value))}`;
    masked += 1;
    return equals === -1 ? MASKED : `${shownName}=${MASKED}`;
  });
  return { target: `${shown}?${recorded.join('&')}`, masked };
}

/** The session id in a query (MCP 2024-11-05, HTTP+SSE), decoded; null when there is none. */
export function sessionIdOf(target: string): string | null {
  return sessionIdsOf(target)[0] ?? null;
}

/** All of them, when the name stands there more than once: a server may take another than the first. */
export function sessionIdsOf(target: string): readonly string[] {
  const mark = target.indexOf('?');
  if (mark === -1) return NO_IDS;
  const ids: string[] = [];
  for (const part of target.slice(mark + 1).split('&')) {
    const equals = part.indexOf('=');
    if (equals > 0 && equals < part.length - 1 && isSessionName(part.slice(0, equals))) {
      ids.push(decoded(part.slice(equals + 1)));
    }
  }
  return ids;
}

const NO_IDS: readonly string[] = [];

/**
 * The target with the values of its query masked on the way to the server; session ids stay, as nothing would be found without them.
 * @returns the same string when nothing was found
 */
export function wireTarget(target: string, masker: Masker, tally: Tally): string {
  const mark = target.indexOf('?');
  if (mark === -1) return target;
  const parts = target.slice(mark + 1).split('&');
  const masked = parts.map((part) => {
    const equals = part.indexOf('=');
    const name = equals === -1 ? '' : part.slice(0, equals);
    if (isSessionName(name)) return part;
    const value = decoded(part.slice(equals + 1));
    const found = masker.member(decoded(name), value);
    if (found.masked === null && !found.exceeded) return part;
    tally.add(found.masked);
    const shown = encodeURIComponent(found.exceeded ? '[masked:masking-bound]' : found.text);
    return equals === -1 ? shown : `${name}=${shown}`;
  });
  return `${target.slice(0, mark)}?${masked.join('&')}`;
}

/** Segment by segment, since a slash that is encoded would join what is decoded with its neighbour, and then as a whole. */
function maskedPath(masker: Masker | null, path: string, tally: Tally | null): string {
  if (masker === null || path === '') return path;
  const segments = path.includes('%') ? path.split('/').map((one) => maskedPart(masker, one, tally)) : [path];
  return maskedPart(masker, segments.join('/'), tally);
}

/** A part of a target, or, when something is found in what it decodes to, that with the found replaced. */
function maskedPart(masker: Masker | null, part: string, tally: Tally | null): string {
  if (masker === null) return part;
  const plain = decoded(part);
  const masked = maskedName(masker, plain, tally);
  return masked === plain ? maskedName(masker, part, tally) : masked;
}

/** SDKs write `sessionId` (TypeScript) and `session_id` (Python); parsers of queries with brackets (qs, PHP) find the same in `sessionId[]`. */
function isSessionName(name: string): boolean {
  return /^\[?session[-_. ]?id\]?(?:\[\d*\])*$/i.test(decoded(name));
}

/** Only an absolute target (`http://user:secret@host/`) or an authority can carry credentials: a path begins with `/`. */
function withoutUser(path: string): string {
  if (path.startsWith('/') && !path.startsWith('//')) return path;
  return path.replace(/^((?:[a-z][a-z0-9+.-]*:)?[\\/]{2})?[^\\/]*@/i, `$1${MASKED_USER}@`);
}

/** As a form decodes it; percent signs that are no encoding stay as they stand. */
function decoded(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text;
  return text.replaceAll('+', ' ').replace(/(?:%[0-9a-f]{2})+/gi, (encoded) => {
    try {
      return decodeURIComponent(encoded);
    } catch {
      return encoded;
    }
  });
}
