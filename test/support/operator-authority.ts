/**
 * Owns a certificate authority as the operator keeps one, and the client certificates that it issues, and a client that uses them.
 */
import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** All authorities bear one name and one key id: who wants to pass for another can, so that only its signature tells. */
const KEY_ID = '0102030405060708090a0b0c0d0e0f1011121314';

/** PEM both. */
export interface ClientCertificate {
  key: string;
  cert: string;
}

export interface OperatorAuthority {
  /** The authority's own certificate, PEM. */
  pem: string;
  issue(commonName?: string, usage?: string): Promise<ClientCertificate>;
}

export async function createAuthority(): Promise<OperatorAuthority> {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  async function inFolder<T>(work: (file: (name: string) => string) => Promise<T>): Promise<T> {
    const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-authority-'));
    try {
      return await work((name) => path.join(folder, name));
    } finally {
      await fs.rm(folder, { recursive: true });
    }
  }
  const own = await inFolder(async (file) => {
    const output = ['-keyout', file('key'), '-out', file('crt'), '-addext', `subjectKeyIdentifier=${KEY_ID}`];
    await run('openssl', ['req', '-x509', '-days', '2', '-subj', '/CN=operator', ...key, ...output]);
    return { key: await fs.readFile(file('key'), 'utf8'), cert: await fs.readFile(file('crt'), 'utf8') };
  });
  return {
    pem: own.cert,
    issue: (commonName = 'mcp-recorder-operator', usage = 'clientAuth') =>
      inFolder(async (file) => {
        await fs.writeFile(file('ca.key'), own.key);
        await fs.writeFile(file('ca.crt'), own.cert);
        const asked = ['-subj', `/CN=${commonName}`, '-addext', `extendedKeyUsage=${usage}`];
        await run('openssl', ['req', ...key, ...asked, '-keyout', file('key'), '-out', file('csr')]);
        const signer = ['-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '1'];
        const output = ['-in', file('csr'), '-out', file('crt'), '-copy_extensions', 'copy'];
        await run('openssl', ['x509', '-req', ...signer, ...output]);
        return { key: await fs.readFile(file('key'), 'utf8'), cert: await fs.readFile(file('crt'), 'utf8') };
      }),
  };
}

export interface TlsAnswer {
  status: number;
  body: string;
}

/** Asks over TLS as the operator does: the server's certificate is not checked. `agent`: for who keeps the connection. */
export function askOverTls(
  url: string,
  certificate: ClientCertificate | null,
  agent: https.Agent | false = false,
): Promise<TlsAnswer> {
  return new Promise((resolve, reject) => {
    const options = { ...certificate, rejectUnauthorized: false, agent, ca: [] };
    const request = https.get(url, options, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
    });
    request.on('error', reject);
  });
}
