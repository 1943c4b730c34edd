/**
 * Owns a mounted ConfigMap as the kubelet lays it out: files are links into `..data`, itself a link that is exchanged for each delivery, so
 * that all files change at once. Signed as the operator does it.
 */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { formatPublicKey } from '@mcp-recorder/recording/proof/note';
import { signConfiguration } from '@mcp-recorder/sidecar/config/signature';

export type Files = Record<string, string>;

export interface MountedConfig {
  directory: string;
  namespace: string;
  server: string;
  publicKey: KeyObject;
  /** As `MCP_RECORDER_CONFIG_KEYS` takes it. */
  publicKeyText: string;
  /** Delivers files with a signature of the operator's. */
  deliver(files: Files): Promise<void>;
  /** Delivers exactly these. */
  deliverAsIs(files: Files): Promise<void>;
  sign(files: Files): Files;
}

/** A mount in `directory`, empty so far. */
export async function mountConfig(
  directory: string,
  place = { namespace: 'tools', server: 'github' },
): Promise<MountedConfig> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const { namespace, server } = place;
  let deliveries = 0;
  await fs.mkdir(directory, { recursive: true });

  const sign = (files: Files): Files => ({
    ...files,
    signature: signConfiguration(privateKey, namespace, server, files),
  });

  async function deliverAsIs(files: Files): Promise<void> {
    const before = await fs.readlink(path.join(directory, '..data')).catch(() => null);
    const name = `..2026_11_26_${(deliveries += 1)}`;
    await fs.mkdir(path.join(directory, name));
    for (const [file, content] of Object.entries(files)) {
      await fs.writeFile(path.join(directory, name, file), content);
    }
    await fs.symlink(name, path.join(directory, '..data_tmp'));
    await fs.rename(path.join(directory, '..data_tmp'), path.join(directory, '..data'));
    const links = (await fs.readdir(directory)).filter((entry) => !entry.startsWith('..'));
    for (const file of Object.keys(files)) {
      if (!links.includes(file)) await fs.symlink(path.join('..data', file), path.join(directory, file));
    }
    for (const link of links) if (!(link in files)) await fs.rm(path.join(directory, link));
    if (before !== null) await fs.rm(path.join(directory, before), { recursive: true });
  }

  return {
    directory,
    namespace,
    server,
    publicKey,
    publicKeyText: formatPublicKey(publicKey),
    deliver: (files) => deliverAsIs(sign(files)),
    deliverAsIs,
    sign,
  };
}
