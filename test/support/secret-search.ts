/**
 * Owns the search for planted secrets in bytes: in plain, and in every form in which a reader could get them back.
 * Invariant: a part of twelve characters is enough to be found, so that what is left of a secret that was cut counts too.
 */
import { Buffer } from 'node:buffer';

/** Characters of a secret that are searched for together. */
const WINDOW = 12;

export interface SecretSearch {
  /** The names of all secrets of which something stands in the bytes, and the form and place of the first finding of each. */
  findIn(bytes: Buffer): Map<string, string>;
  /** All bytes that were searched so far. */
  readonly searched: number;
}

/** @param secrets by what they are called when they are found */
export function createSecretSearch(secrets: ReadonlyMap<string, string>): SecretSearch {
  const windows = new Map<string, { name: string; form: string }>();
  /** Which three bytes a window may begin with. */
  const beginnings = new Uint8Array(1 << 24);
  for (const [name, secret] of secrets) {
    for (const [form, written] of formsOf(secret)) {
      for (const at of placesIn(written.length)) {
        const window = written.slice(at, at + WINDOW);
        if (windows.has(window)) continue;
        windows.set(window, { name, form });
        beginnings[keyAt(window, 0)] = 1;
      }
    }
  }
  let searched = 0;
  return {
    findIn(bytes) {
      searched += bytes.length;
      const found = new Map<string, string>();
      const text = bytes.toString('latin1');
      for (let at = 0; at + WINDOW <= text.length; at += 1) {
        if (beginnings[keyAt(text, at)] === 0) continue;
        const one = windows.get(text.slice(at, at + WINDOW));
        if (one === undefined || found.has(one.name)) continue;
        found.set(one.name, `${one.form}: ${text.slice(Math.max(0, at - 120), at + 60)}`);
      }
      return found;
    },
    get searched() {
      return searched;
    },
  };
}

/** A window near the beginning, one in the middle, one at the end. */
function placesIn(length: number): number[] {
  const last = length - WINDOW;
  return last < 0 ? [] : [...new Set([Math.floor(last / 4), Math.floor(last / 2), last])];
}

function keyAt(text: string, at: number): number {
  return (text.charCodeAt(at) << 16) | (text.charCodeAt(at + 1) << 8) | text.charCodeAt(at + 2);
}

/** Every character as a JSON escape. */
export function escaped(text: string): string {
  return Array.from({ length: text.length }, (_, at) => {
    const code = text.charCodeAt(at).toString(16).padStart(4, '0');
    return `\\u${code}`;
  }).join('');
}

function formsOf(secret: string): [form: string, written: string][] {
  const quoted = JSON.stringify(secret).slice(1, -1);
  const forms: [string, string][] = [
    ['plain', secret],
    ['JSON', quoted],
    ['JSON in JSON', JSON.stringify(quoted).slice(1, -1)],
    ['escapes', escaped(secret)],
    ['escapes in JSON', JSON.stringify(escaped(secret)).slice(1, -1)],
    ['percent', encodeURIComponent(secret)],
    ['UTF-16', Buffer.from(secret, 'utf16le').toString('latin1')],
    ['hex', Buffer.from(secret).toString('hex')],
  ];
  for (const shift of [0, 1, 2]) {
    // Whatever stands before it in the text that is coded, one of three is how it looks; its ends mix with its neighbours.
    const bytes = Buffer.from('\0'.repeat(shift) + secret);
    for (const coding of ['base64', 'base64url'] as const) {
      const written = bytes.toString(coding).slice(4, -4);
      forms.push([coding, written]);
    }
  }
  return forms;
}
