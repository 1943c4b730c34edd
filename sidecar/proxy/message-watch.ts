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
  /** The body was longer than could be kept, so its messages are not known. */
  readonly tooLarge: boolean;
}

const NONE: Message[] = [];
const LINE_FEED = 10;

/** The messages of one whole JSON text; none when it is no JSON. */
function readMessages(bytes: Buffer): Message[] {
  const decoded = decodeBodyText(bytes);
  if (!decoded.ok) return NONE;
  const scanned = scanMessages(decoded.text);
  return scanned.ok ? scanned.messages : NONE;
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
        const found = line.length > 2 ? readMessages(line) : NONE;
        messages.push(...found);
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
      return readMessages(takeKept());
    },
    get tooLarge() {
      return tooLarge;
    },
  };
}
