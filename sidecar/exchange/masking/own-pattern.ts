/**
 * Owns the patterns of the configuration: RE2 syntax, compiled by re2js, and run here so that every step is counted.
 * Invariant: a search takes at most (length of the text) x (size of the program) steps, and stops when the caller's steps are used up.
 * What matches is what RE2 says: the leftmost match, and of those the one that Perl would prefer.
 */
import { RE2JS } from 're2js';
import { addCharacter, bitsOf, type CharacterClass, emptyClass, type TriggerPlace } from './triggers.ts';

/** Most instructions of a compiled pattern. */
const MAX_PROGRAM = 1000;
/** Longest trigger taken from a pattern, and how many bits of chance are enough of one. */
const MAX_PLACES = 8;
const ENOUGH_BITS = 22;
const FEWEST_BITS = 6;
/** How many instructions are tried as its beginning: each try looks at the whole program. */
const MAX_TRIES = 32;

/** Instructions of re2js (RE2's own, `re2/prog.h`). */
const OP = {
  alt: 1,
  altMatch: 2,
  capture: 3,
  emptyWidth: 4,
  fail: 5,
  match: 6,
  nop: 7,
  rune: 8,
  rune1: 9,
  runeAny: 10,
  runeAnyNotNewline: 11,
} as const;
const BEGIN_LINE = 1;
const END_LINE = 2;
const BEGIN_TEXT = 4;
const END_TEXT = 8;
const WORD_BOUNDARY = 16;
const NO_WORD_BOUNDARY = 32;
/** Of the argument of a rune instruction. */
const FOLD_CASE = 1;

interface Instruction {
  op: number;
  out: number;
  arg: number;
  runes: Int32Array;
  matchRune(rune: number): boolean;
}

interface Program {
  inst: readonly Instruction[];
  start: number;
}

/** Steps that are left for a text, shared by all that look at it. */
export interface Work {
  steps: number;
}

export interface OwnPattern {
  /** What stands in every match, as far as it narrows the search; null: nothing does. */
  trigger: readonly TriggerPlace[] | null;
  /**
   * The first match that begins at `from` or later, as [start, end); null when there is none, or when no steps are left (then `work.steps` < 0).
   */
  search(codes: Uint16Array, length: number, from: number, work: Work): [number, number] | null;
}

export type OwnPatternResult = { ok: true; pattern: OwnPattern } | { ok: false; message: string };

/** Compiles a pattern; `message` says what is wrong with it, and where (characters from 1). */
export function compileOwnPattern(source: string): OwnPatternResult {
  let program: Program;
  try {
    program = RE2JS.compile(source).re2().prog as Program;
  } catch (error) {
    return { ok: false, message: faultOf(source, error) };
  }
  if (program.inst.length > MAX_PROGRAM) {
    return {
      ok: false,
      message: `is too large: ${program.inst.length} steps, at most ${MAX_PROGRAM} are allowed`,
    };
  }
  if (reachesMatch(program, closure(program, [program.start]))) {
    return { ok: false, message: 'matches the empty text, so it would mask nothing everywhere' };
  }
  return { ok: true, pattern: { trigger: triggerOf(program), search: searcherOf(program) } };
}

function faultOf(source: string, error: unknown): string {
  if (!(error instanceof Error)) throw error;
  const { error: description, input } = error as { error?: string; input?: string | null };
  if (description === undefined) return `can't be compiled: ${error.message}`;
  const at = input === undefined || input === null ? -1 : source.lastIndexOf(input);
  return `is no RE2 pattern: ${description} at character ${at === -1 ? source.length : at + 1}`;
}

/** Instructions that are reached from these without a character, assertions taken as true. */
function closure(program: Program, from: readonly number[], without = -1): Set<number> {
  const seen = new Set<number>();
  const open = [...from];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next) || next === without) continue;
    seen.add(next);
    const { op, out, arg } = program.inst[next] as Instruction;
    if (op === OP.alt || op === OP.altMatch) open.push(arg, out);
    else if (op === OP.capture || op === OP.emptyWidth || op === OP.nop) open.push(out);
  }
  return seen;
}

function reachesMatch(program: Program, set: ReadonlySet<number>): boolean {
  return [...set].some((index) => program.inst[index]?.op === OP.match);
}

