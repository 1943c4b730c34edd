/**
 * Owns the making of the status port's certificate: a key and a certificate that it signs itself, as JSON on standard output.
 * Runs apart.
 * Invariant: the key exists in this process, in the pipe and in the recorder's memory, and nowhere else.
 */
// The library's own dependency asks for it.
import 'reflect-metadata';
import { createPrivateKey } from 'node:crypto';
import { X509CertificateGenerator } from '@peculiar/x509';
import type { MadeCertificate } from './certificate.ts';

const HOUR_MS = 3_600_000;
/** No recorder lives so long: each start makes a new one. */
const VALID_MS = 10 * 365 * 24 * HOUR_MS;

const { subtle } = globalThis.crypto;
const keys = await subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
const certificate = await X509CertificateGenerator.createSelfSigned({
  name: 'CN=mcp-recorder',
  keys,
  // Clocks of other nodes may be behind.
  notBefore: new Date(Date.now() - HOUR_MS),
  notAfter: new Date(Date.now() + VALID_MS),
  signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
});
const der = Buffer.from(await subtle.exportKey('pkcs8', keys.privateKey));
const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
const made: MadeCertificate = {
  key: key.export({ format: 'pem', type: 'pkcs8' }).toString(),
  certificate: certificate.toString('pem'),
};
process.stdout.write(JSON.stringify(made));
