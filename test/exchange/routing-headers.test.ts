import { describe, expect, it } from 'vitest';
import { scanMessages } from '../../sidecar/exchange/json-scan.ts';
import { alignRoutingHeaders } from '../../sidecar/exchange/routing-headers.ts';

function messages(name: string, method = 'tools/call') {
  const scanned = scanMessages(JSON.stringify({ id: 1, method, params: { name } }));
  if (!scanned.ok) throw new Error(name);
  return scanned.messages;
}

const RAW = ['Host', 'h', 'MCP-Name', 'a', 'Mcp-Method', 'tools/call', 'mcp-name', 'a'];

describe('routing headers', () => {
  it('stay as they came where the body says the same', () => {
    expect(alignRoutingHeaders(RAW, messages('a'), messages('a'))).toBe(RAW);
    expect(alignRoutingHeaders(RAW, messages('a'), undefined)).toBe(RAW);
    expect(alignRoutingHeaders(RAW, [], [])).toBe(RAW);
  });

  it('say what the masked body says, all of them', () => {
    expect(alignRoutingHeaders(RAW, messages('a'), messages('[masked:x]'))).toEqual(
      RAW.map((text) => (text === 'a' ? '[masked:x]' : text)),
    );
    expect(alignRoutingHeaders(RAW, messages('a'), messages('a', '[masked:x]'))[5]).toBe('[masked:x]');
  });

  it.each(['\u00e9', ' a', 'a ', 'a\nb', '', '=?base64?YQ==?='])(
    'are base64 where %j could not stand',
    (name) => {
      const [, , , value] = alignRoutingHeaders(RAW, messages('a'), messages(name));
      expect(value).toBe(`=?base64?${Buffer.from(name).toString('base64')}?=`);
    },
  );
});
