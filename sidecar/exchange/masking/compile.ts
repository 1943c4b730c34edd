/**
 * Owns the way from the masking rules of a configuration to what masks texts by them.
 * Invariant: a configuration is compiled as a whole or refused with all its faults; compiled rules never fail on a text.
 */
import type { MaskingConfiguration, MaskingRuleConfiguration } from '../../config/access.ts';
import { ALL_DETECTORS, DETECTORS } from './detector-names.ts';
import { parseJsonPath } from './json-path.ts';
import { createMasker } from './masker.ts';
import type { Masker, Masking } from './masking.ts';
import { OWN_DETECTORS } from './own-detectors.ts';
import { compileOwnPattern } from './own-pattern.ts';
import { presetDetectors } from './preset-detectors.ts';
import { buildRules, type RuleParts } from './rule-set.ts';

export { DETECTORS } from './detector-names.ts';

export interface MaskingProblem {
  /** Index of the rule in the configuration. */
  rule: number;
  key: 'name' | 'detectors' | 'keys' | 'paths' | 'pattern';
  /** Index in the list under that key; null when it is about the whole. */
  index: number | null;
  /** Goes on from what was written: "is no RE2 pattern: ... at character 3". */
  message: string;
}

export type MaskingResult = { ok: true; masking: Masking } | { ok: false; problems: MaskingProblem[] };

/** A DNS label (RFC 1123): it stands in markers. */
const RULE_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const LONGEST_PATTERN = 1000;
const LONGEST_KEY = 256;

export function compileMasking(configuration: MaskingConfiguration): MaskingResult {
  const problems = checkMasking(configuration);
  if (problems.length > 0) return { ok: false, problems };
  return {
    ok: true,
    masking: { record: maskerFor(configuration, 'Record'), wire: maskerFor(configuration, 'Wire') },
  };
}

/** All that is wrong with the rules, in their order. */
export function checkMasking({ rules }: MaskingConfiguration): MaskingProblem[] {
  const names = new Set<string>();
  return rules.flatMap((rule, index) => {
    const problems: MaskingProblem[] = [];
    const add: AddProblem = (key, at, message) => problems.push({ rule: index, key, index: at, message });
    if (rule.kind !== 'detectors') checkName(rule.name, names, add);
    CHECKS[rule.kind](rule as never, add);
    return problems;
  });
}

type AddProblem = (key: MaskingProblem['key'], index: number | null, message: string) => void;
type RuleOf<K extends MaskingRuleConfiguration['kind']> = Extract<MaskingRuleConfiguration, { kind: K }>;

function checkName(name: string, names: Set<string>, add: AddProblem): void {
  if (!RULE_NAME.test(name))
    add('name', null, 'must be a DNS label: lower-case letters, digits and dashes, at most 63');
  else if (name === ALL_DETECTORS || DETECTORS.includes(name))
    add('name', null, 'is the name of a detector; choose another');
  else if (names.has(name)) add('name', null, 'is the name of another rule; choose another');
  names.add(name);
}

const CHECKS: { [K in MaskingRuleConfiguration['kind']]: (rule: RuleOf<K>, add: AddProblem) => void } = {
  detectors({ detectors }, add) {
    if (detectors.length === 0)
      add('detectors', null, `is empty; known are ${ALL_DETECTORS}, ${DETECTORS.join(', ')}`);
    for (const [index, name] of detectors.entries()) {
      if (name === ALL_DETECTORS || DETECTORS.includes(name)) continue;
      add('detectors', index, `is no detector; known are ${ALL_DETECTORS}, ${DETECTORS.join(', ')}`);
    }
  },
  keys({ keys }, add) {
    if (keys.length === 0) add('keys', null, 'is empty; it needs names of members');
    for (const [index, key] of keys.entries()) {
      if (key === '') add('keys', index, 'is empty; it must be the name of a member');
      if (key.length > LONGEST_KEY) add('keys', index, `is longer than ${LONGEST_KEY} characters`);
    }
  },
  paths({ paths }, add) {
    if (paths.length === 0)
      add('paths', null, 'is empty; it needs JSON paths such as $.params.arguments.ssn');
    for (const [index, path] of paths.entries()) {
      const parsed = parseJsonPath(path);
      if (!parsed.ok) add('paths', index, parsed.message);
    }
  },
  pattern({ pattern }, add) {
    if (pattern.length > LONGEST_PATTERN) {
      add('pattern', null, `is longer than ${LONGEST_PATTERN} characters`);
      return;
    }
    const compiled = compileOwnPattern(pattern);
    if (!compiled.ok) add('pattern', null, compiled.message);
  },
};

/** Null when no rule is for this target. */
function maskerFor(configuration: MaskingConfiguration, target: 'Record' | 'Wire'): Masker | null {
  const rules = configuration.rules.filter(({ appliesTo }) => appliesTo === target || appliesTo === 'Both');
  return rules.length === 0 ? null : createMasker(buildRules(partsOf(rules, configuration.base64)));
}

function partsOf(rules: readonly MaskingRuleConfiguration[], base64: boolean): RuleParts {
  const wanted = new Set(rules.flatMap((rule) => (rule.kind === 'detectors' ? rule.detectors : [])));
  const all = wanted.size === 0 ? [] : [...presetDetectors(), ...OWN_DETECTORS];
  return {
    base64,
    detectors: all.filter(({ name }) => wanted.has(ALL_DETECTORS) || wanted.has(name)),
    keys: rules.flatMap((rule) =>
      rule.kind === 'keys' ? rule.keys.map((key) => ({ name: rule.name, key })) : [],
    ),
    paths: rules.flatMap((rule) =>
      rule.kind === 'paths' ? rule.paths.flatMap((source) => pathOf(rule.name, source)) : [],
    ),
    patterns: rules.flatMap((rule) => (rule.kind === 'pattern' ? patternOf(rule) : [])),
  };
}

function pathOf(name: string, source: string): RuleParts['paths'][number][] {
  const parsed = parseJsonPath(source);
  return parsed.ok ? [{ name, path: parsed.path }] : [];
}

function patternOf({ name, pattern }: RuleOf<'pattern'>): RuleParts['patterns'][number][] {
  const compiled = compileOwnPattern(pattern);
  return compiled.ok ? [{ name, pattern: compiled.pattern }] : [];
}
