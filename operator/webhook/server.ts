/**
 * Owns the port on which the API server asks the webhook.
 * Invariants: every question is answered within its time; whatever fails is told as a denial with its reason, so that the cause stands where
 * the person looks and no pod of a recorded server runs bare; bodies and patches are never logged.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { WEBHOOK_PATHS } from '../desired/webhook-configurations.ts';
import { type AdmissionRequest, type Answer, readReview, type Verdict, writeReview } from './admission.ts';
import type { KeyPair } from './issue-certificate.ts';
import { judgePod, judgeResource, judgeService, type JudgeParts } from './judge.ts';

export interface WebhookOptions {
  host: string;
  /** 0: any free one. */
  port: number;
  certificate: KeyPair;
  parts: JudgeParts;
  log: Logger;
  /** Told of each answer, for metrics. */
  onAnswer?(answer: {
    kind: 'pods' | 'services' | 'resources';
    outcome: Answer['outcome'];
    seconds: number;
  }): void;
  /** How long a question may take, ms. Default: less than the API server waits. */
  answerWithinMs?: number;
}

export interface WebhookServer {
  readonly port: number;
  /** The certificate of connections from now on; living ones go on. */
  useCertificate(certificate: KeyPair): void;
  /**
   * Stops. First it answers for `lingerMs` more, each time with the request to connect anew: API servers hold on to connections, and
   * another replica is told of only when endpoints have been updated.
   */
  close(lingerMs?: number): Promise<void>;
}

/** Both objects of an update, at most 1.5 MiB each in etcd, and what JSON adds. */
const MAX_BODY_BYTES = 8 * 2 ** 20;
/** Below `timeoutSeconds` of both kinds of entries, so that our own reason is shown. */
const ANSWER_WITHIN_MS = 2_500;
/** API servers keep an idle connection for 90 s; one that we closed meanwhile would cost a question. */
const KEEP_ALIVE_MS = 300_000;
const LINGER_MS = 5_000;

const JUDGES = {
  [WEBHOOK_PATHS.pods]: {
    kind: 'pods',
    judge: judgePod,
    failure:
      'A pod of a recorded server is refused rather than run unrecorded; who makes pods tries again by itself.',
  },
  [WEBHOOK_PATHS.services]: {
    kind: 'services',
    judge: judgeService,
    failure: 'Try again.',
  },
  [WEBHOOK_PATHS.resources]: { kind: 'resources', judge: judgeResource, failure: 'Try again.' },
} as const;

/** Starts to listen. @throws the error of `listen`, or for a certificate that can't be used */
export async function createWebhookServer(options: WebhookOptions): Promise<WebhookServer> {
  const { parts, log, onAnswer, answerWithinMs = ANSWER_WITHIN_MS } = options;
  let stopping = false;
  const server = https.createServer(
    {
      ...secureContext(options.certificate),
      handshakeTimeout: 5_000,
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
    (request, response) => {
      if (stopping) response.setHeader('connection', 'close');
      answer(request, response).catch((error: unknown) => {
        log.warn({ err: error }, 'a question to the webhook broke off');
        response.destroy();
      });
    },
  );

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const route = Object.entries(JUDGES).find(([path]) => path === request.url?.split('?')[0])?.[1];
    if (route === undefined)
      return refuse(response, 404, `only ${Object.values(WEBHOOK_PATHS).join(', ')} are here`);
    if (request.method !== 'POST') return refuse(response, 405, 'only POST is answered here');
    const body = await readBody(request);
    if (body === null) return refuse(response, 413, `at most ${MAX_BODY_BYTES} bytes are taken`);
    const question = readReview(body);
    if (question === null)
      return refuse(response, 400, 'the body is no AdmissionReview of admission.k8s.io/v1');
    const start = performance.now();
    const { body: answered, outcome } = writeReview(question, await judged(route, question));
    send(response, 200, answered);
    onAnswer?.({ kind: route.kind, outcome, seconds: (performance.now() - start) / 1_000 });
  }

  async function judged(
    route: (typeof JUDGES)[keyof typeof JUDGES],
    question: AdmissionRequest,
  ): Promise<Verdict> {
    const { namespace, operation } = question;
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => reject(new Error(`what is known of the namespace did not come within ${answerWithinMs} ms`)),
      answerWithinMs,
    );
    try {
      const verdict = await Promise.race([route.judge(question, parts), late]);
      if (!verdict.allowed) {
        log.info(
          { kind: route.kind, namespace, operation, message: verdict.message },
          'refused at admission',
        );
      }
      return verdict;
    } catch (error) {
      log.error({ err: error, kind: route.kind, namespace, operation }, 'an admission failed');
      const why = error instanceof Error ? error.message : String(error);
      return {
        allowed: false,
        code: 500,
        message: `mcp-recorder could not decide: ${why}. ${route.failure}`,
      };
    } finally {
      clearTimeout(timer);
    }
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    useCertificate: (certificate) => server.setSecureContext(secureContext(certificate)),
    async close(lingerMs = LINGER_MS) {
      stopping = true;
      await new Promise((resolve) => setTimeout(resolve, lingerMs));
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        setTimeout(() => server.closeAllConnections(), answerWithinMs).unref();
      });
    },
  };
}

function secureContext({ certificate, key }: KeyPair) {
  return { cert: certificate, key, minVersion: 'TLSv1.2' as const };
}

/** The whole body; null when it is too large. @throws when the connection breaks off */
async function readBody(request: IncomingMessage): Promise<string | null> {
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) return null;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** What an API server never sees. */
function refuse(response: ServerResponse, status: number, why: string): void {
  response.setHeader('connection', 'close');
  send(response, status, `${JSON.stringify({ error: `This is mcp-recorder's webhook: ${why}.` })}\n`);
}

function send(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}
