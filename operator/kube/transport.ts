/**
 * Owns single requests to the API server: connections, credentials, deadlines, and the count of what was asked.
 * Invariants: HTTP/1.1 over a bounded number of kept connections; each request has a deadline; nothing is tried twice here, so that one call
 * is one request; bodies and tokens are never logged.
 */
import { buildConnector, Pool, type Dispatcher } from 'undici';
import type { Access, TlsMaterial } from './access.ts';
import { errorOfAnswer, KubeError, type LocalReason } from './kube-error.ts';

export interface KubeRequest {
  /** `get`, `list`, `watch`, `create`, `update`, `apply`, `patch`, `delete`. */
  verb: string;
  /** `pods`, `pods/eviction`. */
  resource: string;
  /** `tools/github-0`; empty for collections. */
  object: string;
  method: Dispatcher.HttpMethod;
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  contentType?: string;
  /** Default: `application/json`. */
  accept?: string;
  signal?: AbortSignal | undefined;
}

/** How many calls ended how; for metrics, and to see what a loop costs. */
export interface CallCount {
  verb: string;
  resource: string;
  /** HTTP status; 0 when there was no answer. */
  status: number;
  count: number;
}

export interface Transport {
  /**
   * The answer's JSON.
   * @param timeoutMs for everything, from the waiting for a connection to the last byte
   * @throws KubeError, or the signal's reason when it aborts
   */
  send(request: KubeRequest, timeoutMs: number): Promise<unknown>;
  /**
   * The bytes of an answer without a known end.
   * @param idleMs the longest silence within it; its beginning is waited for less long
   * @param opened called when it has begun
   * @throws KubeError, also while it is read
   */
  stream(request: KubeRequest, idleMs: number, opened?: () => void): AsyncIterable<Buffer>;
  counts(): CallCount[];
  /** Ends all connections; requests under way fail. */
  close(): Promise<void>;
}

/** Connections for calls; watches have their own, one each. */
const CONNECTIONS = 16;
const CONNECT_TIMEOUT_MS = 10_000;
/** A stream begins at once, also when nothing is to be said yet. */
const STREAM_BEGIN_MS = 15_000;
/** The API server gives up idle connections after 90 s. */
const KEEP_ALIVE_MS = 60_000;
/** A machine that is gone without a word is noticed after this and ten probes of a second each. */
const TCP_KEEP_ALIVE_MS = 15_000;

