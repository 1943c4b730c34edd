import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createSessionNamer, type SessionFacts } from '../../sidecar/exchange/session.ts';

const KEY = Buffer.alloc(32, 1);
const NOTHING: SessionFacts = {
  mcpSessionId: null,
  sseSessionId: null,
  traceparent: null,
  clientInfo: null,
  principalKey: 'p',
  clientAddress: '192.0.2.9',
};
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

function namer(maxSessions?: number) {
  const clock = { ms: 1_000_000 };
  const options = { key: KEY, idleGapMs: 60_000, nowMs: () => clock.ms };
  return {
    clock,
    sessions: createSessionNamer(maxSessions === undefined ? options : { ...options, maxSessions }),
  };
}

function hmac(id: string): string {
  return `h:${createHmac('sha256', KEY).update(id).digest().subarray(0, 16).toString('hex')}`;
}

describe('a session id', () => {
  it('is hashed with the key, the same way every time', () => {
    const { sessions } = namer(2);
    expect(sessions.hash('abc')).toBe(hmac('abc'));
    for (const id of ['a', 'b', 'c', 'd', 'abc', 'é', 'abc']) expect(sessions.hash(id)).toBe(hmac(id));
    const other = createSessionNamer({ key: Buffer.alloc(32, 2), nowMs: () => 0 });
    expect(other.hash('abc')).not.toBe(hmac('abc'));
  });
});

describe('a session is named', () => {
  it('by its header first, then its query, its trace, its client, its address', () => {
    const { sessions } = namer();
    const clientInfo = { name: 'c', version: '1' };
    const all = { ...NOTHING, mcpSessionId: 'm', sseSessionId: 's', traceparent: TRACE, clientInfo };
    expect(sessions.name(all)).toEqual({ id: hmac('m'), how: 'mcp-session-id' });
    expect(sessions.name({ ...all, mcpSessionId: null })).toEqual({ id: hmac('s'), how: 'sse-endpoint' });
    expect(sessions.name({ ...NOTHING, traceparent: TRACE, clientInfo })).toEqual({
      id: hmac('0af7651916cd43dd8448eb211c80319c'),
      how: 'trace',
    });
    expect(sessions.name({ ...NOTHING, clientInfo }).how).toBe('client-info');
    expect(sessions.name(NOTHING).how).toBe('address');
  });

  it('by no trace that is not one', () => {
    const { sessions } = namer();
    for (const traceparent of [
      '',
      TRACE.slice(0, 40),
      TRACE.replace('00-', 'ff-'),
      `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
      `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01`,
      TRACE.toUpperCase(),
    ]) {
      expect(sessions.name({ ...NOTHING, traceparent }).how, traceparent).toBe('address');
    }
  });

  it('by inference: another one for another principal, client, version or address', () => {
    const { sessions } = namer();
    const facts = { ...NOTHING, clientInfo: { name: 'c', version: '1' } };
    const ids = [
      sessions.name(facts),
      sessions.name({ ...facts, principalKey: 'q' }),
      sessions.name({ ...facts, clientInfo: { name: 'd', version: '1' } }),
      sessions.name({ ...facts, clientInfo: { name: 'c', version: null } }),
      sessions.name({ ...facts, clientAddress: '192.0.2.8' }),
      sessions.name(NOTHING),
    ].map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^h:[0-9a-f]{32}$/);
    expect(sessions.name(facts).id).toBe(ids[0]);
  });

  it('by inference until it was idle for too long', () => {
    const { sessions, clock } = namer();
    const first = sessions.name(NOTHING);
    for (let step = 0; step < 3; step += 1) {
      clock.ms += 60_000;
      expect(sessions.name(NOTHING)).toEqual(first);
    }
    clock.ms += 60_001;
    const second = sessions.name(NOTHING);
    expect(second.id).not.toBe(first.id);
    expect(sessions.name(NOTHING)).toEqual(second);
  });

  it('and forgotten, longest unused first, when there are too many', () => {
    const { sessions, clock } = namer(2);
    const at = (clientAddress: string) => {
      clock.ms += 1;
      return sessions.name({ ...NOTHING, clientAddress }).id;
    };
    const [a, b] = [at('a'), at('b')];
    for (const other of ['c', 'd', 'e', 'f']) {
      at(other);
      expect(at('a')).toBe(a);
    }
    expect(at('b')).not.toBe(b);
  });
});
