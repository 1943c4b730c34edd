/**
 * Owns who may read the recording as it is made: the bearer of a token that stands in a file.
 * Invariants: nobody without it learns anything or makes the recorder load anything; tokens are compared in constant time; where nothing
 * encrypts the way, only this machine is answered.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type http from 'node:http';
import type { SpoolFiles } from '../spool/files.ts';
import { liveTokenPath } from '../spool/paths.ts';
import type { LiveReaders } from './readers.ts';
import type { LiveTap } from './tap.ts';

export interface LiveParts {
  tap: LiveTap;
  files: SpoolFiles;
  /** Of the spool. */
  directory: string;
  stream: string;
  place: { cluster: string; namespace: string; server: string };
  /** Every line with `seq` below this is on disk. */
  synced(): number;
  tokenFile: string;
  /** Whether the way to the reader is encrypted. */
  tls: boolean;
}

export interface Live {
  answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void>;
  /** Tells the readers that it ends, and lets them have what was written. */
  close(): Promise<void>;
}

/** 128 bits in the fewest characters that anybody writes them in. */
const MIN_TOKEN_CHARACTERS = 22;
const TOKEN_BYTES = 32;
const LOOPBACK = /^(?:127\.|::1$|::ffff:127\.)/;

/** Makes the token of a spool once (0600), beside what it lets read. @returns its file */
export async function makeLiveToken(spoolDirectory: string, files: SpoolFiles): Promise<string> {
  const file = liveTokenPath(spoolDirectory);
  const known = await files.read(file).catch(() => null);
  if (known === null || readToken(known) === null) {
    await files.writeWhole(file, Buffer.from(`${randomBytes(TOKEN_BYTES).toString('base64url')}\n`));
  }
  return file;
}

/** Answers who may read; what does it is loaded for the first of them. */
export function createLive(parts: LiveParts): Live {
  let readers: Promise<LiveReaders> | null = null;
  return {
    async answer(request, response) {
      if (!parts.tls && !LOOPBACK.test(request.socket.remoteAddress ?? '')) {
        return refuse(response, 403, 'Without TLS this is only for programs on the machine of the recorder.');
      }
      const token = readToken(await parts.files.read(parts.tokenFile).catch(() => Buffer.alloc(0)));
      if (token === null) {
        const needed = `at least ${MIN_TOKEN_CHARACTERS} characters on one line`;
        return refuse(
          response,
          503,
          `The recorder can't read its token file, or it does not hold ${needed}.`,
        );
      }
      if (!isEqual(request.headers.authorization ?? '', `Bearer ${token}`)) {
        response.setHeader('www-authenticate', 'Bearer');
        return refuse(response, 401, 'This needs the token of the recorder: Authorization: Bearer TOKEN.');
      }
      readers ??= import('./readers.ts').then(({ createLiveReaders }) => createLiveReaders(parts));
      (await readers).add(request, response);
    },
    async close() {
      await (await readers)?.close();
    },
  };
}

/** The token in the bytes of a file, or null when there is none that could be used. */
function readToken(bytes: Buffer): string | null {
  const text = bytes.toString('utf8').trim();
  return text.length >= MIN_TOKEN_CHARACTERS && !/\s/.test(text) ? text : null;
}

/** Digests have one length whatever was sent. */
function isEqual(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

function refuse(response: http.ServerResponse, status: number, error: string): void {
  const body = `${JSON.stringify({ error }, null, 2)}\n`;
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  response.end(body);
}
