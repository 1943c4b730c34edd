/**
 * Owns what can go wrong between us and the API server, as one error with a reason that code can ask for.
 * Invariant: a message names the verb, the resource and the object, and never holds a body that we sent or a token; it is bounded.
 */

/** Reasons of ours, for what no API server said. The outcome of a change is then unknown: it may have been made. */
export type LocalReason =
  /** No connection, or one that broke. */
  | 'Unreachable'
  /** No whole answer in time. */
  | 'TimedOut'
  /** An answer that is not the API's. */
  | 'Unreadable';

/** Reasons of the API that code here or elsewhere asks for; others may come. */
export type ApiReason =
  | 'AlreadyExists'
  | 'BadRequest'
  | 'Conflict'
  | 'Expired'
  | 'Forbidden'
  | 'Gone'
  | 'InternalError'
  | 'Invalid'
  | 'MethodNotAllowed'
  | 'NotFound'
  | 'ServiceUnavailable'
  | 'Timeout'
  | 'TooManyRequests'
  | 'Unauthorized';

/** One of several things that are wrong, as the API says it. */
export interface KubeCause {
  reason: string;
  field: string;
  message: string;
}

export interface KubeErrorFacts {
  /** `apply services/status tools/github`. */
  call: string;
  /** HTTP status; null when there was no answer. */
  status: number | null;
  reason: ApiReason | LocalReason | (string & {});
  /** The API's own words, or the system's. */
  message: string;
  /** When the API asks to be left alone for a while (ms); at most a minute of it counts. */
  retryAfterMs?: number | null;
  causes?: readonly KubeCause[];
  cause?: unknown;
}

/** Answers of webhooks and validation can quote whole objects. */
const LONGEST_MESSAGE = 600;
/** What asks for more is not the API server, and nothing here is to rest for hours (ms). */
const LONGEST_WAIT_MS = 60_000;

const HINTS: Record<string, string> = {
  Forbidden:
    "The operator's role must allow it: look at the chart's RBAC, and at admission policies that may refuse it.",
  Unauthorized:
    "The credentials are not accepted: look at the service account's token, or at the kubeconfig.",
  Unreachable: 'Look at the network to the API server and at the API server itself.',
  TimedOut: 'Look at the load of the API server and at the network to it.',
  Unreadable: 'Something that is not the API server may answer at this address: look at proxies in between.',
};

export class KubeError extends Error {
  readonly status: number | null;
  readonly reason: KubeErrorFacts['reason'];
  readonly retryAfterMs: number | null;
  readonly causes: readonly KubeCause[];

  constructor(facts: KubeErrorFacts) {
    const { call, status, reason, message, retryAfterMs = null, causes = [], cause } = facts;
    const said = message.length > LONGEST_MESSAGE ? `${message.slice(0, LONGEST_MESSAGE)}...` : message;
    const hint = HINTS[reason];
    super(
      `${call}: ${status === null ? '' : `${status} `}${reason}: ${said}${hint === undefined ? '' : `. ${hint}`}`,
      cause === undefined ? undefined : { cause },
    );
    this.name = 'KubeError';
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs === null ? null : Math.min(retryAfterMs, LONGEST_WAIT_MS);
    this.causes = causes;
  }
}

/** Whether the API said one of these things; the list position is of no meaning. */
export function isKubeError(error: unknown, ...reasons: (ApiReason | LocalReason)[]): error is KubeError {
  return error instanceof KubeError && (reasons.length === 0 || reasons.includes(error.reason as ApiReason));
}

/** Waits for a change. That the API said one of these things of it is no failure. @throws whatever else went wrong */
export async function ignoring(
  change: Promise<unknown>,
  ...reasons: [ApiReason, ...ApiReason[]]
): Promise<void> {
  try {
    await change;
  } catch (error) {
    if (!isKubeError(error, ...reasons)) throw error;
  }
}

/** A resource version that the server no longer knows, or a list that took too long: only a fresh list helps. */
export function isExpired(error: unknown): boolean {
  return error instanceof KubeError && (error.status === 410 || isKubeError(error, 'Gone', 'Expired'));
}

/** What a `Status` object of the API says; null when the text is none. */
function parseStatus(text: string): Record<string, unknown> | null {
  try {
    const parsed: unknown = JSON.parse(text);
    const isObject = typeof parsed === 'object' && parsed !== null;
    return isObject && Reflect.get(parsed, 'kind') === 'Status' ? (parsed as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** The error of an answer that is not 2xx. @param retryAfter the header, if there is one */
export function errorOfAnswer(
  call: string,
  status: number,
  text: string,
  retryAfter: string | undefined,
): KubeError {
  const said = parseStatus(text);
  const facts =
    said === null ? { reason: REASONS[status] ?? 'Unreadable', message: text.trim() || 'no text' } : null;
  const seconds = Number(retryAfter ?? Number.NaN);
  const headerMs = Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : null;
  if (facts !== null) return new KubeError({ call, status, ...facts, retryAfterMs: headerMs });
  return errorOfStatus(call, said as Record<string, unknown>, { status, retryAfterMs: headerMs });
}

/** What servers in front of the API (and its own filters) say without a `Status`. */
const REASONS: Record<number, ApiReason> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Gone',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

/** The error of a `Status` object, from an answer or from within a watch. */
export function errorOfStatus(
  call: string,
  said: Record<string, unknown>,
  answer: { status?: number; retryAfterMs?: number | null } = {},
): KubeError {
  const code = typeof said['code'] === 'number' ? said['code'] : 500;
  const status = answer.status ?? code;
  const details = (typeof said['details'] === 'object' ? said['details'] : null) as Details | null;
  const seconds = details?.retryAfterSeconds;
  return new KubeError({
    call,
    status,
    reason: text(said['reason']) || (REASONS[status] ?? 'Unknown'),
    message: text(said['message']) || 'no message',
    retryAfterMs: typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : (answer.retryAfterMs ?? null),
    causes: (Array.isArray(details?.causes) ? details.causes : []).map((cause) => ({
      reason: text(cause.reason),
      field: text(cause.field),
      message: text(cause.message).slice(0, LONGEST_MESSAGE),
    })),
  });
}

interface Details {
  retryAfterSeconds?: unknown;
  causes?: Record<string, unknown>[];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
