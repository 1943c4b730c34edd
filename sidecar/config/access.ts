/**
 * Owns the words in which access to a server is configured: who may call, what the rules say, what is masked, which credential the server gets.
 * Invariant: defaults are filled in and durations are numbers; sources of expressions and patterns stay text, and were compiled once to check them.
 */

/** How callers are identified. */
export type AuthMode = (typeof AUTH_MODES)[number];
export const AUTH_MODES = ['Enforce', 'Observe', 'Anonymous'] as const;

export interface AuthConfiguration {
  /** Enforce: no call without a valid token. Observe: what is verified is recorded, all pass. Anonymous: tokens are not looked at. */
  mode: AuthMode;
  /** The URL that clients use (RFC 8707, RFC 9728); null only where mode is not Enforce. */
  resource: string | null;
  /** What every token must carry. */
  scopes: string[];
  /** Origins of browser pages that may call (RFC 6454); null: not looked at. */
  allowedOrigins: string[] | null;
  clockSkewMs: number;
  /** How long keys are used that could not be fetched anew. */
  maxKeyAgeMs: number;
  issuers: IssuerConfiguration[];
}

export interface IssuerConfiguration {
  /** As `principal.how` says it. */
  how: 'oidc' | 'kubernetes';
  issuer: string;
  /** A token must be for one of them (RFC 8707). */
  audiences: string[];
  /** JWS algorithms, asymmetric ones only. */
  algorithms: string[];
  /** Path of a claim: names with dots between, or a JSON Pointer (RFC 6901) when it begins with a slash. Null: none. */
  groupsClaim: string | null;
  nameClaim: string | null;
  /** What its tokens must carry beside `AuthConfiguration.scopes`. */
  scopes: string[];
  /** PEM of authorities that its certificate may be of, beside those of the system. */
  ca: string | null;
  /** Keys that are given, not fetched (RFC 7517); null: by discovery. */
  jwks: { keys: Record<string, unknown>[] } | null;
}

export type RuleAction = (typeof RULE_ACTIONS)[number];
export const RULE_ACTIONS = ['Deny', 'MetadataOnly'] as const;

export interface RuleConfiguration {
  name: string;
  /** CEL, of type bool. */
  when: string;
  action: RuleAction;
  /** What the caller is told; null: the recorder's own words. Deny only. */
  message: string | null;
  /** Tools that it denies are left out of `tools/list`. Deny only. */
  hideTools: boolean;
}

export type MaskingTarget = (typeof MASKING_TARGETS)[number];
export const MASKING_TARGETS = ['Record', 'Wire', 'Both'] as const;

export interface MaskingConfiguration {
  /** Strings that are base64 of text are looked into. */
  base64: boolean;
  rules: MaskingRuleConfiguration[];
}

/** What is found is replaced by `[masked:<name>]`; of a detector the name is its own. */
export type MaskingRuleConfiguration = { appliesTo: MaskingTarget } & (
  | { kind: 'detectors'; detectors: string[] }
  /** Values of members with one of these names, whatever the case. */
  | { kind: 'keys'; name: string; keys: string[] }
  /** RFC 9535, from a JSON-RPC message as root. */
  | { kind: 'paths'; name: string; paths: string[] }
  /** RE2 syntax. */
  | { kind: 'pattern'; name: string; pattern: string }
);

/** What the server is given in the caller's place. Files hold one value each and are read again when they change. */
export type CredentialConfiguration =
  | { kind: 'header'; name: string; valueFile: string }
  | { kind: 'bearer'; tokenFile: string }
  | { kind: 'basic'; usernameFile: string; passwordFile: string }
  | {
      kind: 'clientCredentials';
      /** By discovery; null when `tokenEndpoint` is given. */
      issuer: string | null;
      tokenEndpoint: string | null;
      clientIdFile: string;
      clientSecretFile: string;
      scope: string | null;
      /** RFC 8707. */
      resource: string | null;
      ca: string | null;
    };

/** What becomes of the `Authorization` header of the caller. */
export type CallerToken = (typeof CALLER_TOKENS)[number];
export const CALLER_TOKENS = ['Remove', 'Forward'] as const;
