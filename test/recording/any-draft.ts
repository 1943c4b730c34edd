/**
 * Owns arbitrary lines for property tests: every type, every column, strings that are hard to encode.
 * Invariant: nested columns stand in the order of the contract (line.ts), as the recorder writes them.
 */
import type { Body, Known, LineDraft, Principal, RecordedHeader } from '@mcp-recorder/recording/format/line';
import fc from 'fast-check';

const hard = fc.constantFrom(
  '',
  '"',
  '\\',
  '\n',
  '\u0000',
  '\u2028',
  'h\u00ed',
  '\u{1f44b}',
  '\ud800',
  '\\ud83d',
  '\u007f',
);
const text = fc.oneof(
  hard,
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.tuple(hard, hard, hard).map((t) => t.join('')),
);
const orNull = <T>(arb: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arb, { nil: null });
const count = fc.nat();
const ulid = fc.constantFrom('01KAH3MBWD0G6R4Y1S8T2V5Z9C', '01KAH3MBWD0G6R4Y1S8T2V5Z9D');
const time = fc.constantFrom('2026-11-21T08:40:00.123456Z', '2026-11-21T08:40:01.000000Z');
const sender = fc.constantFrom('client', 'server');
const root = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((b) => Buffer.from(b).toString('base64'));
const header: fc.Arbitrary<RecordedHeader> = fc.record({ name: text, value: orNull(text) });

/** With or without the mark that something in it was cut. */
function maybeCut<T extends object>(arb: fc.Arbitrary<T>): fc.Arbitrary<T & { cut?: true }> {
  return fc.tuple(arb, fc.boolean()).map(([value, cut]) => (cut ? { ...value, cut: true as const } : value));
}

