/**
 * Owns what the operator proves itself with: its authority, the webhook's and the link's certificates, the key that signs configurations,
 * and the secret behind session names; and when each is made anew.
 * Invariant: a certificate is used only when its authority has been in the published bundle for `SETTLE_MS`; an authority leaves the bundle
 * only when it has expired. So whoever checks with a bundle that is at most that old never meets a certificate that it does not know.
 * The configuration key and the session secret are made once: recorders hold on to them.
 */
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  X509Certificate,
} from 'node:crypto';
import { LINK_CLIENT_NAME } from '../naming.ts';
import {
  createAuthority,
  issueCertificate,
  type KeyPair,
  type Leaf,
  type Validity,
} from './issue-certificate.ts';

const DAY_MS = 24 * 3_600_000;
export const AUTHORITY_LIFE_MS = 730 * DAY_MS;
/** A successor is made when an authority has this long to go. */
export const AUTHORITY_RENEW_MS = 180 * DAY_MS;
export const LEAF_LIFE_MS = 90 * DAY_MS;
export const LEAF_RENEW_MS = 30 * DAY_MS;
/** How long a new authority is seen published before anything is issued by it: every API server and every pod's configuration has it by then. */
export const SETTLE_MS = DAY_MS;
/** Certificates begin so long before they are made, for clocks that are behind. */
const SKEW_MS = 3_600_000;
const SESSION_SECRET_BYTES = 32;

/** Entries of the Secret, as text. */
export interface IdentityData {
  /** Every authority that is trusted, the issuing one first: `caBundle` of the webhooks, `status.operatorCa` of the recorders. */
  'ca.crt': string;
  'issuer.crt': string;
  'issuer.key': string;
  /** The next authority, while it is published and issues nothing. */
  'next.crt'?: string;
  'next.key'?: string;
  /** Since when it has been seen in the published bundle, RFC 3339. */
  'next.published'?: string;
  'tls.crt': string;
  'tls.key': string;
  'link.crt': string;
  'link.key': string;
  /** Ed25519, PKCS #8. */
  'config.key': string;
  /** Base64. */
  'session.key': string;
}

/** The webhook's Service, by which API servers call it. */
export interface WebhookAddress {
  service: string;
  namespace: string;
}

/** An entry that can't be used and must not be replaced silently, and what to do, for people. */
export class IdentityError extends Error {}

/**
 * The entries as they should be at this time; those that are good stay as they are. Call it at least each hour, write what it answers, and
 * use it only when it is written.
 * @param existing the Secret's entries as text, or null when there is none
 * @param published the bundle as it stands in the cluster now (`caBundle` of the webhook configurations, PEM), or null
 * @param now wall clock
 * @throws IdentityError for a damaged configuration key or session secret
 */
export async function renew(
  existing: Readonly<Record<string, string>> | null,
  published: string | null,
  now: Date,
  address: WebhookAddress,
): Promise<IdentityData> {
  const given = existing ?? {};
  const { issuer, next, since } = await renewAuthorities(given, published ?? '', now);
  const names = serviceNames(address);
  const [serving, link] = await Promise.all([
    renewLeaf(pair(given, 'tls'), issuer, now, { commonName: names[0], dnsNames: names, use: 'server' }),
    renewLeaf(pair(given, 'link'), issuer, now, {
      commonName: LINK_CLIENT_NAME,
      dnsNames: [],
      use: 'client',
    }),
  ]);
  return {
    'ca.crt': bundleOf([issuer, ...(next === null ? [] : [next])], given['ca.crt'] ?? '', now),
    'issuer.crt': issuer.certificate,
    'issuer.key': issuer.key,
    ...(next === null ? {} : { 'next.crt': next.certificate, 'next.key': next.key }),
    ...(since === null ? {} : { 'next.published': since.toISOString() }),
    'tls.crt': serving.certificate,
    'tls.key': serving.key,
    'link.crt': link.certificate,
    'link.key': link.key,
    'config.key': configKey(given['config.key']),
    'session.key': sessionSecret(given['session.key']),
  };
}

/** The private key that signs configurations. */
export function configurationKey(data: IdentityData): KeyObject {
  return createPrivateKey(data['config.key']);
}

/** Base64 of the key that the recorders of one server hash session ids with; it tells nothing about other servers' keys. */
export function sessionKeyOf(data: IdentityData, namespace: string, name: string): string {
  const secret = Buffer.from(data['session.key'], 'base64');
  return createHmac('sha256', secret)
    .update(`mcp-recorder session ids\n${namespace}/${name}`)
    .digest('base64');
}

/** Every name by which a Service is called. */
function serviceNames({ service, namespace }: WebhookAddress): [string, ...string[]] {
  const name = `${service}.${namespace}.svc`;
  return [name, `${service}.${namespace}`, `${name}.cluster.local`];
}