/** The narrowest run of characters that every match has: from an instruction that no match gets around. */
function triggerOf(program: Program): TriggerPlace[] | null {
  let best: TriggerPlace[] = [];
  let bestBits = 0;
  let tries = 0;
  for (const [index, instruction] of program.inst.entries()) {
    if (instruction.op < OP.rune) continue;
    tries += 1;
    if (tries > MAX_TRIES) break;
    if (!isUnavoidable(program, index)) continue;
    const places = placesFrom(program, index);
    const bits = places.reduce((sum, { characters }) => sum + bitsOf(characters), 0);
    if (bits <= bestBits) continue;
    best = places;
    bestBits = bits;
  }
  return bestBits < FEWEST_BITS ? null : best;
}

function isUnavoidable(program: Program, avoided: number): boolean {
  const seen = new Set<number>();
  let open = [program.start];
  while (open.length > 0) {
    const set = closure(program, open, avoided);
    if (reachesMatch(program, set)) return false;
    open = [];
    for (const index of set) {
      const instruction = program.inst[index] as Instruction;
      if (instruction.op < OP.rune || seen.has(index)) continue;
      seen.add(index);
      open.push(instruction.out);
    }
  }
  return true;
}

function placesFrom(program: Program, first: number): TriggerPlace[] {
  const places: TriggerPlace[] = [];
  let bits = 0;
  let set = new Set([first]);
  while (places.length < MAX_PLACES && bits < ENOUGH_BITS && !reachesMatch(program, set)) {
    const characters = emptyClass();
    const outs: number[] = [];
    for (const index of set) {
      const instruction = program.inst[index] as Instruction;
      if (instruction.op < OP.rune) continue;
      addRunes(characters, instruction);
      outs.push(instruction.out);
    }
    if (outs.length === 0 || isEscapable(characters)) break;
    places.push({ characters, optional: false });
    bits += bitsOf(characters);
    // Others may be two UTF-16 codes, so what follows is at no fixed distance.
    if (characters[128] === 1) break;
    set = closure(program, outs);
  }
  return places;
}

function addRunes(characters: CharacterClass, instruction: Instruction): void {
  for (let code = 0; code < 128; code += 1) if (matches(instruction, code)) addCharacter(characters, code);
  const { op, runes, arg } = instruction;
  const folded =
    runes.length === 1 && (arg & FOLD_CASE) !== 0 && /[ks]/i.test(String.fromCodePoint(runes[0] as number));
  // K and S are other cases of characters that are not ASCII.
  if (op >= OP.runeAny || folded || (runes.at(-1) as number) > 127) addCharacter(characters, 128);
}

/** Whether JSON sources have another spelling for one of them. */
function isEscapable(characters: CharacterClass): boolean {
  return characters[0x22] === 1 || characters[0x5c] === 1 || characters.subarray(0, 0x20).includes(1);
}

function matches(instruction: Instruction, rune: number): boolean {
  if (instruction.op === OP.runeAny) return true;
  if (instruction.op === OP.runeAnyNotNewline) return rune !== 0x0a;
  return instruction.matchRune(rune);
}

/** The program in columns: reading an element of an array takes a fraction of the time of a property. */
interface Columns {
  ops: Uint8Array;
  outs: Int32Array;
  args: Int32Array;
  /** Of each instruction a flag for each ASCII character that it takes. */
  ascii: Uint8Array;
}

function columnsOf({ inst }: Program): Columns {
  const ascii = new Uint8Array(128 * inst.length);
  for (const [index, instruction] of inst.entries()) {
    if (instruction.op < OP.rune) continue;
    for (let code = 0; code < 128; code += 1) ascii[128 * index + code] = Number(matches(instruction, code));
  }
  return {
    ops: Uint8Array.from(inst, ({ op }) => op),
    outs: Int32Array.from(inst, ({ out }) => out),
    args: Int32Array.from(inst, ({ arg }) => arg),
    ascii,
  };
}

/** Threads of a simulation, by priority: the instruction of each, and where its match began. */
interface Threads {
  count: number;
  instructions: Int32Array;
  starts: Int32Array;
  /** Position of an instruction in `instructions`; valid where that one says so (a sparse set). */
  places: Int32Array;
}

function newThreads(size: number): Threads {
  const column = () => new Int32Array(size);
  return { count: 0, instructions: column(), starts: column(), places: column() };
}

