/**
 * Owns the part of a recorder's configuration that says who may call, what they may do, what is masked, and what the server is given.
 * Invariant: of a credential it has the names of files only; the keys of this cluster's issuer come from its API server and from nobody else.
 */
import type { RecordedMCPServer } from '../api/recorded-mcp-server.ts';
import { credentialFile } from '../webhook/inject/server-credential.ts';
import type { AccessInForce } from './access-floors.ts';

/** The API server as issuer of the tokens of service accounts. */
export interface ClusterIssuer {
  issuer: string;
  /** Its public keys (RFC 7517). */
  keys: Record<string, unknown>[];
}

/** @param cluster needed where `auth.kubernetes` is in force */
export function accessConfiguration(
  { metadata, spec }: RecordedMCPServer,
  { auth, rules, masking }: AccessInForce,
  cluster: ClusterIssuer | null,
) {
  const { kubernetes, ...others } = auth ?? {};
  const { callerToken } = spec.server;
  const credential = credentialOf(spec.server);
  return {
    labels: metadata.labels ?? {},
    server: {
      ...(callerToken === undefined ? {} : { callerToken }),
      ...(credential === null ? {} : { credential }),
    },
    ...(auth === undefined
      ? {}
      : {
          auth: {
            ...others,
            ...(kubernetes === undefined || cluster === null
              ? {}
              : { kubernetes: { ...kubernetes, issuer: cluster.issuer, jwks: { keys: cluster.keys } } }),
          },
        }),
    rules,
    masking,
  };
}

function credentialOf({ credential }: RecordedMCPServer['spec']['server']): object | null {
  const { header, bearer, basic, clientCredentials } = credential ?? {};
  if (header !== undefined) return { header: { name: header.name, valueFile: credentialFile('value') } };
  if (bearer !== undefined) return { bearer: { tokenFile: credentialFile('token') } };
  if (basic !== undefined) {
    return {
      basic: { usernameFile: credentialFile('username'), passwordFile: credentialFile('password') },
    };
  }
  if (clientCredentials === undefined) return null;
  const { clientIdSecretKeyRef: _, clientSecretSecretKeyRef: __, ...rest } = clientCredentials;
  return {
    clientCredentials: {
      ...rest,
      clientIdFile: credentialFile('clientId'),
      clientSecretFile: credentialFile('clientSecret'),
    },
  };
}
