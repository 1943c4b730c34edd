/**
 * Owns the configuration that another hand delivers into a directory (a mounted ConfigMap): read whole, held against its signature, and
 * only then made into what the recorder runs on.
 * Invariants: nothing of it is used that the signature does not cover; all its files are of one delivery.
 */
import type { KeyObject } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { runApart } from '../apart.ts';
import type { ReaderInput, ReaderOutput } from './reader.ts';
import type { Configuration } from './schema.ts';
import { configurationDigest, SIGNATURE_FILE, verifyConfiguration } from './signature.ts';

/** Whose configuration is expected, and by whom. */
export interface Expected {
  directory: string;
  namespace: string;
  server: string;
  keys: readonly KeyObject[];
}

/** The files of one delivery. */
export interface Delivery {
  files: Readonly<Record<string, Buffer>>;
  /** `sha256:<hex>` of what a signature over these files covers. */
  digest: string;
  /** Equal for two deliveries that are equal, the signature included. */
  fingerprint: string;
}

export type Checked =
  | {
      ok: true;
      configuration: Configuration;
      /** The public key, as on `config` lines. */
      signedBy: string;
      /** The authorities that the store's certificate may be of, when the configuration names a delivered file. */
      storeCa: string | null;
    }
  | { ok: false; reason: string; signedBy: string | null };

const CONFIG_FILE = 'config.yaml';
/** The link that the kubelet exchanges when a ConfigMap has changed; what is mounted leads through it. */
const CURRENT_LINK = '..data';
const CONSISTENT_TRIES = 5;

/**
 * Reads the files that are delivered now.
 * @throws Error when they can't be read, or are exchanged faster than they can be
 */
export async function readDelivery({ directory, namespace, server }: Expected): Promise<Delivery> {
  for (let tries = 0; tries < CONSISTENT_TRIES; tries += 1) {
    const current = await currentDirectory(directory);
    try {
      const files = await readFiles(current);
      if ((await currentDirectory(directory)) !== current) continue;
      const digest = configurationDigest(namespace, server, files);
      return { files, digest, fingerprint: `${digest} ${files[SIGNATURE_FILE]?.toString('base64')}` };
    } catch (error) {
      // It was taken away while it was read: its successor is there.
      if ((await currentDirectory(directory)) === current) throw error;
    }
  }
  throw new Error(`${directory} is exchanged faster than it can be read`);
}

/**
 * Holds a delivery against its signature, and reads it.
 * @throws Error for what has nothing to do with what stands in it (no process could be started): it may be tried again
 */
export async function checkDelivery({ files, digest }: Delivery, expected: Expected): Promise<Checked> {
  const { directory, namespace, server, keys } = expected;
  const verified = verifyConfiguration(keys, namespace, server, files);
  if (!verified.ok) return { ...verified, reason: `it ${verified.reason}`, signedBy: null };
  const { signedBy } = verified;
  const text = files[CONFIG_FILE]?.toString('utf8');
  if (text === undefined) return { ok: false, reason: `it has no file ${CONFIG_FILE}`, signedBy };
  const read = await readApart({ file: path.join(directory, CONFIG_FILE), text });
  if (!read.ok) return { ...read, signedBy };
  const { storage } = read.configuration;
  const caFile = storage.kind === 's3' ? storage.s3.caFile : null;
  const storeCa = caFile === null || path.dirname(caFile) !== path.resolve(directory) ? null : caFile;
  const pem = storeCa === null ? null : files[path.basename(storeCa)]?.toString('utf8');
  if (pem === undefined)
    return { ok: false, reason: `storage.s3.caFile names ${storeCa}, which was not delivered`, signedBy };
  return { ok: true, configuration: { ...read.configuration, digest }, signedBy, storeCa: pem };
}

async function readApart(input: ReaderInput): Promise<ReaderOutput> {
  return JSON.parse(await runApart('config/reader', JSON.stringify(input))) as ReaderOutput;
}

async function currentDirectory(directory: string): Promise<string> {
  try {
    return await fs.realpath(path.join(directory, CURRENT_LINK));
  } catch {
    return directory;
  }
}

async function readFiles(directory: string): Promise<Record<string, Buffer>> {
  const names = (await fs.readdir(directory)).filter((name) => !name.startsWith('..'));
  const contents = await Promise.all(names.map((name) => fs.readFile(path.join(directory, name))));
  return Object.fromEntries(names.map((name, i) => [name, contents[i] as Buffer]));
}
