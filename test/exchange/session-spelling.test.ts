import { describe, expect, it } from 'vitest';
import { sessionSpelling } from '../../sidecar/exchange/session-spelling.ts';

describe('the spelling of a session id', () => {
  it.each([
    ['0DEA9F6D4A9F4D3BB2C0A5A0D1E2F3A4', '0dea9f6d-4a9f-4d3b-b2c0-a5a0d1e2f3a4'],
    ['{urn:uuid:0dea9f6d4a9f4d3bb2c0a5a0d1e2f3a4}', '0dea9f6d4a9f4d3bb2c0a5a0d1e2f3a4'],
    ['+dea9f6d4a9f4d3bb2c0a5a0d1e2f3a4', '0dea9f6d4a9f4d3bb2c0a5a0d1e2f3a4'],
    ['0xea9f6d4a9f4d3bb2c0a5a0d1e2f3a4', '00ea9f6d4a9f4d3bb2c0a5a0d1e2f3a4'],
    ['ea9f6d4a9f4d3bb2c0a5a0d1e2f3a4  ', '00ea9f6d4a9f4d3bb2c0a5a0d1e2f3a4'],
    // A form makes a space of the plus sign of base64.
    ['qL3 x/w==', 'qL3+x/w=='],
  ])('is one for %s and %s', (one, other) => {
    expect(sessionSpelling(one)).toBe(sessionSpelling(other));
    expect(sessionSpelling(one)).not.toBe(null);
  });

  it('is each its own for others', () => {
    const ids = ['s-1', 's-10', 's-2', '10', '1', '---', '--', '0', '00'];
    expect(new Set(ids.map(sessionSpelling)).size).toBe(ids.length);
  });

  it.each(['', '\u0661', 'a\tb', '\uff10a'])('is none for %j', (id) => {
    expect(sessionSpelling(id)).toBe(null);
  });
});
