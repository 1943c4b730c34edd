import { describe, expect, it } from 'vitest';
import { type Message, scanMessages } from '../../sidecar/exchange/json-scan.ts';
import type { ExchangeEnding } from '../../sidecar/exchange/operation-ending.ts';
import {
  createOperationTable,
  type OpenCall,
  type OperationCall,
  outcomeOf,
} from '../../sidecar/exchange/operations.ts';

function messageOf(value: unknown): Message {
  const scanned = scanMessages(JSON.stringify(value));
  if (!scanned.ok) throw new Error(scanned.reason);
  return scanned.messages[0] as Message;
}

const OK = (id: unknown) => messageOf({ jsonrpc: '2.0', id, result: {} });

/** The lists that exchanges keep of their open calls. */
let lists = new Map<string, OpenCall[]>();

function siblingsOf(exchange: string): OpenCall[] {
  const list = lists.get(exchange) ?? [];
  lists.set(exchange, list);
  return list;
}

function call(operation: string, more: Partial<OperationCall> = {}): OperationCall {
  return {
    operation,
    exchange: operation.split('.', 1)[0] as string,
    siblings: siblingsOf(operation.split('.', 1)[0] as string),
    sender: 'client',
    rpcId: '7',
    shownId: more.rpcId ?? '7',
    method: 'tools/call',
    target: 'echo',
    metadataOnly: false,
    listsTools: false,
    sessionKey: 's',
    session: { id: 'h:1', how: 'mcp-session-id' },
    principalJson: '{"how":"anonymous"}',
    principalKey: 'anonymous',
    requestState: null,
    taskId: null,
    ...more,
  };
}

const ENDED: ExchangeEnding = {
  how: 'complete',
  protocol: '2025-06-18',
  status: 200,
  tooLarge: false,
  answeredBy: 'server',
};

function table(options: { ttlMs?: number; maxPerSession?: number } = {}) {
  const clock = { us: 1_000 };
  lists = new Map();
  return { clock, operations: createOperationTable({ ...options, nowUs: () => clock.us }) };
}

describe('an answer', () => {
  it('settles its call once, with what the call was and how long it took', () => {
    const { operations, clock } = table();
    expect(operations.begin(call('A.0'))).toBe(null);
    clock.us += 250;
    const answer = { siblings: siblingsOf('A'), sender: 'server', sessionKey: 's', message: OK(7) } as const;
    expect(operations.settle(answer)).toEqual({
      operation: 'A.0',
      callExchange: 'A',
      rpcId: '7',
      principalJson: '{"how":"anonymous"}',
      session: { id: 'h:1', how: 'mcp-session-id' },
      method: 'tools/call',
      target: 'echo',
      sender: 'client',
      outcome: 'ok',
      cause: null,
      errorCode: null,
      durationUs: 250,
      metadataOnly: false,
      listsTools: false,
    });
    expect(operations.settle(answer)).toBeNull();
    expect(operations.open).toBe(0);
    expect(siblingsOf('A').map((open) => open.call.operation)).toEqual([]);
  });

  it('says how the call went', () => {
    const outcome = (answer: object) => outcomeOf(messageOf({ jsonrpc: '2.0', id: 1, ...answer }));
    expect(outcome({ result: {} })).toBe('ok');
    expect(outcome({ result: { resultType: 'complete' } })).toBe('ok');
    expect(outcome({ error: { code: -32601, message: 'no' } })).toBe('error');
    expect(outcome({ result: { isError: true } })).toBe('tool_error');
    expect(outcome({ result: { resultType: 'input_required' } })).toBe('input_required');
    expect(outcome({ result: { resultType: 'task', taskId: 't' } })).toBe('task');
    expect(outcome({ result: { task: { taskId: 't' } } })).toBe('task');
    const { operations } = table();
    operations.begin(call('A.0'));
    const message = messageOf({ id: 7, error: { code: -32601, message: 'no' } });
    expect(
      operations.settle({ siblings: siblingsOf('A'), sender: 'server', sessionKey: 's', message }),
    ).toMatchObject({
      outcome: 'error',
      errorCode: -32601,
    });
  });

  it('goes to the call of its own exchange first, then to the oldest of the session', () => {
    const { operations } = table();
    for (const operation of ['A.0', 'B.0', 'C.0']) operations.begin(call(operation));
    const settle = (exchange: string) =>
      operations.settle({ siblings: siblingsOf(exchange), sender: 'server', sessionKey: 's', message: OK(7) })
        ?.operation;
    expect(settle('C')).toBe('C.0');
    expect(settle('GET')).toBe('A.0');
    expect(settle('GET')).toBe('B.0');
    expect(settle('GET')).toBeUndefined();
  });

  it('settles calls of the other side only, and of its own session only', () => {
    const { operations } = table();
    operations.begin(call('A.0', { sender: 'server', method: 'sampling/createMessage' }));
    operations.begin(call('B.0', { sessionKey: 'other' }));
    const settle = (sender: 'client' | 'server', message: Message) =>
      operations.settle({ siblings: siblingsOf('P'), sender, sessionKey: 's', message })?.operation;
    expect(settle('server', OK(7))).toBeUndefined();
    expect(settle('client', OK('7'))).toBeUndefined();
    expect(settle('client', OK(8))).toBeUndefined();
    expect(settle('client', messageOf({ result: {} }))).toBeUndefined();
    expect(settle('client', OK(7))).toBe('A.0');
  });

  it('may write the id in another way', () => {
    const { operations } = table();
    const settle = (id: string) => {
      const scanned = scanMessages(`{"id":${id},"result":{}}`);
      const message = scanned.ok ? (scanned.messages[0] as Message) : OK(0);
      return operations.settle({ siblings: siblingsOf('A'), sender: 'server', sessionKey: 's', message })
        ?.rpcId;
    };
    operations.begin(call('A.0', { rpcId: '"é/"' }));
    expect(settle('"\\u00e9\\/"')).toBe('"é/"');
    operations.begin(call('A.1', { rpcId: '100' }));
    expect(settle('1e2')).toBe('100');
    operations.begin(call('A.2', { rpcId: '9007199254740993' }));
    expect(settle('9007199254740992')).toBeUndefined();
    operations.begin(call('A.3', { rpcId: '{"a":1}' }));
    expect(settle('{"a":1}')).toBe('{"a":1}');
  });
});

