/**
 * Owns the reading of JSON-RPC envelopes from untrusted text, without building the values.
 * Invariant: accepts exactly what RFC 8259 allows, in constant stack, and names every place where another parser may read the envelope differently.
 */
import type { Ambiguity, ClientInfo } from '@mcp-recorder/recording/format/line';
import { equalIgnoringCase, type Level, MESSAGE, type Member, SLOT, type Slots } from './json-envelope.ts';
import { readMessage } from './json-message.ts';
import {
  codesOf,
  hasEscape,
  isAt,
  skipColon,
  skipSpace,
  skipString,
  skipValue,
  stringOf,
} from './json-text.ts';

/** What the recorder reads from one JSON-RPC message; absent facts are null or false. Nothing here keeps the scanned text alive. */
export interface Message {
  kind: 'request' | 'notification' | 'response' | 'other';
  /** JSON text of the id as in the source (`"7"`, `7`, `null`, `{"a":1}`); null when there is no id. */
  rpcId: string | null;
  method: string | null;
  /** Tool, prompt, resource or task that the call is about. */
  target: string | null;
  protocolVersion: string | null;
  clientInfo: ClientInfo | null;
  traceparent: string | null;
  requestState: string | null;
  taskId: string | null;
  /** JSON text of `params.requestId` of `notifications/cancelled`. */
  cancelledRequestId: string | null;
  isError: boolean;
  hasError: boolean;
  errorCode: number | null;
  resultType: string | null;
  hasTask: boolean;
}

export interface ScanLimits {
  maxMessages: number;
}

export type ScanResult =
  | { ok: true; batch: boolean; messages: Message[]; ambiguous: Ambiguity[] }
  | { ok: false; reason: 'malformed_json' | 'too_many_messages'; offset: number };

const QUOTE = 0x22;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COMMA = 0x2c;

const DUPLICATE_KEY = 1;
const CASE_VARIANT_KEY = 2;
const NUL_IN_KEY = 4;

/** Shared by all scans, since a scan never yields. */
const slots: Slots = { starts: new Int32Array(SLOT.count), ends: new Int32Array(SLOT.count) };
const { starts, ends } = slots;
let ambiguities = 0;

/**
 * Reads every JSON-RPC message of a body or of an event's data.
 * @param text the whole JSON text
 * @param limits most elements that a batch may have; without it there is no limit
 * @returns the messages in order (none for JSON that is neither an object nor an array; elements of a batch that are
 *   no messages are of kind `other`), or what is wrong and at which index of the text
 */
export function scanMessages(text: string, limits?: ScanLimits): ScanResult {
  ambiguities = 0;
  const messages: Message[] = [];
  const codes = codesOf(text);
  let index = skipSpace(codes, 0);
  const first = codes[index] as number;
  if (first === OPEN_BRACE) {
    index = scanLevel(text, codes, index, MESSAGE);
    if (index >= 0) messages.push(readMessage(text, slots));
  } else if (first === OPEN_BRACKET) {
    const maxMessages = limits?.maxMessages ?? Number.POSITIVE_INFINITY;
    index = scanBatch(text, codes, index, messages, maxMessages);
    if (messages.length > maxMessages) return { ok: false, reason: 'too_many_messages', offset: index };
  } else {
    index = skipValue(codes, index);
  }
  if (index >= 0) {
    index = skipSpace(codes, index);
    if (index < text.length) index = ~index;
  }
  if (index < 0) return { ok: false, reason: 'malformed_json', offset: ~index };
  return { ok: true, batch: first === OPEN_BRACKET, messages, ambiguous: ambiguityNames(ambiguities) };
}

/** Stops, with one message too many, at the first element past the limit. */
function scanBatch(
  text: string,
  codes: Uint16Array,
  start: number,
  messages: Message[],
  maxMessages: number,
): number {
  let index = skipSpace(codes, start + 1);
  if (codes[index] === CLOSE_BRACKET) return index + 1;
  for (;;) {
    const element = index;
    if (codes[index] === OPEN_BRACE) {
      index = scanLevel(text, codes, index, MESSAGE);
    } else {
      clearSlots(0, SLOT.count);
      index = skipValue(codes, index);
    }
    if (index < 0) return index;
    messages.push(readMessage(text, slots));
    if (messages.length > maxMessages) return element;
    index = skipSpace(codes, index);
    const next = codes[index] as number;
    if (next === CLOSE_BRACKET) return index + 1;
    if (next !== COMMA) return ~index;
    index = skipSpace(codes, index + 1);
  }
}

