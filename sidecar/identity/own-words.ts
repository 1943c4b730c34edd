/**
 * Owns what the recorder answers before it asks who calls: its metadata as a protected resource (RFC 9728) and CORS preflights.
 * Invariant: nothing here depends on a token, and nothing but `resource` and the configured issuers and scopes is told.
 */
import type { AuthConfiguration } from '../config/access.ts';
import type { Identified, RequestHead } from './identity.ts';
import { headerValues, type Origins } from './origins.ts';

export const WELL_KNOWN = '/.well-known/oauth-protected-resource';
/** Characters of `Access-Control-Request-Headers` that are given back. */
const MAX_ECHOED = 2048;
const PREFLIGHT_SECONDS = '600';
const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';
/** What MCP clients send, for a preflight whose own list is not given back. */
const USUAL_HEADERS =
  'Authorization, Content-Type, Accept, Last-Event-ID, Mcp-Session-Id, Mcp-Protocol-Version, Mcp-Method, Mcp-Name';
const HEADER_NAMES = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+(?:[ \t]*,[ \t]*[A-Za-z0-9!#$%&'*+.^_`|~-]+)*$/;

/** Where the metadata of a resource is found (RFC 9728 3.1): the well-known path goes between its host and its own path. */
export function metadataUrl(resource: string): string {
  const { origin, pathname, search } = new URL(resource);
  return `${origin}${WELL_KNOWN}${pathname === '/' ? '' : pathname}${search}`;
}

/**
 * Answers metadata and preflights; null for every other request.
 * @param resource the URL that clients use
 */
export function createOwnWords(auth: AuthConfiguration, resource: string, origins: Origins) {
  const body = JSON.stringify(metadataOf(auth, resource));
  const ownPath = withoutEndSlash(new URL(metadataUrl(resource)).pathname);

  function isMetadata(target: string): boolean {
    const path = withoutEndSlash(pathOf(target));
    return path === WELL_KNOWN || path === ownPath;
  }

  return (head: RequestHead): Identified | null => {
    const { method, target, rawHeaders } = head;
    if (method === 'GET' || method === 'HEAD') {
      if (!isMetadata(target)) return null;
      const headers = { 'Content-Type': 'application/json', 'Access-Control-Allow-Origin': '*' };
      return { verdict: 'answer', status: 200, headers, body };
    }
    if (method !== 'OPTIONS') return null;
    const [origin] = headerValues(rawHeaders, 'origin');
    const [asked] = headerValues(rawHeaders, 'access-control-request-method');
    if (origin === undefined || asked === undefined) return null;
    // Everybody may read the metadata. Whether the page may call is for the check of origins, which comes next.
    const isPublic = isMetadata(target);
    if (!isPublic && !origins.allows(rawHeaders)) return null;
    const [names = ''] = headerValues(rawHeaders, 'access-control-request-headers');
    return {
      verdict: 'answer',
      status: 204,
      headers: {
        'Access-Control-Allow-Origin': origins.listed && !isPublic ? origin : '*',
        'Access-Control-Allow-Methods': METHODS,
        'Access-Control-Allow-Headers':
          names.length <= MAX_ECHOED && HEADER_NAMES.test(names) ? names : USUAL_HEADERS,
        'Access-Control-Max-Age': PREFLIGHT_SECONDS,
        Vary: 'Origin, Access-Control-Request-Headers',
      },
      body: '',
    };
  };
}

/** RFC 9728 2. Clients can ask no API server for a token, so that it is named only where it is the one issuer (MCP wants one named). */
function metadataOf({ issuers, scopes }: AuthConfiguration, resource: string): Record<string, unknown> {
  const oidc = issuers.filter(({ how }) => how === 'oidc');
  const named = (oidc.length > 0 ? oidc : issuers).map(({ issuer }) => issuer);
  const supported = new Set([...scopes, ...issuers.flatMap((issuer) => issuer.scopes)]);
  return {
    resource,
    authorization_servers: [...new Set(named)],
    ...(supported.size > 0 ? { scopes_supported: [...supported] } : {}),
    bearer_methods_supported: ['header'],
  };
}

/** The path of a request target in origin-form or absolute-form (RFC 9112 3.2). */
function pathOf(target: string): string {
  const absolute = /^https?:\/\/[^/?]*(.*)$/i.exec(target);
  const local = absolute === null ? target : (absolute[1] as string);
  const mark = local.indexOf('?');
  return mark === -1 ? local : local.slice(0, mark);
}

function withoutEndSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path;
}