describe('a call goes on', () => {
  const answer = (operations: ReturnType<typeof createOperationTable>, exchange: string, result: object) =>
    operations.settle({
      siblings: siblingsOf(exchange),
      sender: 'server',
      sessionKey: 's',
      message: messageOf({ id: 7, result }),
    });

  it('with the one whose answer gave out its requestState, also in another session of the same principal', () => {
    const { operations } = table();
    operations.begin(call('A.0'));
    answer(operations, 'A', { resultType: 'input_required', requestState: 'opaque' });
    expect(operations.begin(call('B.0', { requestState: 'opaque', sessionKey: 't' }))).toBe('A.0');
    expect(operations.begin(call('C.0', { requestState: 'else' }))).toBe(null);
    const stranger = call('D.0', { requestState: 'opaque', principalKey: 'somebody else' });
    expect(operations.begin(stranger)).toBe(null);
  });

  it('with the one that made its task', () => {
    const { operations } = table();
    operations.begin(call('A.0'));
    answer(operations, 'A', { task: { taskId: 't-1' } });
    expect(operations.begin(call('B.0', { method: 'tasks/get', taskId: 't-1' }))).toBe('A.0');
    answer(operations, 'B', { taskId: 't-1', status: 'working' });
    expect(operations.begin(call('C.0', { method: 'tasks/result', taskId: 't-1' }))).toBe('A.0');
    expect(operations.begin(call('D.0', { requestState: 't-1' }))).toBe(null);
  });
});

describe('the end of an exchange', () => {
  const ended = (
    ending: Partial<ExchangeEnding>,
    before?: (operations: ReturnType<typeof createOperationTable>) => void,
  ) => {
    const { operations } = table();
    operations.begin(call('A.0'));
    before?.(operations);
    const settled = operations.exchangeEnded(siblingsOf('A'), { ...ENDED, ...ending });
    expect(settled.length + siblingsOf('A').length).toBe(1);
    return settled.map(({ outcome, cause }) => [outcome, cause])[0] ?? 'open';
  };
  const cancel = (operations: ReturnType<typeof createOperationTable>) =>
    operations.cancelRequested('s', '7', 'client');

  it('leaves a call open where the answer may come in another exchange', () => {
    for (const how of ['complete', 'client_closed', 'server_closed', 'timeout', 'cut'] as const) {
      expect(ended({ how })).toBe('open');
    }
    expect(ended({ protocol: null })).toBe('open');
  });

  it('settles it where the stream is all there is (2026-07-28)', () => {
    const protocol = '2026-07-28';
    expect(ended({ protocol, how: 'client_closed' })).toEqual(['cancelled', 'client_closed']);
    expect(ended({ protocol, how: 'server_closed' })).toEqual(['error', 'server_closed']);
    expect(ended({ protocol, how: 'timeout' })).toEqual(['error', 'timeout']);
    expect(ended({ protocol, how: 'cut' })).toEqual(['error', 'cut']);
    expect(ended({ protocol, how: 'complete' })).toEqual(['unknown', 'no_answer']);
  });

  it('tells refusals, failures and unreadable answers', () => {
    expect(ended({ status: 500 })).toEqual(['error', 'http_500']);
    expect(ended({ status: 404 })).toEqual(['error', 'http_404']);
    expect(ended({ tooLarge: true })).toEqual(['unknown', 'too_large']);
    expect(ended({ how: 'denied', status: 403, answeredBy: 'recorder' })).toEqual(['denied', null]);
    expect(ended({ status: 502, answeredBy: 'recorder' })).toEqual(['error', 'http_502']);
    expect(ended({ how: 'cut', status: null, answeredBy: 'recorder' })).toEqual(['error', 'cut']);
  });

  it('after a cancellation means that nothing came', () => {
    expect(ended({}, cancel)).toEqual(['cancelled', 'cancel_requested']);
    expect(ended({ status: 202 }, cancel)).toBe('open');
    expect(ended({}, (operations) => operations.cancelRequested('s', '8', 'client'))).toBe('open');
    expect(ended({}, (operations) => operations.cancelRequested('s', '7', 'server'))).toBe('open');
  });

  it('never ends a call of the server, which the client answers by a request of its own', () => {
    const { operations } = table();
    operations.begin(call('A.0', { sender: 'server' }));
    expect(operations.exchangeEnded(siblingsOf('A'), { ...ENDED, status: 500 })).toEqual([]);
    expect(siblingsOf('A').map((open) => open.call.operation)).toEqual(['A.0']);
  });

  it('settles each call of a batch', () => {
    const { operations } = table();
    for (let n = 0; n < 5; n += 1) operations.begin(call(`A.${n}`, { rpcId: String(n) }));
    operations.settle({ siblings: siblingsOf('A'), sender: 'server', sessionKey: 's', message: OK(2) });
    expect(siblingsOf('A').map((open) => open.call.operation)).toEqual(['A.0', 'A.1', 'A.3', 'A.4']);
    const settled = operations.exchangeEnded(siblingsOf('A'), { ...ENDED, status: 500 });
    expect(settled.map(({ operation }) => operation)).toEqual(['A.0', 'A.1', 'A.3', 'A.4']);
    expect(operations.open).toBe(0);
  });
});

