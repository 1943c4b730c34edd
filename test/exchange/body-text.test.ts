import { describe, expect, it } from 'vitest';
import { decodeBodyText } from '../../sidecar/exchange/body-text.ts';

describe('body text', () => {
  it('is UTF-8', () => {
    expect(decodeBodyText(Buffer.from('{"a":"é€😀"}'))).toEqual({ ok: true, text: '{"a":"é€😀"}' });
    expect(decodeBodyText(Buffer.alloc(0))).toEqual({ ok: true, text: '' });
  });

  it('is refused with a byte order mark', () => {
    expect(decodeBodyText(Buffer.from('\ufeff{}'))).toEqual({ ok: false, reason: 'bom' });
  });

  it('is refused as UTF-16 or UTF-32, with and without mark', () => {
    const bigEndian = (text: string) => Buffer.from(text, 'utf16le').swap16();
    for (const bytes of [
      Buffer.from('\ufeff{}', 'utf16le'),
      bigEndian('\ufeff{}'),
      Buffer.from('{}', 'utf16le'),
      bigEndian('{}'),
      Buffer.from([0x7b, 0, 0, 0]),
      Buffer.from([0, 0, 0, 0x7b]),
      Buffer.from([0, 0, 0xfe, 0xff]),
    ]) {
      expect(decodeBodyText(bytes), bytes.toString('hex')).toEqual({ ok: false, reason: 'utf16' });
    }
  });

  it('is refused when its UTF-8 is broken', () => {
    for (const bytes of [
      [0x22, 0xff, 0x22],
      [0x22, 0xc0, 0x80, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
      [0x22, 0xe2, 0x82],
    ]) {
      expect(decodeBodyText(Buffer.from(bytes))).toEqual({ ok: false, reason: 'not_utf8' });
    }
  });
});
