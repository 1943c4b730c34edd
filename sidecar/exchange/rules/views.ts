/**
 * Owns the variables of rules: what each is made of, and where it comes from.
 * Invariant: what the environment declares (`FIELDS`) is what the classes have; absent text is the empty string.
 */
import type { Caller } from '../caller.ts';
import type { Message } from '../json-scan.ts';
import { toCelValue } from './json-value.ts';
import type { RecordedServer, RuleRequest } from './rules.ts';

/** CEL types of the members of each variable. */
export const FIELDS = {
  principal: {
    how: 'string',
    issuer: 'string',
    subject: 'string',
    name: 'string',
    client_id: 'string',
    groups: 'list<string>',
    scopes: 'list<string>',
    claims: 'map<string, dyn>',
  },
  mcp: {
    method: 'string',
    kind: 'string',
    tool: 'string',
    target: 'string',
    session: 'string',
    protocol: 'string',
    arguments: 'map<string, dyn>',
  },
  client: { address: 'string', id: 'string' },
  http: { method: 'string', path: 'string', headers: 'map<string, string>' },
  server: { name: 'string', namespace: 'string', cluster: 'string', labels: 'map<string, string>' },
} as const;

export type VariableName = keyof typeof FIELDS;

/** Headers that carry credentials: no rule sees them. */
const HIDDEN_HEADERS = new Set(['authorization', 'cookie', 'proxy-authorization']);

export class PrincipalView {
  readonly how: string;
  readonly issuer: string;
  readonly subject: string;
  readonly name: string;
  readonly client_id: string;
  readonly groups: readonly string[];
  readonly scopes: readonly string[];
  readonly #claims: Readonly<Record<string, unknown>>;
  #claimsValue: unknown;

  constructor({ principal, groups, scopes, claims }: Caller) {
    this.how = principal.how;
    this.issuer = principal.issuer ?? '';
    this.subject = principal.subject ?? '';
    this.name = principal.name ?? '';
    this.client_id = principal.client_id ?? '';
    this.groups = groups;
    this.scopes = scopes;
    this.#claims = claims;
  }

  get claims(): unknown {
    this.#claimsValue ??= toCelValue(this.#claims);
    return this.#claimsValue;
  }
}

/** The message that is decided about; `null` for a request without messages. */
export class McpView {
  readonly method: string;
  readonly kind: string;
  readonly tool: string;
  readonly target: string;
  readonly session: string;
  readonly protocol: string;
  readonly #readArguments: () => unknown;
  #arguments: unknown;

  /** @param readArguments called once, when a rule reads them; what it throws is that rule's error */
  constructor(request: RuleRequest, message: Message | null, readArguments: () => unknown) {
    this.method = message?.method ?? '';
    this.kind = message?.kind ?? 'none';
    this.target = message?.target ?? '';
    this.tool = this.method === 'tools/call' ? this.target : '';
    this.session = request.session ?? '';
    this.protocol = request.protocol ?? message?.protocolVersion ?? '';
    this.#readArguments = readArguments;
  }

  get arguments(): unknown {
    this.#arguments ??= this.#readArguments();
    return this.#arguments;
  }
}

export class ClientView {
  readonly address: string;
  readonly id: string;

  constructor(address: string, id: string) {
    this.address = address;
    this.id = id;
  }
}

export class HttpView {
  readonly method: string;
  readonly path: string;
  readonly #rawHeaders: readonly string[];
  #headers: Map<string, string> | undefined;

  constructor({ method, target, rawHeaders }: RuleRequest) {
    this.method = method;
    this.path = pathOf(target);
    this.#rawHeaders = rawHeaders;
  }

  /** By name in lower case; lines of one name are joined with a comma (RFC 9110 5.3). */
  get headers(): Map<string, string> {
    this.#headers ??= headerMap(this.#rawHeaders);
    return this.#headers;
  }
}

export class ServerView {
  readonly name: string;
  readonly namespace: string;
  readonly cluster: string;
  readonly labels: Map<string, string>;

  constructor({ name, namespace, cluster, labels }: RecordedServer) {
    this.name = name;
    this.namespace = namespace;
    this.cluster = cluster;
    this.labels = new Map(Object.entries(labels));
  }
}

/** All variables of one evaluation. */
export interface Variables {
  principal: PrincipalView;
  mcp: McpView;
  client: ClientView;
  http: HttpView;
  server: ServerView;
}

/** The path of a target in origin-form or absolute-form (RFC 9112 3.2): servers take both for one. */
function pathOf(target: string): string {
  const query = target.indexOf('?');
  const path = query < 0 ? target : target.slice(0, query);
  if (path.startsWith('/')) return path;
  const local = /^[a-z][a-z0-9+.-]*:\/\/[^/]*(.*)$/is.exec(path)?.[1];
  return local === '' ? '/' : (local ?? path);
}

function headerMap(rawHeaders: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] as string).toLowerCase();
    if (HIDDEN_HEADERS.has(name)) continue;
    const earlier = headers.get(name);
    const value = rawHeaders[index + 1] as string;
    headers.set(name, earlier === undefined ? value : `${earlier}, ${value}`);
  }
  return headers;
}
