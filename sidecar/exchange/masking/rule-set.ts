/**
 * Owns how the rules of one target become one automaton and the tables beside it.
 * Invariant: each rule is announced by a trigger, or `always` says that every string is looked at for it.
 */
import type { CompiledRules, NamedPattern, TriggerMeaning } from './compiled-rules.ts';
import type { Detector } from './detector.ts';
import { DETECTORS } from './detector-names.ts';
import type { JsonPath } from './json-path.ts';
import {
  addCharacter,
  buildAutomaton,
  emptyClass,
  foldClass,
  parseTrigger,
  type Trigger,
  type TriggerAutomaton,
  type TriggerPlace,
} from './triggers.ts';

/** The rules of one target, each compiled by itself. */
export interface RuleParts {
  detectors: readonly Detector[];
  patterns: readonly NamedPattern[];
  keys: readonly { name: string; key: string }[];
  paths: readonly { name: string; path: JsonPath }[];
  base64: boolean;
}

/** Detectors whose triggers are common, and what is asked before one counts. */
const CHECKS: Record<string, 'card' | 'url'> = { 'card-number': 'card', 'url-credentials': 'url' };

export function buildRules({ detectors, patterns, keys, paths, base64 }: RuleParts): CompiledRules {
  const meanings: TriggerMeaning[] = [];
  const triggers: Trigger[] = [];
  const add = (meaning: TriggerMeaning, places: readonly TriggerPlace[]): void => {
    triggers.push({ id: meanings.length, places });
    meanings.push(meaning);
  };
  add({ kind: 'escape' }, parseTrigger('\\\\[u/]'));
  add({ kind: 'percent' }, parseTrigger('%[0-9A-Fa-f]{2}'));
  for (const [index, { name, triggers: notations }] of detectors.entries()) {
    const check = CHECKS[name] ?? null;
    for (const notation of notations) add({ kind: 'detector', index, check }, parseTrigger(notation));
  }
  const names = [...keys.map(({ key }) => key), ...paths.map(({ path }) => path.lastName)];
  const seen = names.filter((name) => name !== null && !isEscapable(name)) as string[];
  for (const name of new Set(seen)) add({ kind: 'name' }, placesOfName(name));
  const withoutPatterns = triggers.length;
  for (const [index, { pattern }] of patterns.entries()) {
    if (pattern.trigger !== null) add({ kind: 'pattern', index }, pattern.trigger);
  }
  const whole = buildAutomaton(triggers);
  // Patterns with wide classes that overlap may be too many for one automaton: each string is shown to them then.
  const automaton = whole ?? (buildAutomaton(triggers.slice(0, withoutPatterns)) as TriggerAutomaton);
  const unannounced = whole === null ? patterns : patterns.filter(({ pattern }) => pattern.trigger === null);
  return {
    automaton,
    meanings,
    detectors,
    patterns,
    unannounced,
    keys: new Map(keys.toReversed().map(({ name, key }) => [key.toLowerCase(), name])),
    paths: paths.map(({ path }) => path),
    pathRules: paths.map(({ name }) => name),
    base64,
    always: unannounced.length > 0 || seen.length < names.length,
    beyondAscii: triggers.some(({ places }) => places.some(({ characters }) => characters[128] === 1)),
    marker: markersOf([...DETECTORS, ...[...patterns, ...keys, ...paths].map(({ name }) => name)]),
  };
}

/** The name in any case, then what may stand behind a name: a quote, escaped or not, or the sign of forms. */
function placesOfName(name: string): TriggerPlace[] {
  const places = Array.from({ length: name.length }, (_, index) => {
    const characters = emptyClass();
    addCharacter(characters, name.charCodeAt(index));
    foldClass(characters);
    return { characters, optional: false };
  });
  const behind = emptyClass();
  for (const character of '"\\=') addCharacter(behind, character.charCodeAt(0));
  return [...places, { characters: behind, optional: false }];
}

/** Whether JSON must or may spell it with escapes other than those that are looked for. */
function isEscapable(name: string): boolean {
  return /["\\\u0000-\u001f]/.test(name);
}

/** The name of a rule is a DNS label, so it needs no quoting. */
function markersOf(rules: readonly string[]): RegExp {
  return new RegExp(`\\[masked:(?:${[...new Set(rules)].join('|')})\\]`, 'g');
}