/** Some of the optional columns, as absent keys. */
function some<T extends object>(columns: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<Partial<T>> {
  return fc.record(columns, { requiredKeys: [] }) as fc.Arbitrary<Partial<T>>;
}

const principal: fc.Arbitrary<Principal> = fc.record({
  how: fc.constantFrom('oidc', 'kubernetes', 'anonymous', 'unverified'),
  issuer: orNull(text),
  subject: orNull(text),
  name: orNull(text),
  client_id: orNull(text),
  groups: fc.array(text, { maxLength: 3 }),
});
const session = fc.record({
  id: text,
  how: fc.constantFrom('mcp-session-id', 'sse-endpoint', 'trace', 'client-info', 'address'),
});
const known = some<Required<Known>>({
  session,
  protocol: text,
  client_info: maybeCut(fc.record({ name: text, version: orNull(text) })),
});
const http = fc.record({
  method: orNull(text),
  target: orNull(text),
  status: orNull(fc.integer({ min: 100, max: 599 })),
  client_address: orNull(text),
  headers: fc.array(header, { maxLength: 3 }),
});
const call = maybeCut(
  fc.record({
    operation: ulid.map((id) => `${id}.0`),
    kind: fc.constantFrom('request', 'notification'),
    sender,
    rpc_id: orNull(text),
    method: text,
    target: orNull(text),
    decision: fc.record({ action: fc.constantFrom('allow', 'deny', 'metadata_only'), rule: orNull(text) }),
    continues: orNull(text),
  }),
);
const piece = fc.oneof(
  fc.record({ body: text, body_encoding: fc.constantFrom('utf8', 'base64'), wire_bytes: count }),
  fc.record({ body: fc.constant(null), body_encoding: fc.constant(null), wire_bytes: count }),
);
const body = fc
  .tuple(
    piece,
    some<Required<Pick<Body, 'withheld' | 'masked' | 'wire_masked' | 'hidden' | 'ambiguous' | 'calls'>>>({
      withheld: fc.record({ reason: fc.constantFrom('masking_bound', 'not_decodable'), bytes: count }),
      masked: fc.array(fc.record({ rule: text, count }), { maxLength: 2 }),
      wire_masked: fc.array(fc.record({ rule: text, count }), { maxLength: 2 }),
      hidden: fc.array(fc.record({ rule: text, names: fc.array(text, { maxLength: 2 }) }), { maxLength: 2 }),
      ambiguous: fc.uniqueArray(fc.constantFrom('duplicate_key', 'case_variant_key', 'nul_in_key')),
      calls: fc.array(call, { maxLength: 3 }),
    }),
  )
  .map((parts) => Object.assign({}, ...parts) as Body);

/** Joins columns in the order given. */
function line(type: string, ...columns: fc.Arbitrary<object>[]): fc.Arbitrary<LineDraft> {
  return fc.tuple(...columns).map((parts) => Object.assign({ type }, ...parts) as LineDraft);
}

const inExchange = fc.record({ exchange: ulid, part: count });

/** A line of any type without its head. */
export const anyDraft: fc.Arbitrary<LineDraft> = fc.oneof(
  line('request', inExchange, fc.record({ principal }), known, fc.record({ http }), body),
  line(
    'response',
    inExchange,
    known,
    fc.record({ answered_by: fc.constantFrom('server', 'recorder'), content_coding: orNull(text), http }),
    body,
  ),
  line(
    'event',
    inExchange,
    known,
    fc.record({
      sse: fc.record({
        prefix: text,
        suffix: text,
        id: orNull(text),
        data_lines: count,
        partial: fc.boolean(),
      }),
    }),
    body,
  ),
  line('chunk', inExchange, known, fc.record({ sender, body_offset: count }), body),
  line(
    'end',
    inExchange,
    fc.record({
      ended: fc.record({
        parts: count,
        how: fc.constantFrom('complete', 'client_closed', 'server_closed', 'timeout', 'cut', 'denied'),
        status: orNull(fc.integer({ min: 100, max: 599 })),
        bytes_in: count,
        bytes_out: count,
        released_bytes: count,
        duration_us: count,
        trailers: fc.array(header, { maxLength: 2 }),
        open_operations: fc.array(text, { maxLength: 2 }),
      }),
    }),
  ),
  line(
    'result',
    fc.record({
      exchange: orNull(ulid),
      part: orNull(count),
      operation: orNull(ulid.map((id) => `${id}.1`)),
      call_exchange: orNull(ulid),
      rpc_id: text,
      principal,
    }),
    some({ session }),
    fc.record({
      method: orNull(text),
      target: orNull(text),
      sender,
      outcome: fc.constantFrom(
        'ok',
        'error',
        'tool_error',
        'denied',
        'cancelled',
        'input_required',
        'task',
        'unknown',
      ),
      cause: orNull(text),
      error_code: orNull(fc.integer()),
      duration_us: orNull(count),
    }),
  ),
  line(
    'denied',
    fc.record({
      denied: fc.record({
        reason: text,
        source: text,
        principal: orNull(principal),
        count,
        first_time: time,
        last_time: time,
      }),
    }),
  ),
  line(
    'gap',
    fc.record({
      gap: fc.record({
        cause: text,
        first_time: time,
        last_time: time,
        exchanges: count,
        exact: fc.boolean(),
      }),
    }),
  ),
  line(
    'config',
    fc.record({
      config: fc.record({
        kind: fc.constantFrom('configuration', 'configuration_refused', 'clock', 'session_key'),
        before: orNull(text),
        after: orNull(text),
        signed_by: orNull(text),
      }),
    }),
  ),
  line(
    'seal',
    fc.record({
      seal: fc.record({
        segment: count,
        first_seq: count,
        entries: count,
        previous_root: orNull(root),
        root,
        last: fc.boolean(),
        how: fc.constantFrom('size', 'age', 'batch', 'shutdown', 'recovered', 'sync_failed', 'clock'),
        recovered_by: orNull(ulid),
        checkpoint: text,
      }),
    }),
  ),
);
