import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Message, scanMessages } from '../../sidecar/exchange/json-scan.ts';

const NOTHING: Message = {
  kind: 'other',
  rpcId: null,
  method: null,
  target: null,
  protocolVersion: null,
  clientInfo: null,
  traceparent: null,
  requestState: null,
  taskId: null,
  cancelledRequestId: null,
  isError: false,
  hasError: false,
  errorCode: null,
  resultType: null,
  hasTask: false,
};

function only(text: string): Message {
  const scanned = scanMessages(text);
  if (!scanned.ok) throw new Error(`${scanned.reason} at ${scanned.offset}`);
  expect(scanned.messages).toHaveLength(1);
  return scanned.messages[0] as Message;
}

function ambiguous(text: string): string[] {
  const scanned = scanMessages(text);
  if (!scanned.ok) throw new Error(`${scanned.reason} at ${scanned.offset}`);
  return scanned.ambiguous;
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('reads the envelope', () => {
  it('of a tool call', () => {
    expect(
      only(
        '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"create_issue","arguments":{"id":8}}}',
      ),
    ).toEqual({ ...NOTHING, kind: 'request', rpcId: '7', method: 'tools/call', target: 'create_issue' });
  });

  it('with the id as it was written', () => {
    for (const id of [
      '"7"',
      '7',
      '-1.5',
      '1e5',
      '-0',
      'null',
      '{"a":1}',
      '[ 1 ]',
      '"\\u0041 long enough to be a slice"',
    ]) {
      expect(only(`{"id": ${id} ,"method":"ping"}`)).toMatchObject({ kind: 'request', rpcId: id });
    }
  });

  it('and tells requests, notifications, answers and others apart', () => {
    expect(only('{"method":"notifications/initialized"}').kind).toBe('notification');
    expect(only('{"id":1,"result":{}}').kind).toBe('response');
    expect(only('{"id":1,"error":{"code":-32601,"message":"no"}}').kind).toBe('response');
    expect(only('{"id":1}').kind).toBe('other');
    expect(only('{"id":1,"method":3,"result":{}}').kind).toBe('other');
    expect(only('{}')).toEqual(NOTHING);
  });

  it('with the target that each method has', () => {
    const target = (method: string, params: string) =>
      only(`{"method":"${method}","params":${params}}`).target;
    expect(target('prompts/get', '{"name":"p"}')).toBe('p');
    expect(target('resources/read', '{"uri":"file:///a/very/long/path","name":"n"}')).toBe(
      'file:///a/very/long/path',
    );
    expect(target('completion/complete', '{"ref":{"type":"ref/prompt","name":"q"}}')).toBe('q');
    expect(target('completion/complete', '{"ref":{"type":"ref/resource","uri":"u:x"}}')).toBe('u:x');
    expect(target('tasks/get', '{"taskId":"t-1"}')).toBe('t-1');
    expect(target('tools/list', '{"name":"x"}')).toBeNull();
    expect(target('tools/call', '{"name":7}')).toBeNull();
    expect(target('tools/call', '["x"]')).toBeNull();
  });

  it('of a stateless call, from _meta', () => {
    const meta =
      '{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},' +
      '"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}';
    expect(
      only(`{"id":1,"method":"tools/call","params":{"name":"t","requestState":"s","_meta":${meta}}}`),
    ).toMatchObject({
      protocolVersion: '2026-07-28',
      clientInfo: { name: 'c', version: '1' },
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      requestState: 's',
    });
  });

  it('of initialize and its answer', () => {
    const params = '{"protocolVersion":"2025-11-25","clientInfo":{"name":"c","version":7}}';
    expect(only(`{"id":0,"method":"initialize","params":${params}}`)).toMatchObject({
      protocolVersion: '2025-11-25',
      clientInfo: { name: 'c', version: null },
    });
    expect(only(`{"id":0,"method":"tools/list","params":${params}}`)).toMatchObject({
      protocolVersion: null,
      clientInfo: null,
    });
    expect(only('{"id":0,"result":{"protocolVersion":"2025-06-18"}}').protocolVersion).toBe('2025-06-18');
  });

  it('of answers', () => {
    expect(only('{"id":1,"result":{"isError":true,"content":[]}}')).toMatchObject({
      isError: true,
      hasError: false,
    });
    expect(only('{"id":1,"result":{"isError":"true"}}').isError).toBe(false);
    expect(only('{"id":1,"error":{"code":-32020,"message":"m"}}')).toMatchObject({
      hasError: true,
      errorCode: -32020,
    });
    expect(only('{"id":1,"error":null,"result":{}}')).toMatchObject({ hasError: false, errorCode: null });
    expect(only('{"id":1,"result":{"resultType":"input_required","requestState":"s"}}')).toMatchObject({
      resultType: 'input_required',
      requestState: 's',
    });
    expect(only('{"id":1,"result":{"task":{"taskId":"a","status":"working"}}}')).toMatchObject({
      hasTask: true,
      taskId: 'a',
    });
    expect(only('{"id":1,"result":{"resultType":"task","taskId":"b"}}')).toMatchObject({
      hasTask: false,
      taskId: 'b',
    });
  });

  it('of a cancellation', () => {
    expect(only('{"method":"notifications/cancelled","params":{"requestId":"7"}}').cancelledRequestId).toBe(
      '"7"',
    );
  });

  it('of each message of a batch', () => {
    const scanned = scanMessages('[{"id":1,"method":"ping"},3,{"id":2,"result":{}}]');
    expect(scanned).toMatchObject({ ok: true, batch: true });
    expect(scanned.ok && scanned.messages.map(({ kind, rpcId }) => [kind, rpcId])).toEqual([
      ['request', '1'],
      ['other', null],
      ['response', '2'],
    ]);
    expect(scanMessages('[]')).toEqual({ ok: true, batch: true, messages: [], ambiguous: [] });
    expect(scanMessages('"text"')).toEqual({ ok: true, batch: false, messages: [], ambiguous: [] });
  });
});

describe('stops', () => {
  it('at a batch with one element too many, and says where', () => {
    expect(scanMessages('[1,2,3]', { maxMessages: 2 })).toEqual({
      ok: false,
      reason: 'too_many_messages',
      offset: 5,
    });
    expect(scanMessages('[1,2]', { maxMessages: 2 }).ok).toBe(true);
  });

  it('at the first character that is no JSON', () => {
    expect(scanMessages('{"a":01}')).toEqual({ ok: false, reason: 'malformed_json', offset: 6 });
    expect(scanMessages('{"a":1} x')).toEqual({ ok: false, reason: 'malformed_json', offset: 8 });
    expect(scanMessages('')).toEqual({ ok: false, reason: 'malformed_json', offset: 0 });
  });
});

describe('names what parsers read differently', () => {
  it('a repeated key, also when written with escapes; the last one counts', () => {
    const text = '{"id":1,"method":"tools/call","params":{"name":"a","n\\u0061me":"b"}}';
    expect(ambiguous(text)).toEqual(['duplicate_key']);
    expect(only(text).target).toBe('b');
    expect(ambiguous('{"x":1,"x":2}')).toEqual(['duplicate_key']);
    const many = Array.from({ length: 40 }, (_, index) => `"k${index}":1`).join(',');
    expect(ambiguous(`{${many}}`)).toEqual([]);
    expect(ambiguous(`{${many},"k39":1}`)).toEqual(['duplicate_key']);
    expect(ambiguous(`{${many},"k3":1}`)).toEqual(['duplicate_key']);
  });

  it('a repeated object, whose predecessor is forgotten whole', () => {
    const text = '{"method":"tools/call","params":{"name":"a","_meta":{"traceparent":"t"}},"params":{}}';
    expect(only(text)).toMatchObject({ target: null, traceparent: null });
    expect(only('{"method":"tools/call","params":{"name":"a"},"params":7}').target).toBeNull();
    expect(ambiguous(text)).toEqual(['duplicate_key']);
  });

  it('a key in another case, by the folding of encoding/json of Go', () => {
    for (const key of ['Method', 'METHOD', 'PARAMS', 'param\u017f', 're\u017fult', '\\u004dethod']) {
      expect(ambiguous(`{"${key}":"x","id":1}`), key).toEqual(['case_variant_key']);
    }
    expect(ambiguous('{"method":"x","params":{"tas\u212aId":1}}')).toEqual(['case_variant_key']);
    expect(ambiguous('{"method":"x","params":{"_meta":{"TraceParent":1}}}')).toEqual(['case_variant_key']);
    expect(ambiguous('{"method":"x","params":{"arguments":{"Method":1,"method":2,"method":3}}}')).toEqual([]);
  });

  it('a NUL in a key', () => {
    expect(ambiguous('{"method\\u0000":"x","method":"y"}')).toEqual(['nul_in_key']);
  });

  it('nothing in ordinary messages', () => {
    expect(
      ambiguous(
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"n","arguments":{},"_meta":{"progressToken":1}}}',
      ),
    ).toEqual([]);
  });
});

