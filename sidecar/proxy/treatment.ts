/**
 * Owns what becomes of one unit of a response (a body, a line of one, the data of an event) in the record and on the wire.
 * Invariant: what a rule finds is in neither where the rule is for it; what can't be read in one way is not shown, and does not pass where it would
 * have to be altered.
 */
import { cutName } from '@mcp-recorder/recording/format/cut';
import type { Call, Hidden, Masked, Withheld } from '@mcp-recorder/recording/format/line';
import type { Message } from '../exchange/json-scan.ts';
import { type MaskedBody, maskBody } from '../exchange/masking/mask-body.ts';
import type { Masker } from '../exchange/masking/masking.ts';
import { maskedName } from '../exchange/masking/names.ts';
import { withoutTools } from '../exchange/rules/tool-list.ts';
import type { Exchange } from './exchange.ts';
import { readMessages, scanText } from './message-watch.ts';

export interface Treatment {
  /** Masks what is recorded. */
  readonly record: Masker | null;
  /** Masks what passes. */
  readonly wire: Masker | null;
  /** The rule that hides a tool from this caller, or null; null where no list of tools may come. */
  readonly hides: ((tool: string) => string | null) | null;
  /** What passes may be other than what came. */
  readonly altersWire: boolean;
}

/** Null when the response passes, and is recorded, as it comes. */
export function treatmentOf(exchange: Exchange): Treatment | null {
  const { rules, masking } = exchange.policy;
  const { record, wire } = masking;
  if (rules === null && record === null && wire === null) return null;
  const { ruleRequest } = exchange;
  const mayList = exchange.listsTools || !exchange.open.some(({ call }) => call.sender === 'client');
  const hides =
    rules?.hidesTools === true && ruleRequest !== null && mayList
      ? (tool: string) => rules.hides(ruleRequest, tool)
      : null;
  const withholds = exchange.metadataOnly || rules?.metadataOnly === true;
  if (record === null && wire === null && hides === null && !withholds) return null;
  return { record, wire, hides, altersWire: wire !== null || hides !== null };
}

/** A unit as it came. */
export interface Unit {
  bytes: Buffer;
  /** Null when it can't be read in one way only. */
  text: string | null;
  /** Where clients look for messages; null when they look for none. */
  readAs: string | null;
  /** The text as the record has it before masking, where that is another: a session id stands in it. */
  forRecord?: string;
  /** A line before it began as JSON and was none: it may be a piece of what goes on over several lines. */
  mayBeFragment?: boolean;
}

/** What becomes of a unit. */
export interface TreatedUnit {
  /** As it is recorded before anything is masked, masked, or why it is not shown. */
  shown: 'as it came' | { bytes: Buffer; text: string | null } | { reason: Withheld['reason'] };
  masked: Masked[] | null;
  calls: Call[];
  /** What passes in place of the text, or of the bytes where they are no text; null for the unit as it came. */
  altered: { text: string } | { bytes: Buffer } | null;
  wireMasked: Masked[] | null;
  hidden: Hidden[] | null;
  /** It must not pass. */
  broken: boolean;
  /** It begins as JSON and is none, or may be a piece of such. */
  malformed: boolean;
  /** It has more messages than are read. */
  tooLarge: boolean;
}

const NO_MESSAGES: Message[] = [];
const AS_IT_CAME = 'as it came';
const TOO_MUCH: MaskedBody = { found: 'too_much' };

