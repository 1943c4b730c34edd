/**
 * Owns a small masker for tests of what surrounds masking: `secret-` and digits anywhere, and the values of `password` in JSON.
 * Invariant: it finds what is written with escapes too, and leaves the rest of a text as it stands.
 */
import type { MaskedText, Masker } from '../../sidecar/exchange/masking/masking.ts';

const SECRET = /secret-\d+/g;
const STRING = /"(?:[^"\\]|\\.)*"/g;
export const MARK = '[masked:secret]';

function plain(text: string): MaskedText {
  let count = 0;
  const masked = text.replaceAll(SECRET, () => {
    count += 1;
    return MARK;
  });
  return { text: masked, masked: count === 0 ? null : [{ rule: 'secret', count }], exceeded: false };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function content(text: string): MaskedText {
  if (!isJson(text)) return plain(text);
  let count = 0;
  let key = '';
  const masked = text.replaceAll(STRING, (literal: string, offset: number) => {
    const value = JSON.parse(literal) as string;
    const isKey = /^\s*:/.test(text.slice(offset + literal.length));
    const found = !isKey && key === 'password' ? { text: MARK, masked: true } : plain(value);
    key = isKey ? value : '';
    if (found.masked === null) return literal;
    count += 1;
    return JSON.stringify(found.text);
  });
  return { text: masked, masked: count === 0 ? null : [{ rule: 'secret', count }], exceeded: false };
}

export const secretMasker: Masker = {
  content,
  value: plain,
  member: (_, value) => plain(value),
  bytes(bytes) {
    const { text, masked } = plain(bytes.toString('latin1'));
    return masked === null ? null : { bytes: Buffer.from(text, 'latin1'), masked, exceeded: false };
  },
  /** Holds back the last word. */
  stream() {
    let pending = '';
    const answer = (text: string) => ({ ...plain(text), withheld: 0 });
    return {
      push(text, least = 0) {
        pending += text;
        const held = Math.min(/\S{0,100}$/.exec(pending)?.index ?? 0, Math.max(0, pending.length - least));
        const shown = pending.slice(0, held);
        pending = pending.slice(held);
        return answer(shown);
      },
      wouldHold(text, least) {
        const all = pending + text;
        return Math.max(least, all.length - (/\S{0,100}$/.exec(all)?.index ?? 0));
      },
      end: () => answer(pending),
      get held() {
        return pending.length;
      },
    };
  },
};
