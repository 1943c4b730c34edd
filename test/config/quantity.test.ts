import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../../sidecar/config/address.ts';
import { parseDuration, parseSize } from '../../sidecar/config/quantity.ts';

describe('durations', () => {
  it.each([
    ['30s', 30_000],
    ['1m30s', 90_000],
    ['500ms', 500],
    ['1h', 3_600_000],
    ['1h2m3s4ms', 3_723_004],
    ['2m', 120_000],
    ['1.5s', 1_500],
    ['0s', 0],
  ])('reads %s as %i ms', (text, ms) => {
    expect(parseDuration(text)).toEqual({ ok: true, value: ms });
  });

  it.each(['', '30', '30 s', 's', '-1s', '1s1m', '1d', '30S', '1e3s', '0.0001s', '99999999999999h'])(
    'refuses %j and says what would be right',
    (text) => {
      expect(parseDuration(text)).toEqual({ ok: false, expected: expect.stringContaining('30s') });
    },
  );
});

describe('sizes', () => {
  it.each([
    ['512Mi', 536_870_912],
    ['4Mi', 4_194_304],
    ['1Gi', 1_073_741_824],
    ['1G', 1_000_000_000],
    ['64Ki', 65_536],
    ['10k', 10_000],
    ['1.5Gi', 1_610_612_736],
    ['4194304', 4_194_304],
  ])('reads %s as %i bytes', (text, bytes) => {
    expect(parseSize(text)).toEqual({ ok: true, value: bytes });
  });

  it.each(['', '4 Mi', '4MB', '4mi', '-1', '1e6', '0.3', 'Mi', '9999999Ti'])(
    'refuses %j and says what would be right',
    (text) => {
      expect(parseSize(text)).toEqual({ ok: false, expected: expect.stringContaining('512Mi') });
    },
  );
});

describe('addresses', () => {
  it('are read back as they are written', () => {
    const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain());
    fc.assert(
      fc.property(host, fc.integer({ min: 0, max: 65_535 }), (name, port) => {
        expect(parseAddress(formatAddress({ host: name, port }))).toEqual({ host: name, port });
      }),
    );
  });

  it.each(['8642', ':8642', '127.0.0.1', '127.0.0.1:65536', '::1:80', 'a b:1', 'http://a:1', '127.0.0.1:-1'])(
    'refuse %j',
    (text) => {
      expect(parseAddress(text)).toBeNull();
    },
  );
});
