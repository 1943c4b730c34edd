/**
 * Owns how headers are written down, and which of them travel on to the other side.
 * Invariant: a value that is not on the allow-list never leaves this file into a record; end-to-end headers keep their
 * order, spelling and number.
 */
import type { RecordedHeader } from '@mcp-recorder/recording/format/line';
import { cutName } from '@mcp-recorder/recording/format/cut';
import { isOfOneConnection, type ValueRecording, valueRecording } from './header-names.ts';
import type { Masker } from './masking/masking.ts';
import { maskedHeader, maskedName } from './masking/names.ts';
import { Tally } from './masking/tally.ts';

/** Turns a session id into its keyed hash (session.ts). */
export type HashSession = (id: string) => string;

/**
 * The headers of a message as they are recorded: names in lower case, values by the allow-list.
 * @param raw name, value, name, value ... as they stood on the wire
 * @param masker masks names and values; null where nothing is masked
 * @param tally gets the counts of what was
 */
export function recordedHeaders(
  raw: readonly string[],
  hashSession: HashSession,
  masker: Masker | null = null,
  tally: Tally | null = null,
): RecordedHeader[] {
  const headers: RecordedHeader[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const rawName = raw[index] as string;
    const { lowerName, shortName, how } = nameOf(rawName);
    const value = raw[index + 1] as string;
    const shownName = maskedName(masker, rawName, tally);
    headers.push({
      name: shownName === rawName ? shortName : cutName(shownName),
      value: recordedValue(how, lowerName, value, hashSession, masker, tally),
    });
  }
  return headers;
}

/** The text of `JSON.stringify(recordedHeaders(...))`, faster: most headers repeat from request to request. */
export function encodeRecordedHeaders(
  raw: readonly string[],
  hashSession: HashSession,
  masker: Masker | null = null,
  tally: Tally | null = null,
): string {
  let json = '[';
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = nameOf(raw[index] as string);
    const value = raw[index + 1] as string;
    if (index > 0) json += ',';
    if (masker !== null && !isKnownClean(name, value, masker)) {
      const own = new Tally();
      json += JSON.stringify(recordedHeaders([raw[index] as string, value], hashSession, masker, own)[0]);
      if (own.counts !== undefined) tally?.add(own.counts);
      else if (value.length <= MAX_SEEN_LENGTH) {
        name.cleanFor = masker;
        name.cleanValue = value;
      }
      continue;
    }
    if (name.how === 'none') {
      json += name.lastHeader;
    } else if (name.how === 'session') {
      json += `${name.beforeValue}${JSON.stringify(hashSession(value))}}`;
    } else if (value.length > MAX_SEEN_LENGTH) {
      json += `${name.beforeValue}${JSON.stringify(cutName(value))}}`;
    } else {
      if (name.lastValue !== value) {
        name.lastHeader = `${name.beforeValue}${JSON.stringify(value)}}`;
        name.lastValue = value;
      }
      json += name.lastHeader;
    }
  }
  return `${json}]`;
}

/** True when this masker looked through the name and this value last, and found nothing. */
function isKnownClean(name: SeenName, value: string, masker: Masker): boolean {
  return name.cleanFor === masker && (name.how !== 'value' || name.cleanValue === value);
}

/**
 * The headers to send on (RFC 9110 7.6.1): all but those of one connection and those that `Connection` names.
 * @param raw name, value, name, value ... as they stood on the wire
 * @param direction of a request `Content-Length` and `Trailer` stay behind too, since its body was read whole and is framed anew
 */
export function endToEndHeaders(raw: readonly string[], direction: 'request' | 'response'): string[] {
  const kept: string[] = [];
  const nominated = nominatedNames(raw);
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] as string;
    const { lowerName, ofOneConnection, framesBody } = nameOf(name);
    if (ofOneConnection || (framesBody && direction === 'request')) continue;
    if (nominated !== null && nominated.has(lowerName)) continue;
    kept.push(name, raw[index + 1] as string);
  }
  return kept;
}

/** Names that `Connection` can't take away: without them the message would be another one. */
const NEVER_NOMINATED = new Set(['host', 'content-length', 'content-type', 'content-encoding']);

/** Values of `Connection` that name nothing beyond the fixed list. */
const USUAL_CONNECTION = new Set(['close', 'keep-alive', 'upgrade', 'te', 'keep-alive, upgrade']);

function nominatedNames(raw: readonly string[]): Set<string> | null {
  let names: Set<string> | null = null;
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] as string;
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue;
    const value = (raw[index + 1] as string).toLowerCase();
    if (USUAL_CONNECTION.has(value)) continue;
    names ??= new Set();
    for (const part of value.split(',')) {
      const option = part.trim();
      if (!NEVER_NOMINATED.has(option)) names.add(option);
    }
  }
  return names;
}

function recordedValue(
  how: ValueRecording,
  name: string,
  value: string,
  hashSession: HashSession,
  masker: Masker | null,
  tally: Tally | null,
): string | null {
  if (how === 'none') return null;
  if (how === 'session') return hashSession(value);
  return cutName(masker === null ? value : maskedHeader(masker, name, value, tally));
}

/** What is known of a header name as it is spelled on the wire. */
interface SeenName {
  lowerName: string;
  shortName: string;
  how: ValueRecording;
  ofOneConnection: boolean;
  framesBody: boolean;
  /** JSON of the recorded header up to its value. */
  beforeValue: string;
  /** The last recorded value, and the JSON of its whole header. */
  lastValue: string | null;
  lastHeader: string;
  /** The masker that found nothing in the name, nor in this value. */
  cleanFor: Masker | null;
  cleanValue: string | null;
}

/** Names and values come from clients, so only so many of them, and only short ones (in characters), are remembered. */
const MAX_SEEN_NAMES = 512;
const MAX_SEEN_LENGTH = 128;
const seenNames = new Map<string, SeenName>();

function nameOf(rawName: string): SeenName {
  const seen = seenNames.get(rawName);
  if (seen !== undefined) return seen;
  const lowerName = rawName.toLowerCase();
  const shortName = cutName(lowerName);
  const beforeValue = `{"name":${JSON.stringify(shortName)},"value":`;
  const made: SeenName = {
    lowerName,
    shortName,
    how: valueRecording(lowerName),
    ofOneConnection: isOfOneConnection(lowerName),
    framesBody: lowerName === 'content-length' || lowerName === 'trailer',
    beforeValue,
    lastValue: null,
    lastHeader: `${beforeValue}null}`,
    cleanFor: null,
    cleanValue: null,
  };
  if (seenNames.size < MAX_SEEN_NAMES && rawName.length <= MAX_SEEN_LENGTH) seenNames.set(rawName, made);
  return made;
}
