/**
 * Owns how the claims of a verified token become a caller.
 * Invariant: what is recorded is cut to the bounds of the format and says so; what rules match is whole.
 */
import { encodePrincipal } from '@mcp-recorder/recording/format/encode';
import type { Principal } from '@mcp-recorder/recording/format/line';
import type { IssuerConfiguration } from '../config/access.ts';
import { type Caller, cutPrincipal } from '../exchange/caller.ts';
import { type Claims, claimAt, scopesOf, stringsOf } from './claims.ts';

/** Groups that are recorded of one caller. */
const MAX_GROUPS = 100;
/** As the API server names service accounts and their groups. */
const SERVICE_ACCOUNT = /^system:serviceaccount:([^:]+):[^:]+$/;

/** @param subject `sub` of the claims */
export function callerOf(issuer: IssuerConfiguration, subject: string, claims: Claims): Caller {
  const groups = groupsOf(issuer, subject, claims);
  const wholePrincipal = principalOf(issuer, subject, claims, groups);
  const principal = cutPrincipal(wholePrincipal, groups.length > MAX_GROUPS);
  return {
    principal,
    ...(principal.cut === true ? { wholePrincipal } : {}),
    principalJson: encodePrincipal(principal),
    key: JSON.stringify([issuer.issuer, subject]),
    verified: true,
    groups,
    scopes: scopesOf(claims),
    claims,
  };
}

function groupsOf({ how, groupsClaim }: IssuerConfiguration, subject: string, claims: Claims): string[] {
  if (how !== 'kubernetes') return groupsClaim === null ? [] : stringsOf(claimAt(claims, groupsClaim));
  const namespace = SERVICE_ACCOUNT.exec(subject)?.[1];
  if (namespace === undefined) return [];
  return ['system:serviceaccounts', `system:serviceaccounts:${namespace}`];
}

function principalOf(
  { how, issuer, nameClaim }: IssuerConfiguration,
  subject: string,
  claims: Claims,
  groups: readonly string[],
): Principal {
  const named = how === 'kubernetes' ? subject : nameClaim === null ? null : claimAt(claims, nameClaim);
  const textOrNull = (value: unknown) => (typeof value === 'string' ? value : null);
  return {
    how,
    issuer,
    subject,
    name: textOrNull(named),
    // RFC 9068 2.2; `azp` is what issuers wrote before.
    client_id: textOrNull(claims['client_id'] ?? claims['azp']),
    groups: groups.slice(0, MAX_GROUPS),
  };
}
