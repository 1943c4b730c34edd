/**
 * Owns the one table from a cause of refusal to what the client is told.
 * Invariant: 400, 404 and 405 make MCP clients fall back to an older revision, so no cause has 405, 404 stands only for a session that is
 * none of the caller's (clients then begin a new one), and 400 only for broken HTTP, for a body that has no one reading, and for headers that
 * contradict the body.
 */
export type RefusalReason =
  | 'malformed_http'
  | 'malformed_json'
  | 'not_utf8'
  | 'header_mismatch'
  | 'body_too_large'
  | 'batch_too_large'
  | 'unsupported_coding'
  | 'bad_coding'
  | 'headers_too_large'
  | 'method_not_allowed'
  | 'expectation'
  | 'gate_closed'
  | 'draining'
  | 'no_token'
  | 'invalid_token'
  | 'insufficient_scope'
  | 'issuer_unavailable'
  | 'forbidden_origin'
  | 'foreign_session'
  | 'ambiguous_body'
  | 'unreadable_body'
  | 'denied_by_rule'
  | 'batch_denied'
  | 'not_masked'
  | 'credential_unavailable'
  | 'memory'
  | 'upstream_unreachable'
  | 'upstream_reset'
  | 'upstream_malformed'
  | 'upstream_timeout'
  | 'not_durable';

export interface Refusal {
  status: number;
  jsonRpcCode: number;
  message: string;
  /** For the `Retry-After` header, when trying again helps. */
  retryAfterSeconds?: number;
  /** What the reader can do about it. */
  hint: string;
}

/** JSON-RPC 2.0 section 5.1, and HeaderMismatch of MCP 2026-07-28; the others are in the range for servers, the first as SDK servers use it. */
const PARSE_ERROR = -32700;
const INVALID_REQUEST = -32600;
const INTERNAL_ERROR = -32603;
const HEADER_MISMATCH = -32020;
const SESSION_NOT_FOUND = -32001;
const DENIED = -32003;

