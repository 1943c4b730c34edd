/**
 * Owns how the server's own credential comes to the recorder: which keys of which Secrets, as which files.
 * Invariant: no container but the recorder mounts them; the operator reads no Secret.
 */
import type { Volume, VolumeMount } from 'kubernetes-types/core/v1';
import type { RecordedMCPServer, SecretKey } from '../../api/recorded-mcp-server.ts';
import { PATHS, VOLUMES } from '../../naming.ts';

/** What the files are called, in the recorder's volume. */
const FILES = {
  value: 'value',
  token: 'token',
  username: 'username',
  password: 'password',
  clientId: 'client-id',
  clientSecret: 'client-secret',
} as const;
type CredentialPart = keyof typeof FILES;

/** The keys of Secrets that the credential is made of, by what each is; empty without one. */
export function credentialKeys({ spec }: RecordedMCPServer): Partial<Record<CredentialPart, SecretKey>> {
  const { header, bearer, basic, clientCredentials } = spec.server.credential ?? {};
  if (header !== undefined) return { value: header.secretKeyRef };
  if (bearer !== undefined) return { token: bearer.secretKeyRef };
  if (basic !== undefined)
    return { username: basic.usernameSecretKeyRef, password: basic.passwordSecretKeyRef };
  if (clientCredentials === undefined) return {};
  return {
    clientId: clientCredentials.clientIdSecretKeyRef,
    clientSecret: clientCredentials.clientSecretSecretKeyRef,
  };
}

/** Where the recorder finds a part of the credential. */
export function credentialFile(part: CredentialPart): string {
  return `${PATHS.serverCredential}/${FILES[part]}`;
}

/** The volume with the credential, and where the recorder mounts it; null without one. */
export function credentialVolume(
  resource: RecordedMCPServer,
  mode: number,
): { volume: Volume; mount: VolumeMount } | null {
  const keys = Object.entries(credentialKeys(resource)) as [CredentialPart, SecretKey][];
  if (keys.length === 0) return null;
  // Optional, as the store's: a recorder that runs and says what is missing tells more than a pod that does not start.
  const sources = keys.map(([part, { name, key }]) => ({
    secret: { name, optional: true, items: [{ key, path: FILES[part] }] },
  }));
  return {
    volume: { name: VOLUMES.serverCredential, projected: { defaultMode: mode, sources } },
    mount: { name: VOLUMES.serverCredential, mountPath: PATHS.serverCredential, readOnly: true },
  };
}
