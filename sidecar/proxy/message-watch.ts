/**
 * Owns the finding of JSON-RPC messages in a response body that streams past: one JSON text, or one to a line.
 * Invariant: it keeps at most `maxBytes` of the body; past that it says so and keeps nothing.
 */
import { decodeBodyText } from '../exchange/body-text.ts';
import { type Message, scanMessages } from '../exchange/json-scan.ts';

export interface MessageWatch {
  /** Takes decoded bytes; returns the messages of lines that became complete by them. */
  push(bytes: Buffer): Message[];
  /** The body is complete; returns the messages that are left. */
  end(): Message[];
  /** The body was longer, or had more messages, than could be kept, so not all of them are known. */
  readonly tooLarge: boolean;
}

const NONE: Message[] = [];
const LINE_FEED = 10;

/** Most messages in one text: each costs lines of the recording. */
const MAX_MESSAGES = 1_000;

/** The messages of a text, or why they are not known: it has too many, or begins as JSON and is none. */
export type ReadMessages = Message[] | 'too_many_messages' | 'malformed_json';

/** The messages of one JSON text; none when the text does not begin as one with messages does. */
export function scanText(text: string): ReadMessages {
  const first = text.trimStart().charCodeAt(0);
  if (first !== 0x7b && first !== 0x5b) return NONE;
  const scanned = scanMessages(text, { maxMessages: MAX_MESSAGES });
  return scanned.ok ? scanned.messages : scanned.reason;
}

/** The messages of one JSON text: none when it is no JSON, null when there are too many. */
export function readMessages(text: string): Message[] | null {
  const read = scanText(text);
  if (read === 'too_many_messages') return null;
  return read === 'malformed_json' ? NONE : read;
}

/** @param maxBytes of the body, or of one line of it, that are kept for reading */
export function createMessageWatch(maxBytes: number): MessageWatch {
  let kept: Buffer[] = [];
  let keptBytes = 0;
  let tooLarge = false;
  /** Unknown until the first line is complete: is it a JSON text by itself (newline JSON) or a part of one? */
  let byLine: boolean | null = null;

  function takeKept(): Buffer {
    const bytes = kept.length === 1 ? (kept[0] as Buffer) : Buffer.concat(kept);
    kept = [];
    keptBytes = 0;
    return bytes;
  }

  /** The messages of a part of the body that is kept no longer. */
  function read(bytes: Buffer): Message[] {
    const decoded = decodeBodyText(bytes);
    const messages = decoded.ok ? readMessages(decoded.text) : NONE;
    if (messages === null) tooLarge = true;
    return messages ?? NONE;
  }

  function keep(bytes: Buffer): void {
    if (bytes.length === 0 || tooLarge) return;
    if (keptBytes + bytes.length > maxBytes) {
      tooLarge = true;
      kept = [];
      return;
    }
    kept.push(bytes);
    keptBytes += bytes.length;
  }

  return {
    push(bytes) {
      if (byLine === false || bytes.indexOf(LINE_FEED) === -1) {
        keep(bytes);
        return NONE;
      }
      const messages: Message[] = [];
      let start = 0;
      for (let end = bytes.indexOf(LINE_FEED); end !== -1; end = bytes.indexOf(LINE_FEED, start)) {
        keep(bytes.subarray(start, end + 1));
        start = end + 1;
        if (tooLarge) break;
        const line = takeKept();
        const found = line.length > 2 ? read(line) : NONE;
        if (tooLarge) break;
        for (const message of found) messages.push(message);
        if (found.length > 0) {
          byLine = true;
        } else if (byLine === null && line.length > 2) {
          // A part of one text over several lines: keep it all.
          byLine = false;
          keep(line);
          break;
        }
      }
      keep(bytes.subarray(start));
      return messages;
    },
    end() {
      if (tooLarge || keptBytes === 0) return NONE;
      return read(takeKept());
    },
    get tooLarge() {
      return tooLarge;
    },
  };
}
