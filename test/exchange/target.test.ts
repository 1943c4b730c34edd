import { describe, expect, it } from 'vitest';
import { maskEndpoint } from '../../sidecar/exchange/sse-endpoint.ts';
import { recordedTarget, sessionIdOf } from '../../sidecar/exchange/target.ts';
import { maskerOf } from '../support/policy.ts';

const hashed = (id: string) => `h<${id}>`;
const recorded = (target: string) => recordedTarget(target, hashed);

describe('a recorded target', () => {
  it('masks each segment of the path by itself: a slash that is encoded ends none', () => {
    const masker = maskerOf('key', '[A-Za-z0-9/]{20}(?:$|[^A-Za-z0-9/])');
    const { target } = recordedTarget(`/mcp/${'a'.repeat(10)}%2F${'b'.repeat(9)}/c`, hashed, masker);
    expect(target).toBe('/mcp/[masked:key]/c');
  });

  it('keeps its path', () => {
    expect(recorded('/mcp')).toEqual({ target: '/mcp', masked: 0 });
    expect(recorded('/a%20b/@x:y@z')).toEqual({ target: '/a%20b/@x:y@z', masked: 0 });
    expect(recorded('*')).toEqual({ target: '*', masked: 0 });
  });

  it('shows no query value', () => {
    expect(recorded('/mcp?token=abc&x=1&empty=&=v&a=b=c')).toEqual({
      target: '/mcp?token=[masked:query]&x=[masked:query]&empty=&=[masked:query]&a=[masked:query]',
      masked: 4,
    });
    expect(recorded('/mcp?tokenWithoutName')).toEqual({ target: '/mcp?[masked:query]', masked: 1 });
    expect(recorded('/mcp?a?b=c?d')).toEqual({ target: '/mcp?a?b=[masked:query]', masked: 1 });
    expect(recorded('/mcp?')).toEqual({ target: '/mcp?', masked: 0 });
  });

  it('shows session ids as their hash', () => {
    expect(recorded('/m?sessionId=a%2Db&session_id=c&SessionID=d&session%5Fid=e')).toEqual({
      target: '/m?sessionId=h<a-b>&session_id=h<c>&SessionID=h<d>&session%5Fid=h<e>',
      masked: 0,
    });
    expect(recorded('/m?sessionId=%zz').target).toBe('/m?sessionId=h<%zz>');
  });

  it('shows no credentials of an absolute URL', () => {
    expect(recorded('http://user:secret@host/p?q=1')).toEqual({
      target: 'http://[masked:userinfo]@host/p?q=[masked:query]',
      masked: 2,
    });
    expect(recorded('http://user:se@cret@host/').target).toBe('http://[masked:userinfo]@host/');
    expect(recorded('user:secret@host:443').target).toBe('[masked:userinfo]@host:443');
    expect(recorded('//u:p@host/')).toEqual({ target: '//[masked:userinfo]@host/', masked: 1 });
    expect(recorded('http://host/a@b')).toEqual({ target: 'http://host/a@b', masked: 0 });
  });
});

describe('the session id of a target', () => {
  it('is the first one with a value, decoded', () => {
    expect(sessionIdOf('/m?x=1&sessionId=a%2Db&session_id=c')).toBe('a-b');
    expect(sessionIdOf('/m?session_id=c+d')).toBe('c d');
    expect(sessionIdOf('/m?sessionId=&session_id=c')).toBe('c');
    for (const target of ['/m', '/sessionId=a', '/m?sessionId', '/m?sessionId=', '/m?xsessionId=a']) {
      expect(sessionIdOf(target), target).toBeNull();
    }
  });
});

describe('an endpoint event', () => {
  it('is recorded with the hash of its session id', () => {
    expect(maskEndpoint('/messages/?session_id=abc', hashed)).toEqual({
      data: '/messages/?session_id=h<abc>',
      absoluteOrigin: null,
    });
    expect(maskEndpoint('messages?sessionId=abc', hashed).absoluteOrigin).toBeNull();
    expect(maskEndpoint(' /m?sessionId=$& ', hashed).data).toBe(' /m?sessionId=h<$>& ');
  });

  it('names the origin that would lead around the recorder', () => {
    expect(maskEndpoint('http://server:8080/m?sessionId=a', hashed)).toEqual({
      data: 'http://server:8080/m?sessionId=h<a>',
      absoluteOrigin: 'http://server:8080',
    });
    expect(maskEndpoint(' HTTPS://u:secret@Server/m', hashed).absoluteOrigin).toBe('https://server');
    expect(maskEndpoint('//server/m', hashed).absoluteOrigin).toBe('//server');
    expect(maskEndpoint('\\\\server\\m', hashed).absoluteOrigin).toBe('//server');
  });

  it('shows no secret of a URL that is none', () => {
    const { data, absoluteOrigin } = maskEndpoint('http://u:secret@[bad/?token=secret', hashed);
    expect(data + absoluteOrigin).not.toContain('secret');
  });
});
