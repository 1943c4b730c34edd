/**
 * Owns following a recorder over its status port: connected, read line by line, connected again when that ends.
 * Invariants: each connection asks for what follows the last line that came; a connection that is silent is given up; what is held of an answer
 * is one line and what the system has read.
 */
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import type { Place } from '@mcp-recorder/recording/index/row';
import { CommandFailure, describeFailure } from '../failure.ts';
import { printableLine } from '../printable.ts';
import type { Entry, Ordering } from './ordering.ts';

export interface LiveSourceOptions {
  url: URL;
  tokenFile: string;
  /** Certificates (PEM) that are trusted, or the recorder's own; null: those of the system. */
  caFile: string | null;
  ordering: Ordering;
  /** When we began (ms since the epoch): streams that are younger are shown from their first line. */
  startMs: number;
  /** Whether what the recorder still holds of before is asked for. */
  past: boolean;
  offer(entry: Entry): void;
  say(message: string): void;
  /** Resolves when more may be shown. */
  ready(): Promise<void>;
  signal: AbortSignal;
}

interface Begin {
  live: 'begin';
  stream: string;
  next: number;
  cluster: string;
  namespace: string;
  server: string;
}

/** Heart-beats come every 5 s. */
const SILENCE_MS = 20_000;
const CONNECT_MS = 10_000;
const BACKOFF_MS = [500, 1_000, 2_000, 5_000, 10_000] as const;
/** Above what a recorder makes of one line. */
const MAX_LINE_BYTES = 64 * 1024 * 1024;
const LF = 0x0a;
const HEAD = /^\{"v":\d+,"stream":"([0-9A-Z]{26})","seq":(\d+),/;
/** Sorts before every stream: asks for all that is held. */
const NO_STREAM = '0'.repeat(26);

/**
 * Follows until the signal.
 * @throws CommandFailure when the first answer says that it can't be (no such token, no such path, no trust)
 */
export async function followLive(options: LiveSourceOptions): Promise<void> {
  const { say, signal, url } = options;
  const state: State = {
    last: options.past ? { stream: NO_STREAM, seq: -1 } : null,
    place: null,
    connected: false,
  };
  let failures = 0;
  while (!signal.aborted) {
    const before = state.connected;
    state.connected = false;
    let why: string;
    try {
      why = await readOnce(options, state, failures > 0 || before);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof CommandFailure && failures === 0 && !before) throw error;
      why = printableLine(error instanceof Error ? describeFailure(error) : String(error));
    }
    if (signal.aborted) return;
    failures = state.connected ? 0 : failures + 1;
    if (failures <= 1) say(`${url.origin} is not followed live now: ${why}. It is connected to again.`);
    // A recorder that was not there, or is another one now, is read from what it holds.
    state.last ??= { stream: NO_STREAM, seq: -1 };
    const waitMs = BACKOFF_MS[Math.min(failures, BACKOFF_MS.length - 1)] ?? 0;
    await pause(waitMs, undefined, { signal }).catch(() => {});
  }
}

interface State {
  /** The last line that came; null: only what comes from now on is wanted. */
  last: { stream: string; seq: number } | null;
  place: Place | null;
  /** The last attempt was answered. */
  connected: boolean;
}

