import { generateKeyPairSync } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { formatPublicKey } from '@mcp-recorder/recording/proof/note';
import { configurationDigest } from '@mcp-recorder/sidecar/config/signature';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkDelivery, type Expected, readDelivery } from '../../sidecar/config/delivered.ts';
import { type MountedConfig, mountConfig } from '../support/delivery.ts';

const CONFIG = `
name: github
server: {url: http://127.0.0.1:8080/}
auth: {mode: Anonymous}
storage: {s3: {bucket: recordings, region: eu-central-1, caFile: store-ca.crt}}
recording: {spool: {directory: /var/lib/mcp-recorder/spool}}
`;
const FILES = { 'config.yaml': CONFIG, 'store-ca.crt': 'PEM' };

let root: string;
let mounted: MountedConfig;
let expected: Expected;

beforeEach(async () => {
  root = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-delivered-'));
  mounted = await mountConfig(path.join(root, 'config'));
  const { directory, namespace, server, publicKey } = mounted;
  expected = { directory, namespace, server, keys: [publicKey] };
});
afterEach(() => fs.rm(root, { recursive: true }));

const check = async () => await checkDelivery(await readDelivery(expected), expected);

describe('a delivered configuration', () => {
  it('is taken when it is signed, with the digest of what was signed', async () => {
    await mounted.deliver(FILES);
    const checked = await check();
    expect(checked).toMatchObject({
      ok: true,
      signedBy: mounted.publicKeyText,
      storeCa: 'PEM',
      configuration: { name: 'github', digest: configurationDigest('tools', 'github', FILES) },
    });
  });

  it('names its files relative to where it is mounted', async () => {
    await mounted.deliver(FILES);
    const checked = await check();
    expect(checked.ok && checked.configuration.storage).toMatchObject({
      s3: { caFile: path.join(mounted.directory, 'store-ca.crt') },
    });
  });

  it('is refused when a file was changed, added or taken away after signing', async () => {
    const signed = mounted.sign(FILES);
    const { 'store-ca.crt': _, ...without } = signed;
    for (const files of [{ ...signed, 'config.yaml': `${CONFIG}#` }, { ...signed, more: '' }, without]) {
      await mounted.deliverAsIs(files);
      expect(await check()).toMatchObject({
        ok: false,
        signedBy: null,
        reason: expect.stringMatching(
          /^it is not signed for tools\/github by a key that this recorder trusts/,
        ),
      });
    }
  });

  it('is refused without a signature', async () => {
    await mounted.deliverAsIs(FILES);
    expect(await check()).toMatchObject({ ok: false, reason: 'it has no file signature' });
  });

  it('is refused for another server', async () => {
    await mounted.deliver(FILES);
    expected.server = 'gitlab';
    expect(await check()).toMatchObject({ ok: false, reason: expect.stringContaining('tools/gitlab') });
  });

  it('is taken by any of the keys that are trusted', async () => {
    await mounted.deliver(FILES);
    expected.keys = [generateKeyPairSync('ed25519').publicKey, ...expected.keys];
    expect(await check()).toMatchObject({ ok: true, signedBy: formatPublicKey(mounted.publicKey) });
  });

  it('is refused with its faults when it is signed and can not be used', async () => {
    await mounted.deliver({ 'config.yaml': `${CONFIG}log: {level: loud}\n`, 'store-ca.crt': 'PEM' });
    expect(await check()).toMatchObject({
      ok: false,
      signedBy: mounted.publicKeyText,
      reason: expect.stringContaining('log.level: found "loud"; needs one of fatal'),
    });
    await mounted.deliver({ 'store-ca.crt': 'PEM' });
    expect(await check()).toMatchObject({ ok: false, reason: 'it has no file config.yaml' });
    await mounted.deliver({ 'config.yaml': CONFIG });
    expect(await check()).toMatchObject({ ok: false, reason: expect.stringContaining('was not delivered') });
  });

  it('is told apart by content and by signature', async () => {
    const read = async (files: Record<string, string>) => {
      await mounted.deliverAsIs(files);
      return (await readDelivery(expected)).fingerprint;
    };
    const signed = mounted.sign(FILES);
    const all = [signed, { ...signed, signature: 'A' }, { ...signed, 'store-ca.crt': '' }, FILES, signed];
    const prints = [];
    for (const files of all) prints.push(await read(files));
    expect(new Set(prints).size).toBe(4);
    expect(prints.at(-1)).toBe(prints[0]);
  });

  it('is never read half from one delivery and half from the next', async () => {
    await mounted.deliver({ a: '0', b: '0' });
    let going = true;
    const reads = (async () => {
      let seen = 0;
      for (; going; seen += 1) {
        const { files } = await readDelivery(expected);
        expect(files['a']?.toString()).toBe(files['b']?.toString());
      }
      return seen;
    })();
    for (let i = 1; i <= 100; i += 1) await mounted.deliver({ a: String(i), b: String(i) });
    going = false;
    expect(await reads).toBeGreaterThan(10);
  });
});

describe('a directory with nothing to read', () => {
  it('is told', async () => {
    expected.directory = path.join(root, 'absent');
    await expect(readDelivery(expected)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