describe('withstands', () => {
  it('100,000 levels of nesting, anywhere', () => {
    const deep = '['.repeat(100_000) + ']'.repeat(100_000);
    const objects = '{"a":'.repeat(100_000) + '1' + '}'.repeat(100_000);
    expect(scanMessages(deep).ok).toBe(true);
    expect(only(`{"id":1,"method":"m","params":{"_meta":${objects}}}`).rpcId).toBe('1');
    expect(scanMessages(objects.slice(0, -1))).toMatchObject({ ok: false });
    expect(scanMessages('['.repeat(4_000_000))).toEqual({
      ok: false,
      reason: 'malformed_json',
      offset: 4_000_000,
    });
  });

  it('long texts, one after the other', () => {
    for (const length of [10, 40_000, 3_000_000, 50_000, 20]) {
      expect(only(`{"id":1,"method":"m","x":"${'y'.repeat(length)}"}`).rpcId).toBe('1');
    }
  });
});

/** The facts, read from what JSON.parse makes of the text; ids of these messages are written without spaces. */
function reference(value: unknown): Message {
  const isObject = (x: unknown): x is Record<string, unknown> =>
    typeof x === 'object' && x !== null && !Array.isArray(x);
  const text = (x: unknown) => (typeof x === 'string' ? x : null);
  const member = (x: unknown, key: string) => (isObject(x) ? x[key] : undefined);
  const info = (x: unknown) => {
    const name = text(member(x, 'name'));
    return name === null ? null : { name, version: text(member(x, 'version')) };
  };
  if (!isObject(value)) return NOTHING;
  const facts: Message = { ...NOTHING, rpcId: 'id' in value ? JSON.stringify(value.id) : null };
  if (typeof value.method === 'string') {
    const { method, params } = value;
    const meta = member(params, '_meta');
    facts.kind = 'id' in value ? 'request' : 'notification';
    facts.method = method;
    facts.taskId = text(member(params, 'taskId'));
    if (['tools/call', 'prompts/get'].includes(method)) facts.target = text(member(params, 'name'));
    else if (method.startsWith('resources/')) facts.target = text(member(params, 'uri'));
    else if (method.startsWith('tasks/')) facts.target = facts.taskId;
    else if (method === 'completion/complete') {
      facts.target =
        text(member(member(params, 'ref'), 'name')) ?? text(member(member(params, 'ref'), 'uri'));
    }
    facts.requestState = text(member(params, 'requestState'));
    facts.traceparent = text(member(meta, 'traceparent'));
    facts.protocolVersion = text(member(meta, 'io.modelcontextprotocol/protocolVersion'));
    facts.clientInfo = info(member(meta, 'io.modelcontextprotocol/clientInfo'));
    if (method === 'initialize') {
      facts.protocolVersion ??= text(member(params, 'protocolVersion'));
      facts.clientInfo = info(member(params, 'clientInfo')) ?? facts.clientInfo;
    }
    const requestId = member(params, 'requestId');
    if (method === 'notifications/cancelled' && requestId !== undefined)
      facts.cancelledRequestId = JSON.stringify(requestId);
  } else if (!('method' in value) && ('result' in value || 'error' in value)) {
    const { result, error } = value;
    const code = member(error, 'code');
    const task = member(result, 'task');
    facts.kind = 'response';
    facts.hasError = error !== undefined && error !== null;
    facts.errorCode = typeof code === 'number' ? code : null;
    facts.isError = member(result, 'isError') === true;
    facts.resultType = text(member(result, 'resultType'));
    facts.requestState = text(member(result, 'requestState'));
    facts.protocolVersion = text(member(result, 'protocolVersion'));
    facts.hasTask = isObject(task);
    facts.taskId = text(member(task, 'taskId')) ?? text(member(result, 'taskId'));
  }
  return facts;
}

