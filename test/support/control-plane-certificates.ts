/**
 * Owns the keys and certificates of a control plane for tests: one authority, and what it signs, as files of one folder.
 */
import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const openssl = async (...args: string[]) => void (await promisify(execFile)('openssl', args));

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
  await openssl(
    ...['req', '-x509', '-new', '-key', file('ca.key'), '-subj', '/CN=test cluster', '-days', '2'],
    ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign,digitalSignature', '-out', file('ca.crt')],
  );
  return {
    file,
    key,
    async issue(name, subject, names) {
      await key(name);
      const extensions = [
        'extendedKeyUsage=serverAuth,clientAuth',
        ...(names ? [`subjectAltName=${names}`] : []),
      ];
      await openssl(
        ...['req', '-new', '-key', file(`${name}.key`), '-subj', subject, '-out', file(`${name}.csr`)],
        ...extensions.flatMap((extension) => ['-addext', extension]),
      );
      await openssl(
        ...['x509', '-req', '-in', file(`${name}.csr`), '-CA', file('ca.crt'), '-CAkey', file('ca.key')],
        ...['-CAcreateserial', '-days', '2', '-copy_extensions', 'copy', '-out', file(`${name}.crt`)],
      );
    },
  };
}
