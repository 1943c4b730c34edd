/**
 * Owns the answers that never end: each reader gets the lines of the recording in order, as they come to the disk. Loaded for the first one.
 *
 *     {"live":"begin","stream":..,"next":SEQ,"cluster":..,"namespace":..,"server":..}   the next line is this one; before the first, and behind a hole
 *     {"v":1,...}                                                                      a line of the recording
 *     {"live":"beat","next":SEQ}                                                       nothing came for a while
 *     {"live":"end","reason":"too_slow" | "shutdown" | "failed"}                       and the answer ends
 *
 * Invariants: the writer waits for no reader; what is held for one is bounded, and who is too slow for that is told so and let go; each line
 * is given once to a connection, and a line that is missing is never passed over in silence.
 */
import type http from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { type HeldLines, readHeldLines } from './held-lines.ts';
import type { LiveParts } from './live.ts';

export interface LiveReaders {
  add(request: http.IncomingMessage, response: http.ServerResponse): void;
  close(): Promise<void>;
}

const MAX_READERS = 4;
/** Held for a reader at most, unsent, beside one batch. */
const MAX_UNSENT_BYTES = 4 * 1024 * 1024;
/** Of what the files hold so much is written at once. */
const PIECE_BYTES = 1024 * 1024;
/** Who takes nothing of that for so long is let go (ms): others wait behind. */
const DRAIN_MS = 10_000;
const BEAT_MS = 5_000;
/** Who does not take the rest of an answer in this time is cut off (ms). */
const FAREWELL_MS = { too_slow: 10_000, failed: 10_000, shutdown: 1_000 } as const;
const ATTEMPTS = 4;
const LF = 0x0a;

type EndReason = 'too_slow' | 'shutdown' | 'failed';

interface Reader {
  response: http.ServerResponse;
  /** `seq` of the next line that it gets. */
  next: number;
  /** Batches that came while it was given what the files hold; null: it gets them at once. */
  queue: { lines: Buffer; firstSeq: number }[] | null;
  queuedBytes: number;
  /** The queue was too small. */
  overran: boolean;
  ended: boolean;
}

