/**
 * Owns the lines of one exchange of a generated recording, of every kind that recorders write.
 * Invariant: parts count from 0 without a hole, and operations are named as docs/recording-format.md says.
 */
import type {
  Call,
  Http,
  LineDraft,
  Outcome,
  Principal,
  ResultLine,
  Session,
} from '@mcp-recorder/recording/format/line';

export type Draft = LineDraft;

/** Who calls, in which session. */
export interface Caller {
  principal: Principal;
  session: Session | null;
  protocol: string;
}

export interface CallFacts {
  rpcId: string;
  method: string;
  target: string | null;
  params: object;
  kind?: Call['kind'];
  decision?: Call['decision'];
  continues?: string | null;
}

const http = (of: Partial<Http>): Http => ({
  method: null,
  target: null,
  status: null,
  client_address: null,
  headers: [],
  ...of,
});

/** Makes the parts of one exchange, in order. */
export function exchangeDrafts(exchange: string, { principal, session, protocol }: Caller) {
  let part = 0;
  let calls = 0;
  const known = { ...(session === null ? {} : { session }), protocol };
  const next = () => {
    part += 1;
    return { exchange, part: part - 1 };
  };
  const bodyOf = (body: string | null) => ({
    body,
    body_encoding: body === null ? null : ('utf8' as const),
    wire_bytes: body?.length ?? 0,
  });
  const callOf = (facts: CallFacts, sender: Call['sender']): Call => {
    calls += 1;
    return {
      operation: `${exchange}.${calls - 1}`,
      kind: facts.kind ?? 'request',
      sender,
      rpc_id: facts.kind === 'notification' ? null : facts.rpcId,
      method: facts.method,
      target: facts.target,
      decision: facts.decision ?? { action: 'allow', rule: null },
      continues: facts.continues ?? null,
    };
  };
  return {
    request(
      body: string | null,
      facts: readonly CallFacts[],
      of: { method?: string; isLast?: boolean } = {},
    ): Draft {
      const made = of.isLast === false ? [] : facts.map((one) => callOf(one, 'client'));
      return {
        type: 'request',
        ...next(),
        principal,
        ...known,
        http: http({ method: of.method ?? 'POST', target: '/mcp', client_address: '192.0.2.9' }),
        ...bodyOf(body),
        calls: made,
      };
    },
    /** More of the request's body; the calls stand where it is complete. */
    chunk(body: string, facts: readonly CallFacts[], offset: number): Draft {
      const made = facts.map((one) => callOf(one, 'client'));
      return {
        type: 'chunk',
        ...next(),
        ...known,
        sender: 'client',
        body_offset: offset,
        ...bodyOf(body),
        calls: made,
      };
    },
    response(
      status: number,
      body: string | null,
      of: { session?: Session; base64?: boolean; withheld?: boolean } = {},
    ): Draft {
      return {
        type: 'response',
        ...next(),
        ...(of.session === undefined ? known : { ...known, session: of.session }),
        answered_by: 'server',
        content_coding: null,
        http: http({ status }),
        ...bodyOf(body),
        ...(of.base64 === true && body !== null
          ? { body: Buffer.from(body).toString('base64'), body_encoding: 'base64' as const }
          : {}),
        ...(of.withheld === true
          ? { body: null, body_encoding: null, withheld: { reason: 'metadata_only' as const, bytes: 7 } }
          : {}),
      };
    },
    event(body: string, facts: readonly CallFacts[] = []): Draft {
      const made = facts.map((one) => callOf(one, 'server'));
      const sse = { prefix: 'data: ', suffix: '\n\n', id: null, data_lines: 1, partial: false };
      return { type: 'event', ...next(), ...known, sse, ...bodyOf(body), calls: made };
    },
    result(
      of: Pick<ResultLine, 'operation' | 'rpc_id' | 'method' | 'target'> & {
        outcome: Outcome;
        callExchange: string | null;
        sender?: Call['sender'];
        cause?: string;
        by?: Principal;
      },
    ): Draft {
      return {
        type: 'result',
        ...next(),
        operation: of.operation,
        call_exchange: of.callExchange,
        rpc_id: of.rpc_id,
        principal: of.by ?? principal,
        ...(session === null ? {} : { session }),
        method: of.method,
        target: of.target,
        sender: of.sender ?? 'client',
        outcome: of.outcome,
        cause: of.cause ?? null,
        error_code: of.outcome === 'error' ? -32602 : null,
        duration_us: 1_000 + part,
      };
    },
    end(how: 'complete' | 'client_closed' | 'denied' = 'complete'): Draft {
      const { part: last } = next();
      return {
        type: 'end',
        exchange,
        part: last,
        ended: {
          parts: last + 1,
          how,
          status: 200,
          bytes_in: 1,
          bytes_out: 1,
          released_bytes: 1,
          duration_us: 10,
          trailers: [],
          open_operations: [],
        },
      };
    },
  };
}
