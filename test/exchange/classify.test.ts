import { describe, expect, it } from 'vitest';
import { classifyRequest, isJsonContentType, type RequestInput } from '../../sidecar/exchange/classify.ts';

const CALL = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo"}}';

function classify(
  more: Partial<Omit<RequestInput, 'headers'>>,
  mcpMethod: string | null = null,
  mcpName: string | null = null,
) {
  return classifyRequest({
    method: 'POST',
    contentType: 'application/json',
    hasBody: true,
    text: CALL,
    ...more,
    headers: { mcpMethod, mcpName },
  });
}

const reason = (result: ReturnType<typeof classify>) =>
  result.verdict === 'refuse' ? result.reason : 'pass';

describe('a body', () => {
  it('passes with its messages', () => {
    expect(classify({})).toMatchObject({
      verdict: 'pass',
      batch: false,
      ambiguous: [],
      messages: [{ target: 'echo' }],
    });
    expect(classify({ text: `[${CALL},${CALL}]` })).toMatchObject({ batch: true, messages: [{}, {}] });
    expect(classify({ text: '{"id":1,"method":"m","Method":"n"}' })).toMatchObject({
      ambiguous: ['case_variant_key'],
    });
    expect(classify({ text: '[]' })).toMatchObject({ verdict: 'pass', messages: [] });
  });

  it('that says it is JSON must be', () => {
    expect(reason(classify({ text: '{' }))).toBe('malformed_json');
    expect(reason(classify({ text: '' }))).toBe('malformed_json');
    expect(reason(classify({ text: '{', contentType: 'application/vnd.x+json; charset=utf-8' }))).toBe(
      'malformed_json',
    );
    expect(reason(classify({ text: null }))).toBe('not_utf8');
    expect(classify({ text: '{"a":1,}' })).toMatchObject({ message: expect.stringContaining('character 7') });
  });

  it('that says something else is read when it can be, and passes either way', () => {
    expect(classify({ contentType: 'text/plain' })).toMatchObject({ messages: [{ method: 'tools/call' }] });
    expect(classify({ contentType: null })).toMatchObject({ messages: [{ method: 'tools/call' }] });
    expect(classify({ contentType: 'text/plain', text: 'hello' })).toMatchObject({
      verdict: 'pass',
      messages: [],
    });
    expect(classify({ contentType: 'image/png', text: null })).toMatchObject({
      verdict: 'pass',
      messages: [],
    });
    expect(classify({ contentType: null, text: '' })).toMatchObject({ verdict: 'pass', messages: [] });
  });

  it('may be missing where the method has none, whatever its content type says', () => {
    for (const method of ['GET', 'DELETE', 'HEAD', 'OPTIONS'])
      expect(reason(classify({ method, text: '' }))).toBe('pass');
  });

  it('may be a batch of 1000, not more', () => {
    const batch = (count: number) => `[${Array.from({ length: count }, () => CALL).join(',')}]`;
    expect(reason(classify({ text: batch(1000) }))).toBe('pass');
    expect(reason(classify({ text: batch(1001) }))).toBe('batch_too_large');
    expect(reason(classify({ text: batch(1001), contentType: 'text/plain' }))).toBe('batch_too_large');
  });
});

describe('routing headers', () => {
  it('must say what the body says', () => {
    expect(reason(classify({}, 'tools/call', 'echo'))).toBe('pass');
    expect(classify({}, 'tools/list')).toMatchObject({
      reason: 'header_mismatch',
      rpcIds: ['7'],
      batch: false,
    });
    expect(reason(classify({}, 'Tools/Call'))).toBe('header_mismatch');
    expect(reason(classify({}, null, 'other'))).toBe('header_mismatch');
    expect(reason(classify({ text: `[${CALL},{"method":"ping"}]` }, 'tools/call'))).toBe('header_mismatch');
  });

  it('are compared decoded', () => {
    const named = (name: string) =>
      `{"id":1,"method":"tools/call","params":{"name":${JSON.stringify(name)}}}`;
    const encoded = (name: string) => `=?base64?${Buffer.from(name).toString('base64')}?=`;
    expect(reason(classify({}, null, encoded('echo')))).toBe('pass');
    expect(reason(classify({}, null, encoded('other')))).toBe('header_mismatch');
    expect(reason(classify({ text: named('é€') }, null, encoded('é€')))).toBe('pass');
    expect(reason(classify({ text: named('é€') }, null, Buffer.from('é€').toString('latin1')))).toBe('pass');
    expect(reason(classify({}, null, '=?base64?ZWNobw?='))).toBe('header_mismatch');
    expect(reason(classify({ text: named('\ufffd') }, null, '=?base64?/w==?='))).toBe('header_mismatch');
  });

  it('say nothing about a body without a method, or a method without a name', () => {
    expect(reason(classify({ text: '{"id":1,"result":{}}' }, 'tools/call', 'x'))).toBe('pass');
    expect(reason(classify({ text: '{"id":1,"method":"tools/list"}' }, 'tools/list', 'x'))).toBe('pass');
    expect(reason(classify({ text: '{"id":1,"method":"tools/call","params":{}}' }, 'tools/call', 'x'))).toBe(
      'pass',
    );
    expect(reason(classify({ method: 'GET', text: '' }, 'tools/call'))).toBe('pass');
    const subscribe = '{"id":1,"method":"resources/subscribe","params":{"uri":"u"}}';
    expect(reason(classify({ text: subscribe }, null, 'x'))).toBe('pass');
  });
});

describe('a JSON content type', () => {
  it('is application/json or any +json, with or without parameters', () => {
    for (const type of [
      'application/json',
      'Application/JSON;charset=utf-8',
      ' application/json ; a=b',
      'application/x+json',
    ]) {
      expect(isJsonContentType(type), type).toBe(true);
    }
    for (const type of [
      null,
      '',
      'text/json',
      'application/jsonx',
      'application/x-ndjson',
      'text/event-stream',
      'x+json',
    ]) {
      expect(isJsonContentType(type), String(type)).toBe(false);
    }
  });
});