export function createTransport(access: Access): Transport {
  const connect = createConnector(access);
  const shared = {
    allowH2: false,
    pipelining: 1,
    connect,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
  };
  const calls = new Pool(access.origin, { ...shared, connections: CONNECTIONS });
  const watches = new Pool(access.origin, shared);
  const counts = new Map<string, CallCount>();

  function count({ verb, resource }: KubeRequest, status: number): void {
    const key = `${verb} ${resource} ${status}`;
    const entry = counts.get(key) ?? { verb, resource, status, count: 0 };
    entry.count += 1;
    counts.set(key, entry);
  }

  /** Sends, and turns everything but 2xx into the error that it is. */
  async function begin(
    pool: Pool,
    request: KubeRequest,
    limits: { signal?: AbortSignal; beginMs: number; idleMs: number },
  ): Promise<Dispatcher.ResponseData> {
    const { method, path, query, body, contentType = 'application/json' } = request;
    const { accept = 'application/json' } = request;
    const token = access.token();
    const answer = await pool.request({
      method,
      path,
      ...(query === undefined ? {} : { query: withoutUndefined(query) }),
      headers: {
        accept,
        'user-agent': 'mcp-recorder-operator',
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': contentType }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(limits.signal === undefined ? {} : { signal: limits.signal }),
      headersTimeout: limits.beginMs,
      bodyTimeout: limits.idleMs,
    });
    if (answer.statusCode >= 200 && answer.statusCode <= 299) return answer;
    const retryAfter = answer.headers['retry-after'];
    throw errorOfAnswer(
      nameOf(request),
      answer.statusCode,
      await answer.body.text(),
      typeof retryAfter === 'string' ? retryAfter : undefined,
    );
  }

  /** What is thrown for a request that failed with `error`. */
  function failure(request: KubeRequest, error: unknown, patienceMs: number): unknown {
    if (error instanceof KubeError) return error;
    if (request.signal?.aborted === true) return request.signal.reason;
    const reason = localReason(error);
    return new KubeError({
      call: nameOf(request),
      status: null,
      reason,
      message: reason === 'TimedOut' ? `nothing came within ${patienceMs} ms` : reasonText(error),
      cause: error,
    });
  }

  return {
    async send(request, timeoutMs) {
      const { signal, settle } = withDeadline(request.signal, timeoutMs);
      let status = 0;
      try {
        const answer = await begin(calls, request, { signal, beginMs: timeoutMs, idleMs: timeoutMs });
        const text = await answer.body.text();
        status = answer.statusCode;
        return parseAnswer(request, status, text);
      } catch (error) {
        const thrown = failure(request, error, timeoutMs);
        if (thrown instanceof KubeError) status = thrown.status ?? 0;
        throw thrown;
      } finally {
        settle();
        count(request, status);
      }
    },
    async *stream(request, idleMs, opened) {
      const { signal } = request;
      let status = 0;
      let isCounted = false;
      const countOnce = () => {
        if (!isCounted) count(request, status);
        isCounted = true;
      };
      try {
        const answer = await begin(watches, request, {
          beginMs: STREAM_BEGIN_MS,
          idleMs,
          ...(signal === undefined ? {} : { signal }),
        });
        status = answer.statusCode;
        countOnce();
        opened?.();
        yield* answer.body as AsyncIterable<Buffer>;
      } catch (error) {
        const thrown = failure(request, error, idleMs);
        if (thrown instanceof KubeError) status = thrown.status ?? 0;
        throw thrown;
      } finally {
        countOnce();
      }
    },
    counts: () => [...counts.values()].map((entry) => ({ ...entry })),
    async close() {
      await Promise.all([calls.destroy(), watches.destroy()]);
    },
  };
}

/** Connects with what the files hold at that time; TLS sessions are kept as long as it is the same. */
function createConnector(access: Access): buildConnector.connector {
  let current: { material: TlsMaterial; connect: buildConnector.connector } | null = null;
  return (options, callback) => {
    try {
      const material = access.tls();
      if (current === null || JSON.stringify(material) !== JSON.stringify(current.material)) {
        const { ca, cert, key, servername } = material;
        const connect = buildConnector({
          allowH2: false,
          timeout: CONNECT_TIMEOUT_MS,
          keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
          ...(ca === null ? {} : { ca }),
          ...(cert === null ? {} : { cert }),
          ...(key === null ? {} : { key }),
          ...(servername === null ? {} : { servername }),
        });
        current = { material, connect };
      }
      current.connect(options, callback);
    } catch (error) {
      callback(error as Error, null);
    }
  };
}

/**
 * A signal that aborts with the given one, or when the time has passed.
 * Not `AbortSignal.timeout`: its timer would stay for the whole time after each call.
 * @returns also what is to be called when the call has ended
 */
function withDeadline(
  given: AbortSignal | undefined,
  timeoutMs: number,
): { signal: AbortSignal; settle(): void } {
  const both = new AbortController();
  const late = () => both.abort(new DOMException('the time has passed', 'TimeoutError'));
  const relay = () => both.abort(given?.reason);
  const timer = setTimeout(late, timeoutMs);
  given?.addEventListener('abort', relay);
  if (given?.aborted === true) relay();
  return {
    signal: both.signal,
    settle() {
      clearTimeout(timer);
      given?.removeEventListener('abort', relay);
    },
  };
}

function parseAnswer(request: KubeRequest, status: number, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new KubeError({ call: nameOf(request), status, reason: 'Unreadable', message: 'not JSON', cause });
  }
}

/** How messages name a call. */
export function nameOf({ verb, resource, object }: KubeRequest): string {
  return object === '' ? `${verb} ${resource}` : `${verb} ${resource} ${object}`;
}

const TIMEOUTS = new Set(['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']);

function localReason(error: unknown): LocalReason {
  const { name, code } = error as NodeJS.ErrnoException;
  return name === 'TimeoutError' || TIMEOUTS.has(code ?? '') ? 'TimedOut' : 'Unreachable';
}

function reasonText(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(reasonText).join('; ');
  return error instanceof Error ? error.message : String(error);
}

function withoutUndefined(query: NonNullable<KubeRequest['query']>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
  );
}
