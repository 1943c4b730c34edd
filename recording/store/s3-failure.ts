/**
 * Owns the translation of whatever the AWS SDK throws into a StoreError.
 * Invariant: nothing of the SDK's own error objects goes further: they carry signed headers and, in some answers, the token itself.
 */
import { StoreError } from './object-store.ts';
import {
  meaningOfAnswer,
  meaningOfConnection,
  NO_CREDENTIALS,
  NO_OBJECT_LOCK,
  NO_S3,
  OTHER_REGION,
  PROXY_URL,
  type Meaning,
} from './s3-meanings.ts';

/** The name by which s3-credentials.ts and the SDK say that there are no credentials. */
export const CREDENTIALS_ERROR = 'CredentialsProviderError';

/** What the store answered, without anything secret. */
export interface S3Answer {
  /** HTTP. */
  status: number;
  /** The store's own code (`NoSuchKey`); null when the answer had none, as those to HEAD. */
  s3Code: string | null;
}

const MAX_MESSAGE = 300;
const UNKNOWN: Meaning = {
  code: 'failed',
  hint: 'This failure is not known here. It is tried again; the message says what happened.',
};

class AnswerError extends Error implements S3Answer {
  readonly status: number;
  readonly s3Code: string | null;

  constructor(message: string, { status, s3Code }: S3Answer) {
    super(message);
    this.name = 'S3Answer';
    this.status = status;
    this.s3Code = s3Code;
  }
}

/** The store's answer behind a StoreError, or null when it never answered. */
export function answerOf(error: unknown): S3Answer | null {
  return error instanceof StoreError && error.cause instanceof AnswerError ? error.cause : null;
}

function property(from: unknown, name: string): unknown {
  return typeof from === 'object' && from !== null ? (from as Record<string, unknown>)[name] : undefined;
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

/** One line, bounded, and without user names and passwords in URLs or what a store might repeat of a signed request. */
function presentable(message: string): string {
  const line = message
    .replaceAll(/(signature|credential|token|authorization)(["']?\s*[=:]\s*)\S+/gi, '$1$2[withheld]')
    .replaceAll(/\p{Cc}+/gu, ' ')
    // Up to the last @: a password that is not encoded may hold one, and a slash.
    .replace(/\/\/.*@/, '//[withheld]@')
    .trim();
  return line.length > MAX_MESSAGE ? `${line.slice(0, MAX_MESSAGE)}...` : line;
}

function headersOf(error: unknown): unknown {
  return property(property(error, '$response'), 'headers');
}

function statusOf(error: unknown): number | null {
  const status =
    property(property(error, '$response'), 'statusCode') ??
    property(property(error, '$metadata'), 'httpStatusCode');
  return typeof status === 'number' ? status : null;
}

/** Node gathers the failures of several addresses of one host in an AggregateError without a message. */
function connectionMessage(error: Error): string {
  if (!(error instanceof AggregateError)) return error.message;
  return error.errors.map((one: unknown) => (one instanceof Error ? one.message : String(one))).join('; ');
}

/** An answer to HEAD has no body: MinIO says its code in a header, AWS the region. */
function answerFailure(
  operation: StoreError['operation'],
  key: string,
  error: unknown,
  status: number,
): StoreError {
  const headers = headersOf(error);
  const s3Code = text(property(error, 'Code')) ?? text(property(headers, 'x-minio-error-code'));
  const said = text(property(error, 'message'));
  const region = text(property(error, 'Region')) ?? text(property(headers, 'x-amz-bucket-region'));
  const endpoint = text(property(error, 'Endpoint'));
  const requestId = text(property(headers, 'x-amz-request-id'));
  let meaning = meaningOfAnswer(status, s3Code);
  if (s3Code === 'InvalidRequest' && /object ?lock/i.test(said ?? '')) meaning = NO_OBJECT_LOCK;
  const bodiless = operation === 'head' || status === 304;
  if (s3Code === null && !bodiless && status < 500 && status !== 403 && meaning.code === 'invalid')
    meaning = NO_S3;
  const place = [region && `its region is ${region}`, endpoint && `its endpoint is ${endpoint}`].filter(
    Boolean,
  );
  const hint =
    meaning === OTHER_REGION && place.length > 0
      ? `${meaning.hint} The store says: ${presentable(place.join(', '))}.`
      : meaning.hint;
  const what = s3Code === null ? 'an answer without an S3 error code' : `${s3Code}: ${said ?? ''}`;
  const trace = requestId === null ? '' : `, request ${requestId}`;
  const cause = new AnswerError(presentable(`HTTP ${status}${trace}, ${what}`), { status, s3Code });
  return new StoreError(meaning.code, operation, key, hint, cause);
}

/** Any error of a request as StoreError; one that is a StoreError already stays as it is. */
export function s3Failure(operation: StoreError['operation'], key: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const fail = ({ code, hint }: Meaning, message: string) =>
    new StoreError(code, operation, key, hint, new Error(presentable(message)));
  if (!(error instanceof Error)) return fail(UNKNOWN, String(error));
  if (error.name === CREDENTIALS_ERROR) return fail(NO_CREDENTIALS, error.message);
  const systemCode = text(property(error, 'code')) ?? '';
  const status = statusOf(error);
  if (status !== null && status >= 300) return answerFailure(operation, key, error, status);
  const connection = meaningOfConnection(error, systemCode);
  // Node's own message repeats the URL, password included.
  // A tunnel that the proxy did not make: its own answer says why.
  if (systemCode === 'ERR_PROXY_TUNNEL' && property(error, 'statusCode') === 407)
    return fail(meaningOfAnswer(407, null), error.message);
  if (connection === PROXY_URL) return fail(connection, 'the URL of the proxy can not be read');
  if (connection !== null) return fail(connection, connectionMessage(error));
  if (status !== null) return notS3(operation, key, `HTTP ${status} with a body that is no S3 answer`);
  if (/region is missing/i.test(error.message)) return fail(OTHER_REGION, error.message);
  return fail(UNKNOWN, `${error.name}: ${error.message}`);
}

/** For answers that look like success and come from something else: a login page, a proxy, another service. */
export function notS3(operation: StoreError['operation'], key: string, what: string): StoreError {
  return new StoreError(NO_S3.code, operation, key, NO_S3.hint, new Error(what));
}