/** Scans one envelope object; `start` is its opening brace. Calls itself at most four deep: levels don't nest further. */
function scanLevel(text: string, codes: Uint16Array, start: number, level: Level): number {
  clearSlots(level.firstSlot, level.endSlot);
  let seen = 0;
  let others: string[] | Set<string> | null = null;
  let index = skipSpace(codes, start + 1);
  if (codes[index] === CLOSE_BRACE) return index + 1;
  for (;;) {
    const keyStart = index + 1;
    if (codes[index] !== QUOTE) return ~index;
    index = skipString(codes, index);
    if (index < 0) return index;
    const keyEnd = index - 1;
    let member = findMember(codes, keyStart, keyEnd, level);
    if (member === null && (level.checked || hasEscape(text, keyStart, keyEnd))) {
      const key = stringOf(text, keyStart - 1, keyEnd + 1);
      member = level.byLength[key.length]?.find((candidate) => candidate.text === key) ?? null;
      if (member === null && level.checked) others = noteUnknown(key, level, others);
    }
    if (member !== null) {
      if ((seen & member.bit) !== 0 && level.checked) ambiguities |= DUPLICATE_KEY;
      seen |= member.bit;
    }
    index = skipColon(codes, index);
    if (index < 0) return index;
    const valueStart = index;
    const below = member === null ? null : member.level;
    if (below !== null && codes[index] === OPEN_BRACE) {
      index = scanLevel(text, codes, index, below);
    } else {
      if (below !== null) clearSlots(below.firstSlot, below.endSlot);
      index = skipValue(codes, index);
    }
    if (index < 0) return index;
    if (member !== null && member.slot >= 0) {
      starts[member.slot] = valueStart;
      ends[member.slot] = index;
    }
    index = skipSpace(codes, index);
    const next = codes[index] as number;
    if (next === CLOSE_BRACE) return index + 1;
    if (next !== COMMA) return ~index;
    index = skipSpace(codes, index + 1);
  }
}

/** A loop, because `fill` costs more than the few slots it clears. */
function clearSlots(first: number, end: number): void {
  for (let slot = first; slot < end; slot += 1) starts[slot] = 0;
}

function findMember(codes: Uint16Array, start: number, end: number, level: Level): Member | null {
  const length = end - start;
  if (length >= level.byLength.length) return null;
  const candidates = level.byLength[length];
  if (candidates === undefined) return null;
  for (let index = 0; index < candidates.length; index += 1) {
    const candidate = candidates[index] as Member;
    if (isAt(codes, start, candidate.codes)) return candidate;
  }
  return null;
}

/** Keeps the names that are no envelope members, to find repetitions: a list while they are few, then a set. */
function noteUnknown(
  key: string,
  level: Level,
  others: string[] | Set<string> | null,
): string[] | Set<string> {
  if (key.includes('\0')) ambiguities |= NUL_IN_KEY;
  for (const member of level.byLength[key.length] ?? []) {
    if (equalIgnoringCase(key, member.text)) ambiguities |= CASE_VARIANT_KEY;
  }
  if (others === null) return [key];
  if (Array.isArray(others)) {
    if (others.includes(key)) ambiguities |= DUPLICATE_KEY;
    others.push(key);
    return others.length < 16 ? others : new Set(others);
  }
  if (others.has(key)) ambiguities |= DUPLICATE_KEY;
  return others.add(key);
}

function ambiguityNames(bits: number): Ambiguity[] {
  const names: Ambiguity[] = [];
  if ((bits & DUPLICATE_KEY) !== 0) names.push('duplicate_key');
  if ((bits & CASE_VARIANT_KEY) !== 0) names.push('case_variant_key');
  if ((bits & NUL_IN_KEY) !== 0) names.push('nul_in_key');
  return names;
}
