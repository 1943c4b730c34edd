/**
 * Owns the masking of a JSON text: its strings, names and numbers, members by name, values by path.
 * Invariant: the answer is JSON, and differs only in the tokens that were masked; constant stack at any depth of the text.
 */
import { skipColon, skipSpace, skipString, skipValue, stringOf } from '../json-text.ts';
import { count, isExceeded, type Run, scanTriggers } from './compiled-rules.ts';
import { meantBy, type PathState, rootState, stepInto } from './json-path.ts';
import { maskPlain } from './plain-text.ts';
import { maskString } from './string-masking.ts';
import { newHits, type TriggerHits } from './triggers.ts';

const QUOTE = 0x22;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COMMA = 0x2c;

/** Strings shorter than this hold no base64 that is looked into. */
const SHORTEST_BASE64 = 16;

interface Level {
  object: boolean;
  /** Index of the element, in an array. */
  element: number;
  /** Where the paths are with the container. */
  paths: PathState | null;
}

/** What is known of a value before it is read. */
interface Place {
  /** Rule that masks the whole value, by its name or path; null when none does. */
  rule: string | null;
  /** Name of the member where it was looked at, else null. */
  name: string | null;
  paths: PathState | null;
}

/** The text that is walked, and what its new form is made of. */
interface Walk {
  run: Run;
  text: string;
  codes: Uint16Array;
  hits: TriggerHits;
  /** The first hit that does not end before the token that is read. */
  hit: number;
  depth: number;
  parts: string[];
  /** Index behind the last token that was replaced. */
  done: number;
}

/**
 * @param codes of the text, with a NUL behind; not changed, and not shared with what masks its strings
 * @param hits triggers of the source; null: they are looked for here
 * @param depth 0: paths apply, from the message or from each message of a batch
 * @returns null when the text is no JSON, or when no steps are left
 */
export function maskJson(
  run: Run,
  text: string,
  codes: Uint16Array,
  hits: TriggerHits | null,
  depth: number,
): string | null {
  const own = hits ?? newHits();
  if (hits === null) scanTriggers(run.rules, codes, text.length, own, true);
  const walk: Walk = { run, text, codes, hits: own, hit: 0, depth, parts: [], done: 0 };
  const before = new Map(run.counts);
  const end = walkValue(walk, skipSpace(codes, 0));
  if (end < 0 || isExceeded(run) || skipSpace(codes, end) !== text.length) {
    // What was counted on the way was found in no JSON; the text is read otherwise then.
    run.counts.clear();
    for (const [rule, times] of before) run.counts.set(rule, times);
    return null;
  }
  return walk.parts.length === 0 ? text : walk.parts.join('') + text.slice(walk.done);
}

/** Reads a value of any kind; returns the index behind it, or a negative number when it is no JSON. */
function walkValue(walk: Walk, start: number): number {
  const { codes, run } = walk;
  const levels: Level[] = [];
  let index = start;
  let place = placeOfRoot(walk, codes[start] === OPEN_BRACE);
  for (;;) {
    // Here a value begins.
    const code = codes[index] as number;
    const opens = code === OPEN_BRACE || code === OPEN_BRACKET;
    if (opens && place.rule === null) {
      const object = code === OPEN_BRACE;
      index = skipSpace(codes, index + 1);
      if (codes[index] === (object ? CLOSE_BRACE : CLOSE_BRACKET)) {
        index += 1;
      } else {
        levels.push({ object, element: 0, paths: place.paths });
        const entered = enter(walk, index, levels);
        if (entered === null) return ~index;
        ({ index, place } = entered);
        continue;
      }
    } else {
      index = walkToken(walk, index, code, place);
      if (index < 0 || isExceeded(run)) return -1;
    }
    // Here a value has ended: close what ends with it.
    for (;;) {
      const level = levels.at(-1);
      if (level === undefined) return index;
      index = skipSpace(codes, index);
      const next = codes[index];
      if (next === COMMA) {
        level.element += 1;
        const entered = enter(walk, skipSpace(codes, index + 1), levels);
        if (entered === null) return ~index;
        ({ index, place } = entered);
        break;
      }
      if (next !== (level.object ? CLOSE_BRACE : CLOSE_BRACKET)) return ~index;
      levels.pop();
      index += 1;
    }
  }
}

