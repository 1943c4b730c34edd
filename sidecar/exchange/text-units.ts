/**
 * Owns the cutting of streaming text that is neither JSON nor events: wherever no match can begin any more.
 * Invariant: the pieces' bytes, in order, are the body's bytes; what waits is bounded by the streams that are asked.
 */
import { Buffer, isUtf8 } from 'node:buffer';
import { cutCharacterBytes } from './body-text.ts';
import { type BodyPiece, type BodyUnits, createBodyUnits } from './body-units.ts';
import type { TextStream } from './masking/masking.ts';

const NO_BYTES = Buffer.alloc(0);

/** True for a body with this media type that is text in UTF-8, parameters included, and is read as nothing else. */
export function isPlainText(contentType: string | null): boolean {
  if (contentType === null || !/^\s*text\/(?!event-stream)/i.test(contentType)) return false;
  return !/;\s*charset\s*=/i.test(contentType) || /;\s*charset\s*=\s*"?utf-?8"?\s*(?:;|$)/i.test(contentType);
}

/**
 * @param options.streams of the maskers: each says how much of the text has to wait
 * @param options.maxPendingBytes for a body that turns out to be JSON or no UTF-8: it is cut into units as any other
 */
export function createTextUnits(options: {
  streams: readonly TextStream[];
  maxPendingBytes: number;
}): BodyUnits {
  const { streams } = options;
  let waiting: Buffer = NO_BYTES;
  /** Bytes at its end that no stream was told yet: a cut character. */
  let untold = 0;
  /** What is no text after all is cut as other bodies are. */
  let other: BodyUnits | null = null;
  let started = false;

  function becomeOther(): BodyPiece[] {
    other = createBodyUnits(options);
    const bytes = waiting;
    waiting = NO_BYTES;
    return other.push(bytes);
  }

  /** How many characters have to wait so that the text ends within no match of any stream: where one lets go, another may not. */
  function heldByAll(text: string): number {
    let held = 0;
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const before = held;
      for (const stream of streams) held = Math.max(held, stream.wouldHold(text, held));
      if (held === before) return held;
    }
    // Text made of beginnings of one in the middle of another waits whole, and is withheld where it is long.
    return Number.MAX_SAFE_INTEGER;
  }

  /** Gives out what waits, but the last `held` bytes of it. */
  function giveOut(held: number, last: boolean): BodyPiece[] {
    const end = waiting.length - held;
    const bytes = waiting.subarray(0, end);
    waiting = held === 0 ? NO_BYTES : waiting.subarray(end);
    return end === 0 ? [] : [{ bytes, last, unit: last ? bytes : null }];
  }

  function take(bytes: Buffer): BodyPiece[] {
    const from = waiting.length - untold;
    waiting = waiting.length === 0 ? bytes : Buffer.concat([waiting, bytes]);
    if (!started && !isBlank(waiting)) {
      started = true;
      if (mayBeOther(waiting)) return becomeOther();
    }
    untold = cutCharacterBytes(waiting, waiting.length);
    const told = waiting.subarray(from, waiting.length - untold);
    if (!isUtf8(told) || told.includes(0)) return becomeOther();
    const text = told.toString('utf8');
    const least = streams.length < 2 ? 0 : heldByAll(text);
    let isLost = false;
    let held = 0;
    for (const stream of streams) {
      isLost = stream.push(text, least).withheld > 0 || isLost;
      held = Math.max(held, stream.held);
    }
    const whole = waiting.toString('utf8', 0, waiting.length - untold);
    const heldBytes = Buffer.byteLength(whole.slice(Math.max(0, whole.length - held)));
    return giveOut(heldBytes + untold, !isLost);
  }

  return {
    push(bytes) {
      if (bytes.length === 0) return [];
      return other === null ? take(bytes) : other.push(bytes);
    },
    flushPartial: () => (other === null ? giveOut(untold, false) : other.flushPartial()),
    end: () => (other === null ? giveOut(0, true) : other.end()),
    get pending() {
      return other === null ? waiting.length : other.pending;
    },
  };
}

/** JSON, or a byte order mark. */
function mayBeOther(bytes: Buffer): boolean {
  const first = bytes.find((byte) => !WHITE_SPACE.has(byte)) as number;
  return first === 0x7b || first === 0x5b || first === 0xef || first >= 0xfe;
}

/** So often streams are asked for a place at which all of them let go. */
const MAX_ROUNDS = 16;

const WHITE_SPACE = new Set([0x20, 0x09, 0x0d, 0x0a]);

function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => WHITE_SPACE.has(byte));
}
