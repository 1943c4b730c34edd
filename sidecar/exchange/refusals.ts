/**
 * Owns the one table from a cause of refusal to what the client is told.
 * Invariant: no status that MCP clients read as "legacy server" (400, 404, 405) unless the specification asks for it.
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
  retryAfterSeconds?: number;
  hint: string;
}

export const REFUSALS: Readonly<Record<RefusalReason, Refusal>> = {} as never;

export interface RefusalBody {
  contentType: string;
  body: string;
}

export function refusalBody(
  _reason: RefusalReason,
  _rpcIds: readonly string[],
  _batch: boolean,
  _data?: Readonly<Record<string, unknown>>,
): RefusalBody {
  throw new Error('not yet');
}
