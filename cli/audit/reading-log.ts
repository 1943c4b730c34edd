/**
 * Owns the log of readers: who read what, one exchange for each run of a command.
 * Invariants: that a reading began, with what was asked for, is durable before anything is read; what was shown is named before the command
 * ends well. What can't be logged is not read.
 */
import os from 'node:os';
import type { Http, LineDraft, Outcome, Principal } from '@mcp-recorder/recording/format/line';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { createReadingStream } from './reading-stream.ts';

/** What a command tells of its reading. */
export interface Reading {
  /** Something of this session, or of this exchange where no session is known, is shown. Of what has neither nothing is noted. */
  saw(what: { session: string | null; exchange: string | null }): void;
}

/** What was asked for. */
export interface Asked {
  /** `search`, `show`, ... */
  command: string;
  /** Filters and names as they were given; nothing that is secret. */
  asked: object;
}

export interface ReadingLog extends Reading {
  /** Ends the exchange. @throws StoreError */
  end(outcome: Extract<Outcome, 'ok' | 'error'>): Promise<void>;
}

/** Names that are held back at most before they are stored. */
const MOST_HELD = 5_000;
/** A command that follows what happens stores what it has shown so far this often. */
const EVERY_MS = 60_000;
const NO_HTTP: Http = { method: null, target: null, status: null, client_address: null, headers: [] };

/** Logs that a reading begins. @param of the store that is read @throws StoreError */
export async function openReadingLog(
  log: ObjectStore,
  { command, asked }: Asked,
  of: string,
): Promise<ReadingLog> {
  const stream = createReadingStream(log);
  const exchange = stream.nextId();
  const startedMs = performance.now();
  const principal = whoReads();
  const method = `mcp-recorder/${command}`;
  const operation = `${exchange}.0`;
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { store: of, ...asked } });
  let part = 0;
  let bytesOut = 0;
  let held = new Set<string>();
  let problem: unknown = null;
  let writing: Promise<void> = Promise.resolve();
  let ended: Promise<void> | null = null;

  const request: LineDraft = {
    type: 'request',
    exchange,
    part: 0,
    principal,
    http: NO_HTTP,
    body,
    body_encoding: 'utf8',
    wire_bytes: Buffer.byteLength(body),
    calls: [
      {
        operation,
        kind: 'request',
        sender: 'client',
        rpc_id: '1',
        method,
        target: of,
        decision: { action: 'allow', rule: null },
        continues: null,
      },
    ],
  };
  await stream.put([request], false);
  part = 1;

  /** The names that were not stored yet, as further lines. */
  function takeHeld(): LineDraft[] {
    if (held.size === 0) return [];
    const text = [...held].map((name) => `${name}\n`).join('');
    held = new Set();
    const piece = { exchange, part, body: text, body_encoding: 'utf8', wire_bytes: text.length } as const;
    const draft: LineDraft =
      part === 1
        ? { type: 'response', answered_by: 'recorder', content_coding: null, http: NO_HTTP, ...piece }
        : { type: 'chunk', sender: 'server', body_offset: bytesOut, ...piece };
    part += 1;
    bytesOut += text.length;
    return [draft];
  }

  async function storeAfter(before: Promise<void>): Promise<void> {
    await before;
    try {
      const drafts = takeHeld();
      if (drafts.length > 0) await stream.put(drafts, false);
    } catch (error) {
      problem ??= error;
    }
  }
  const store = (): void => {
    writing = storeAfter(writing);
  };

  const timer = setInterval(store, EVERY_MS).unref();

  return {
    saw({ session, exchange: seen }) {
      if (session === null && seen === null) return;
      const name = JSON.stringify(session === null ? { exchange: seen } : { session });
      held.add(name);
      if (held.size >= MOST_HELD) store();
    },
    end(outcome) {
      // Whoever ends it first: the command, or who closes the process.
      ended ??= end(outcome);
      return ended;
    },
  };

  async function end(outcome: 'ok' | 'error'): Promise<void> {
    clearInterval(timer);
    await writing;
    // Lines that failed to be stored are lost from memory; the stream would have a hole in its parts.
    if (problem !== null) throw problem;
    const shown = takeHeld();
    const durationUs = Math.round((performance.now() - startedMs) * 1_000);
    const result: LineDraft = {
      type: 'result',
      exchange,
      part,
      operation,
      call_exchange: exchange,
      rpc_id: '1',
      principal,
      method,
      target: of,
      sender: 'client',
      outcome,
      cause: null,
      error_code: null,
      duration_us: durationUs,
    };
    const ending: LineDraft = {
      type: 'end',
      exchange,
      part: part + 1,
      ended: {
        parts: part + 2,
        how: 'complete',
        status: null,
        bytes_in: Buffer.byteLength(body),
        bytes_out: bytesOut,
        released_bytes: bytesOut,
        duration_us: durationUs,
        trailers: [],
        open_operations: [],
      },
    };
    await stream.put([...shown, result, ending], true);
  }
}

/** Who this process says it works for: nothing but the operating system vouches for it. */
function whoReads(): Principal {
  const nobody = { how: 'unverified', issuer: os.hostname(), client_id: null, groups: [] } as const;
  try {
    const { uid, username } = os.userInfo();
    return { ...nobody, subject: String(uid), name: username, groups: [] };
  } catch {
    // In a container the user may have no name.
    return { ...nobody, subject: String(process.getuid?.() ?? ''), name: null, groups: [] };
  }
}
