/**
 * Owns what the claims of a token say: its scopes, its groups, whether it is an access token at all.
 * Invariant: functions of the claims alone; a claim of another form than expected says nothing.
 */

export type Claims = Readonly<Record<string, unknown>>;

/**
 * The claim at a path. A claim that has the whole text as its name comes first: names may be URLs.
 * @param path names with dots between, or a JSON Pointer (RFC 6901) when it begins with a slash
 */
export function claimAt(claims: Claims, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path];
  const names = path.startsWith('/')
    ? path
        .slice(1)
        .split('/')
        .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
    : path.split('.');
  let at: unknown = claims;
  for (const name of names) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
    at = (at as Record<string, unknown>)[name];
  }
  return at;
}

/** The strings of a list, or the one string. */
export function stringsOf(value: unknown): string[] {
  if (typeof value === 'string') return value === '' ? [] : [value];
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string' && item !== '') : [];
}

/** Scopes of a token: `scope` (RFC 8693 4.2, RFC 9068) and `scp`, which some issuers write instead, as text or as a list. */
export function scopesOf(claims: Claims): string[] {
  const texts = [...stringsOf(claims['scope']), ...stringsOf(claims['scp'])];
  return [...new Set(texts.flatMap((text) => text.split(' ')).filter((scope) => scope !== ''))];
}

/** Media types of an access token (RFC 9068 4), and the general one that most issuers still write. */
const ACCESS_TOKEN_TYPES = new Set(['at+jwt', 'application/at+jwt']);
const GENERAL_TYPES = new Set(['jwt', 'application/jwt']);
/** `typ` among the claims, as Keycloak writes it. */
const OTHER_KINDS = new Set(['id', 'refresh', 'offline', 'logout']);
/**
 * Claims that access tokens never have: hashes by which an ID token is bound to what came with it (OpenID Connect Core 3.3.2.11),
 * and the events of a logout token (RFC 8417 2.2).
 */
const FOREIGN_CLAIMS = ['at_hash', 'c_hash', 's_hash', 'events'];

/**
 * Why a token is none that a resource may take; null when it may.
 * A `nonce` makes an ID token too, except where the token says of itself that it is an access token: some issuers copy it into these.
 * @param typ of the token's header
 */
export function kindProblem(typ: unknown, claims: Claims): string | null {
  const type = typeof typ === 'string' ? typ.toLowerCase() : typ;
  const isTyped = typeof type === 'string' && ACCESS_TOKEN_TYPES.has(type);
  if (type !== undefined && !isTyped && !(typeof type === 'string' && GENERAL_TYPES.has(type))) {
    return 'The token is of a type that is not accepted';
  }
  const kind = lower(claims['typ']);
  const use = lower(claims['token_use']);
  const isExpressly = isTyped || kind === 'bearer' || use === 'access';
  const isIdToken =
    FOREIGN_CLAIMS.some((name) => Object.hasOwn(claims, name)) ||
    OTHER_KINDS.has(kind) ||
    (use !== '' && use !== 'access') ||
    (Object.hasOwn(claims, 'nonce') && !isExpressly);
  if (isIdToken) return 'The token is no access token';
  // Whether the caller has the key can't be told behind a proxy that ends TLS, and without the key it is stolen (RFC 9449 7, RFC 8705 3).
  if (Object.hasOwn(claims, 'cnf')) return 'The token is bound to a key, and bearer tokens are expected';
  return null;
}

function lower(value: unknown): string {
  return typeof value === 'string' ? value.toLowerCase() : '';
}
