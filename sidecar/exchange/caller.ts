/**
 * Owns what the recorder knows of who calls.
 * Invariant: what is whole here is matched; what is recorded of it was cut to the bounds of the format.
 */
import type { Principal } from '@mcp-recorder/recording/format/line';

export interface Caller {
  /** As it is recorded. */
  readonly principal: Principal;
  /** `encodePrincipal(principal)`, made once. */
  readonly principalJson: string;
  /** Tells callers apart: equal for the same issuer and subject. */
  readonly key: string;
  /** True when a token of a trusted issuer was verified: sessions are bound to such callers only. */
  readonly verified: boolean;
  readonly groups: readonly string[];
  readonly scopes: readonly string[];
  /** The claims of the verified token; empty where there is none. */
  readonly claims: Readonly<Record<string, unknown>>;
}
