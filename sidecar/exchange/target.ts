/**
 * Owns how a request target is recorded.
 * Invariant: of a query only names and keyed hashes of session ids are kept, and no credential of an absolute URL; the path stays as it was.
 */

export interface RecordedTarget {
  target: string;
  /** How many values were masked. */
  masked: number;
}

const MASKED = '[masked:query]';
const MASKED_USER = '[masked:userinfo]';

/**
 * The target as it is recorded. Session ids (`sessionId`, `session_id`) become their hash; every other query value is
 * masked, and so is a query part without `=`, since nothing says that it is a name.
 * @param target request target of any form (RFC 9112 3.2), or a reference to one
 */
export function recordedTarget(target: string, hashSession: (id: string) => string): RecordedTarget {
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const shown = withoutUser(path);
  let masked = shown === path ? 0 : 1;
  if (mark === -1) return { target: shown, masked };
  const parts = target.slice(mark + 1).split('&');
  const recorded = parts.map((part) => {
    const equals = part.indexOf('=');
    const name = equals === -1 ? '' : part.slice(0, equals);
    const value = part.slice(equals + 1);
    if (value === '') return part;
    if (isSessionName(name)) return `${name}=${hashSession(decoded(value))}`;
    masked += 1;
    return equals === -1 ? MASKED : `${name}=${MASKED}`;
  });
  return { target: `${shown}?${recorded.join('&')}`, masked };
}

/** The session id in a query (MCP 2024-11-05, HTTP+SSE), decoded; null when there is none. */
export function sessionIdOf(target: string): string | null {
  const mark = target.indexOf('?');
  if (mark === -1) return null;
  for (const part of target.slice(mark + 1).split('&')) {
    const equals = part.indexOf('=');
    if (equals > 0 && equals < part.length - 1 && isSessionName(part.slice(0, equals))) {
      return decoded(part.slice(equals + 1));
    }
  }
  return null;
}

/** SDKs write `sessionId` (TypeScript) and `session_id` (Python). */
function isSessionName(name: string): boolean {
  const plain = decoded(name).toLowerCase();
  return plain === 'sessionid' || plain === 'session_id';
}

/** Only an absolute target (`http://user:secret@host/`) or an authority can carry credentials: a path begins with `/`. */
function withoutUser(path: string): string {
  if (path.startsWith('/') && !path.startsWith('//')) return path;
  return path.replace(/^((?:[a-z][a-z0-9+.-]*:)?[\\/]{2})?[^\\/]*@/i, `$1${MASKED_USER}@`);
}

/** As a form decodes it; as it stands when its percent signs are no encoding. */
function decoded(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}
