/**
 * Owns which headers of a response stay behind when its content may be altered on the way to the client.
 * Invariant: no header that passes describes content that the client does not get.
 */

/**
 * Of the content as the server sent it: its length and coding (RFC 9110 8.4, 8.6), its digests (RFC 9530, RFC 3230, RFC 1864), its validator
 * (RFC 9110 8.8.3: a strong one must differ where the content does) and the offer of parts of it (14.3).
 */
const OF_THE_CONTENT = new Set([
  'accept-ranges',
  'content-digest',
  'content-encoding',
  'content-length',
  'content-md5',
  'digest',
  'etag',
  'repr-digest',
]);

/** Headers that a client needs as they are, whatever a rule finds in them: what the content is and how long, and whose session it is in. */
const NEVER_MASKED = new Set([
  'content-encoding',
  'content-length',
  'content-type',
  'mcp-session-id',
  'trailer',
]);

/**
 * @param flat end-to-end headers or trailers, names and values in turn
 * @param isAltered the content may be another than the one that they describe
 * @param mask gives another value in place of one that is masked
 */
export function alteredHeaders(
  flat: readonly string[],
  isAltered: boolean,
  mask: ((name: string, value: string) => string) | null,
): string[] {
  const kept: string[] = [];
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i] as string;
    const value = flat[i + 1] as string;
    const lowerName = name.toLowerCase();
    if (isAltered && OF_THE_CONTENT.has(lowerName)) continue;
    kept.push(name, mask === null || NEVER_MASKED.has(lowerName) ? value : mask(lowerName, value));
  }
  return kept;
}