async function renewAuthorities(given: Readonly<Record<string, string>>, published: string, now: Date) {
  let issuer = usableAuthority(pair(given, 'issuer'), now);
  let next = usableAuthority(pair(given, 'next'), now);
  let since = next !== null && holds(published, next) ? sinceOf(given['next.published'], now) : null;
  const settled = since !== null && now.getTime() - since.getTime() >= SETTLE_MS;
  if (next !== null && (issuer === null || settled)) {
    issuer = next;
    next = null;
    since = null;
  }
  // Without any authority that works there is nothing to overlap with.
  issuer ??= await createAuthority(validity(now, AUTHORITY_LIFE_MS));
  if (next === null && remainingMs(issuer, now) < AUTHORITY_RENEW_MS) {
    next = await createAuthority(validity(now, AUTHORITY_LIFE_MS));
  }
  return { issuer, next, since };
}

/** A time that can't be read, or is yet to come, counts from now. */
function sinceOf(text: string | undefined, now: Date): Date {
  const since = new Date(text ?? Number.NaN);
  return since <= now ? since : now;
}

async function renewLeaf(
  existing: KeyPair | null,
  issuer: KeyPair,
  now: Date,
  wanted: Omit<Leaf, keyof Validity>,
): Promise<KeyPair> {
  const good =
    existing !== null &&
    isUsable(existing, now) &&
    isIssuedBy(existing, issuer) &&
    wanted.dnsNames.every((name) => parse(existing.certificate)?.checkHost(name) !== undefined) &&
    // Near the end of its authority's life a leaf can't be made to last longer.
    (remainingMs(existing, now) >= LEAF_RENEW_MS || endsWith(existing, issuer));
  return good ? existing : issueCertificate(issuer, { ...wanted, ...validity(now, LEAF_LIFE_MS) });
}

function validity(now: Date, lifeMs: number): Validity {
  // X.509 knows whole seconds.
  const seconds = Math.floor(now.getTime() / 1_000) * 1_000;
  return { notBefore: new Date(seconds - SKEW_MS), notAfter: new Date(seconds + lifeMs) };
}

function pair(given: Readonly<Record<string, string>>, name: string): KeyPair | null {
  const certificate = given[`${name}.crt`];
  const key = given[`${name}.key`];
  return certificate === undefined || key === undefined ? null : { certificate, key };
}

function parse(certificate: string): X509Certificate | null {
  try {
    return new X509Certificate(certificate);
  } catch {
    return null;
  }
}

/** Certificate and key can be read, belong together, and it is their time. */
function isUsable({ certificate, key }: KeyPair, now: Date): boolean {
  const parsed = parse(certificate);
  try {
    return parsed !== null && parsed.checkPrivateKey(createPrivateKey(key)) && isItsTime(parsed, now);
  } catch {
    return false;
  }
}

function isItsTime({ validFromDate, validToDate }: X509Certificate, now: Date): boolean {
  return validFromDate <= now && now < validToDate;
}

function usableAuthority(authority: KeyPair | null, now: Date): KeyPair | null {
  if (authority === null || !isUsable(authority, now)) return null;
  return parse(authority.certificate)?.ca === true ? authority : null;
}

function isIssuedBy(leaf: KeyPair, issuer: KeyPair): boolean {
  const certificate = parse(leaf.certificate);
  const authority = parse(issuer.certificate);
  return certificate !== null && authority !== null && certificate.verify(authority.publicKey);
}

function remainingMs({ certificate }: KeyPair, now: Date): number {
  return (parse(certificate)?.validToDate.getTime() ?? 0) - now.getTime();
}

function endsWith(leaf: KeyPair, issuer: KeyPair): boolean {
  return parse(leaf.certificate)?.validTo === parse(issuer.certificate)?.validTo;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function authoritiesIn(bundle: string): { text: string; parsed: X509Certificate }[] {
  return (bundle.match(CERTIFICATE) ?? []).flatMap((text) => {
    const parsed = parse(text);
    return parsed?.ca === true ? [{ text: `${text}\n`, parsed }] : [];
  });
}

function holds(bundle: string, { certificate }: KeyPair): boolean {
  const wanted = parse(certificate)?.fingerprint256;
  return authoritiesIn(bundle).some(({ parsed }) => parsed.fingerprint256 === wanted);
}

/** The authorities of now and those of before that have not expired, each once. */
function bundleOf(current: readonly KeyPair[], before: string, now: Date): string {
  const all = authoritiesIn([...current.map(({ certificate }) => certificate), before].join(''));
  const valid = all.filter(({ parsed }) => isItsTime(parsed, now));
  return [...new Map(valid.map(({ text, parsed }) => [parsed.fingerprint256, text])).values()].join('');
}

function configKey(existing: string | undefined): string {
  if (existing === undefined) {
    return generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  }
  let kind: string | undefined;
  try {
    kind = createPublicKey(createPrivateKey(existing)).asymmetricKeyType;
  } catch {
    kind = undefined;
  }
  if (kind === 'ed25519') return existing;
  throw new IdentityError(
    "the entry config.key of the operator's Secret is no Ed25519 key: restore it, or delete the entry; a new key is then made, and recorded workloads must be restarted to trust it",
  );
}

function sessionSecret(existing: string | undefined): string {
  if (existing === undefined) return randomBytes(SESSION_SECRET_BYTES).toString('base64');
  if (Buffer.from(existing, 'base64').length === SESSION_SECRET_BYTES) return existing;
  throw new IdentityError(
    "the entry session.key of the operator's Secret is not base64 of 32 bytes: restore it, or delete the entry; sessions then get other names in the recordings",
  );
}