/** Treats a unit, and notes its messages. */
export function treatUnit(exchange: Exchange, treatment: Treatment, unit: Unit): TreatedUnit {
  const { record } = treatment;
  const read = unit.readAs === null ? NO_MESSAGES : scanText(unit.readAs);
  const messages = typeof read === 'string' ? NO_MESSAGES : read;
  // Clients may read more in it than was.
  const unread = typeof read === 'string' || (unit.text === null && messages.length === 0);
  // What begins as JSON and is none may have members all the same that a rule names: some readers take the beginning.
  const isBroken = read === 'malformed_json' || (unit.mayBeFragment === true && !isJsonOrBlank(unit.readAs));
  let found: MaskedBody | null = null;
  if (record !== null && !exchange.metadataOnly)
    found = isBroken ? TOO_MUCH : mask(record, unit, unit.forRecord ?? unit.text);
  const shown = record === null ? messages : shownMessages(messages, found);
  const treated: TreatedUnit = {
    shown: AS_IT_CAME,
    masked: null,
    calls: exchange.takeMessages(messages, 'server', shown),
    altered: null,
    wireMasked: null,
    hidden: null,
    broken: false,
    malformed: isBroken,
    tooLarge: read === 'too_many_messages',
  };
  if (exchange.withholds || (unread && exchange.mayWithhold)) treated.shown = { reason: 'metadata_only' };
  else if (found?.found === 'too_much') treated.shown = { reason: 'masking_bound' };
  else if (found?.found === 'something') {
    treated.shown = found;
    treated.masked = found.masked;
  } else if (unit.forRecord !== undefined && unit.forRecord !== unit.text) {
    treated.shown = { bytes: Buffer.from(unit.forRecord), text: unit.forRecord };
  }
  if (treatment.wire !== null && isBroken) treated.broken = true;
  else if (treatment.altersWire) alter(exchange, treatment, unit, unread, treated);
  if (treated.shown !== AS_IT_CAME && 'reason' in treated.shown) {
    exchange.context.metrics.withheld(treated.shown.reason);
    // Names of tools are content.
    if (treated.hidden !== null) treated.hidden = treated.hidden.map(({ rule }) => ({ rule, names: [] }));
  }
  return treated;
}

/** Of a text that is known not to begin as JSON and be none. */
function isJsonOrBlank(text: string | null): boolean {
  return text === null || /^\s*(?:[[{]|$)/.test(text);
}

/** @param text of the unit, as it is to be masked */
function mask(masker: Masker, { bytes, readAs }: Unit, text: string | null): MaskedBody {
  const found = maskBody(masker, bytes, text);
  if (text !== null || readAs === null || found.found === 'too_much') return found;
  // Of an event these are the bytes of all its fields: what clients read as its data may have members that a rule names.
  const read = masker.content(readAs);
  return read.masked === null && !read.exceeded ? found : TOO_MUCH;
}

/** The same messages as the record names them; undefined when that is not known, so that each name has to be masked by itself. */
function shownMessages(
  messages: readonly Message[],
  found: MaskedBody | null,
): readonly Message[] | undefined {
  if (messages.length === 0 || found?.found === 'nothing') return messages;
  if (found?.found !== 'something' || found.text === null) return undefined;
  return readMessages(found.text) ?? undefined;
}

/** What passes. @param unread clients may read messages in it that are not known */
function alter(
  exchange: Exchange,
  { hides, wire, record }: Treatment,
  unit: Unit,
  unread: boolean,
  treated: TreatedUnit,
): void {
  let { text } = unit;
  if (hides !== null && (exchange.tellsTools || (unread && exchange.mayTellTools))) {
    const byRule = new Map<string, string[]>();
    const cut =
      text === null ? null : withoutTools(text, (tool) => noteHidden(byRule, hides(tool), tool, record));
    if (cut === null || cut.unreadable) {
      treated.broken = true;
      return;
    }
    text = cut.text;
    if (byRule.size > 0) treated.hidden = [...byRule].map(([rule, names]) => ({ rule, names }));
  }
  if (wire !== null) {
    const found = mask(wire, unit, text);
    if (found.found === 'too_much') {
      treated.broken = true;
      return;
    }
    if (found.found === 'something') {
      treated.wireMasked = found.masked;
      if (text === null) treated.altered = { bytes: found.bytes };
      else text = found.text;
    }
  }
  if (text !== null && text !== unit.text) treated.altered = { text };
}

function noteHidden(
  byRule: Map<string, string[]>,
  rule: string | null,
  tool: string,
  record: Masker | null,
): boolean {
  if (rule === null) return false;
  const names = byRule.get(rule) ?? [];
  byRule.set(rule, names);
  names.push(cutName(maskedName(record, tool, null)));
  return true;
}
