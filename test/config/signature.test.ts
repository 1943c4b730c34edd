/** The signature over a delivered configuration: what it covers, and how it fails. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, hash } from 'node:crypto';
import {
  configurationDigest,
  parseConfigurationKeys,
  signConfiguration,
  signedText,
  verifyConfiguration,
} from '@mcp-recorder/sidecar/config/signature';
import { formatPublicKey } from '@mcp-recorder/recording/proof/note';
import { describe, expect, it } from 'vitest';

/** A fixed key, so that the signature is a literal: the first test key of RFC 8032, 7.1. */
const PRIVATE = createPrivateKey({
  key: Buffer.from(
    '302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'hex',
  ),
  format: 'der',
  type: 'pkcs8',
});
const PUBLIC = createPublicKey(PRIVATE);
const FILES = { 'config.yaml': 'name: github\n', 'store-ca.crt': 'PEM' };
const TEXT =
  'mcp-recorder configuration v1\ntools/github\n' +
  'e9745a2b4c8e29f99c53073b83efa932726dae4b654068b4214fc789e1fefcb7  config.yaml\n' +
  '384fb9a44fabe158be2757b9b8d8f67029f2280fcc1776ab2a53103e6f0c582d  store-ca.crt\n';

const signed = (files: Record<string, string> = FILES) => ({
  ...files,
  signature: signConfiguration(PRIVATE, 'tools', 'github', files),
});
const verdict = (files: Record<string, string>, keys = [PUBLIC], namespace = 'tools', name = 'github') =>
  verifyConfiguration(keys, namespace, name, files);

describe('the signature over a configuration', () => {
  it('covers a heading, the server and each file by hash and name, in the order of names', () => {
    expect(signedText('tools', 'github', { 'store-ca.crt': 'PEM', 'config.yaml': 'name: github\n' })).toBe(
      TEXT,
    );
    expect(signedText('tools', 'github', { ...FILES, signature: 'whatever' })).toBe(TEXT);
  });

  it('is the same for text and for its bytes', () => {
    const bytes = Object.fromEntries(Object.entries(FILES).map(([name, text]) => [name, Buffer.from(text)]));
    expect(signedText('tools', 'github', bytes)).toBe(TEXT);
  });

  it('is base64 of Ed25519 over that text, and its digest is the SHA-256 of it', () => {
    expect(signConfiguration(PRIVATE, 'tools', 'github', FILES)).toBe(
      'VwHl289mP1u0tK8zTZN06jpNdCYevRxfK2uTZkn9dlu1Bwbl1+oSUV9tY/l1bYnaqZcTf3fjusXVXAXZbrEJAg==',
    );
    expect(configurationDigest('tools', 'github', FILES)).toBe(
      'sha256:b0b0887c8c3ebe19d173db627e6a1f361d01468158eac225ca1f609ee174e342',
    );
    expect(configurationDigest('tools', 'github', FILES)).toBe(`sha256:${hash('sha256', TEXT, 'hex')}`);
  });

  it('names the key that made it', () => {
    expect(verdict(signed())).toEqual({ ok: true, signedBy: formatPublicKey(PUBLIC) });
    const other = generateKeyPairSync('ed25519').publicKey;
    expect(verdict(signed(), [other, PUBLIC])).toEqual({ ok: true, signedBy: formatPublicKey(PUBLIC) });
  });

  it.each<[string, () => ReturnType<typeof verdict>]>([
    ['a changed file', () => verdict({ ...signed(), 'config.yaml': 'name: github\n#\n' })],
    ['an added file', () => verdict({ ...signed(), 'more.yaml': '' })],
    ['a removed file', () => verdict({ 'config.yaml': FILES['config.yaml'], signature: signed().signature })],
    [
      'a renamed file',
      () => verdict({ 'config.yaml': 'name: github\n', ca: 'PEM', signature: signed().signature }),
    ],
    ['another namespace', () => verdict(signed(), [PUBLIC], 'other')],
    ['another server', () => verdict(signed(), [PUBLIC], 'tools', 'gitlab')],
    ['another key', () => verdict(signed(), [generateKeyPairSync('ed25519').publicKey])],
    ['no key at all', () => verdict(signed(), [])],
  ])('does not hold for %s', (_, check) => {
    expect(check()).toEqual({ ok: false, reason: expect.stringMatching(/^is not signed for /) });
  });

  it('says when it is missing or no signature', () => {
    expect(verdict(FILES)).toEqual({ ok: false, reason: 'has no file signature' });
    for (const signature of ['', 'abc', `${signed().signature}A`, 'A'.repeat(86)]) {
      expect(verdict({ ...FILES, signature })).toEqual({
        ok: false,
        reason: 'has a signature that is not base64 of an Ed25519 signature',
      });
    }
  });

  it('takes no name that could be read as another line', () => {
    expect(() => signedText('tools', 'github\n0', FILES)).toThrow(RangeError);
    expect(() => signedText('tools/x', 'github', FILES)).toThrow(RangeError);
    expect(() => signedText('tools', 'github', { 'a\nb': '' })).toThrow(RangeError);
    expect(verdict({ ...signed(), 'a\nb': '' })).toEqual({
      ok: false,
      reason: `holds a file that can't be signed: "a\\nb"`,
    });
  });
});

describe('the keys that a recorder trusts', () => {
  const other = generateKeyPairSync('ed25519').publicKey;
  const texts = [formatPublicKey(PUBLIC), formatPublicKey(other)];

  it('are read as a list', () => {
    const read = parseConfigurationKeys(` ${texts.join(', ')}`);
    expect(read.ok && read.keys.map(formatPublicKey)).toEqual(texts);
  });

  it.each([
    ['', 'names no key'],
    [' , ', 'names no key'],
    ['ed25519:AAAA', 'holds what is no key of the form ed25519:<base64>'],
    [`${texts[0]},nonsense`, 'holds what is no key of the form ed25519:<base64>'],
  ])('are refused as %j', (text, reason) => {
    expect(parseConfigurationKeys(text)).toEqual({ ok: false, reason });
  });
});
