/**
 * Owns the check of decoded lines at runtime, and thereby the published JSON Schema (docs/schema/line.schema.json).
 * Invariant: what the schemas accept is what line.ts says (test/recording/line-schema.test.ts holds both together);
 * unknown columns are accepted and dropped, as the format lets later versions add some.
 */
import { z } from 'zod';
import { isTime } from './time.ts';

const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$/;
const BASE64_HASH = /^[A-Za-z0-9+/]{43}=$/;

const ulid = z.string().regex(ULID);
const time = z
  .string()
  .regex(TIME)
  .refine((text) => isTime(text), 'no such time');
const count = z.int().nonnegative();
const hash = z.string().regex(BASE64_HASH);
const text = z.string();
const orNull = <T extends z.ZodType>(schema: T) => z.union([schema, z.null()]);

const sender = z.enum(['client', 'server']);
const principal = z.object({
  how: z.enum(['oidc', 'kubernetes', 'anonymous', 'unverified']),
  issuer: orNull(text),
  subject: orNull(text),
  name: orNull(text),
  client_id: orNull(text),
  groups: z.array(text),
  cut: z.literal(true).exactOptional(),
});
const session = z.object({
  id: text,
  how: z.enum(['mcp-session-id', 'sse-endpoint', 'trace', 'client-info', 'address']),
});
const known = {
  session: session.exactOptional(),
  protocol: text.exactOptional(),
  client_info: z
    .object({ name: text, version: orNull(text), cut: z.literal(true).exactOptional() })
    .exactOptional(),
};
const header = z.object({ name: text, value: orNull(text) });
const http = z.object({
  method: orNull(text),
  target: orNull(text),
  status: orNull(z.int()),
  client_address: orNull(text),
  headers: z.array(header),
});
const call = z.object({
  operation: text,
  kind: z.enum(['request', 'notification']),
  sender,
  rpc_id: orNull(text),
  method: text,
  target: orNull(text),
  decision: z.object({ action: z.enum(['allow', 'deny', 'metadata_only']), rule: orNull(text) }),
  continues: orNull(text),
  cut: z.literal(true).exactOptional(),
});
const body = {
  body: orNull(text),
  body_encoding: orNull(z.enum(['utf8', 'base64'])),
  wire_bytes: count,
  withheld: z
    .object({
      reason: z.enum(['masking_bound', 'metadata_only', 'not_decodable', 'ratio_limit']),
      bytes: count,
    })
    .exactOptional(),
  masked: z.array(z.object({ rule: text, count })).exactOptional(),
  wire_masked: z.array(z.object({ rule: text, count })).exactOptional(),
  hidden: z.array(z.object({ rule: text, names: z.array(text) })).exactOptional(),
  ambiguous: z.array(z.enum(['duplicate_key', 'case_variant_key', 'nul_in_key'])).exactOptional(),
  calls: z.array(call).exactOptional(),
};

const head = { v: z.literal(1), stream: ulid, seq: count, time };
const inExchange = { exchange: ulid, part: count };

export const openSchema = z.object({
  ...head,
  type: z.literal('open'),
  open: z.object({
    segment: count,
    previous_root: orNull(hash),
    previous_streams: z.array(
      z.object({
        stream: ulid,
        segment: count,
        root: orNull(hash),
        how: z.enum(['recovered', 'quarantined']),
      }),
    ),
    cluster: text,
    namespace: text,
    server: text,
    pod: orNull(text),
    pod_uid: orNull(text),
    image: orNull(text),
    recorder: text,
    config: text,
    commit: z.enum(['Spool', 'ObjectStorage']),
    public_key: text,
    session_key_id: text,
  }),
});

export const sealSchema = z.object({
  ...head,
  type: z.literal('seal'),
  seal: z.object({
    segment: count,
    first_seq: count,
    entries: count,
    previous_root: orNull(hash),
    root: hash,
    last: z.boolean(),
    how: z.enum(['size', 'age', 'batch', 'shutdown', 'recovered', 'sync_failed', 'clock']),
    recovered_by: orNull(ulid),
    checkpoint: text,
  }),
});

const request = z.object({
  ...head,
  type: z.literal('request'),
  ...inExchange,
  principal,
  ...known,
  http,
  ...body,
});
const response = z.object({
  ...head,
  type: z.literal('response'),
  ...inExchange,
  ...known,
  answered_by: z.enum(['server', 'recorder']),
  content_coding: orNull(text),
  http,
  ...body,
});
const event = z.object({
  ...head,
  type: z.literal('event'),
  ...inExchange,
  ...known,
  sse: z.object({ prefix: text, suffix: text, id: orNull(text), data_lines: count, partial: z.boolean() }),
  ...body,
});
const chunk = z.object({
  ...head,
  type: z.literal('chunk'),
  ...inExchange,
  ...known,
  sender,
  body_offset: count,
  ...body,
});
const end = z.object({
  ...head,
  type: z.literal('end'),
  ...inExchange,
  ended: z.object({
    parts: count,
    how: z.enum(['complete', 'client_closed', 'server_closed', 'timeout', 'cut', 'denied']),
    status: orNull(z.int()),
    bytes_in: count,
    bytes_out: count,
    released_bytes: count,
    duration_us: count,
    trailers: z.array(header),
    open_operations: z.array(text),
  }),
});
const result = z.object({
  ...head,
  type: z.literal('result'),
  exchange: orNull(ulid),
  part: orNull(count),
  operation: orNull(text),
  call_exchange: orNull(ulid),
  rpc_id: text,
  principal,
  session: session.exactOptional(),
  method: orNull(text),
  target: orNull(text),
  sender,
  outcome: z.enum(['ok', 'error', 'tool_error', 'denied', 'cancelled', 'input_required', 'task', 'unknown']),
  cause: orNull(text),
  error_code: orNull(z.int()),
  duration_us: orNull(count),
  cut: z.literal(true).exactOptional(),
});
const denied = z.object({
  ...head,
  type: z.literal('denied'),
  denied: z.object({
    reason: text,
    source: text,
    principal: orNull(principal),
    count,
    first_time: time,
    last_time: time,
  }),
});
const gap = z.object({
  ...head,
  type: z.literal('gap'),
  gap: z.object({ cause: text, first_time: time, last_time: time, exchanges: count, exact: z.boolean() }),
});
const config = z.object({
  ...head,
  type: z.literal('config'),
  config: z.object({
    kind: z.enum(['configuration', 'configuration_refused', 'clock', 'session_key']),
    before: orNull(text),
    after: orNull(text),
    signed_by: orNull(text),
  }),
});

/** Any line of version 1. */
export const lineSchema = z.discriminatedUnion('type', [
  openSchema,
  request,
  response,
  event,
  chunk,
  end,
  result,
  denied,
  gap,
  config,
  sealSchema,
]);

/** The published JSON Schema of a line (draft 2020-12), as text. */
export function lineJsonSchema(): string {
  const schema = z.toJSONSchema(lineSchema, { io: 'input' });
  const named = {
    $schema: schema.$schema,
    title: 'A recorded line, version 1',
    description:
      'One line of a segment of an mcp-recorder recording; docs/recording-format.md says what it means.',
    ...schema,
  };
  return `${JSON.stringify(named, null, 2)}\n`;
}
