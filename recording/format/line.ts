/**
 * Owns the shape of every recorded line, version 1 (docs/recording-format.md).
 * Invariant: a column keeps one JSON type for ever; an optional column is left out when there is nothing to say.
 * Column names are words that SQL engines take without quotes; they are part of the published format.
 */

/** Who made a request. Never null on a line: an unknown caller is `anonymous` with nulls. */
export interface Principal {
  how: 'oidc' | 'kubernetes' | 'anonymous' | 'unverified';
  issuer: string | null;
  subject: string | null;
  name: string | null;
  client_id: string | null;
  groups: string[];
  cut?: true;
}

/** How the session's name was found: sent by the protocol, or inferred from what the request carried. */
export type SessionHow = 'mcp-session-id' | 'sse-endpoint' | 'trace' | 'client-info' | 'address';

/** Weakest first: a session that the protocol names beats one that was inferred. */
export const SESSION_STRENGTH: readonly SessionHow[] = [
  'address',
  'client-info',
  'trace',
  'sse-endpoint',
  'mcp-session-id',
];

/** A session by name; `id` is a keyed hash (`h:` + 32 hex digits), never the id on the wire. */
export interface Session {
  id: string;
  how: SessionHow;
}

/** Self-reported name of the client program; never a ground for a decision. */
export interface ClientInfo {
  name: string;
  version: string | null;
  cut?: true;
}

/** A header as it stood on the wire (name in lower case); value null unless the name is on the allow-list. */
export interface RecordedHeader {
  name: string;
  value: string | null;
}

export interface Http {
  method: string | null;
  target: string | null;
  status: number | null;
  client_address: string | null;
  headers: RecordedHeader[];
}

export interface Decision {
  action: 'allow' | 'deny' | 'metadata_only';
  rule: string | null;
}

/** A JSON-RPC request or notification, on the line where it became complete. */
export interface Call {
  operation: string;
  kind: 'request' | 'notification';
  sender: Sender;
  rpc_id: string | null;
  method: string;
  target: string | null;
  decision: Decision;
  continues: string | null;
  /** Id, method or target were longer than 1 KiB. */
  cut?: true;
}

export type Sender = 'client' | 'server';

export interface Masked {
  rule: string;
  count: number;
}

/** Tools that a rule left out of a list that the client got. */
export interface Hidden {
  rule: string;
  names: string[];
}

export interface Withheld {
  reason: 'masking_bound' | 'metadata_only' | 'not_decodable' | 'ratio_limit';
  bytes: number;
}

/** Why parsers may read a message differently (CVE-2026-27896). */
export type Ambiguity = 'duplicate_key' | 'case_variant_key' | 'nul_in_key';

/** A piece of body: content-decoded and masked; `base64` where the bytes are no valid UTF-8. */
export interface Body {
  body: string | null;
  body_encoding: 'utf8' | 'base64' | null;
  /** Content bytes received from the sender for this line, framing removed, still content-coded. */
  wire_bytes: number;
  withheld?: Withheld;
  masked?: Masked[];
  /** What was replaced on the way to the other side: there the bytes are others than here. */
  wire_masked?: Masked[];
  /** What the body here has, and the client did not get. */
  hidden?: Hidden[];
  ambiguous?: Ambiguity[];
  calls?: Call[];
}

/** What stands on every line, in this order. */
export interface LineHead {
  v: 1;
  stream: string;
  seq: number;
  /** UTC, microseconds, fixed width: `YYYY-MM-DDTHH:MM:SS.ffffffZ`. */
  time: string;
}

/** May stand on any exchange line from which it is known. */
export interface Known {
  session?: Session;
  protocol?: string;
  client_info?: ClientInfo;
}

export interface PreviousStream {
  stream: string;
  segment: number;
  /** Base64 root of that segment; null when it could not be read. */
  root: string | null;
  how: 'recovered' | 'quarantined';
}

