/**
 * Owns the masking of text that streams past, piece by piece.
 * Invariant: a character is let through only when no match that it belongs to can begin or go on behind it; at most `MAX_HELD` wait.
 */
import { type CompiledRules, scanTriggers, type TriggerMeaning } from './compiled-rules.ts';
import type { Detector } from './detector.ts';
import type { MaskedText, StreamedText, TextStream } from './masking.ts';
import { ownCodes } from './plain-text.ts';
import { newHits } from './triggers.ts';

/** Characters that are held back at most. */
const MAX_HELD = 8192;
/** Longest trigger, with digits of a card number and their separators. */
const LONGEST_TRIGGER = 48;
/** Longest word that is held back because its end may tell what it is. */
const LONGEST_WORD = 512;
/** White space so far behind the beginning of a trigger stands behind the secret. */
const LABEL = 48;
const LONGEST_ESCAPE = 6;
const SHORTEST_END = '-----END -----'.length - 1;
const END_OF_KEY = /-----END [A-Z0-9 ]{0,40}-----/g;

/** @param mask masks text that is whole */
export function createTextStream(rules: CompiledRules, mask: (text: string) => MaskedText): TextStream {
  let pending = '';
  /** The rest of the line belongs to what was withheld. */
  let skipping = false;

  function push(text: string, least = 0): StreamedText {
    pending += text;
    const skipped = skipping ? skipLine() : 0;
    const held = heldFrom(rules, pending, least);
    const shown = pending.slice(0, held);
    pending = pending.slice(held);
    if (pending.length <= MAX_HELD) return answer(shown, skipped);
    const lost = pending.length;
    pending = '';
    skipping = true;
    return answer(shown, skipped + lost);
  }

  /** Drops up to the end of the line; returns how many characters. */
  function skipLine(): number {
    const end = pending.indexOf('\n');
    const skipped = end === -1 ? pending.length : end;
    pending = pending.slice(skipped);
    skipping = end === -1;
    return skipped;
  }

  function answer(text: string, withheld: number): StreamedText {
    const masked = mask(text);
    const lost = withheld + (masked.exceeded ? text.length : 0);
    return { ...masked, exceeded: lost > 0, withheld: lost };
  }

  function end(): StreamedText {
    const skipped = skipping ? skipLine() : 0;
    const rest = pending;
    pending = '';
    return answer(rest, skipped);
  }

  return {
    push,
    end,
    wouldHold(text, least) {
      const all = pending + text;
      return all.length - heldFrom(rules, all, least);
    },
    get held() {
      return pending.length;
    },
  };
}

/** Index from which the text must wait for more. */
function heldFrom(rules: CompiledRules, text: string, least: number): number {
  const line = text.lastIndexOf('\n') + 1;
  let held = wordBefore(text, line, text.length - LONGEST_TRIGGER);
  held = Math.min(held, Math.max(0, text.length - least));
  if (rules.unannounced.length > 0) held = Math.min(held, line);
  const hits = newHits();
  scanTriggers(rules, ownCodes(text), text.length, hits, true);
  const nextLine = nextFrom(text, /\n/);
  const nextSpace = nextFrom(text, /\s/);
  // From the last to the first: what is let through must not end within the surroundings of any.
  for (let hit = hits.count - 1; hit >= 0; hit -= 1) {
    const end = hits.ends[hit] as number;
    const meaning = rules.meanings[hits.ids[hit] as number] as TriggerMeaning;
    if (meaning.kind === 'name') continue;
    const before = Math.max(0, end - beforeOf(rules, meaning));
    const start = before + text.slice(before, end).lastIndexOf('\n') + 1;
    held = outside(held, start, meaning.kind === 'pattern' ? nextLine(end) : nextSpace(end + LABEL));
  }
  const endsOfKeys = Array.from(text.matchAll(END_OF_KEY), ({ index, 0: end }) => index + end.length);
  let keyEnd = text.length + 1;
  for (const begin of Array.from(text.matchAll(/-----BEGIN /g), ({ index }) => index).reverse()) {
    while ((endsOfKeys.at(-1) ?? 0) > begin + SHORTEST_END) keyEnd = endsOfKeys.pop() as number;
    held = outside(held, begin, keyEnd);
  }
  return held;
}

/** What is before a piece of text, or behind it, stays; what is within goes back to its beginning. */
function outside(index: number, start: number, end: number): number {
  return index > start && index < end ? start : index;
}

/** Looks for the next such character from an index that never grows; so all look-ups together read the text once. */
function nextFrom(text: string, character: RegExp): (index: number) => number {
  let next = text.length;
  let read = text.length;
  return (index) => {
    while (read > index) {
      read -= 1;
      if (character.test(text[read] as string)) next = read;
    }
    return next < text.length ? next + 1 : text.length + 1;
  };
}

function beforeOf(rules: CompiledRules, meaning: TriggerMeaning): number {
  if (meaning.kind === 'detector') return (rules.detectors[meaning.index] as Detector).before;
  return meaning.kind === 'pattern' ? MAX_HELD : LONGEST_ESCAPE;
}

/** The beginning of the word around an index, within the line. */
function wordBefore(text: string, line: number, index: number): number {
  let start = Math.max(line, index);
  const earliest = Math.max(line, start - LONGEST_WORD);
  while (start > earliest && !/\s/.test(text[start - 1] as string)) start -= 1;
  return Math.min(start, text.length);
}
