/**
 * Owns the one pass over a text that says whether anything in it may be a secret, and where.
 * Invariant: a trigger that stands in the text is reported, whatever else overlaps it; the pass looks at each character once.
 * Triggers are sequences of character classes without alternatives. Their beginnings become one deterministic automaton; the rest of a trigger
 * is compared where its beginning stands, because wide classes of many triggers at once would need a state for each combination.
 */

/** Characters of one place: a flag for each ASCII code, and the last one for all others. */
export type CharacterClass = Uint8Array;
const OTHER = 128;
const CLASS_SIZE = 129;

export interface TriggerPlace {
  characters: CharacterClass;
  /** The place may be left out. */
  optional: boolean;
}

export interface Trigger {
  /** What is reported. */
  id: number;
  places: readonly TriggerPlace[];
}

export interface TriggerHits {
  count: number;
  /** Trigger ids, in the order in which they were found: that of their beginnings. */
  ids: Int32Array;
  /** Index behind the beginning of each, which is a part of it. Never decreases. */
  ends: Int32Array;
}

/** States that the automaton may have; more means that the triggers are too wide for one. */
const MAX_STATES = 2048;
/** How many bits of chance the beginning of a trigger has, if it has so many: about four letters, or two before a wide class. */
const BEGINNING_BITS = 22;
const BITS_BEFORE_WIDE = 12;
const WIDE = 10;

export interface TriggerAutomaton {
  /**
   * Reports all triggers in `codes` up to `length`.
   * @param confirm asked before a hit is reported, with the index behind the trigger; false: nothing is there
   * @param hits filled; shared by nobody else until the next scan with it
   */
  scan(
    codes: Uint16Array,
    length: number,
    hits: TriggerHits,
    confirm: (id: number, end: number) => boolean,
  ): void;
}

export function newHits(): TriggerHits {
  return { count: 0, ids: new Int32Array(64), ends: new Int32Array(64) };
}

export function emptyClass(): CharacterClass {
  return new Uint8Array(CLASS_SIZE);
}

/**
 * Reads the notation in which detectors write triggers: characters as they are, `[A-Za-z]` classes, `x?` optional, `{n}` repeated,
 * a leading `(?i)` for any case. A backslash takes the next character as it is.
 */
export function parseTrigger(notation: string): TriggerPlace[] {
  const folded = notation.startsWith('(?i)');
  const places: TriggerPlace[] = [];
  let index = folded ? 4 : 0;
  while (index < notation.length) {
    let characters = emptyClass();
    if (notation[index] === '[') {
      const end = notation.indexOf(']', index);
      characters = parseClass(notation.slice(index + 1, end));
      index = end + 1;
    } else {
      if (notation[index] === '\\') index += 1;
      addCharacter(characters, notation.charCodeAt(index));
      index += 1;
    }
    if (folded) foldClass(characters);
    const repeat = /^\{(\d+)\}/.exec(notation.slice(index));
    const optional = notation[index] === '?';
    index += repeat === null ? Number(optional) : repeat[0].length;
    for (let times = Number(repeat?.[1] ?? 1); times > 0; times -= 1) places.push({ characters, optional });
  }
  return places;
}

function parseClass(source: string): CharacterClass {
  const characters = emptyClass();
  for (let index = 0; index < source.length; index += 1) {
    const first = source.charCodeAt(index);
    const range = source[index + 1] === '-' && index + 2 < source.length;
    const last = range ? source.charCodeAt(index + 2) : first;
    for (let code = first; code <= last; code += 1) addCharacter(characters, code);
    if (range) index += 2;
  }
  return characters;
}

export function addCharacter(characters: CharacterClass, code: number): void {
  characters[Math.min(code, OTHER)] = 1;
}

/** Adds the other case of each letter. K and S have a non-ASCII lower or upper case too (U+212A, U+017F). */
export function foldClass(characters: CharacterClass): void {
  for (let code = 0x41; code <= 0x5a; code += 1) {
    const either = (characters[code] as number) | (characters[code | 0x20] as number);
    characters[code] = either;
    characters[code | 0x20] = either;
    if (either === 1 && (code === 0x4b || code === 0x53)) characters[OTHER] = 1;
  }
}

/** How unlikely such a character is in a text, as if all printable ones were equally likely. */
export function bitsOf(characters: CharacterClass): number {
  return Math.log2(96 / Math.min(96, membersOf(characters)));
}

function membersOf(characters: CharacterClass): number {
  let members = 0;
  for (const one of characters) members += one;
  return members;
}

/** Where the part of a trigger that is compared later begins. */
function endOfBeginning(places: readonly TriggerPlace[]): number {
  let end = 0;
  for (let bits = 0; end < places.length && bits < BEGINNING_BITS; end += 1) {
    const { characters } = places[end] as TriggerPlace;
    if (bits >= BITS_BEFORE_WIDE && membersOf(characters) > WIDE) break;
    bits += bitsOf(characters);
  }
  const last = places.findLastIndex(({ optional }) => optional);
  return Math.max(end, last + 1);
}

interface Nfa {
  /** Of each place of each beginning: its class, null behind the last. */
  classes: (CharacterClass | null)[];
  optional: boolean[];
  ids: number[];
  starts: number[];
}

/**
 * Builds the automaton of these triggers.
 * @returns null when it would have more than `MAX_STATES` states
 */
