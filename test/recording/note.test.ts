import { createPrivateKey, createPublicKey } from 'node:crypto';
import fs from 'node:fs';
import {
  formatPublicKey,
  keyId,
  openNote,
  parsePublicKey,
  signNote,
} from '@mcp-recorder/recording/proof/note';
import { describe, expect, it } from 'vitest';

const vectors = JSON.parse(fs.readFileSync(new URL('../vectors/notes.json', import.meta.url), 'utf8')) as {
  notes: { name: string; seed: string; publicKey: string; keyId: string; text: string; note: string }[];
};

function privateKeyOf(seed: string) {
  const der = Buffer.from(`302e020100300506032b657004220420${seed}`, 'hex');
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

const [published] = vectors.notes;
if (published === undefined) throw new Error('no vectors');
const privateKey = privateKeyOf(published.seed);
const key = { name: published.name, key: createPublicKey(privateKey) };
const strangerKey = privateKeyOf('07'.repeat(32));

describe('a signed note', () => {
  it.each(vectors.notes)('is made and opened as published: $name', (vector) => {
    const signer = privateKeyOf(vector.seed);
    expect(formatPublicKey(signer)).toBe(vector.publicKey);
    expect(keyId(vector.name, signer).toString('hex')).toBe(vector.keyId);
    expect(signNote(vector.text, vector.name, signer)).toBe(vector.note);
    const parsed = parsePublicKey(vector.publicKey);
    expect(parsed).not.toBeNull();
    if (parsed === null) return;
    expect(openNote(vector.note, [{ name: vector.name, key: parsed }])).toEqual({
      ok: true,
      text: vector.text,
    });
  });

  it('does not open when any byte of it is another', () => {
    const bytes = Buffer.from(published.note);
    for (let i = 0; i < bytes.length; i += 1) {
      const changed = Buffer.from(bytes);
      changed[i] = (changed[i] as number) ^ 1;
      expect(openNote(changed.toString('latin1'), [key]).ok, `byte ${i}`).toBe(false);
      expect(openNote(changed.toString('utf8'), [key]).ok, `byte ${i}`).toBe(false);
    }
  });

  it('does not open when its signature is spelled in another way', () => {
    expect(published.note.endsWith('M=\n')).toBe(true);
    for (const other of ['N=\n', 'M\n', 'M==\n', 'M=\n\n']) {
      expect(openNote(published.note.replace(/M=\n$/, other), [key]).ok, other).toBe(false);
    }
  });

  it('does not open with the key of somebody else, whatever its name', () => {
    const stranger = createPublicKey(strangerKey);
    expect(openNote(published.note, [{ name: key.name, key: stranger }]).ok).toBe(false);
    expect(openNote(published.note, [{ name: 'somebody', key: key.key }]).ok).toBe(false);
    expect(openNote(published.note, []).ok).toBe(false);
  });

  it('ignores signatures of others, but not a wrong one of a known key', () => {
    const others = signNote(published.text, 'somebody', strangerKey).slice(published.text.length + 1);
    expect(openNote(published.note + others, [key]).ok).toBe(true);
    expect(openNote(`${published.note}not a signature\n`, [key]).ok).toBe(false);
    const forged = signNote('another text\n', key.name, privateKey).slice('another text\n'.length + 1);
    expect(openNote(published.note + forged, [key])).toMatchObject({ ok: false, reason: /is wrong/ });
  });

  it('is not made of a text that could be read in two ways', () => {
    for (const text of ['no line feed', 'a carriage return\r\n', 'a tab\t\n', 'half a pair \ud800\n', '']) {
      expect(() => signNote(text, 'name', privateKey), JSON.stringify(text)).toThrow(RangeError);
    }
    for (const name of ['', 'two words', 'a+b', 'a\nb']) {
      expect(() => signNote('text\n', name, privateKey), JSON.stringify(name)).toThrow(RangeError);
    }
  });

  it('takes no public key that is spelled in another way', () => {
    const { publicKey } = published;
    for (const text of [
      '',
      publicKey.slice(8),
      `${publicKey} `,
      publicKey.slice(0, -1),
      `${publicKey.slice(0, -2)}Z=`,
    ]) {
      expect(parsePublicKey(text), text).toBeNull();
    }
  });
});
