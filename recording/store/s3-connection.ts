/**
 * Owns the way to an S3 store: agents, certificates, proxies, time-outs, credentials, and how one request begins and ends.
 * Invariant: a request is sent once. When to try again is the caller's policy, never the SDK's.
 */
import fs from 'node:fs';
import https from 'node:https';
import type tls from 'node:tls';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import type { StoreError } from './object-store.ts';
import { createS3Credentials } from './s3-credentials.ts';
import { s3Failure } from './s3-failure.ts';
import { CA_FILE_ERROR } from './s3-meanings.ts';
import type { S3StoreOptions } from './s3-options.ts';

// An import would load more, and keep it (docs/adr/0006-memory-of-a-sidecar.md).
const { Agent } = process.getBuiltinModule('node:http');
const { createSecureContext, getCACertificates } = process.getBuiltinModule('node:tls');

export interface S3TimeLimits {
  /** Until TCP, or the tunnel of a proxy, is there; the handshake of TLS counts as idleness. */
  connectMs: number;
  /** Without a byte in either direction. The SDK begins to look after 3 s. */
  idleMs: number;
}
export const S3_TIME_LIMITS: S3TimeLimits = { connectMs: 3_000, idleMs: 15_000 };

/** Connections that are kept for the next request, and how long: stores close idle ones after 20 s and more. */
const SPARE_SOCKETS = 16;
const SPARE_SOCKET_MS = 10_000;
/** Stores of one's own mostly take any region; a signature needs one. */
const ANY_REGION = 'us-east-1';

export interface S3Connection {
  /**
   * One request, or one that is read to its end.
   * @throws the signal's reason when it is aborted, else StoreError
   */
  ask<T>(
    operation: StoreError['operation'],
    key: string,
    signal: AbortSignal | undefined,
    send: (client: S3Client, options: { abortSignal?: AbortSignal }) => Promise<T>,
  ): Promise<T>;
  /** Epoch milliseconds as the store sees them, as far as its answers have told. */
  storeTimeMs(): number;
}

/** Settles as `work`, or rejects with the signal's reason at once: looking for credentials can't be called off. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work;
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Made once for all connections: Node would else parse every authority again for each. */
function trustContext(caFile: string, readCa: () => string): tls.SecureContext {
  try {
    const added = readCa();
    if (!added.includes('-----BEGIN CERTIFICATE-----')) throw new Error(`${caFile} holds no PEM certificate`);
    return createSecureContext({ ca: [...getCACertificates('default'), added] });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw Object.assign(new Error(why), { code: CA_FILE_ERROR });
  }
}

function requestHandlerOptions({ caFile, readCa }: S3StoreOptions, limits: S3TimeLimits) {
  const secureContext = (file: string) => trustContext(file, readCa ?? (() => fs.readFileSync(file, 'utf8')));
  const agent = {
    keepAlive: true,
    // Callers bound their own number. A request that waits here for a socket would be taken for one that can't connect.
    maxSockets: Number.POSITIVE_INFINITY,
    maxFreeSockets: SPARE_SOCKETS,
    timeout: SPARE_SOCKET_MS,
    proxyEnv: process.env,
  };
  return {
    connectionTimeout: limits.connectMs,
    socketTimeout: limits.idleMs,
    httpAgent: new Agent(agent),
    httpsAgent: new https.Agent(caFile === null ? agent : { ...agent, secureContext: secureContext(caFile) }),
  };
}

/** Else the SDK's own way (environment, profile); a store that is not AWS does without. */
async function findRegion({ region, endpoint }: S3StoreOptions): Promise<string> {
  if (region !== null) return region;
  try {
    return await new S3Client({}).config.region();
  } catch (error) {
    if (endpoint === null) throw error;
    return ANY_REGION;
  }
}

/** Nothing is connected, read or looked for before the first request. */
export function createS3Connection(options: S3StoreOptions, limits: S3TimeLimits): S3Connection {
  let client: S3Client | null = null;
  let region: string | null = null;
  let clockOffsetMs = 0;
  /** What `readCa` gave for the client. */
  let trusted: string | null = null;
  const credentials = createS3Credentials(options.credentialFiles);

  /** The next request gets a new client; those on their way keep theirs. */
  function forgetClient(): void {
    clockOffsetMs = client?.config.systemClockOffset ?? clockOffsetMs;
    client = null;
  }

  function makeClient(): S3Client {
    trusted = options.readCa?.() ?? null;
    const config: S3ClientConfig = {
      region: async () => (region ??= await findRegion(options)),
      ...(options.endpoint === null ? {} : { endpoint: options.endpoint }),
      forcePathStyle: options.pathStyle,
      credentials: credentials.provide,
      requestHandler: requestHandlerOptions(options, limits),
      systemClockOffset: clockOffsetMs,
      customUserAgent: 'mcp-recorder',
      maxAttempts: 1,
      retryMode: 'standard',
      defaultsMode: 'standard',
      // The SHA-256 is known: the SDK's own sums would only cost, and some stores refuse their form.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      // Its pause before the body would take a connection of its own for each request.
      expectContinueHeader: false,
      followRegionRedirects: false,
    };
    return new S3Client(config);
  }

  return {
    async ask(operation, key, signal, send) {
      signal?.throwIfAborted();
      const { generation } = credentials;
      try {
        if (client !== null && options.readCa !== undefined && options.readCa() !== trusted) forgetClient();
        client ??= makeClient();
        return await untilAborted(send(client, signal === undefined ? {} : { abortSignal: signal }), signal);
      } catch (error) {
        signal?.throwIfAborted();
        const failure = s3Failure(operation, key, error);
        if (failure.code === 'credentials') credentials.renew(generation);
        // A certificate that is not trusted may be of a new authority, and the CA file exchanged meanwhile.
        if (failure.code === 'misconfigured' && options.caFile !== null) forgetClient();
        throw failure;
      }
    },
    storeTimeMs: () => Date.now() + (client?.config.systemClockOffset ?? clockOffsetMs),
  };
}
