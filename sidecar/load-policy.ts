/**
 * Owns the making of a policy from a configuration.
 * Invariant: a policy is whole or not there; what its configuration does not ask for is not loaded.
 */
import { encodePrincipal } from '@mcp-recorder/recording/format/encode';
import type { Principal } from '@mcp-recorder/recording/format/line';
import type { Configuration } from './config/schema.ts';
import type { Identity } from './identity/identity.ts';
import type { Policy } from './policy.ts';

/** Makes what decides about requests under this configuration. */
export async function loadPolicy(configuration: Configuration): Promise<Policy> {
  const { name, namespace, cluster, labels, server } = configuration;
  return {
    identity: anonymousIdentity(),
    rules: null,
    masking: { record: null, wire: null },
    credential: null,
    callerToken: server.callerToken,
    server: { name, namespace, cluster, labels },
  };
}

function anonymousIdentity(): Identity {
  const principal: Principal = {
    how: 'anonymous',
    issuer: null,
    subject: null,
    name: null,
    client_id: null,
    groups: [],
  };
  const caller = {
    principal,
    principalJson: encodePrincipal(principal),
    key: 'anonymous',
    verified: false,
    groups: [],
    scopes: [],
    claims: {},
  };
  return { identify: () => ({ verdict: 'pass', caller }), issuers: [], close() {} };
}
