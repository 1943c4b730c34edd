/**
 * Owns the golden fixtures' content: one store with every line type, a dead and recovered stream, two servers, hostile bodies.
 * Invariant: it depends on nothing but this file and the format: fixed ids, keys and times.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import type { Call, LineDraft, Principal } from '@mcp-recorder/recording/format/line';
import { type BuiltSegment, createStreamBuilder } from './stream-builder.ts';

const START_MS = Date.UTC(2026, 10, 21, 8, 40, 0);
export const DEAD = '01KAH2Z0QJ7YB3D5F8GHKMNPRS';
export const CLOSED = '01KAH3M8ZK4T9V2B6XN5R0WCEA';
export const OTHER_SERVER = '01KAH3M9ZK4T9V2B6XN5R0WCEB';
/** A tools/call with sampling and an SSE answer; its sampling answer came in another exchange. */
export const STREAMED = '01KAH3MBWD0G6R4Y1S8T2V5Z9C';
export const SAMPLED = '01KAH3MBWD0G6R4Y1S8T2V5Z9D';
const PLAIN = '01KAH3MBWD0G6R4Y1S8T2V5Z9E';
const HOSTILE = '01KAH3MBWD0G6R4Y1S8T2V5Z9F';
export const CUT_OFF = '01KAH2Z1QJ7YB3D5F8GHKMNPRT';

const anonymous: Principal = {
  how: 'anonymous',
  issuer: null,
  subject: null,
  name: null,
  client_id: null,
  groups: [],
};
const session = { id: 'h:5d41402abc4b2a765d41402abc4b2a76', how: 'mcp-session-id' } as const;

function call(exchange: string, n: number, more: Partial<Call>): Call {
  return {
    operation: `${exchange}.${n}`,
    kind: 'request',
    sender: 'client',
    rpc_id: '7',
    method: 'tools/call',
    target: 'echo',
    decision: { action: 'allow', rule: null },
    continues: null,
    ...more,
  };
}

function request(exchange: string, body: string, calls: Call[]): LineDraft {
  return {
    type: 'request',
    exchange,
    part: 0,
    principal: anonymous,
    session,
    protocol: '2025-11-25',
    client_info: { name: 'fixture', version: '1.0.0' },
    http: {
      method: 'POST',
      target: '/mcp',
      status: null,
      client_address: '127.0.0.1',
      headers: [
        { name: 'content-type', value: 'application/json' },
        { name: 'authorization', value: null },
      ],
    },
    body,
    body_encoding: 'utf8',
    wire_bytes: Buffer.byteLength(body),
    calls,
  };
}

function response(
  exchange: string,
  status: number,
  type: string,
  body: Uint8Array | null,
  more: object = {},
): LineDraft {
  const text = body === null ? null : Buffer.from(body).toString('utf8');
  return {
    type: 'response',
    exchange,
    part: 1,
    session,
    answered_by: 'server',
    content_coding: null,
    http: {
      method: null,
      target: null,
      status,
      client_address: null,
      headers: [{ name: 'content-type', value: type }],
    },
    body: text,
    body_encoding: text === null ? null : 'utf8',
    wire_bytes: body?.length ?? 0,
    ...more,
  };
}

function event(
  exchange: string,
  part: number,
  id: string | null,
  body: string,
  calls: Call[] = [],
): LineDraft {
  const prefix = `event: message\n${id === null ? '' : `id: ${id}\n`}data: `;
  return {
    type: 'event',
    exchange,
    part,
    session,
    sse: { prefix, suffix: '\n\n', id, data_lines: 1, partial: false },
    body,
    body_encoding: 'utf8',
    wire_bytes: Buffer.byteLength(prefix + body) + 2,
    calls,
  };
}

function result(exchange: string, part: number, operation: string, more: object = {}): LineDraft {
  return {
    type: 'result',
    exchange,
    part,
    operation,
    call_exchange: operation.split('.')[0] as string,
    rpc_id: '7',
    principal: anonymous,
    session,
    method: 'tools/call',
    target: 'echo',
    sender: 'client',
    outcome: 'ok',
    cause: null,
    error_code: null,
    duration_us: 12_345,
    ...more,
  };
}

function end(exchange: string, part: number, more: object = {}): LineDraft {
  return {
    type: 'end',
    exchange,
    part,
    ended: {
      parts: part + 1,
      how: 'complete',
      status: 200,
      bytes_in: 100,
      bytes_out: 200,
      released_bytes: 200,
      duration_us: 15_000,
      trailers: [],
      open_operations: [],
      ...more,
    },
  };
}

const ECHO =
  '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hi"}}}';
const ANSWER = '{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"h\u00ed \u{1f44b}"}]}}';
const SAMPLING = '{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{}}';
const SAMPLING_ANSWER =
  '{"jsonrpc":"2.0","id":1,"result":{"role":"assistant","content":{"type":"text","text":"ok"}}}';
/** Keys that differ in case or repeat, a NUL, a lone surrogate's escape: a recorded body must stay one string. */
const AMBIGUOUS =
  '{"jsonrpc":"2.0","id":8,"method":"tools/call","Method":"x","id":9,"a\\u0000b":"\\ud800","params":{}}';

/** An Ed25519 key of 32 equal bytes: known to everybody, for fixtures only. */
function fixedKey(seedByte: number): KeyObject {
  const start = Buffer.from('302e020100300506032b657004220420', 'hex');
  return createPrivateKey({
    key: Buffer.concat([start, Buffer.alloc(32, seedByte)]),
    format: 'der',
    type: 'pkcs8',
  });
}

