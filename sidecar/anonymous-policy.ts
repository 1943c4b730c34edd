/**
 * Owns the policy under which everybody may call, unnamed: nothing is decided, masked or added.
 */
import { encodePrincipal } from '@mcp-recorder/recording/format/encode';
import type { Principal } from '@mcp-recorder/recording/format/line';
import type { Caller } from './exchange/caller.ts';
import type { RecordedServer } from './exchange/rules/rules.ts';
import type { Policy } from './policy.ts';

const ANONYMOUS: Principal = {
  how: 'anonymous',
  issuer: null,
  subject: null,
  name: null,
  client_id: null,
  groups: [],
};
const CALLER: Caller = {
  principal: ANONYMOUS,
  principalJson: encodePrincipal(ANONYMOUS),
  key: 'anonymous',
  verified: false,
  groups: [],
  scopes: [],
  claims: {},
};

export function anonymousPolicy(server: RecordedServer): Policy {
  return {
    identity: { identify: () => ({ verdict: 'pass', caller: CALLER }), issuers: [], close() {} },
    rules: null,
    masking: { record: null, wire: null },
    credential: null,
    callerToken: 'Forward',
    server,
  };
}
