/**
 * Owns all that decides about a request beside the gate: made whole from one configuration, and exchanged whole.
 * Invariant: a request is judged by the policy that it found when its head came, to its end.
 */
import type { CallerToken } from './config/access.ts';
import type { UpstreamCredential } from './credential/credential.ts';
import type { Masking } from './exchange/masking/masking.ts';
import type { RecordedServer, Rules } from './exchange/rules/rules.ts';
import type { Identity } from './identity/identity.ts';

export interface Policy {
  readonly identity: Identity;
  /** Null: there are none. */
  readonly rules: Rules | null;
  readonly masking: Masking;
  readonly credential: UpstreamCredential | null;
  readonly callerToken: CallerToken;
  readonly server: RecordedServer;
}