/** The store's segments, in the order in which they were sealed. */
export function goldenStore(): BuiltSegment[] {
  const server = 'everything';
  const closedKey = fixedKey(2);
  const dead = createStreamBuilder({
    stream: DEAD,
    startMs: START_MS - 60_000,
    server,
    privateKey: fixedKey(1),
  });
  const recoverer = createStreamBuilder({ stream: CLOSED, startMs: START_MS, privateKey: closedKey });
  const deadSegments = [
    dead.segment([
      request(PLAIN, ECHO, [call(PLAIN, 0, {})]),
      response(PLAIN, 200, 'application/json', Buffer.from(ANSWER)),
      result(PLAIN, 2, `${PLAIN}.0`),
      end(PLAIN, 3),
    ]),
    dead.segment([request(CUT_OFF, ECHO, [call(CUT_OFF, 0, {})])], {
      recoveredBy: recoverer,
    }),
  ];
  const head = deadSegments[1] as BuiltSegment;
  const closed = createStreamBuilder({
    stream: CLOSED,
    startMs: START_MS,
    server,
    privateKey: closedKey,
    previousStreams: [{ stream: DEAD, segment: 1, root: head.root.toString('base64'), how: 'recovered' }],
  });
  const other = createStreamBuilder({
    stream: OTHER_SERVER,
    startMs: START_MS + 1000,
    privateKey: fixedKey(3),
  });
  return [
    ...deadSegments,
    closed.segment(
      [
        request(STREAMED, ECHO, [call(STREAMED, 0, {})]),
        response(STREAMED, 200, 'text/event-stream', null),
        event(STREAMED, 2, 'e1', SAMPLING, [
          call(STREAMED, 1, {
            sender: 'server',
            rpc_id: '1',
            method: 'sampling/createMessage',
            target: null,
          }),
        ]),
        request(SAMPLED, SAMPLING_ANSWER, []),
        result(SAMPLED, 1, `${STREAMED}.1`, {
          rpc_id: '1',
          method: 'sampling/createMessage',
          target: null,
          sender: 'server',
        }),
        { ...response(SAMPLED, 202, 'text/plain', null), part: 2 } as LineDraft,
        end(SAMPLED, 3, { status: 202 }),
      ],
      { how: 'age' },
    ),
    closed.segment([
      event(STREAMED, 3, null, ANSWER),
      result(STREAMED, 4, `${STREAMED}.0`),
      end(STREAMED, 5, { trailers: [{ name: 'x-checksum', value: null }] }),
      {
        type: 'denied',
        denied: {
          reason: 'bad_json',
          source: '192.0.2.77',
          principal: null,
          count: 412,
          first_time: '2026-11-21T08:40:03.000000Z',
          last_time: '2026-11-21T08:40:04.800000Z',
        },
      },
      {
        type: 'gap',
        gap: {
          cause: 'fail_open',
          first_time: '2026-11-21T08:40:04.100000Z',
          last_time: '2026-11-21T08:40:04.800000Z',
          exchanges: 17,
          exact: true,
        },
      },
      {
        type: 'config',
        config: { kind: 'configuration', before: 'sha256:00', after: 'sha256:01', signed_by: null },
      },
    ]),
    closed.segment(
      [
        {
          ...request(HOSTILE, AMBIGUOUS, [call(HOSTILE, 0, { rpc_id: '9', target: null })]),
          ambiguous: ['duplicate_key', 'case_variant_key', 'nul_in_key'],
          masked: [{ rule: 'github-token', count: 1 }],
        } as LineDraft,
        response(HOSTILE, 200, 'application/octet-stream', null, {
          withheld: { reason: 'not_decodable', bytes: 3 },
          content_coding: 'br',
          wire_bytes: 3,
        }),
        {
          type: 'chunk',
          exchange: HOSTILE,
          part: 2,
          sender: 'server',
          body_offset: 3,
          body: '//4A',
          body_encoding: 'base64',
          wire_bytes: 3,
        },
        result(HOSTILE, 3, `${HOSTILE}.0`, {
          rpc_id: '9',
          outcome: 'unknown',
          cause: 'not_json',
          target: null,
          duration_us: null,
        }),
        end(HOSTILE, 4, { how: 'server_closed' }),
        result(HOSTILE, 0, `${PLAIN}.0`, {
          exchange: null,
          part: null,
          outcome: 'error',
          error_code: -32_603,
          cause: 'timeout',
        }),
      ],
      { last: true, how: 'shutdown' },
    ),
    other.segment(
      [
        {
          ...request('01KAH3MDWD0G6R4Y1S8T2V5Z9G', '{"jsonrpc":"2.0","method":"notifications/initialized"}', [
            call('01KAH3MDWD0G6R4Y1S8T2V5Z9G', 0, {
              kind: 'notification',
              rpc_id: null,
              method: 'notifications/initialized',
              target: null,
            }),
          ]),
        } as LineDraft,
        {
          ...response('01KAH3MDWD0G6R4Y1S8T2V5Z9G', 503, 'application/json', Buffer.from('{}')),
          answered_by: 'recorder',
        } as LineDraft,
        end('01KAH3MDWD0G6R4Y1S8T2V5Z9G', 2, { how: 'denied', status: 503 }),
      ],
      { last: true, how: 'shutdown' },
    ),
  ];
}
