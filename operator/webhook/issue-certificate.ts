/**
 * Owns how the operator's certificates are made: ECDSA P-256, X.509 v3, as PEM.
 * Invariant: an authority signs leaves only (path length 0), and a leaf is good for one use, so that the webhook's certificate opens no sidecar.
 */
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** A certificate and its private key, PEM. */
export interface KeyPair {
  certificate: string;
  key: string;
}

export interface Validity {
  notBefore: Date;
  notAfter: Date;
}

export type Leaf = Validity & {
  commonName: string;
  dnsNames: readonly string[];
  use: 'server' | 'client';
};

const KEYS = { name: 'ECDSA', namedCurve: 'P-256' };
const SIGNING = { name: 'ECDSA', hash: 'SHA-256' };

/** A new authority. Its name is unlike all others', so that two in one bundle are never taken for each other. */
export async function createAuthority({ notBefore, notAfter }: Validity): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(KEYS, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=mcp-recorder authority ${randomBytes(4).toString('hex')}`,
    notBefore,
    notAfter,
    keys,
    signingAlgorithm: SIGNING,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pem(certificate), key: await privatePem(keys.privateKey) };
}

/** A leaf with a new key. It never outlives its authority. */
export async function issueCertificate(authority: KeyPair, leaf: Leaf): Promise<KeyPair> {
  const issuer = new X509Certificate(authority.certificate);
  const signingKey = await webcrypto.subtle.importKey('pkcs8', derOf(authority.key), KEYS, false, ['sign']);
  const keys = await webcrypto.subtle.generateKey(KEYS, true, ['sign', 'verify']);
  const use = leaf.use === 'server' ? ExtendedKeyUsage.serverAuth : ExtendedKeyUsage.clientAuth;
  const extensions: Extension[] = [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([use]),
    await SubjectKeyIdentifierExtension.create(keys.publicKey),
    await AuthorityKeyIdentifierExtension.create(await issuer.publicKey.export()),
  ];
  if (leaf.dnsNames.length > 0) {
    extensions.push(
      new SubjectAlternativeNameExtension(leaf.dnsNames.map((value) => ({ type: 'dns', value }))),
    );
  }
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: `CN=${leaf.commonName}`,
    issuer: issuer.subject,
    notBefore: leaf.notBefore,
    notAfter: leaf.notAfter > issuer.notAfter ? issuer.notAfter : leaf.notAfter,
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: SIGNING,
    extensions,
  });
  return { certificate: pem(certificate), key: await privatePem(keys.privateKey) };
}

/** 16 bytes, the first bit unset: a positive number. */
function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
  return bytes.toString('hex');
}

function pem(certificate: X509Certificate): string {
  return `${certificate.toString('pem').trim()}\n`;
}

async function privatePem(key: CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', key);
  return `${PemConverter.encode(der, 'PRIVATE KEY').trim()}\n`;
}

function derOf(text: string): ArrayBuffer {
  const [der] = PemConverter.decode(text);
  if (der === undefined) throw new TypeError('no PEM block in what should be a private key');
  return der;
}
