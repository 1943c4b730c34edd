import { describe, expect, it } from 'vitest';
import { maskedHeader, maskedId, maskedName, recordedCaller } from '../../sidecar/exchange/masking/names.ts';
import { Tally } from '../../sidecar/exchange/masking/tally.ts';
import { callerNamed, maskerOf } from '../support/policy.ts';

const masker = maskerOf('token', 'tok_[0-9]{4}|\u00fcbel', ['x-secret']);
const base64 = (text: string) => `=?base64?${Buffer.from(text).toString('base64')}?=`;

describe('a value that is masked', () => {
  it('is counted each time, also when it is known from before', () => {
    const tally = new Tally();
    expect(maskedName(masker, 'a tok_1234', tally)).toBe('a [masked:token]');
    expect(maskedName(masker, 'a tok_1234', tally)).toBe('a [masked:token]');
    expect(maskedName(masker, 'clean', tally)).toBe('clean');
    expect(tally.counts).toEqual([{ rule: 'token', count: 2 }]);
    expect(maskedName(null, 'tok_1234', tally)).toBe('tok_1234');
  });

  it('is not shown when it took too long to look through', () => {
    const tired = { ...masker, value: () => ({ text: '', masked: null, exceeded: true }) };
    const tally = new Tally();
    expect(maskedName(tired, 'anything', tally)).toBe('[masked:masking-bound]');
    expect(tally.counts).toEqual([{ rule: 'masking-bound', count: 1 }]);
  });

  it.each([
    ['7', '7'],
    ['"tok_12"', '"tok_12"'],
    ['"tok_1234"', '"[masked:token]"'],
    ['"\\u0074ok_1234"', '"[masked:token]"'],
    ['{"a":"tok_1234"}', '{"a":"[masked:token]"}'],
    ['null', 'null'],
  ])('of an id %s is %s', (rpcId, shown) => {
    expect(maskedId(masker, rpcId, null)).toBe(shown);
  });

  it.each([
    ['plain', 'a', 'a'],
    ['plain', 'tok_1234', '[masked:token]'],
    ['x-secret', 'anything', '[masked:token-key]'],
    ['base64', base64('tok_1234'), base64('[masked:token]')],
    ['base64 without anything in it', base64('tok'), base64('tok')],
    ['no base64', '=?base64?tok_1234?=', '=?base64?[masked:token]?='],
    ['latin1', '\u00fcbel', '[masked:token]'],
    ['UTF-8', Buffer.from('\u00fcbel').toString('latin1'), '[masked:token]'],
  ])('of a header %s: %s is %s', (name, value, shown) => {
    expect(maskedHeader(masker, name, value, null)).toBe(shown);
  });

  it('of a caller is made once', () => {
    const caller = callerNamed('tok_1234');
    const recorded = recordedCaller(masker, caller);
    expect(recorded.principal).toEqual({
      ...caller.principal,
      subject: '[masked:token]',
      name: '[masked:token]@example.com',
    });
    expect(JSON.parse(recorded.principalJson)).toEqual(recorded.principal);
    expect(recorded.masked).toEqual([{ rule: 'token', count: 2 }]);
    expect(recordedCaller(masker, caller)).toBe(recorded);
  });
});