export function buildAutomaton(triggers: readonly Trigger[]): TriggerAutomaton | null {
  const nfa = layOut(triggers);
  const { classOf, representatives } = partition(nfa.classes);
  const width = representatives.length;
  const rows: number[][] = [];
  const accepted: number[][] = [];
  // Each state is the set of places that were reached; that every trigger may begin anywhere goes without saying.
  const sets: number[][] = [[]];
  const numbers = new Map<string, number>([['', 0]]);
  const begun = representatives.map((code) => moved(nfa, closure(nfa, nfa.starts), code));
  for (let state = 0; state < sets.length; state += 1) {
    if (state >= MAX_STATES) return null;
    const set = sets[state] as number[];
    accepted.push(set.flatMap((item) => (nfa.classes[item] === null ? [nfa.ids[item] as number] : [])));
    const row = representatives.map((code, group) => {
      const target = closure(nfa, [...moved(nfa, set, code), ...(begun[group] as number[])]);
      const key = target.join();
      const known = numbers.get(key);
      if (known !== undefined) return known;
      numbers.set(key, sets.length);
      return sets.push(target) - 1;
    });
    rows.push(row);
  }
  const tails = new Map(triggers.map(({ id, places }) => [id, places.slice(endOfBeginning(places))]));
  return runnable(rows, accepted, tails, classOf, width);
}

function layOut(triggers: readonly Trigger[]): Nfa {
  const nfa: Nfa = { classes: [], optional: [], ids: [], starts: [] };
  for (const { id, places } of triggers) {
    nfa.starts.push(nfa.classes.length);
    for (const place of places.slice(0, endOfBeginning(places))) {
      nfa.classes.push(place.characters);
      nfa.optional.push(place.optional);
      nfa.ids.push(id);
    }
    nfa.classes.push(null);
    nfa.optional.push(false);
    nfa.ids.push(id);
  }
  return nfa;
}

function moved(nfa: Nfa, set: readonly number[], code: number): number[] {
  return set.flatMap((item) => (nfa.classes[item]?.[code] === 1 ? [item + 1] : []));
}

/** All places reachable without a character, in order and once each. */
function closure(nfa: Nfa, items: readonly number[]): number[] {
  const all = new Set<number>();
  for (const item of items) {
    let at = item;
    all.add(at);
    while (nfa.optional[at]) {
      at += 1;
      all.add(at);
    }
  }
  return [...all].sort((a, b) => a - b);
}

/** Groups characters that no class tells apart. */
function partition(classes: readonly (CharacterClass | null)[]): {
  classOf: Uint8Array;
  representatives: number[];
} {
  const groups = new Map<string, number>();
  const representatives: number[] = [];
  const groupOf = new Uint8Array(CLASS_SIZE);
  const distinct = [...new Set(classes.map((one) => one?.join('') ?? ''))];
  for (let code = 0; code < CLASS_SIZE; code += 1) {
    const key = distinct.map((one) => one[code] ?? '').join('');
    let group = groups.get(key);
    if (group === undefined) {
      group = representatives.length;
      groups.set(key, group);
      representatives.push(code);
    }
    groupOf[code] = group;
  }
  const classOf = new Uint8Array(65_536).fill(groupOf[OTHER] as number);
  classOf.set(groupOf.subarray(0, OTHER));
  return { classOf, representatives };
}

/** Numbers the states so that those without a hit come first: one comparison a character finds the others. */
function runnable(
  rows: readonly number[][],
  accepted: readonly number[][],
  tails: ReadonlyMap<number, readonly TriggerPlace[]>,
  classOf: Uint8Array,
  width: number,
): TriggerAutomaton {
  const order = rows.map((_, state) => state);
  const silent = order.filter((state) => accepted[state]?.length === 0);
  const loud = order.filter((state) => accepted[state]?.length !== 0);
  const renamed = new Int32Array(rows.length);
  for (const [index, state] of [...silent, ...loud].entries()) renamed[state] = index * width;
  const next = new Int32Array(rows.length * width);
  for (const [state, row] of rows.entries()) {
    for (const [group, target] of row.entries()) {
      next[(renamed[state] as number) + group] = renamed[target] as number;
    }
  }
  const firstLoud = silent.length * width;
  const triggersOf = loud.map((state) =>
    (accepted[state] as number[]).map((id) => ({
      id,
      tail: (tails.get(id) ?? []).map(({ characters }) => characters),
    })),
  );
  return {
    scan(codes, length, hits, confirm) {
      hits.count = 0;
      let state = 0;
      for (let index = 0; index < length; index += 1) {
        state = next[state + (classOf[codes[index] as number] as number)] as number;
        if (state < firstLoud) continue;
        for (const { id, tail } of triggersOf[(state - firstLoud) / width] as (typeof triggersOf)[number]) {
          const end = index + 1 + tail.length;
          if (end > length || !standsAt(codes, index + 1, tail) || !confirm(id, end)) continue;
          addHit(hits, id, index + 1);
        }
      }
    },
  };
}

function standsAt(codes: Uint16Array, start: number, classes: readonly CharacterClass[]): boolean {
  for (let place = 0; place < classes.length; place += 1) {
    const code = Math.min(codes[start + place] as number, OTHER);
    if ((classes[place] as CharacterClass)[code] === 0) return false;
  }
  return true;
}

function addHit(hits: TriggerHits, id: number, end: number): void {
  if (hits.count === hits.ids.length) {
    const ids = new Int32Array(4 * hits.count);
    const ends = new Int32Array(4 * hits.count);
    ids.set(hits.ids);
    ends.set(hits.ends);
    hits.ids = ids;
    hits.ends = ends;
  }
  hits.ids[hits.count] = id;
  hits.ends[hits.count] = end;
  hits.count += 1;
}
