/**
 * Owns drafts of lines for tests: one tool call as its request, answer, result and end.
 * Invariant: `toolCall` makes whole exchanges: parts without a hole, `end` last.
 */
import type { Call, LineDraft, Principal, Session } from '@mcp-recorder/recording/format/line';
import { ANONYMOUS } from './stream-builder.ts';

export interface ToolCall {
  exchange: string;
  tool?: string;
  principal?: Principal;
  /** Known from the request on. */
  session?: Session;
  /** Learnt from the response. */
  answeredSession?: Session;
  requestBody?: string;
  responseBody?: string;
  /** JSON text of the id. */
  rpcId?: string;
  /** `request` unless given. */
  kind?: Call['kind'];
}

export function toolCall(call: ToolCall): [LineDraft, LineDraft, LineDraft, LineDraft] {
  const {
    exchange,
    tool = 'echo',
    principal = ANONYMOUS,
    session,
    answeredSession,
    rpcId = '1',
    kind = 'request',
  } = call;
  const requestBody =
    call.requestBody ?? `{"jsonrpc":"2.0","id":${rpcId},"method":"tools/call","params":{"name":"${tool}"}}`;
  const responseBody = call.responseBody ?? `{"jsonrpc":"2.0","id":${rpcId},"result":{}}`;
  const http = { method: null, target: null, status: null, client_address: null, headers: [] };
  const decision = { action: 'allow', rule: null } as const;
  const operation = `${exchange}.0`;
  return [
    {
      type: 'request',
      exchange,
      part: 0,
      principal,
      ...(session === undefined ? {} : { session }),
      http: { ...http, method: 'POST', target: '/mcp', client_address: '127.0.0.1' },
      body: requestBody,
      body_encoding: 'utf8',
      wire_bytes: Buffer.byteLength(requestBody),
      calls: [
        {
          operation,
          kind,
          sender: 'client',
          rpc_id: rpcId,
          method: 'tools/call',
          target: tool,
          decision,
          continues: null,
        },
      ],
    },
    {
      type: 'response',
      exchange,
      part: 1,
      ...(answeredSession === undefined ? {} : { session: answeredSession }),
      answered_by: 'server',
      content_coding: null,
      http: { ...http, status: 200, headers: [{ name: 'content-type', value: 'application/json' }] },
      body: responseBody,
      body_encoding: 'utf8',
      wire_bytes: Buffer.byteLength(responseBody),
    },
    {
      type: 'result',
      exchange,
      part: 2,
      operation,
      call_exchange: exchange,
      rpc_id: rpcId,
      principal,
      ...(session === undefined ? {} : { session }),
      method: 'tools/call',
      target: tool,
      sender: 'client',
      outcome: 'ok',
      cause: null,
      error_code: null,
      duration_us: 1_500,
    },
    {
      type: 'end',
      exchange,
      part: 3,
      ended: {
        parts: 4,
        how: 'complete',
        status: 200,
        bytes_in: Buffer.byteLength(requestBody),
        bytes_out: Buffer.byteLength(responseBody),
        released_bytes: Buffer.byteLength(responseBody),
        duration_us: 2_000,
        trailers: [],
        open_operations: [],
      },
    },
  ];
}
