/**
 * Owns how single values are masked: names, ids, header values, what is known of a caller.
 * Invariant: a value that could not be looked through in time is not shown; what callers send again and again is looked through once.
 */
import { Buffer, isUtf8 } from 'node:buffer';
import { encodePrincipal } from '@mcp-recorder/recording/format/encode';
import type { Masked, Principal } from '@mcp-recorder/recording/format/line';
import { type Caller, cutPrincipal } from '../caller.ts';
import { createRecentCache, type RecentCache } from '../recent-cache.ts';
import type { MaskedText, Masker } from './masking.ts';
import { Tally } from './tally.ts';

/** Stands for a value that took longer than the bound. */
const BOUND: MaskedText = {
  text: '[masked:masking-bound]',
  masked: [{ rule: 'masking-bound', count: 1 }],
  exceeded: false,
};
/** Values and callers come from clients: only so many, and only short ones (in characters), are remembered. */
const MAX_REMEMBERED = 1_024;
const MAX_REMEMBERED_LENGTH = 128;

/** What is remembered of one masker; it goes with it. */
interface Memory {
  values: RecentCache<MaskedText>;
  members: RecentCache<MaskedText>;
  callers: WeakMap<Caller, RecordedCaller>;
}

const memories = new WeakMap<Masker, Memory>();

function memoryOf(masker: Masker): Memory {
  let memory = memories.get(masker);
  if (memory === undefined) {
    memory = {
      values: createRecentCache(MAX_REMEMBERED),
      members: createRecentCache(MAX_REMEMBERED),
      callers: new WeakMap(),
    };
    memories.set(masker, memory);
  }
  return memory;
}

/** A name, method, claim or address. @param tally gets the counts */
export function maskedName(masker: Masker | null, text: string, tally: Tally | null): string {
  if (masker === null || text === '') return text;
  const find = (): MaskedText => within(masker.value(text));
  return counting(remembered(memoryOf(masker).values, text, text, find), tally).text;
}

/** The JSON text of an id: what is found in it is replaced in the value that it stands for. */
export function maskedId(masker: Masker | null, rpcId: string, tally: Tally | null): string {
  if (masker === null) return rpcId;
  const isText = rpcId.startsWith('"');
  const found = isText ? masker.value(JSON.parse(rpcId) as string) : masker.content(rpcId);
  if (!found.exceeded && found.masked === null) return rpcId;
  const { text } = counting(within(found), tally);
  return isText || found.exceeded ? JSON.stringify(text) : text;
}

/**
 * The value of a header.
 * @param name in lower case
 * @param value one character a byte, as it stood on the wire; `=?base64?...?=` (MCP 2026-07-28) is looked into
 */
export function maskedHeader(masker: Masker, name: string, value: string, tally: Tally | null): string {
  const find = (): MaskedText => findInHeader(masker, name, value);
  return counting(remembered(memoryOf(masker).members, `${name} ${value}`, value, find), tally).text;
}

function findInHeader(masker: Masker, name: string, value: string): MaskedText {
  const encoded = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/.exec(value)?.[1];
  const bytes = encoded === undefined ? null : Buffer.from(encoded, 'base64');
  if (bytes !== null && isUtf8(bytes)) {
    const found = within(masker.member(name, bytes.toString('utf8')));
    const text = found.masked === null ? value : base64Header(found.text);
    return { ...found, text };
  }
  const plain = within(masker.member(name, value));
  if (plain.masked !== null || !/[\x80-\xff]/.test(value)) return plain;
  // Servers that take the bytes for UTF-8 read another text than those that do not.
  const octets = Buffer.from(value, 'latin1');
  if (!isUtf8(octets)) return plain;
  const found = within(masker.member(name, octets.toString('utf8')));
  return found.masked === null ? plain : { ...found, text: Buffer.from(found.text).toString('latin1') };
}

/** A text as the value of `Mcp-Name` or `Mcp-Param-*`, where it can't stand plainly (MCP 2026-07-28, standard request headers). */
export function base64Header(text: string): string {
  return `=?base64?${Buffer.from(text).toString('base64')}?=`;
}

/** A caller as it is recorded. */
export interface RecordedCaller {
  principal: Principal;
  principalJson: string;
  masked: Masked[] | null;
}

/** What the record says of a caller: masked whole, and cut after that. */
export function recordedCaller(masker: Masker, caller: Caller): RecordedCaller {
  const { callers } = memoryOf(masker);
  let recorded = callers.get(caller);
  if (recorded === undefined) {
    const tally = new Tally();
    const mask = <T extends string | null>(text: T) =>
      (text === null ? null : maskedName(masker, text, tally)) as T;
    const whole = caller.wholePrincipal ?? caller.principal;
    const { issuer, subject, name, client_id, groups } = whole;
    const shown = {
      ...whole,
      issuer: mask(issuer),
      subject: mask(subject),
      name: mask(name),
      client_id: mask(client_id),
      groups: groups.map(mask),
    };
    const principal = cutPrincipal(shown, caller.principal.cut === true);
    const masked = tally.counts ?? null;
    recorded = { principal, principalJson: encodePrincipal(principal), masked };
    callers.set(caller, recorded);
  }
  return recorded;
}

function within(found: MaskedText): MaskedText {
  return found.exceeded ? BOUND : found;
}

function remembered(
  memory: RecentCache<MaskedText>,
  key: string,
  value: string,
  find: () => MaskedText,
): MaskedText {
  if (key.length > MAX_REMEMBERED_LENGTH) return find();
  const known = memory.get(key);
  if (known !== undefined) return known;
  const found = find();
  // The same string object for all that is clean: callers compare it.
  const kept = found.masked === null ? { ...found, text: value } : found;
  memory.set(key, kept);
  return kept;
}

function counting(found: MaskedText, tally: Tally | null): MaskedText {
  if (found.masked !== null) tally?.add(found.masked);
  return found;
}