export const REFUSALS: Readonly<Record<RefusalReason, Readonly<Refusal>>> = {
  malformed_http: {
    status: 400,
    jsonRpcCode: INVALID_REQUEST,
    message: 'The HTTP request is malformed',
    hint: 'Send a request that follows RFC 9112, with one unambiguous body length.',
  },
  malformed_json: {
    status: 400,
    jsonRpcCode: PARSE_ERROR,
    message: 'The request body is not valid JSON',
    hint: 'Send one JSON-RPC message, or a batch where the protocol revision has batches.',
  },
  not_utf8: {
    status: 400,
    jsonRpcCode: PARSE_ERROR,
    message: 'The request body is not UTF-8 without byte order mark',
    hint: 'Encode the body as UTF-8 (RFC 8259 section 8.1).',
  },
  header_mismatch: {
    status: 400,
    jsonRpcCode: HEADER_MISMATCH,
    message: 'A routing header contradicts the request body',
    hint: 'Make Mcp-Method and Mcp-Name say what the body says.',
  },
  body_too_large: {
    status: 413,
    jsonRpcCode: INVALID_REQUEST,
    message: 'The request body is larger than the recorder accepts',
    hint: 'Send less, or raise recording.maxRequestBytes.',
  },
  batch_too_large: {
    status: 413,
    jsonRpcCode: INVALID_REQUEST,
    message: 'The batch has more than 1000 messages',
    hint: 'Send several smaller batches.',
  },
  unsupported_coding: {
    status: 415,
    jsonRpcCode: INVALID_REQUEST,
    message: 'The content coding of the request body cannot be recorded',
    hint: 'Use gzip, br or zstd, or send the body as it is.',
  },
  bad_coding: {
    status: 400,
    jsonRpcCode: PARSE_ERROR,
    message: 'The request body cannot be decoded as its Content-Encoding says',
    hint: 'Make Content-Encoding name the coding that the body has.',
  },
  headers_too_large: {
    status: 431,
    jsonRpcCode: INVALID_REQUEST,
    message: 'The request headers are larger than the recorder accepts',
    hint: 'Send fewer or shorter headers.',
  },
  method_not_allowed: {
    status: 501,
    jsonRpcCode: INVALID_REQUEST,
    message: 'The recorder does not carry this HTTP method',
    hint: 'Use GET, POST, DELETE, OPTIONS or HEAD; CONNECT and TRACE cannot be recorded.',
  },
  expectation: {
    status: 417,
    jsonRpcCode: INVALID_REQUEST,
    message: 'The expectation in the Expect header cannot be met',
    hint: 'Expect nothing but 100-continue.',
  },
  gate_closed: {
    status: 503,
    jsonRpcCode: INTERNAL_ERROR,
    message: 'Recording cannot be guaranteed at the moment, so nothing passes',
    retryAfterSeconds: 5,
    hint: 'Try again later; the operator finds the cause in the recorder status.',
  },
  draining: {
    status: 503,
    jsonRpcCode: INTERNAL_ERROR,
    message: 'The recorder is shutting down',
    retryAfterSeconds: 1,
    hint: 'Try again on a new connection.',
  },
  no_token: {
    status: 401,
    jsonRpcCode: INVALID_REQUEST,
    message: 'The request has no access token',
    hint: 'Get a token from an authorization server that the resource metadata names, and send it as Authorization: Bearer.',
  },
  invalid_token: {
    status: 401,
    jsonRpcCode: INVALID_REQUEST,
    message: 'The access token is not accepted',
    hint: 'Get a new token, for this resource, from an authorization server that the resource metadata names.',
  },
  insufficient_scope: {
    status: 403,
    jsonRpcCode: INVALID_REQUEST,
    message: 'The access token lacks a scope that is needed',
    hint: 'Get a token with the scopes that WWW-Authenticate names.',
  },
  issuer_unavailable: {
    status: 503,
    jsonRpcCode: INTERNAL_ERROR,
    message: 'The keys of the token issuer cannot be fetched, so no token can be verified',
    retryAfterSeconds: 5,
    hint: 'Try again later; the operator finds the cause in the recorder status.',
  },
  forbidden_origin: {
    status: 403,
    jsonRpcCode: INVALID_REQUEST,
    message: 'Pages of this origin may not call this server',
    hint: 'The operator can add the origin to auth.allowedOrigins.',
  },
  foreign_session: {
    status: 404,
    jsonRpcCode: SESSION_NOT_FOUND,
    message: 'Session not found',
    hint: 'Begin a session of your own with initialize.',
  },
  ambiguous_body: {
    status: 400,
    jsonRpcCode: INVALID_REQUEST,
    message: 'The request body can be read in more than one way, so no rule can decide about it',
    hint: 'Send every name once, in the case that the specification gives it.',
  },
  unreadable_body: {
    status: 415,
    jsonRpcCode: INVALID_REQUEST,
    message: 'The request body is no JSON in UTF-8, so no rule can decide about it',
    hint: 'Send JSON-RPC messages in UTF-8 as application/json.',
  },
  denied_by_rule: {
    status: 403,
    jsonRpcCode: DENIED,
    message: 'A rule of the recorder denies this call',
    hint: 'Ask who runs the server for access; the rule is named beside this.',
  },
  batch_denied: {
    status: 403,
    jsonRpcCode: DENIED,
    message: 'Another message of the batch is denied, so none of it passes',
    hint: 'Send the message without the one that is denied.',
  },
  not_masked: {
    status: 413,
    jsonRpcCode: INVALID_REQUEST,
    message: 'The request takes too long to be masked on its way to the server',
    hint: 'Send less at once.',
  },
  credential_unavailable: {
    status: 503,
    jsonRpcCode: INTERNAL_ERROR,
    message: 'The recorder has no credential for the server at the moment',
    retryAfterSeconds: 5,
    hint: 'Try again later; the operator finds the cause in the recorder status.',
  },
  memory: {
    status: 503,
    jsonRpcCode: INTERNAL_ERROR,
    message: 'The recorder has no memory left for another request body',
    retryAfterSeconds: 1,
    hint: 'Try again later; the operator can raise limits.memory.',
  },
  upstream_unreachable: {
    status: 502,
    jsonRpcCode: INTERNAL_ERROR,
    message: 'The MCP server cannot be reached',
    hint: 'See that the server runs and listens at the configured address.',
  },
  upstream_reset: {
    status: 502,
    jsonRpcCode: INTERNAL_ERROR,
    message: 'The MCP server closed the connection before it answered',
    hint: 'The call may have taken effect; look into the log of the server.',
  },
  upstream_malformed: {
    status: 502,
    jsonRpcCode: INTERNAL_ERROR,
    message: 'The MCP server sent a malformed HTTP response',
    hint: 'The call may have taken effect; look into the log of the server.',
  },
  upstream_timeout: {
    status: 504,
    jsonRpcCode: INTERNAL_ERROR,
    message: 'The MCP server did not answer in time',
    hint: 'The call may have taken effect; look into the log of the server.',
  },
  not_durable: {
    status: 503,
    jsonRpcCode: INTERNAL_ERROR,
    message: 'The exchange can no longer be recorded, so it was cut',
    hint: 'The call may have taken effect; the operator finds the cause in the recorder status.',
  },
};

export interface RefusalBody {
  contentType: string;
  body: string;
}

/**
 * The JSON-RPC error that answers a refused request.
 * @param rpcIds JSON texts of the ids of its requests, as they were sent
 * @param batch whether the request was a batch: it then gets one error for each id
 * @param data more about the cause, beside `reason` and `hint` in the error's `data`
 */
export function refusalBody(
  reason: RefusalReason,
  rpcIds: readonly string[],
  batch: boolean,
  data?: Readonly<Record<string, unknown>>,
): RefusalBody {
  const answer = (rpcId: string) => refusalError(reason, rpcId, data);
  const body = batch && rpcIds.length > 0 ? `[${rpcIds.map(answer).join(',')}]` : answer(rpcIds[0] ?? 'null');
  return { contentType: 'application/json', body };
}

/** One JSON-RPC error, as text. @param words in place of the table's */
export function refusalError(
  reason: RefusalReason,
  rpcId: string,
  data?: Readonly<Record<string, unknown>>,
  words?: string | null,
): string {
  const { jsonRpcCode, message, hint } = REFUSALS[reason];
  const error = { code: jsonRpcCode, message: words ?? message, data: { reason, hint, ...data } };
  return `{"jsonrpc":"2.0","id":${rpcId},"error":${JSON.stringify(error)}}`;
}
