/**
 * Owns how a configuration that is delivered by another hand is signed: what the signature covers, how it is written, who may have made it.
 * Invariant: a signature covers every file beside it, by name and content, and the server that they are meant for; nothing can be added,
 * taken away, altered, or handed to another server under it.
 */
import { hash, type KeyObject, sign, verify } from 'node:crypto';
import { formatPublicKey, parsePublicKey } from '@mcp-recorder/recording/proof/note';

/** Contents by file name, as a ConfigMap holds them. The file `signature` may be among them and is never signed itself. */
export type ConfigurationFiles = Readonly<Record<string, string | Uint8Array>>;

/** Where the signature stands among the files. */
export const SIGNATURE_FILE = 'signature';

/** `reason` is the end of a sentence that begins with what was refused. */
export type Verified = { ok: true; signedBy: string } | { ok: false; reason: string };

export type ParsedKeys = { ok: true; keys: KeyObject[] } | { ok: false; reason: string };

/** What names a server and its namespace in Kubernetes: DNS labels and subdomains. */
const PLACE = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;
/** What a ConfigMap takes as a key. */
const FILE_NAME = /^[-._a-zA-Z0-9]{1,253}$/;
const SIGNATURE = /^[A-Za-z0-9+/]{86}==$/;

/**
 * The text under the signature: a heading, whose configuration it is, and the SHA-256 of each file in the order of their names.
 * @param namespace and `name`: the RecordedMCPServer that the files configure
 * @throws RangeError for names that no such resource and no ConfigMap can have
 */
export function signedText(namespace: string, name: string, files: ConfigurationFiles): string {
  for (const part of [namespace, name]) {
    if (!PLACE.test(part)) throw new RangeError(`${JSON.stringify(part)} names no namespace and no server`);
  }
  const names = Object.keys(files).filter((file) => file !== SIGNATURE_FILE);
  const lines = names.sort().map((file) => {
    if (!FILE_NAME.test(file)) throw new RangeError(`${JSON.stringify(file)} is no name of a file to sign`);
    return `${hash('sha256', files[file] as string | Uint8Array, 'hex')}  ${file}\n`;
  });
  return `mcp-recorder configuration v1\n${namespace}/${name}\n${lines.join('')}`;
}

/**
 * The content of the file `signature`: base64 of an Ed25519 signature.
 * @throws RangeError as `signedText`
 */
export function signConfiguration(
  privateKey: KeyObject,
  namespace: string,
  name: string,
  files: ConfigurationFiles,
): string {
  return sign(null, Buffer.from(signedText(namespace, name, files)), privateKey).toString('base64');
}

/** `sha256:<hex>` of the signed text: equal digests mean equal files for the same server. @throws RangeError as `signedText` */
export function configurationDigest(namespace: string, name: string, files: ConfigurationFiles): string {
  return `sha256:${hash('sha256', signedText(namespace, name, files), 'hex')}`;
}

/**
 * Checks the file `signature` against the others. Never throws for what stands in the files.
 * @param keys whose signature counts
 */
export function verifyConfiguration(
  keys: readonly KeyObject[],
  namespace: string,
  name: string,
  files: ConfigurationFiles,
): Verified {
  const given = files[SIGNATURE_FILE];
  if (given === undefined) return { ok: false, reason: `has no file ${SIGNATURE_FILE}` };
  const encoded = Buffer.from(given).toString('latin1').trim();
  const signature = Buffer.from(encoded, 'base64');
  if (!SIGNATURE.test(encoded) || signature.toString('base64') !== encoded) {
    return { ok: false, reason: 'has a signature that is not base64 of an Ed25519 signature' };
  }
  const strange = Object.keys(files).find((file) => !FILE_NAME.test(file));
  if (strange !== undefined) {
    return { ok: false, reason: `holds a file that can't be signed: ${JSON.stringify(strange)}` };
  }
  const text = Buffer.from(signedText(namespace, name, files));
  const signer = keys.find((key) => verify(null, text, key, signature));
  if (signer === undefined) {
    return {
      ok: false,
      reason: `is not signed for ${namespace}/${name} by a key that this recorder trusts, or was changed after signing`,
    };
  }
  return { ok: true, signedBy: formatPublicKey(signer) };
}

/** Reads public keys as `ed25519:<base64>`, separated by commas; at least one. */
export function parseConfigurationKeys(text: string): ParsedKeys {
  const keys: KeyObject[] = [];
  for (const part of text.split(',').map((piece) => piece.trim())) {
    if (part === '') continue;
    const key = parsePublicKey(part);
    if (key === null) return { ok: false, reason: 'holds what is no key of the form ed25519:<base64>' };
    keys.push(key);
  }
  return keys.length === 0 ? { ok: false, reason: 'names no key' } : { ok: true, keys };
}