/** Simulates the program as RE2 does (Pike), with one thread an instruction at most. */
function searcherOf(program: Program): OwnPattern['search'] {
  const { inst, start } = program;
  const { ops, outs, args, ascii } = columnsOf(program);
  let current = newThreads(inst.length);
  let next = newThreads(inst.length);
  const stack = new Int32Array(2 * inst.length);
  const first = emptyClass();
  for (const index of closure(program, [start])) {
    const instruction = inst[index] as Instruction;
    if (instruction.op >= OP.rune) addRunes(first, instruction);
  }

  /** Adds a thread and all that it reaches without a character; returns the steps taken. */
  function add(threads: Threads, from: number, begun: number, context: number): number {
    const { instructions, starts, places } = threads;
    let { count } = threads;
    let steps = 0;
    let depth = 1;
    stack[0] = from;
    while (depth > 0) {
      depth -= 1;
      const index = stack[depth] as number;
      steps += 1;
      const place = places[index] as number;
      if (place < count && instructions[place] === index) continue;
      places[index] = count;
      instructions[count] = index;
      starts[count] = begun;
      count += 1;
      const op = ops[index] as number;
      if (op >= OP.rune || op === OP.match || op === OP.fail) continue;
      const arg = args[index] as number;
      if (op === OP.alt || op === OP.altMatch) {
        stack[depth] = arg;
        depth += 1;
      } else if (op === OP.emptyWidth && (arg & ~context) !== 0) {
        continue;
      }
      stack[depth] = outs[index] as number;
      depth += 1;
    }
    threads.count = count;
    return steps;
  }

  return (codes, length, from, work) => {
    let foundStart = -1;
    let foundEnd = -1;
    let { steps } = work;
    current.count = 0;
    for (let index = from; index <= length && steps >= 0; ) {
      if (current.count === 0) {
        if (foundStart !== -1) break;
        const skipped = index;
        while (index < length && first[Math.min(codes[index] as number, 128)] === 0) index += 1;
        steps -= (index - skipped) >> 3;
        if (index >= length) break;
      }
      if (foundStart === -1) steps -= add(current, start, index, contextAt(codes, length, index));
      const rune = runeAt(codes, length, index);
      const behind = index + (rune > 0xffff ? 2 : 1);
      const context = contextAt(codes, length, behind);
      next.count = 0;
      steps -= current.count;
      for (let thread = 0; thread < current.count; thread += 1) {
        const at = current.instructions[thread] as number;
        const op = ops[at] as number;
        if (op === OP.match) {
          foundStart = current.starts[thread] as number;
          foundEnd = index;
          break;
        }
        if (op < OP.rune || rune < 0) continue;
        const taken = rune < 128 ? ascii[128 * at + rune] === 1 : matches(inst[at] as Instruction, rune);
        if (taken) steps -= add(next, outs[at] as number, current.starts[thread] as number, context);
      }
      [current, next] = [next, current];
      index = behind;
    }
    work.steps = steps;
    return foundStart === -1 || steps < 0 ? null : [foundStart, foundEnd];
  };
}

/** The code point at an index; -1 behind the last. A lone surrogate stands for itself. */
function runeAt(codes: Uint16Array, length: number, index: number): number {
  if (index >= length) return -1;
  const code = codes[index] as number;
  if (code < 0xd800 || code > 0xdbff || index + 1 >= length) return code;
  const low = codes[index + 1] as number;
  return low >= 0xdc00 && low <= 0xdfff ? 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00) : code;
}

/** Which assertions hold between two characters. */
function contextAt(codes: Uint16Array, length: number, index: number): number {
  const before = index === 0 ? -1 : (codes[index - 1] as number);
  const behind = index >= length ? -1 : (codes[index] as number);
  let context = isWord(before) === isWord(behind) ? NO_WORD_BOUNDARY : WORD_BOUNDARY;
  if (before === -1) context |= BEGIN_TEXT | BEGIN_LINE;
  if (before === 0x0a) context |= BEGIN_LINE;
  if (behind === -1) context |= END_TEXT | END_LINE;
  if (behind === 0x0a) context |= END_LINE;
  return context;
}

function isWord(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) ||
    (code >= 0x41 && code <= 0x5a) ||
    (code >= 0x61 && code <= 0x7a) ||
    code === 0x5f
  );
}
