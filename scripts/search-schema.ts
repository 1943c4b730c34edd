/**
 * Owns the JSON Schema of what `mcp-recorder search --json` prints: one schema for each line.
 * Invariant: it is that of cli/row-json.ts, which the types hold; members that a later version adds are valid.
 */
import type { GapJson, RowJson, SummaryJson } from '../cli/row-json.ts';
import { z } from 'zod';

const text = z.string();
const orNull = <T extends z.ZodType>(schema: T) => z.union([schema, z.null()]);
const count = z.int().min(0);
const time = text.regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$/).describe('UTC, in microseconds');

const principal = z.looseObject({
  how: z.enum(['oidc', 'kubernetes', 'anonymous', 'unverified']),
  issuer: orNull(text),
  subject: orNull(text),
  name: orNull(text),
  client_id: orNull(text),
  groups: z.array(text),
  cut: z.literal(true).exactOptional(),
});
const session = z.looseObject({
  id: text,
  how: z.enum(['mcp-session-id', 'sse-endpoint', 'trace', 'client-info', 'address']),
});
const decision = z.looseObject({ action: z.enum(['allow', 'deny', 'metadata_only']), rule: orNull(text) });
const outcome = z.enum([
  'ok',
  'error',
  'tool_error',
  'denied',
  'cancelled',
  'input_required',
  'task',
  'unknown',
]);
const denied = z.looseObject({
  reason: text,
  source: text,
  principal: orNull(principal),
  count,
  first_time: time,
  last_time: time,
});
const head = { v: z.literal(1) };
const place = { time, cluster: text, namespace: text, server: text, stream: text, seq: count };

const row = z.looseObject({
  ...head,
  type: z.literal('row'),
  kind: z.enum(['request', 'notification', 'exchange', 'denied']),
  ...place,
  principal: orNull(principal),
  session: orNull(session),
  operation: orNull(text),
  exchange: orNull(text),
  sender: orNull(z.enum(['client', 'server'])),
  rpc_id: orNull(text),
  method: orNull(text),
  target: orNull(text),
  decision: orNull(decision),
  continues: orNull(text),
  outcome: orNull(outcome),
  cause: orNull(text),
  error_code: orNull(z.number()),
  duration_us: orNull(z.number()),
  result_time: orNull(time),
  result_exchange: orNull(text),
  http: orNull(
    z.looseObject({
      method: orNull(text),
      target: orNull(text),
      status: orNull(z.int()),
      client_address: orNull(text),
    }),
  ),
  denied: orNull(denied),
}) satisfies z.ZodType<RowJson>;

const gap = z.looseObject({
  ...head,
  type: z.literal('gap'),
  ...place,
  gap: z.looseObject({
    cause: text,
    first_time: time,
    last_time: time,
    exchanges: count,
    exact: z.boolean(),
  }),
}) satisfies z.ZodType<GapJson>;

const summary = z.looseObject({
  ...head,
  type: z.literal('summary'),
  rows: count,
  more: orNull(z.boolean()),
  interrupted: z.boolean(),
  gaps: count,
  unreadable: count,
  where_errors: count,
}) satisfies z.ZodType<SummaryJson>;

/** The published JSON Schema of a line (draft 2020-12), as text. */
export function searchJsonSchema(): string {
  const schema = z.toJSONSchema(z.discriminatedUnion('type', [row, gap, summary]), { io: 'input' });
  const named = {
    $schema: schema.$schema,
    title: 'A line of mcp-recorder search --json, version 1',
    description: 'docs/cli.md says what its members mean.',
    ...schema,
  };
  return `${JSON.stringify(named, null, 2)}\n`;
}