const scalar = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.string({ maxLength: 60 }),
  fc.constantFrom('\ud800', 'a\udc00b', '\\"\n\t\u0000', 'plain text that is longer than thirteen'),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (Object.is(value, -0) ? 0 : value)),
  fc.constantFrom(null, true, false, 1e5, 1e-7, 1e300),
);
const anything = fc.oneof(scalar, fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<unknown>);

function shape(members: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.record(members, { requiredKeys: [] }) },
    { weight: 1, arbitrary: anything },
  );
}

const clientInfo = shape({ name: scalar, version: scalar, title: anything });
const meta = shape({
  'io.modelcontextprotocol/protocolVersion': scalar,
  'io.modelcontextprotocol/clientInfo': clientInfo,
  traceparent: scalar,
  progressToken: anything,
});
const params = shape({
  name: scalar,
  uri: scalar,
  taskId: scalar,
  ref: shape({ type: scalar, name: scalar, uri: scalar }),
  arguments: anything,
  protocolVersion: scalar,
  clientInfo,
  requestState: scalar,
  requestId: anything,
  _meta: meta,
});
const result = shape({
  isError: fc.oneof(fc.boolean(), scalar),
  resultType: scalar,
  taskId: scalar,
  requestState: scalar,
  protocolVersion: scalar,
  task: shape({ taskId: scalar, status: scalar }),
  content: anything,
});
const methods = fc.constantFrom(
  'initialize',
  'tools/call',
  'prompts/get',
  'resources/read',
  'completion/complete',
  'tasks/get',
  'notifications/cancelled',
  'x',
);
const message = shape({
  jsonrpc: scalar,
  id: anything,
  method: fc.oneof({ weight: 5, arbitrary: methods }, { weight: 1, arbitrary: scalar }),
  params,
  result,
  error: shape({ code: scalar, message: scalar }),
  extra: anything,
});
const answer = shape({
  jsonrpc: scalar,
  id: anything,
  result,
  error: shape({ code: scalar, message: scalar }),
});

