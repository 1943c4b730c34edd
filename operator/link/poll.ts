/**
 * Owns one question to a sidecar's status port: TLS with the operator's certificate, `GET /link`, the answer checked at the edge.
 * Invariant: every question is a new connection, for one that was open before a policy came goes on after it; an answer is bounded in size
 * and time. The sidecar's own certificate proves nothing and is not looked at: the token in the answer does.
 */
import http from 'node:http';
import tls, { type SecureContext } from 'node:tls';
import { z } from 'zod';

const MAX_BODY_BYTES = 256 * 1024;
const TIMEOUT_MS = 2_000;
/** How much of a refusal's text goes into a message for people. */
const MAX_QUOTE = 200;

const text = z.string().max(4_096);

/** What the operator uses of the answer; a newer sidecar may say more. */
const linkSchema = z.object({
  /** Null: the sidecar can't read it. */
  token: z.string().min(1).max(16_384).nullable(),
  status: z.object({
    gate: z.object({
      state: z.enum(['Open', 'Degraded', 'Closed', 'FailOpen']),
      reason: text.nullable(),
      message: text.nullable(),
      hint: text.nullable(),
    }),
    stream: text,
    draining: z.boolean(),
    version: text,
    auth: z
      .object({
        issuers: z
          .array(
            z.object({
              issuer: text,
              state: z.enum(['Ok', 'Stale', 'Unavailable']),
              problem: text.nullable(),
              since: text,
            }),
          )
          .max(100),
      })
      .exactOptional(),
    rules: z
      .object({
        errors: z
          .array(z.object({ rule: text, count: z.int().min(0), last_at: text, problem: text }))
          .max(200),
      })
      .exactOptional(),
    credential: z.object({ problem: text.nullable() }).nullable().exactOptional(),
  }),
  configuration: z.object({
    digest: text,
    restart_needed: z.array(text).max(100),
    refused: text.nullable(),
  }),
  server: z.object({
    port: z.int().min(0).max(65_535),
    listens: z.enum(['any', 'loopback', 'none']),
    foreign_connections: z.array(text).max(100),
  }),
});

/** A sidecar's answer as it stands on the wire. */
export type RawLink = z.output<typeof linkSchema>;

/** `why` is a sentence for people without its full stop. */
export type PollResult = { ok: true; link: RawLink } | { ok: false; why: string };

/** Who asks whom. */
export interface PollTarget {
  host: string;
  port: number;
  /** The operator's client certificate. */
  secureContext: SecureContext;
}

/**
 * Asks once. Never rejects: what went wrong is the result.
 * @param timeoutMs for the connection, the handshake and the whole answer together
 */
export async function pollLink(
  { host, port, secureContext }: PollTarget,
  timeoutMs = TIMEOUT_MS,
): Promise<PollResult> {
  const where = `${bracketed(host)}:${port}`;
  let answer: { status: number; body: string };
  try {
    answer = await get({ host, port, secureContext }, AbortSignal.timeout(timeoutMs));
  } catch (error) {
    return {
      ok: false,
      why: `the recorder's status port ${where} did not answer: ${words(error, timeoutMs)}`,
    };
  }
  if (answer.status !== 200) {
    const quote = answer.body.slice(0, MAX_QUOTE).trim();
    return { ok: false, why: `the recorder's status port ${where} answered ${answer.status}: ${quote}` };
  }
  const checked = linkSchema.safeParse(parseJson(answer.body));
  if (checked.success) return { ok: true, link: checked.data };
  const [issue] = checked.error.issues;
  const what = issue === undefined ? '' : `: ${issue.path.join('.') || 'it'} ${issue.message}`;
  return { ok: false, why: `${where} answered, but not as a recorder of this version does${what}` };
}

/** An address as it stands before a port. */
function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function get(target: PollTarget, signal: AbortSignal): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const { host, port, secureContext } = target;
    const request = http.get({
      host,
      port,
      path: '/link',
      createConnection: () => tls.connect({ host, port, secureContext, rejectUnauthorized: false }),
      signal,
      maxHeaderSize: 8_192,
      headers: { accept: 'application/json' },
    });
    request.once('error', reject);
    request.once('response', (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        chunks.push(chunk);
        if (bytes > MAX_BODY_BYTES)
          request.destroy(new Error(`its answer is larger than ${MAX_BODY_BYTES} bytes`));
      });
      response.once('error', reject);
      response.once('aborted', () => reject(new Error('it broke off its answer')));
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
      );
    });
  });
}

function words(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return `nothing within ${timeoutMs} ms`;
  return error.message;
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