export function createLiveReaders(parts: LiveParts): LiveReaders {
  const { tap, files, directory, stream, place, synced } = parts;
  const readers = new Set<Reader>();
  /** Those who were told that it ends, and may take what was written. */
  let leaving = 0;
  let beating: NodeJS.Timeout | undefined;
  /** One at a time reads files: each takes the memory of a segment. */
  let catching: Promise<void> = Promise.resolve();

  function write(reader: Reader, bytes: Buffer | string): void {
    if (reader.ended) return;
    reader.response.write(bytes);
  }

  function end(reader: Reader, reason: EndReason): void {
    if (reader.ended) return;
    reader.ended = true;
    const { response } = reader;
    leaving += 1;
    const timer = setTimeout(() => response.destroy(), FAREWELL_MS[reason]).unref();
    response.once('close', () => {
      leaving -= 1;
      clearTimeout(timer);
    });
    response.end(`${JSON.stringify({ live: 'end', reason })}\n`);
    leave(reader);
  }

  function leave(reader: Reader): void {
    reader.ended = true;
    reader.queue = null;
    readers.delete(reader);
    if (readers.size > 0) return;
    tap.reader = null;
    clearInterval(beating);
  }

  function begin(reader: Reader): void {
    write(reader, `${JSON.stringify({ live: 'begin', stream, next: reader.next, ...place })}\n`);
  }

  function give(reader: Reader, lines: Buffer, firstSeq: number): void {
    if (reader.response.writableLength > MAX_UNSENT_BYTES) return end(reader, 'too_slow');
    write(reader, lines);
    reader.next = firstSeq + countLines(lines);
  }

  function see(batch: Buffer, firstSeq: number): void {
    // The writer uses its memory again.
    const lines = Buffer.from(batch);
    for (const reader of readers) {
      if (reader.queue === null) {
        if (firstSeq === reader.next) give(reader, lines, firstSeq);
        // A seal was made elsewhere, behind a disk that failed: it is in the files.
        else catchUp(reader);
        continue;
      }
      reader.queuedBytes += lines.length;
      reader.overran ||= reader.queuedBytes > MAX_UNSENT_BYTES;
      if (!reader.overran) reader.queue.push({ lines, firstSeq });
    }
  }

  /** From now on batches wait in the queue. @returns up to where the files have what came before */
  function startQueue(reader: Reader): number {
    reader.queue = [];
    reader.queuedBytes = 0;
    reader.overran = false;
    return synced();
  }

  function catchUp(reader: Reader): void {
    const upTo = startQueue(reader);
    const before = catching;
    catching = (async () => {
      await before;
      await giveHeld(reader, upTo).catch(() => end(reader, 'failed'));
    })();
  }

  /** Gives what the files hold, then what came meanwhile; from then on the reader sees batches as they come. */
  async function giveHeld(reader: Reader, first: number): Promise<void> {
    let upTo = first;
    for (let attempt = 1; !reader.ended; attempt += 1) {
      await giveFiles(reader, upTo);
      if (reader.ended) return;
      if (!reader.overran) break;
      if (attempt === ATTEMPTS) return end(reader, 'too_slow');
      upTo = startQueue(reader);
    }
    const queued = reader.queue ?? [];
    reader.queue = null;
    for (const { lines, firstSeq } of queued) {
      if (reader.ended) return;
      if (firstSeq === reader.next) give(reader, lines, firstSeq);
      else if (firstSeq > reader.next) return catchUp(reader);
    }
  }

  async function giveFiles(reader: Reader, upTo: number): Promise<void> {
    let after: number | null = null;
    while (!reader.ended && reader.next < upTo) {
      const held: HeldLines | null = await readHeldLines(files, directory, stream, {
        from: reader.next,
        upTo,
        after,
      });
      if (reader.ended) return;
      const firstSeq = held?.firstSeq ?? upTo;
      if (firstSeq !== reader.next) {
        reader.next = firstSeq;
        begin(reader);
      }
      if (held === null) return;
      after = held.segment;
      for (let at = 0; at < held.lines.length; at += PIECE_BYTES) {
        write(reader, held.lines.subarray(at, at + PIECE_BYTES));
        if (!(await drained(reader))) return end(reader, 'too_slow');
      }
      reader.next = held.firstSeq + held.count;
    }
  }

  return {
    add(request, response) {
      if (readers.size + leaving >= MAX_READERS) {
        response.writeHead(503, { 'content-type': 'application/json', 'retry-after': '10' });
        response.end(`${JSON.stringify({ error: `There are ${MAX_READERS} readers already.` })}\n`);
        return;
      }
      response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
      const reader: Reader = {
        response,
        next: wantedFrom(request.url ?? '', stream, synced()),
        queue: null,
        queuedBytes: 0,
        overran: false,
        ended: false,
      };
      readers.add(reader);
      response.once('close', () => leave(reader));
      response.on('error', () => leave(reader));
      if (readers.size === 1) {
        tap.reader = see;
        beating = setInterval(() => {
          for (const one of readers) {
            if (one.response.writableLength === 0)
              write(one, `${JSON.stringify({ live: 'beat', next: one.next })}\n`);
          }
        }, BEAT_MS);
      }
      begin(reader);
      if (reader.next < synced()) catchUp(reader);
    },
    async close() {
      // Who is given what the files hold gets what came meanwhile too, if that does not take long.
      await Promise.race([catching, pause(FAREWELL_MS.shutdown, undefined, { ref: false })]);
      const closed = [...readers].map(
        ({ response }) => new Promise<void>((resolve) => void response.once('close', () => resolve())),
      );
      for (const reader of readers) end(reader, 'shutdown');
      await Promise.all(closed);
    },
  };
}

/** The first `seq` that is asked for: behind what the reader has; all there is of a stream that it does not know; else from now on. */
function wantedFrom(url: string, stream: string, synced: number): number {
  const query = new URLSearchParams(url.slice(url.indexOf('?') + 1));
  const known = url.includes('?') ? query.get('stream') : null;
  if (known === null) return synced;
  if (known !== stream) return 0;
  const seq = Number(query.get('seq') ?? -1);
  return Number.isSafeInteger(seq) && seq >= -1 ? Math.min(seq + 1, synced) : 0;
}

function countLines(lines: Buffer): number {
  let count = 0;
  for (let at = lines.indexOf(LF); at >= 0; at = lines.indexOf(LF, at + 1)) count += 1;
  return count;
}

/** Whether the reader took what was written, in time. */
async function drained({ response }: Reader): Promise<boolean> {
  if (!response.writableNeedDrain) return true;
  return await new Promise((resolve) => {
    const settle = (took: boolean) => () => {
      clearTimeout(timer);
      response.off('drain', onDrain).off('close', onClose);
      resolve(took);
    };
    const onDrain = settle(true);
    const onClose = settle(false);
    const timer = setTimeout(onClose, DRAIN_MS).unref();
    response.on('drain', onDrain).on('close', onClose);
  });
}
