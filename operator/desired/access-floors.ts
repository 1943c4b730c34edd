/**
 * Owns what the platform team's bounds make of who may call, what they may do, and what is masked.
 * Invariant: what is in force is never looser than the bounds, whatever is asked for; each difference is told. Rules of the platform team
 * come first, and names that begin as theirs are nobody else's.
 */
import type { AccessRule, Auth, MaskingRule, RecordedMCPServer } from '../api/recorded-mcp-server.ts';
import type { Settings } from '../settings.ts';
import type { Refusal } from './floors.ts';

/** What the names of the platform team's rules begin with in the recording; the CRD keeps it from owners. */
export const PLATFORM = 'platform-';
/** In `policy.auth.allowedIssuers`: the service accounts of this cluster. */
const THIS_CLUSTER = 'kubernetes';

/** In front of all other rules where identity is required and the mode does not see to it. */
const IDENTITY_REQUIRED: AccessRule = {
  name: `${PLATFORM}identity-required`,
  when: '!(principal.how in ["oidc", "kubernetes"])',
  action: 'Deny',
  message: 'The platform team requires callers with a verified identity.',
};

export interface AccessInForce {
  /** Undefined: the resource says nothing, which the recorder refuses. */
  auth: Auth | undefined;
  rules: AccessRule[];
  masking: { base64: boolean; rules: MaskingRule[] };
  /** How many of the first rules and masks are the platform team's; `builtIn`: how many of these rules stand in no value of the chart. */
  platform: { rules: number; builtIn: number; masks: number };
  refusals: Refusal[];
}

export function accessInForce({ spec }: RecordedMCPServer, { policy }: Settings): AccessInForce {
  const identity = identityInForce(spec.auth, policy.auth);
  const own = policy.allowWithholding ? ownersWish(spec) : withoutWithholding(ownersWish(spec));
  const rules = [...(identity.required ? [IDENTITY_REQUIRED] : []), ...policy.rules.map(ofPlatform)];
  const masks = policy.masking.rules.map((mask) => (mask.name === undefined ? mask : ofPlatform(mask)));
  return {
    auth: identity.auth,
    rules: [...rules, ...own.rules],
    masking: {
      base64: policy.masking.base64 || spec.masking?.base64 === true,
      rules: [...masks, ...own.masks],
    },
    platform: { rules: rules.length, builtIn: identity.required ? 1 : 0, masks: masks.length },
    refusals: [...identity.refusals, ...own.refusals],
  };
}

/** @returns also whether a rule must refuse who has no verified identity */
function identityInForce(
  auth: Auth | undefined,
  { requireIdentity, allowedIssuers }: Settings['policy']['auth'],
): { auth: Auth | undefined; required: boolean; refusals: Refusal[] } {
  if (auth === undefined) return { auth, required: false, refusals: [] };
  const refusals: Refusal[] = [];
  const isAllowed = (issuer: string) => allowedIssuers.length === 0 || allowedIssuers.includes(issuer);
  const { oidc = [], kubernetes, ...rest } = auth;
  const trusted = oidc.filter(({ issuer }) => isAllowed(issuer));
  const cluster = kubernetes !== undefined && isAllowed(THIS_CLUSTER) ? kubernetes : undefined;
  const refused = [
    ...oidc.filter((one) => !trusted.includes(one)).map(({ issuer }) => issuer),
    ...(kubernetes !== undefined && cluster === undefined
      ? ['kubernetes (service accounts of this cluster)']
      : []),
  ];
  if (refused.length > 0) {
    const cause = `auth trusts ${refused.join(', ')}, and the platform team allows only ${allowedIssuers.join(', ')}; tokens of others are refused.`;
    refusals.push({ reason: 'IssuerNotAllowed', cause });
  }
  if (requireIdentity && auth.mode !== 'Enforce') {
    const cause = `auth.mode is ${auth.mode}, and the platform team requires a verified identity: calls without one are denied.`;
    refusals.push({ reason: 'IdentityRequired', cause });
  }
  const isEmpty = trusted.length === 0 && cluster === undefined;
  const left: Auth = {
    ...rest,
    ...(trusted.length === 0 ? {} : { oidc: trusted }),
    ...(cluster === undefined ? {} : { kubernetes: cluster }),
  };
  const { scopes: _, ...untouched } = rest;
  return {
    // Nobody is left whose tokens could be verified: all are told so by the rule.
    auth: isEmpty && refused.length > 0 ? { ...untouched, mode: 'Anonymous' } : left,
    required: (requireIdentity && auth.mode !== 'Enforce') || (isEmpty && refused.length > 0),
    refusals,
  };
}

interface Wish {
  rules: AccessRule[];
  masks: MaskingRule[];
  refusals: Refusal[];
}

function ownersWish({ rules = [], masking }: RecordedMCPServer['spec']): Wish {
  return { rules, masks: masking?.rules ?? [], refusals: [] };
}

function withoutWithholding({ rules, masks }: Wish): Wish {
  const recorded = rules.filter(({ action }) => action !== 'MetadataOnly');
  const onWire = masks.flatMap((mask): MaskingRule[] =>
    mask.appliesTo === 'Record' ? [] : [{ ...mask, appliesTo: 'Wire' }],
  );
  const isWhole = recorded.length === rules.length && masks.every(({ appliesTo }) => appliesTo === 'Wire');
  const cause =
    'rules with MetadataOnly or masking in the recording are asked for, and the platform team does not allow to withhold anything from it; they are not in force.';
  return {
    rules: recorded,
    masks: onWire,
    refusals: isWhole ? [] : [{ reason: 'WithholdingNotAllowed', cause }],
  };
}

function ofPlatform<T extends { name?: string | undefined }>(one: T): T {
  return { ...one, name: `${PLATFORM}${one.name}` };
}
