/**
 * Owns which pages of browsers may call (RFC 6454), and what the recorder's own answers say to browsers (CORS, Fetch 3.2).
 * Invariant: with an allow-list, a request with an `Origin` that is not on it goes no further.
 */

export interface Origins {
  /** Whether the request may go on. One without `Origin` comes from no page. */
  allows(rawHeaders: readonly string[]): boolean;
  /** For an answer of the recorder's own to a request that is allowed, so that the page may read it. */
  headers(rawHeaders: readonly string[]): Record<string, string>;
  /** Whether answers differ by origin. */
  readonly listed: boolean;
}

/** @param allowed origins as browsers write them; null: any */
export function createOrigins(allowed: readonly string[] | null): Origins {
  const listed = allowed === null ? null : new Set(allowed);
  const exposed = { 'Access-Control-Expose-Headers': 'WWW-Authenticate' };
  return {
    listed: listed !== null,
    allows(rawHeaders) {
      if (listed === null) return true;
      const origins = headerValues(rawHeaders, 'origin');
      return origins.length === 0 || (origins.length === 1 && listed.has(origins[0] as string));
    },
    headers(rawHeaders) {
      const [origin] = headerValues(rawHeaders, 'origin');
      if (listed === null) {
        return origin === undefined ? {} : { 'Access-Control-Allow-Origin': '*', ...exposed };
      }
      if (origin === undefined) return { Vary: 'Origin' };
      return { 'Access-Control-Allow-Origin': origin, ...exposed, Vary: 'Origin' };
    },
  };
}

/**
 * The values of a header, in their order.
 * @param name in lower case
 */
export function headerValues(rawHeaders: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const raw = rawHeaders[index] as string;
    if (raw.length === name.length && raw.toLowerCase() === name)
      values.push(rawHeaders[index + 1] as string);
  }
  return values;
}
