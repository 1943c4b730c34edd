/**
 * Owns what each error of an S3 store, and of the way to it, means for us: one code, and one hint to the person who can mend it.
 * Invariant: a hint speaks of what can be done, names no secret, and holds for every store that gives this error, for who writes and
 * for who reads: both ask again for what may pass.
 */
import type { StoreErrorCode } from './object-store.ts';

export interface Meaning {
  code: StoreErrorCode;
  hint: string;
}

const NOT_FOUND: Meaning = {
  code: 'not_found',
  hint: 'The store holds no such object (or no such version).',
};
const DENIED: Meaning = {
  code: 'denied',
  hint: 'The credentials are known and may not do this. Compare their policy and the bucket policy with docs/object-stores.md; a store also answers so for an absent object when they may not list the bucket.',
};
const UNKNOWN_KEY: Meaning = {
  code: 'credentials',
  hint: 'The store does not know this access key, or the secret does not belong to it. Give the right pair; changed files and profiles are read again by themselves.',
};
const EXPIRED: Meaning = {
  code: 'credentials',
  hint: 'The temporary credentials have expired or are invalid. They are asked for again with the next attempt; if this stays, renew them where they come from.',
};
const CLOCK: Meaning = {
  code: 'clock_skew',
  hint: 'The clock of this machine and that of the store differ too much. The next attempt is signed with the time of the store; set the clock right (NTP), as recordings carry its time.',
};
const NO_BUCKET: Meaning = {
  code: 'misconfigured',
  hint: 'There is no such bucket at this endpoint. Check its name, the endpoint and the region; the recorder makes no buckets.',
};
export const OTHER_REGION: Meaning = {
  code: 'misconfigured',
  hint: 'The bucket is in another region or behind another endpoint. Set the region and the endpoint of the store.',
};
export const NO_OBJECT_LOCK: Meaning = {
  code: 'misconfigured',
  hint: 'Retention is asked for and the bucket has no Object Lock. Use a bucket that was made with it, or take the retention out of the configuration.',
};
const UNSUPPORTED: Meaning = {
  code: 'misconfigured',
  hint: 'The store does not know something that is asked of it: check storage class, encryption and retention against what this store offers (docs/object-stores.md).',
};
const THROTTLED: Meaning = {
  code: 'throttled',
  hint: 'The store asks for fewer requests. It is asked again after ever longer pauses; if this stays, raise the limits of the store.',
};
const FULL: Meaning = {
  code: 'full',
  hint: 'The store has no space left, or the quota of the bucket is used up. Free space or raise the quota; uploading goes on by itself.',
};
const DAMAGED: Meaning = {
  code: 'invalid',
  hint: 'What arrived at the store did not have the announced SHA-256: it was changed in memory or on the way. If this stays, look for a proxy that rewrites bodies.',
};
const BAD_REQUEST: Meaning = {
  code: 'invalid',
  hint: 'The store refuses this request as it is. Check prefix, storage class, encryption and retention against what this store offers.',
};
const FAULT: Meaning = {
  code: 'failed',
  hint: 'The store, or a proxy in front of it, reports a fault of its own. It is asked again; if this stays, look at the state of the store.',
};
const BUSY_KEY: Meaning = {
  code: 'failed',
  hint: 'Somebody else is writing this very key just now. The next attempt finds out who was first.',
};
const ARCHIVED: Meaning = {
  code: 'misconfigured',
  hint: 'The object is in an archive storage class and must be restored before it can be read.',
};
const ENCRYPTION_KEY: Meaning = {
  code: 'misconfigured',
  hint: 'The encryption key can not be used: check its id, its state, its region and that the credentials may use it.',
};
export const NO_S3: Meaning = {
  code: 'misconfigured',
  hint: 'What answers there is no S3 store: check the endpoint (host, port, http or https), path style, and proxies in between.',
};
export const PROXY_URL: Meaning = {
  code: 'misconfigured',
  hint: 'Set HTTP_PROXY or HTTPS_PROXY right: http://HOST:PORT, or with credentials http://USER:PASSWORD@HOST:PORT, in which characters such as / and @ are percent-encoded.',
};
export const NO_CREDENTIALS: Meaning = {
  code: 'credentials',
  hint: 'No usable credentials were found. Give them by environment, shared files, web identity, container or instance role, or as files of static keys.',
};
const NO_CONNECTION: Meaning = {
  code: 'unreachable',
  hint: 'No connection to the store, or it was cut. Check that it runs, the endpoint, network policies, and HTTP_PROXY, HTTPS_PROXY and NO_PROXY.',
};
const NO_ADDRESS: Meaning = {
  code: 'unreachable',
  hint: 'The host name of the store can not be resolved. Check the endpoint and DNS; without path style the bucket is part of the host name.',
};
const NO_ANSWER: Meaning = {
  code: 'timeout',
  hint: 'The store took the connection and stayed silent. It is asked again; if this stays, look at the load of the store and the network to it.',
};
const UNTRUSTED: Meaning = {
  code: 'misconfigured',
  hint: 'The certificate of the store is not trusted. Give the authority that signed it as CA file, and check host name and validity.',
};

/** `code` of errors about the CA file. */
export const CA_FILE_ERROR = 'ERR_CA_FILE';

