/**
 * Owns the masking of forms and query strings (`application/x-www-form-urlencoded`).
 * Invariant: only what is masked differs; the rest keeps the coding that it came in.
 */
import { count, isExceeded, type Run } from './compiled-rules.ts';
import { readPercent } from './decoded-view.ts';
import { namedRule } from './json-masking.ts';
import { maskPlain } from './plain-text.ts';

const FORM = /^[^\s&=<>{}"]{1,256}=[^\s&]*(?:&[^\s&=]{0,256}(?:=[^\s&]*)?)*$/;

/** What a pair costs beside its characters. */
const STEPS_A_PAIR = 250;

export function isForm(text: string): boolean {
  return FORM.test(text);
}

export function maskForm(run: Run, text: string): string {
  return text
    .split('&')
    .map((pair) => maskPair(run, pair))
    .join('&');
}

function maskPair(run: Run, pair: string): string {
  run.work.steps -= STEPS_A_PAIR;
  if (isExceeded(run)) return '';
  const equals = pair.indexOf('=');
  if (equals === -1) return maskPlain(run, pair, true);
  const name = pair.slice(0, equals);
  const value = pair.slice(equals + 1);
  const rule = ruleOfMember(run, decoded(name), decoded(value));
  // Together, because a detector may want the name as a label.
  if (rule === null) return maskPlain(run, pair, true);
  return `${maskPlain(run, name, true)}=${count(run, rule)}`;
}

/** The rule that masks the whole value of a member of this name; null when none does, or when it is masked already. */
export function ruleOfMember(run: Run, name: string, value: string): string | null {
  if (value.replace(run.rules.marker, '') === '' && value !== '') return null;
  return run.rules.keys.get(name.toLowerCase()) ?? namedRule(run, name, value);
}

function decoded(source: string): string {
  return readPercent(source, true)?.text ?? source;
}
