/**
 * Owns the certificates of tests: an authority that no machine trusts, and a server certificate of it for 127.0.0.1.
 */
import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Writes `public.crt` and `private.key` (the server's) and `ca.crt` into `folder`; the answer is the path of `ca.crt`. */
export async function makeCertificates(folder: string): Promise<string> {
  await fs.mkdir(folder, { recursive: true });
  const file = (name: string) => path.join(folder, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const authority = ['-x509', '-days', '2', '-subj', '/CN=test authority'];
  await run('openssl', ['req', ...authority, ...key, '-keyout', file('ca.key'), '-out', file('ca.crt')]);
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
  await run('openssl', [
    'req',
    ...key,
    ...subject,
    '-keyout',
    file('private.key'),
    '-out',
    file('public.csr'),
  ]);
  const signer = ['-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '2'];
  const output = ['-in', file('public.csr'), '-out', file('public.crt'), '-copy_extensions', 'copy'];
  await run('openssl', ['x509', '-req', ...signer, ...output]);
  // A server that takes every file of the folder for its own must not find these.
  for (const name of ['public.csr', 'ca.key', 'ca.srl']) await fs.rm(file(name), { force: true });
  return file('ca.crt');
}