describe('for every message', () => {
  it('reads the facts that JSON.parse would give', () => {
    fc.assert(
      fc.property(fc.oneof(message, answer), (value) => {
        const text = JSON.stringify(value);
        const scanned = scanMessages(`[${text}]`);
        expect(scanned).toEqual({
          ok: true,
          batch: true,
          messages: [reference(JSON.parse(text))],
          ambiguous: expect.anything(),
        });
      }),
      { numRuns: 3000 },
    );
  });

  it('treats every character as JSON.parse does: in a string, behind a backslash, in an escape, between tokens', () => {
    for (let code = 0; code < 0x400; code += 1) {
      const character = String.fromCharCode(code);
      for (const text of [
        `"${character}"`,
        `"\\${character}"`,
        `"\\u00${character}0"`,
        `[1${character}]`,
        character,
      ]) {
        expect(scanMessages(text).ok, JSON.stringify(text)).toBe(parses(text));
      }
    }
    for (const code of [0x2028, 0x2029, 0x3000, 0xd800, 0xdfff, 0xfeff, 0xffff]) {
      expect(scanMessages(`"${String.fromCharCode(code)}"`).ok).toBe(true);
      expect(scanMessages(`${String.fromCharCode(code)}1`).ok).toBe(false);
    }
  });

  it('accepts exactly what JSON.parse accepts, white space and damage included', () => {
    const token = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '"a"',
      '"\\u00e9\\n"',
      '"\\x"',
      '"\\u12g4"',
      '"\u0001"',
      '"\u007f"',
      '\\',
      '1',
      '-1',
      '01',
      '-',
      '+1',
      '1.',
      '.5',
      '1.5e+3',
      '1e',
      '-0',
      '1E-2',
      'true',
      'tru',
      'false',
      'null',
      'nulls',
      'NaN',
      ' ',
      '\n',
      '\r',
      '\t',
      '\u00a0',
      '\ufeff',
      '\u000b',
      '\u0000',
      '{"a":1}',
      '[1,2]',
      '"method":"x"',
    );
    const accepted = { yes: 0, no: 0 };
    const check = (text: string) => {
      const expected = parses(text);
      accepted[expected ? 'yes' : 'no'] += 1;
      expect(scanMessages(text).ok, JSON.stringify(text)).toBe(expected);
    };
    fc.assert(
      fc.property(fc.array(token, { maxLength: 8 }), (tokens) => check(tokens.join(''))),
      { numRuns: 5000 },
    );
    fc.assert(
      fc.property(
        message,
        fc.nat(),
        fc.constantFrom('', ',', '"', '}', '\\', ' ', '0', '\u0002'),
        (value, where, put) => {
          const text = JSON.stringify(value, null, 1);
          const at = where % (text.length + 1);
          check(text.slice(0, at) + put + text.slice(at));
          check(text.slice(0, at) + put + text.slice(at + 1));
        },
      ),
      { numRuns: 3000 },
    );
    expect(accepted.yes).toBeGreaterThan(500);
    expect(accepted.no).toBeGreaterThan(500);
  });
});
