/**
 * Owns what the operator proves itself with, as all its replicas see it: one Secret, made and renewed by the replica that leads.
 * Invariants: nothing is used before it is written, so that all replicas use the same; a Secret that was deleted comes back with the same
 * keys as long as one replica lives.
 */
import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { signConfiguration } from '@mcp-recorder/sidecar/config/signature';
import type { Secret } from 'kubernetes-types/core/v1';
import type { Logger } from 'pino';
import type { KubeClient } from './kube/client.ts';
import { createReflector, type Reflector } from './kube/reflector.ts';
import type { OwnerReference } from './kube/resource.ts';
import { clusterNames, MANAGED_BY, MANAGED_BY_LABEL } from './naming.ts';
import { SECRETS, type Stored } from './reconcile/kinds.ts';
import type { Settings } from './settings.ts';
import { configurationKey, type IdentityData, renew } from './webhook/certificates.ts';

/** The identity as it stands. */
export interface Identity {
  readonly data: IdentityData;
  /** PEM of every authority that is trusted. */
  readonly authorities: string;
  /** The certificate that recorders ask for. */
  readonly linkContext: SecureContext;
  /** Public keys of the signatures, as the recorders are told them. */
  readonly configurationKeys: string[];
  /** The content of the file `signature` for the configuration of one resource. */
  sign(namespace: string, name: string, files: Record<string, string>): string;
  /** By name of the certificate: its end, ms since the epoch. */
  readonly ends: ReadonlyMap<string, number>;
}

export interface IdentityCopy {
  /** Null: there is none yet, or it can't be used. */
  current(): Identity | null;
  /** Told of each identity that can be used. The answer ends it. */
  onChange(listener: () => void): () => void;
  /** Told when the Secret became another or went, also when it can't be used. The answer ends it. */
  onTouched(listener: () => void): () => void;
  health: Reflector<Stored<Secret>>['health'];
  close(): Promise<void>;
}

export interface IdentityParts {
  client: KubeClient;
  settings: Settings;
  log: Logger;
}

/** How often it is seen to (ms): authorities overlap by days. */
const RENEW_MS = 15 * 60_000;

/** Follows the Secret. */
export function followIdentity({ client, settings, log }: IdentityParts): IdentityCopy {
  const name = clusterNames(settings.fullname).identity;
  const secrets = createReflector({
    client,
    resource: SECRETS,
    namespaces: [settings.namespace],
    fieldSelector: `metadata.name=${name}`,
    log,
  });
  const listeners = new Set<() => void>();
  let current: Identity | null = null;
  secrets.onChange((_, before, now) => {
    // One that is gone stays in use until another is there.
    if (now === undefined || before?.metadata.resourceVersion === now.metadata.resourceVersion) return;
    try {
      current = identityOf(entriesOf(now) as unknown as IdentityData);
    } catch (error) {
      log.error({ err: error, secret: name }, "the operator's Secret can't be used as it is");
      return;
    }
    for (const listener of listeners) listener();
  });
  return {
    current: () => current,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    onTouched: (listener) => secrets.onChange(() => listener()),
    health: () => secrets.health(),
    close: () => secrets.close(),
  };
}

/**
 * Sees to it that the Secret is as it should be at this time. Only the replica that leads does this.
 * @param parts.published the bundle of authorities as the webhook configurations have it, PEM; null: there are none, or they differ
 * @returns when to see to it again, ms
 * @throws KubeError Conflict when another replica wrote it meanwhile; IdentityError when it is damaged
 */
export async function keepIdentity(
  parts: IdentityParts & {
    known: Identity | null;
    published: string | null;
    owner: OwnerReference;
    now: Date;
  },
): Promise<number> {
  const { client, settings, log, known, published, owner, now } = parts;
  const { namespace } = settings;
  const name = clusterNames(settings.fullname).identity;
  const standing = await client.find(SECRETS, { namespace, name });
  const existing = standing === null ? (known?.data ?? null) : entriesOf(standing);
  const address = { service: settings.webhook.service, namespace };
  const wanted = await renew(existing as Record<string, string> | null, published, now, address);
  if (standing !== null && isSame(entriesOf(standing), wanted)) return RENEW_MS;
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      namespace,
      name,
      labels: { [MANAGED_BY_LABEL]: MANAGED_BY },
      ownerReferences: [owner],
      ...(standing?.metadata.resourceVersion === undefined
        ? {}
        : { resourceVersion: standing.metadata.resourceVersion }),
    },
    type: 'Opaque',
    data: Object.fromEntries(
      Object.entries(wanted).map(([entry, text]) => [entry, Buffer.from(text).toString('base64')]),
    ),
  };
  // Both fail when another replica was faster: it made an identity too, and one of the two must be the only one.
  if (standing === null) await client.create(SECRETS, secret);
  else await client.update(SECRETS, secret);
  log.info(
    { secret: `${namespace}/${name}` },
    standing === null ? 'made an identity' : 'renewed the identity',
  );
  return RENEW_MS;
}

/** @throws when a part can't be used: it is then made anew by who leads, and nobody serves with it */
function identityOf(data: IdentityData): Identity {
  const key = configurationKey(data);
  createSecureContext({ cert: data['tls.crt'], key: data['tls.key'] });
  const ends = new Map<string, number>();
  for (const name of ['issuer', 'next', 'tls', 'link'] as const) {
    const certificate = data[`${name}.crt`];
    if (certificate !== undefined) ends.set(name, new X509Certificate(certificate).validToDate.getTime());
  }
  return {
    data,
    authorities: data['ca.crt'],
    linkContext: createSecureContext({ cert: data['link.crt'], key: data['link.key'] }),
    configurationKeys: [publicKeyText(key)],
    sign: (namespace, name, files) => signConfiguration(key, namespace, name, files),
    ends,
  };
}

/** As recorders read it (`parseConfigurationKeys`): `ed25519:` and base64 of the 32 bytes. */
function publicKeyText(key: KeyObject): string {
  const { x = '' } = createPublicKey(key).export({ format: 'jwk' });
  return `ed25519:${Buffer.from(x, 'base64url').toString('base64')}`;
}

/** The Secret's entries as text. */
function entriesOf({ data }: Readonly<Secret>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(data ?? {}).map(([entry, encoded]) => [
      entry,
      Buffer.from(encoded, 'base64').toString('utf8'),
    ]),
  );
}

function isSame(standing: Record<string, string>, wanted: IdentityData): boolean {
  const entries = Object.entries(wanted);
  return (
    entries.length === Object.keys(standing).length &&
    entries.every(([entry, text]) => standing[entry] === text)
  );
}