const BY_S3_CODE: Readonly<Record<string, Meaning>> = {
  NoSuchKey: NOT_FOUND,
  NoSuchVersion: NOT_FOUND,
  AccessDenied: DENIED,
  AllAccessDisabled: DENIED,
  AccountProblem: DENIED,
  UnauthorizedAccess: DENIED,
  InvalidAccessKeyId: UNKNOWN_KEY,
  SignatureDoesNotMatch: UNKNOWN_KEY,
  InvalidSecurity: UNKNOWN_KEY,
  ExpiredToken: EXPIRED,
  InvalidToken: EXPIRED,
  InvalidTokenId: EXPIRED,
  TokenRefreshRequired: EXPIRED,
  RequestTimeTooSkewed: CLOCK,
  RequestExpired: CLOCK,
  NoSuchBucket: NO_BUCKET,
  InvalidBucketName: NO_BUCKET,
  PermanentRedirect: OTHER_REGION,
  TemporaryRedirect: OTHER_REGION,
  AuthorizationHeaderMalformed: OTHER_REGION,
  IllegalLocationConstraintException: OTHER_REGION,
  NotImplemented: UNSUPPORTED,
  InvalidStorageClass: UNSUPPORTED,
  InvalidEncryptionAlgorithmError: UNSUPPORTED,
  MethodNotAllowed: UNSUPPORTED,
  SlowDown: THROTTLED,
  SlowDownRead: THROTTLED,
  SlowDownWrite: THROTTLED,
  ServiceUnavailable: THROTTLED,
  RequestLimitExceeded: THROTTLED,
  TooManyRequests: THROTTLED,
  QuotaExceeded: FULL,
  InsufficientCapacity: FULL,
  XMinioStorageFull: FULL,
  XMinioAdminBucketQuotaExceeded: FULL,
  BadDigest: DAMAGED,
  InvalidDigest: DAMAGED,
  XAmzContentChecksumMismatch: DAMAGED,
  XAmzContentSHA256Mismatch: DAMAGED,
  IncompleteBody: NO_CONNECTION,
  RequestTimeout: NO_ANSWER,
  ConditionalRequestConflict: BUSY_KEY,
  OperationAborted: BUSY_KEY,
  InvalidObjectState: ARCHIVED,
  XMinioServerNotInitialized: FAULT,
};

const BY_STATUS: Readonly<Record<number, Meaning>> = {
  301: OTHER_REGION,
  302: OTHER_REGION,
  307: OTHER_REGION,
  308: OTHER_REGION,
  401: DENIED,
  403: DENIED,
  405: UNSUPPORTED,
  407: {
    code: 'misconfigured',
    hint: 'The HTTP proxy asks for credentials: give them in the URL of HTTP_PROXY or HTTPS_PROXY.',
  },
  408: NO_ANSWER,
  409: BUSY_KEY,
  429: THROTTLED,
  501: UNSUPPORTED,
  503: THROTTLED,
  507: FULL,
};

const BY_SYSTEM_CODE: Readonly<Record<string, Meaning>> = {
  ECONNREFUSED: NO_CONNECTION,
  ECONNRESET: NO_CONNECTION,
  ECONNABORTED: NO_CONNECTION,
  EPIPE: NO_CONNECTION,
  EHOSTUNREACH: NO_CONNECTION,
  EHOSTDOWN: NO_CONNECTION,
  ENETUNREACH: NO_CONNECTION,
  ENETDOWN: NO_CONNECTION,
  EADDRNOTAVAIL: NO_CONNECTION,
  ETIMEDOUT: NO_CONNECTION,
  ENOTFOUND: NO_ADDRESS,
  EAI_AGAIN: NO_ADDRESS,
  ERR_PROXY_TUNNEL: NO_CONNECTION,
  ERR_PROXY_INVALID_CONFIG: PROXY_URL,
  ERR_INVALID_URL: NO_S3,
  EPROTO: NO_S3,
  ERR_SSL_WRONG_VERSION_NUMBER: NO_S3,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_S3,
  ERR_TLS_CERT_ALTNAME_INVALID: UNTRUSTED,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  [CA_FILE_ERROR]: {
    code: 'misconfigured',
    hint: 'The CA file of the store can not be used: give a readable PEM file of certificate authorities.',
  },
  EMFILE: { code: 'failed', hint: 'Too many open files: raise the limit (ulimit -n) of this process.' },
};

/** What the store's own code means, or, when it gave none that is known, what the HTTP status does. */
export function meaningOfAnswer(status: number, s3Code: string | null): Meaning {
  const known = s3Code === null ? undefined : BY_S3_CODE[s3Code];
  if (known !== undefined) return known;
  if (s3Code?.startsWith('KMS.')) return ENCRYPTION_KEY;
  // A store says what is absent. A web server does not.
  if (status === 404) return s3Code === null ? NO_S3 : NOT_FOUND;
  const byStatus = BY_STATUS[status];
  if (byStatus !== undefined) return byStatus;
  if (status >= 500) return FAULT;
  return status < 400 ? NO_S3 : BAD_REQUEST;
}

/** What an error below HTTP means: of the connection, the name service, TLS; null when it is none of these. */
export function meaningOfConnection(error: Error, systemCode: string): Meaning | null {
  const known = BY_SYSTEM_CODE[systemCode];
  if (known !== undefined) return known;
  if (systemCode.startsWith('CERT_')) return UNTRUSTED;
  // Node's HTTP parser: what answers speaks no HTTP.
  if (systemCode.startsWith('HPE_')) return NO_S3;
  if (error.name !== 'TimeoutError') return null;
  return /did not establish a connection/.test(error.message) ? NO_CONNECTION : NO_ANSWER;
}
