/**
 * Owns small recordings for the reading commands: real lines, really sealed, in a directory of the test's own.
 */
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { LineDraft, Outcome, Principal } from '@mcp-recorder/recording/format/line';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import { ANONYMOUS, createStreamBuilder, store } from '../recording/stream-builder.ts';

export const STREAM = '01KAH3M8ZK4T9V2B6XN5R0WCEA';
export const CALL = '01KAH3MBWD0G6R4Y1S8T2V5Z9C';
export const HOSTILE = '01KAH3MD000G6R4Y1S8T2V5Z9C';
export const EVENTS = '01KAH3ME000G6R4Y1S8T2V5Z9C';
const START_MS = Date.parse('2026-11-21T08:40:00Z');

export const ADA: Principal = {
  ...ANONYMOUS,
  how: 'oidc',
  issuer: 'https://idp.example.com',
  subject: 'u-4711',
  name: 'ada@example.com',
};

export interface ExchangeFacts {
  exchange: string;
  principal?: Principal;
  tool?: string;
  params?: object;
  /** Text of the result; or the whole answer. */
  answer: string | object;
  outcome?: Outcome;
  /** The answer comes as an SSE event in two pieces, after a server's request and a comment. */
  events?: boolean;
}

/** The lines of one `tools/call`. */
export function exchangeOf(facts: ExchangeFacts): LineDraft[] {
  const {
    exchange,
    principal = ADA,
    tool = 'echo',
    params = {},
    answer,
    outcome = 'ok',
    events = false,
  } = facts;
  const ask = JSON.stringify({
    jsonrpc: '2.0',
    id: 7,
    method: 'tools/call',
    params: { name: tool, ...params },
  });
  const reply = JSON.stringify(
    typeof answer === 'string'
      ? { jsonrpc: '2.0', id: 7, result: { content: [{ type: 'text', text: answer }] } }
      : { jsonrpc: '2.0', id: 7, ...answer },
  );
  const call = {
    operation: `${exchange}.0`,
    kind: 'request',
    sender: 'client',
    rpc_id: '7',
    method: 'tools/call',
    target: tool,
    decision: { action: 'allow', rule: null },
    continues: null,
  } as const;
  const session = { id: `h:${'5d'.repeat(16)}`, how: 'mcp-session-id' } as const;
  const empty = { target: null, status: null, client_address: null, headers: [] };
  const drafts: LineDraft[] = [
    {
      type: 'request',
      exchange,
      part: 0,
      principal,
      session,
      protocol: '2025-11-25',
      client_info: { name: 'inspector', version: '2.12.0' },
      http: { ...empty, method: 'POST', target: '/mcp', client_address: '192.0.2.9' },
      body: ask,
      body_encoding: 'utf8',
      wire_bytes: ask.length,
      calls: [call],
    },
  ];
  const response = (body: string | null): LineDraft => ({
    type: 'response',
    exchange,
    part: 1,
    answered_by: 'server',
    content_coding: null,
    http: { ...empty, method: null, status: 200 },
    body,
    body_encoding: body === null ? null : 'utf8',
    wire_bytes: body?.length ?? 0,
  });
  if (events) {
    const event = (
      part: number,
      body: string,
      sse: { prefix?: string; suffix?: string; partial?: boolean },
    ) =>
      ({
        type: 'event',
        exchange,
        part,
        sse: { prefix: '', suffix: '', id: null, data_lines: 1, partial: false, ...sse },
        body,
        body_encoding: 'utf8',
        wire_bytes: body.length,
      }) as const satisfies LineDraft;
    const half = Math.floor(reply.length / 2);
    const question = '{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{"maxTokens":5}}';
    drafts.push(
      response(null),
      event(2, '', { prefix: ': keepalive\n\n' }),
      {
        ...event(3, question, { prefix: 'data: ', suffix: '\n\n' }),
        calls: [
          {
            ...call,
            operation: `${exchange}.1`,
            sender: 'server',
            rpc_id: '1',
            method: 'sampling/createMessage',
            target: null,
          },
        ],
      },
      event(4, reply.slice(0, half), { prefix: 'data: ', partial: true }),
      event(5, reply.slice(half), { suffix: '\n\n' }),
    );
  } else {
    drafts.push(response(reply));
  }
  const parts = drafts.length;
  drafts.push(
    {
      type: 'result',
      exchange,
      part: parts,
      operation: `${exchange}.0`,
      call_exchange: exchange,
      rpc_id: '7',
      principal,
      session,
      method: 'tools/call',
      target: tool,
      sender: 'client',
      outcome,
      cause: null,
      error_code: outcome === 'error' ? -32602 : null,
      duration_us: 52_180,
    },
    {
      type: 'end',
      exchange,
      part: parts + 1,
      ended: {
        parts: parts + 2,
        how: 'complete',
        status: 200,
        bytes_in: ask.length,
        bytes_out: reply.length,
        released_bytes: reply.length,
        duration_us: 59_880,
        trailers: [],
        open_operations: events ? [`${exchange}.1`] : [],
      },
    },
  );
  return drafts;
}

export interface Recorded {
  directory: string;
  /** Object files in the order of their segments. */
  objects: string[];
  publicKey: string;
  remove(): Promise<void>;
}

/**
 * A recording of one stream, a segment for each list of lines.
 * @param open the last segment is not sealed as the last
 */
export async function recordIn(segments: readonly LineDraft[][], open = false): Promise<Recorded> {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-cli-'));
  const builder = createStreamBuilder({ stream: STREAM, startMs: START_MS });
  const built = segments.map((drafts, n) =>
    builder.segment(drafts, { last: !open && n === segments.length - 1 }),
  );
  await store(createDirectoryStore(directory), ...built);
  const first: { open: { public_key: string } } = JSON.parse(built[0]?.lines[0] ?? '');
  return {
    directory,
    objects: built.map(({ key }) => path.join(directory, key)),
    publicKey: first.open.public_key,
    remove: () => fs.rm(directory, { recursive: true }),
  };
}
