/**
 * Owns what the recorder knows of who calls.
 * Invariant: what is whole here is matched; what is recorded of it was cut to the bounds of the format.
 */
import { cutName } from '@mcp-recorder/recording/format/cut';
import type { Principal } from '@mcp-recorder/recording/format/line';

export interface Caller {
  /** As it is recorded. */
  readonly principal: Principal;
  /** The same with its texts whole, where they were cut: a secret is looked for in them before. */
  readonly wholePrincipal?: Principal;
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

/**
 * A principal within the bounds of the format.
 * @param isCut something is left out of it already
 */
export function cutPrincipal(whole: Principal, isCut: boolean): Principal {
  let anyCut = isCut;
  function cut<T extends string | null>(text: T): T {
    if (text === null) return text;
    const short = cutName(text);
    anyCut ||= short !== text;
    return short as T;
  }
  const principal = {
    ...whole,
    issuer: cut(whole.issuer),
    subject: cut(whole.subject),
    name: cut(whole.name),
    client_id: cut(whole.client_id),
    groups: whole.groups.map(cut),
  };
  return anyCut ? { ...principal, cut: true } : principal;
}
