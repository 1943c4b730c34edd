/**
 * Owns the keys and certificates of a control plane for tests: one authority, and what it signs, as files of one folder.
 */
import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

async function openssl(...args: string[]): Promise<void> {
  await run('openssl', args);
}

export interface Authority {
  /** The path of a file: `ca.crt`, `NAME.crt`, `NAME.key`. */
  file(name: string): string;
  /** Makes `NAME.key`, an EC key. */
  key(name: string): Promise<void>;
  /**
   * Makes `NAME.key` and `NAME.crt`, for a server and a client alike.
   * @param subject `/O=system:masters/CN=admin`
   * @param names `IP:127.0.0.1,DNS:localhost`
   */
  issue(name: string, subject: string, names?: string): Promise<void>;
}

export async function createAuthority(folder: string): Promise<Authority> {
  await fs.mkdir(folder, { recursive: true, mode: 0o700 });
  const file = (name: string) => path.join(folder, name);
  const key = (name: string) =>
    openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', file(`${name}.key`));
  await key('ca');
  const usage = ['-addext', 'keyUsage=critical,keyCertSign,cRLSign,digitalSignature'];
  const self = ['-x509', '-new', '-subj', '/CN=test cluster', '-days', '2', ...usage];
  await openssl('req', ...self, '-key', file('ca.key'), '-out', file('ca.crt'));
  return {
    file,
    key,
    async issue(name, subject, names) {
      await key(name);
      const extensions = ['extendedKeyUsage=serverAuth,clientAuth'];
      if (names !== undefined) extensions.push(`subjectAltName=${names}`);
      const request = ['-new', '-subj', subject, ...extensions.flatMap((text) => ['-addext', text])];
      await openssl('req', ...request, '-key', file(`${name}.key`), '-out', file(`${name}.csr`));
      const signer = ['-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '2'];
      const output = ['-out', file(`${name}.crt`), '-copy_extensions', 'copy'];
      await openssl('x509', '-req', '-in', file(`${name}.csr`), ...signer, ...output);
    },
  };
}