describe('a call cancelled on a stream of its own', () => {
  it('keeps the outcome of an answer that comes all the same', () => {
    const { operations } = table();
    operations.begin(call('A.0'));
    operations.cancelRequested('s', '7', 'client');
    expect(
      operations.settle({ siblings: siblingsOf('G'), sender: 'server', sessionKey: 's', message: OK(7) })
        ?.outcome,
    ).toBe('ok');
  });

  it('is cancelled when nothing comes until its time is over', () => {
    const { operations, clock } = table({ ttlMs: 10 });
    operations.begin(call('A.0'));
    operations.cancelRequested('s', '7', 'client');
    clock.us += 10_000;
    expect(operations.expire()).toMatchObject([{ operation: 'A.0', outcome: 'cancelled' }]);
  });
});

describe('what stays open is bounded', () => {
  it('in time', () => {
    const { operations, clock } = table({ ttlMs: 10 });
    operations.begin(call('A.0'));
    clock.us += 9_999;
    operations.begin(call('B.0'));
    expect(operations.expire()).toEqual([]);
    clock.us += 1;
    expect(operations.expire()).toMatchObject([
      { operation: 'A.0', outcome: 'unknown', cause: 'timeout', durationUs: 10_000 },
    ]);
    expect(operations.open).toBe(1);
  });

  it('per session, where the oldest makes room and is told by the next expiry', () => {
    const { operations } = table({ maxPerSession: 2 });
    for (const operation of ['A.0', 'B.0', 'C.0']) operations.begin(call(operation));
    operations.begin(call('D.0', { sessionKey: 'other' }));
    expect(operations.open).toBe(3);
    expect(operations.expire()).toMatchObject([
      { operation: 'A.0', outcome: 'unknown', cause: 'too_many_open' },
    ]);
    expect(operations.expire()).toEqual([]);
  });

  it('by its session', () => {
    const { operations } = table();
    operations.begin(call('A.0'));
    operations.begin(call('B.0', { sessionKey: 'other' }));
    expect(operations.sessionEnded('s')).toMatchObject([
      { operation: 'A.0', outcome: 'unknown', cause: 'session_deleted' },
    ]);
    expect(operations.open).toBe(1);
  });

  it('by the process, which tells all of it when it ends', () => {
    const { operations } = table({ maxPerSession: 1 });
    for (const operation of ['A.0', 'B.0']) operations.begin(call(operation));
    expect(operations.drain().map(({ operation, cause }) => [operation, cause])).toEqual([
      ['A.0', 'too_many_open'],
      ['B.0', 'drain'],
    ]);
    expect(operations.drain()).toEqual([]);
  });

  it('in all, over any number of sessions', () => {
    const { operations } = table();
    for (let n = 0; n < 100_001; n += 1)
      operations.begin(call(`A.${n}`, { exchange: `${n}`, sessionKey: `${n}` }));
    expect(operations.open).toBe(100_000);
    expect(operations.expire()).toMatchObject([{ operation: 'A.0', cause: 'too_many_open' }]);
  });
});