export interface OpenLine extends LineHead {
  type: 'open';
  open: {
    segment: number;
    previous_root: string | null;
    previous_streams: PreviousStream[];
    cluster: string;
    namespace: string;
    server: string;
    pod: string | null;
    pod_uid: string | null;
    image: string | null;
    recorder: string;
    config: string;
    commit: 'Spool' | 'ObjectStorage';
    /** `ed25519:` + base64 of the 32 raw bytes. */
    public_key: string;
    session_key_id: string;
  };
}

export interface RequestLine extends LineHead, Known, Body {
  type: 'request';
  exchange: string;
  part: number;
  principal: Principal;
  http: Http;
}

export interface ResponseLine extends LineHead, Known, Body {
  type: 'response';
  exchange: string;
  part: number;
  answered_by: 'server' | 'recorder';
  content_coding: string | null;
  http: Http;
}

export interface Sse {
  prefix: string;
  suffix: string;
  id: string | null;
  data_lines: number;
  partial: boolean;
}

export interface EventLine extends LineHead, Known, Body {
  type: 'event';
  exchange: string;
  part: number;
  sse: Sse;
}

export interface ChunkLine extends LineHead, Known, Body {
  type: 'chunk';
  exchange: string;
  part: number;
  sender: Sender;
  /** Decoded bytes before masking that came before this piece, from the same sender in this exchange. */
  body_offset: number;
}

export type EndHow = 'complete' | 'client_closed' | 'server_closed' | 'timeout' | 'cut' | 'denied';

export interface EndLine extends LineHead {
  type: 'end';
  exchange: string;
  part: number;
  ended: {
    parts: number;
    how: EndHow;
    status: number | null;
    bytes_in: number;
    bytes_out: number;
    released_bytes: number;
    duration_us: number;
    trailers: RecordedHeader[];
    open_operations: string[];
  };
}

export type Outcome =
  | 'ok'
  | 'error'
  | 'tool_error'
  | 'denied'
  | 'cancelled'
  | 'input_required'
  | 'task'
  | 'unknown';

/** The analyst's row: who, which tool, how it ended, how long it took. */
export interface ResultLine extends LineHead {
  type: 'result';
  exchange: string | null;
  part: number | null;
  operation: string | null;
  call_exchange: string | null;
  rpc_id: string;
  principal: Principal;
  session?: Session;
  method: string | null;
  target: string | null;
  sender: Sender;
  outcome: Outcome;
  cause: string | null;
  error_code: number | null;
  duration_us: number | null;
  /** Id, method or target were longer than 1 KiB. */
  cut?: true;
}

export interface DeniedLine extends LineHead {
  type: 'denied';
  denied: {
    reason: string;
    source: string;
    principal: Principal | null;
    count: number;
    first_time: string;
    last_time: string;
  };
}

export interface GapLine extends LineHead {
  type: 'gap';
  gap: { cause: string; first_time: string; last_time: string; exchanges: number; exact: boolean };
}

export interface ConfigLine extends LineHead {
  type: 'config';
  config: {
    /** `configuration_refused`: one was delivered and not taken; `after` is what it would have been. */
    kind: 'configuration' | 'configuration_refused' | 'clock' | 'session_key';
    before: string | null;
    after: string | null;
    signed_by: string | null;
  };
}

export type SealHow = 'size' | 'age' | 'batch' | 'shutdown' | 'recovered' | 'sync_failed' | 'clock';

export interface SealLine extends LineHead {
  type: 'seal';
  seal: {
    segment: number;
    first_seq: number;
    /** Lines before the seal. */
    entries: number;
    previous_root: string | null;
    root: string;
    last: boolean;
    how: SealHow;
    recovered_by: string | null;
    checkpoint: string;
  };
}

export type Line =
  | OpenLine
  | RequestLine
  | ResponseLine
  | EventLine
  | ChunkLine
  | EndLine
  | ResultLine
  | DeniedLine
  | GapLine
  | ConfigLine
  | SealLine;

export type LineType = Line['type'];

/**
 * A line without its head: the writer of the stream gives `seq` and `time` when the line is committed.
 * Distributes over the union, so that each type keeps its own columns.
 */
export type LineDraft<L extends Line = Line> = L extends Line ? Omit<L, keyof LineHead> : never;