/** @returns why it ended */
async function readOnce(options: LiveSourceOptions, state: State, again: boolean): Promise<string> {
  const { url, ordering, say, ready, offer, startMs } = options;
  const response = await connect(options, state.last);
  state.connected = true;
  if (again) say(`${url.origin} is followed live again.`);
  let rest: Buffer[] = [];
  let restBytes = 0;
  let why = 'the connection ended';
  let begin = null as Begin | null;

  function take(line: Buffer): void {
    const head = HEAD.exec(line.toString('latin1', 0, 100));
    if (head !== null) {
      const [, stream = '', seq = ''] = head;
      if (begin !== null) begins(begin);
      begin = null;
      state.last = { stream, seq: Number(seq) };
      if (state.place !== null) offer({ place: state.place, stream, seq: Number(seq), bytes: line });
      return;
    }
    const told = JSON.parse(line.toString('utf8')) as Begin | { live: 'beat' | 'end'; reason?: string };
    if (told.live === 'end') why = `the recorder says ${JSON.stringify(told.reason)}`;
    if (told.live !== 'begin') return;
    state.place = { cluster: told.cluster, namespace: told.namespace, server: told.server };
    // Another may follow before the first line, when what was asked for is not held any more.
    begin = told;
  }

  /** Where a stream begins for us that is not known yet. */
  function begins({ stream, next }: Begin): void {
    const isYoung = streamMs(stream) >= startMs;
    // What a running stream recorded before we came is not asked for, unless the past is.
    if (state.last === null && !isYoung) ordering.begin(stream, next, true);
    else ordering.begin(stream, isYoung ? 0 : next, false);
  }

  for await (const chunk of response as AsyncIterable<Buffer>) {
    await ready();
    let start = 0;
    for (let feed = chunk.indexOf(LF); feed >= 0; feed = chunk.indexOf(LF, start)) {
      rest.push(chunk.subarray(start, feed));
      take(Buffer.concat(rest));
      rest = [];
      restBytes = 0;
      start = feed + 1;
    }
    if (start < chunk.length) rest.push(Buffer.from(chunk.subarray(start)));
    restBytes += chunk.length - start;
    if (restBytes > MAX_LINE_BYTES) {
      response.destroy();
      return 'a line of its answer is longer than any line';
    }
  }
  return why;
}

async function connect(options: LiveSourceOptions, last: State['last']): Promise<http.IncomingMessage> {
  const { url, tokenFile, caFile, signal } = options;
  const token = (await readFile(tokenFile, 'utf8').catch(refuseFile)).trim();
  if (!/^[\x21-\x7e]+$/.test(token)) throw new CommandFailure(`${tokenFile} holds no token.`);
  const target = new URL('/live', url);
  if (last !== null) target.search = `?stream=${last.stream}&seq=${last.seq}`;
  const common = { headers: { authorization: `Bearer ${token}` }, agent: false, signal } as const;
  const request =
    url.protocol === 'https:'
      ? https.get(target, { ...common, ...(caFile === null ? {} : await trust(caFile)) })
      : http.get(target, common);
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const timer = setTimeout(
      () => request.destroy(new Error(`no answer within ${CONNECT_MS / 1_000} s`)),
      CONNECT_MS,
    );
    request.once('response', (answer) => {
      clearTimeout(timer);
      resolve(answer);
    });
    request.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
  });
  request.setTimeout(SILENCE_MS, () =>
    response.destroy(new Error(`it was silent for ${SILENCE_MS / 1_000} s`)),
  );
  if (response.statusCode === 200) return response;
  response.resume();
  response.on('error', () => {});
  throw refusal(url, response.statusCode ?? 0);
}

function refusal(url: URL, status: number): Error {
  switch (status) {
    case 401:
      return new CommandFailure(
        `${url.origin} does not take the token of --token-file. It is the one that the recorder has: live-token in its spool, or status.live.tokenFile.`,
      );
    case 403:
      return new CommandFailure(`${url.origin} has no TLS, and answers only programs on its own machine.`);
    case 404:
      return new CommandFailure(
        `${url.origin} gives nothing live: it is no status port of a recorder, or status.live is not configured there.`,
      );
    default:
      return new Error(`it answers ${status}`);
  }
}

function refuseFile(error: unknown): never {
  throw new CommandFailure(describeFailure(error));
}

/** A recorder makes its own certificate: where it stands in the file itself, its name does not matter. */
async function trust(caFile: string): Promise<https.RequestOptions> {
  const ca = await readFile(caFile, 'utf8').catch(refuseFile);
  const pinned = (ca.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map(
    (pem) => new X509Certificate(pem).fingerprint256,
  );
  return {
    ca,
    checkServerIdentity: (host: string, certificate: PeerCertificate) =>
      pinned.includes(certificate.fingerprint256) ? undefined : checkServerIdentity(host, certificate),
  };
}

/** When the stream began, of its ULID. */
function streamMs(stream: string): number {
  const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
  let ms = 0;
  for (const letter of stream.slice(0, 10)) ms = ms * 32 + alphabet.indexOf(letter);
  return ms;
}
