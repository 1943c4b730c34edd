/**
 * Owns the reading of one event's lines: where its data is, and its id, name and data (WHATWG HTML 9.2.6).
 * Invariant: what it remembers of an event between two pieces is bounded.
 */
import type { Buffer } from 'node:buffer';

/** Where a piece is divided into prefix, body and suffix, and what is known of its event. */
export interface PieceReading {
  prefixEnd: number;
  bodyEnd: number;
  id: string | null;
  eventName: string | null;
  dataLines: number;
  data: string | null;
  dataTooLarge: boolean;
}

/** Reads the lines of one event after the other. All indexes count from the first byte of the current piece. */
export interface EventReader {
  /** Takes a line (or the rest of one that was cut) without its end; true for the empty line that ends the event. */
  takeLine(bytes: Buffer, start: number, end: number): boolean;
  /** Takes as much of a line as is there; the rest comes with a later piece. */
  cutLine(bytes: Buffer, start: number, end: number): void;
  /** Closes the piece that consists of these bytes; a complete event makes room for the next. */
  cutAt(bytes: Buffer, complete: boolean): PieceReading;
  /** False while a line goes on that was cut. */
  readonly atLineStart: boolean;
  /** Whether `start` to `end` is the beginning of `data: `, so that one can't say yet what it is. */
  mayBecomeData(bytes: Buffer, start: number, end: number): boolean;
}

const SPACE = 0x20;
const COLON = 0x3a;
const DATA = [0x64, 0x61, 0x74, 0x61, COLON, SPACE];

/** Longest event data that is given as one string, in bytes. */
const MAX_DATA_BYTES = 4 * 1024 * 1024;
/** Longest `id` and `event` that are remembered, in bytes. */
const MAX_FIELD_BYTES = 1024;

export function createEventReader(): EventReader {
  let id: string | null = null;
  let eventName: string | null = null;
  let dataLines = 0;
  /** First data value and end of the last one in this piece; -1 when there is none. */
  let firstData = -1;
  let lastDataEnd = -1;
  /** Data began in an earlier piece. */
  let bodyBegan = false;
  /** A line that was cut: one with data, or the beginning of another one. */
  let cutData = false;
  let cutOther: string | null = null;
  /** Bodies of the event's earlier pieces, as long as they are not too long. */
  let bodies: string[] = [];
  let bodyBytes = 0;

  function beginData(value: number): void {
    dataLines += 1;
    if (firstData === -1) firstData = value;
  }

  function takeField(line: string): void {
    const colon = line.indexOf(':');
    const name = colon === -1 ? line : line.slice(0, colon);
    if (name !== 'id' && name !== 'event') return;
    const raw = colon === -1 ? '' : line.slice(colon + 1);
    const value = raw.startsWith(' ') ? raw.slice(1) : raw;
    if (name === 'event') eventName = value;
    else if (!value.includes('\0')) id = value;
  }

  /** The event's data from its body: every line of it that is a data line, the first one without its name. */
  function dataOf(body: string): string {
    if (dataLines === 1 && bodies.length === 0) return body;
    const lines = [...bodies, body].join('').split(/\r\n|\r|\n/);
    const values = lines.slice(0, 1);
    for (const line of lines.slice(1)) {
      if (line === 'data') values.push('');
      else if (line.startsWith('data:')) values.push(line.slice(line[5] === ' ' ? 6 : 5));
    }
    return values.join('\n');
  }

  return {
    takeLine(bytes, start, end) {
      if (cutData) {
        cutData = false;
        lastDataEnd = end;
        return false;
      }
      if (cutOther !== null) {
        takeField(cutOther + fieldText(bytes, start, end, MAX_FIELD_BYTES - cutOther.length));
        cutOther = null;
        return false;
      }
      if (start === end) return true;
      const value = dataValue(bytes, start, end);
      if (value === -1) {
        const first = bytes[start];
        // Only `id` and `event` matter among the others.
        if (first === 0x69 || first === 0x65) takeField(fieldText(bytes, start, end, MAX_FIELD_BYTES));
      } else {
        beginData(value);
        lastDataEnd = end;
      }
      return false;
    },

    cutLine(bytes, start, end) {
      if (cutData) {
        lastDataEnd = end;
      } else if (cutOther !== null) {
        cutOther += fieldText(bytes, start, end, MAX_FIELD_BYTES - cutOther.length);
      } else {
        const value = dataValue(bytes, start, end);
        // `data` without colon is a data line only when nothing follows it.
        if (value === -1 || end - start < 5) {
          cutOther = fieldText(bytes, start, end, MAX_FIELD_BYTES);
        } else {
          beginData(value);
          cutData = true;
          lastDataEnd = end;
        }
      }
    },

    cutAt(bytes, complete) {
      const begins = bodyBegan ? 0 : firstData;
      const prefixEnd = begins === -1 ? bytes.length : begins;
      // What follows the last data of an unfinished event may turn out to stand between two lines of data.
      const bodyEnd = begins === -1 || !complete ? bytes.length : Math.max(prefixEnd, lastDataEnd);
      const reading: PieceReading = {
        prefixEnd,
        bodyEnd,
        id: null,
        eventName: null,
        dataLines,
        data: null,
        dataTooLarge: false,
      };
      bodyBytes += bodyEnd - prefixEnd;
      const tooLarge = bodyBytes > MAX_DATA_BYTES;
      if (complete) {
        reading.id = id;
        reading.eventName = eventName;
        reading.dataTooLarge = tooLarge && dataLines > 0;
        if (dataLines > 0 && !tooLarge) reading.data = dataOf(bytes.toString('utf8', prefixEnd, bodyEnd));
        id = null;
        eventName = null;
        dataLines = 0;
        bodyBegan = false;
        bodies = [];
        bodyBytes = 0;
      } else {
        bodyBegan = begins !== -1;
        if (tooLarge) bodies = [];
        else if (bodyBegan) bodies.push(bytes.toString('utf8', prefixEnd, bodyEnd));
      }
      firstData = -1;
      lastDataEnd = -1;
      return reading;
    },

    get atLineStart() {
      return !cutData && cutOther === null;
    },

    mayBecomeData(bytes, start, end) {
      if (end - start >= DATA.length) return false;
      for (let index = start; index < end; index += 1) {
        if (bytes[index] !== DATA[index - start]) return false;
      }
      return true;
    },
  };
}

/** Where the value of a data line begins; -1 when it is another line. */
function dataValue(bytes: Buffer, start: number, end: number): number {
  for (let index = 0; index < 4; index += 1) {
    if (bytes[start + index] !== DATA[index] || start + index >= end) return -1;
  }
  if (start + 4 === end) return end;
  if (bytes[start + 4] !== COLON) return -1;
  return start + 5 < end && bytes[start + 5] === SPACE ? start + 6 : start + 5;
}

/** At most `most` bytes of a line as text. */
function fieldText(bytes: Buffer, start: number, end: number, most: number): string {
  return bytes.toString('utf8', start, Math.min(end, start + Math.max(0, most)));
}