const NOWHERE: Place = { rule: null, name: null, paths: null };

function placeOfRoot(walk: Walk, object: boolean): Place {
  const { paths } = walk.run.rules;
  return walk.depth === 0 && object && paths.length > 0 ? { ...NOWHERE, paths: rootState(paths) } : NOWHERE;
}

/** Reads a member's name, or counts an element: to the first character of the value, and what is known of it. Null: no JSON. */
function enter(walk: Walk, start: number, levels: readonly Level[]): { index: number; place: Place } | null {
  const level = levels.at(-1) as Level;
  const { rules } = walk.run;
  if (!level.object) {
    // Each element of a batch is a message.
    if (levels.length === 1 && walk.depth === 0) return { index: start, place: placeOfRoot(walk, true) };
    return { index: start, place: placeAt(walk, null, stepInto(rules.paths, level.paths, level.element)) };
  }
  if (walk.codes[start] !== QUOTE) return null;
  const end = skipString(walk.codes, start);
  if (end < 0) return null;
  const wanted = isHit(walk, end) || rules.always;
  const name = wanted || level.paths !== null ? stringOf(walk.text, start, end) : null;
  if (name !== null && wanted) replaceString(walk, start, end, name, maskString(walk.run, name, walk.depth));
  const index = skipColon(walk.codes, end);
  if (index < 0) return null;
  const paths = name === null ? null : stepInto(rules.paths, level.paths, name);
  return { index, place: placeAt(walk, name, paths) };
}

function placeAt(walk: Walk, name: string | null, paths: PathState | null): Place {
  const { rules } = walk.run;
  const meant = meantBy(rules.paths, paths);
  if (meant !== -1) return { rule: rules.pathRules[meant] as string, name, paths };
  return { rule: name === null ? null : (rules.keys.get(name.toLowerCase()) ?? null), name, paths };
}

/** Reads a string, number or word, or a whole value that a rule masks; masks it. */
function walkToken(walk: Walk, start: number, code: number, { rule, name }: Place): number {
  const end = code === QUOTE ? skipString(walk.codes, start) : skipValue(walk.codes, start);
  if (end < 0) return end;
  const { run, text, depth } = walk;
  const hit = isHit(walk, end);
  if (rule !== null) {
    const source = text.slice(start, end);
    if (!isMarker(run, source)) replace(walk, start, end, JSON.stringify(count(run, rule)));
  } else if (code === QUOTE) {
    if (!hit && !run.rules.always && name === null && !mayBeBase64(walk, start, end)) return end;
    const value = stringOf(text, start, end);
    const named = name === null ? null : namedRule(run, name, value);
    replaceString(
      walk,
      start,
      end,
      value,
      named === null ? maskString(run, value, depth) : count(run, named),
    );
  } else if (hit || run.rules.always) {
    const source = text.slice(start, end);
    const masked = maskPlain(run, source);
    if (masked !== source) replace(walk, start, end, JSON.stringify(masked));
  }
  return end;
}

function mayBeBase64(walk: Walk, start: number, end: number): boolean {
  return walk.run.rules.base64 && end - start >= SHORTEST_BASE64;
}

/** Whether the source is a string that is a marker and nothing else. */
function isMarker(run: Run, source: string): boolean {
  const [marker] = source.match(run.rules.marker) ?? [];
  return marker !== undefined && source === `"${marker}"`;
}

/** The detector to which a value is a secret because of its member's name; null when there is none. */
export function namedRule(run: Run, name: string, value: string): string | null {
  return run.rules.detectors.find(({ named }) => named?.(name, value) ?? false)?.name ?? null;
}

/** Whether a trigger ends within the token that ends here, and behind all tokens before. */
function isHit(walk: Walk, end: number): boolean {
  const { hits } = walk;
  const first = walk.hit;
  while (walk.hit < hits.count && (hits.ends[walk.hit] as number) <= end) walk.hit += 1;
  return walk.hit > first;
}

function replaceString(walk: Walk, start: number, end: number, value: string, masked: string): void {
  if (masked !== value) replace(walk, start, end, JSON.stringify(masked));
}

function replace(walk: Walk, start: number, end: number, source: string): void {
  walk.parts.push(walk.text.slice(walk.done, start), source);
  walk.done = end;
}
