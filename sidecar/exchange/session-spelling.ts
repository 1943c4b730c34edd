/**
 * Owns which spellings of a session id are one: servers that parse an id find the same session under many of them.
 * Invariant: ids that a server may take for one another have one spelling; ids that servers make at random have each their own.
 */

/** Characters that a session id may have (MCP 2025-03-26, session management), and the space that a form makes of a plus sign. */
const ALLOWED = /^[\x20-\x7e]+$/;

/**
 * One text for all spellings of a session id. Python's `UUID(hex=...)`, by which its SDK finds HTTP+SSE sessions, ignores case, hyphens,
 * braces and `urn:uuid:`, and takes a sign, underscores and `0x` in the place of leading zeros.
 * @returns null for what no server gives as an id, though one may read an id in it (`int` of Python takes the digits of all scripts)
 */
export function sessionSpelling(id: string): string | null {
  if (!ALLOWED.test(id)) return null;
  const plain = id
    .toLowerCase()
    .replaceAll(/urn:|uuid:|[^a-z0-9]/g, '')
    .replace(/^(?:0x)?0*/, '');
  return plain === '' ? id : plain;
}
