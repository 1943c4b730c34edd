/**
 * Owns signed notes with Ed25519 keys (c2sp.org/signed-note): a text and signature lines that name their key.
 * Invariant: `openNote` returns a text only when a signature by one of the given keys covers exactly that text.
 */
import { createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto';

/** A public key and the name that its signatures carry. */
export interface NoteKey {
  name: string;
  key: KeyObject;
}

export type OpenedNote = { ok: true; text: string } | { ok: false; reason: string };

const ED25519 = 0x01;
/** `SubjectPublicKeyInfo` of an Ed25519 key up to the key's own 32 bytes (RFC 8410). */
const SPKI_START = Buffer.from('302a300506032b6570032100', 'hex');

/** A stream's key is asked for with each of its seals, and taking one apart costs as much as signing with it. */
const rawKeys = new WeakMap<KeyObject, Buffer>();

/** The 32 raw bytes of an Ed25519 public key (of the private key's public half too). */
export function rawPublicKey(key: KeyObject): Buffer {
  let raw = rawKeys.get(key);
  if (raw === undefined) {
    const publicKey = key.type === 'private' ? createPublicKey(key) : key;
    raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI_START.length);
    rawKeys.set(key, raw);
  }
  return raw;
}

/** A public key as it stands in `open.public_key`: `ed25519:` and the base64 of its 32 bytes. */
export function formatPublicKey(key: KeyObject): string {
  return `ed25519:${rawPublicKey(key).toString('base64')}`;
}

/** The key of an `open.public_key`, or null when the text is none. */
export function parsePublicKey(text: string): KeyObject | null {
  const encoded = /^ed25519:([A-Za-z0-9+/]{43}=)$/.exec(text)?.[1];
  if (encoded === undefined) return null;
  const raw = Buffer.from(encoded, 'base64');
  if (raw.toString('base64') !== encoded) return null;
  try {
    return createPublicKey({ key: Buffer.concat([SPKI_START, raw]), format: 'der', type: 'spki' });
  } catch {
    return null;
  }
}

/** First four bytes of SHA-256(name || LF || 0x01 || public key). */
export function keyId(name: string, key: KeyObject): Buffer {
  const id = Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(ED25519), rawPublicKey(key)]);
  return hash('sha256', id, 'buffer').subarray(0, 4);
}

/**
 * The note: text, empty line, signature line. The text must end with a line feed and hold no other control characters;
 * the key's name no space and no `+`.
 * @throws RangeError otherwise
 */
export function signNote(text: string, keyName: string, privateKey: KeyObject): string {
  const bad = textProblem(text);
  if (bad !== null) throw new RangeError(`a note's text ${bad}`);
  if (!isKeyName(keyName)) throw new RangeError(`${JSON.stringify(keyName)} is no name of a note's key`);
  const signature = sign(null, Buffer.from(text), privateKey);
  return `${text}\n\u2014 ${keyName} ${Buffer.concat([keyId(keyName, privateKey), signature]).toString('base64')}\n`;
}

/**
 * Checks a note against known keys. Signatures by others are ignored, as the specification demands;
 * a wrong one by a known key, or none by any, is a failure.
 */
export function openNote(note: string, keys: readonly NoteKey[]): OpenedNote {
  const split = note.lastIndexOf('\n\n');
  if (split < 0) return { ok: false, reason: 'no empty line between text and signatures' };
  const text = note.slice(0, split + 1);
  const bad = textProblem(text);
  if (bad !== null) return { ok: false, reason: `the text ${bad}` };
  const block = note.slice(split + 2);
  if (block === '' || !block.endsWith('\n')) return { ok: false, reason: 'no signature line' };
  let verified = false;
  for (const line of block.slice(0, -1).split('\n')) {
    const [, name, encoded] = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/u.exec(line) ?? [];
    if (name === undefined || encoded === undefined)
      return { ok: false, reason: 'a malformed signature line' };
    const bytes = Buffer.from(encoded, 'base64');
    if (bytes.length < 5 || bytes.toString('base64') !== encoded) {
      return { ok: false, reason: 'a malformed signature line' };
    }
    const known = keys.find((k) => k.name === name && keyId(name, k.key).equals(bytes.subarray(0, 4)));
    if (known === undefined) continue;
    if (!verify(null, Buffer.from(text), known.key, bytes.subarray(4))) {
      return { ok: false, reason: `the signature by ${name} is wrong` };
    }
    verified = true;
  }
  return verified ? { ok: true, text } : { ok: false, reason: 'no signature by a known key' };
}

function isKeyName(name: string): boolean {
  return /^[^\s+]+$/u.test(name);
}

function textProblem(text: string): string | null {
  if (!text.endsWith('\n')) return 'does not end with a line feed';
  if (!text.isWellFormed()) return 'is no valid Unicode';
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code < 0x20 && code !== 0x0a) return 'holds a control character';
  }
  return null;
}
