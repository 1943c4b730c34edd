/**
 * Owns what is wrong with the expressions, patterns and paths of a configuration, whose languages its schema does not know.
 * Invariant: what is found is told with its place. It loads compilers: a recorder without rules and masks must not.
 */
import { checkMasking } from '../exchange/masking/compile.ts';
import { checkRules } from '../exchange/rules/compile.ts';
import type { KeyPath } from './configuration-error.ts';
import type { Configuration } from './schema.ts';

/** What is wrong with an expression. */
export interface PolicyProblem {
  path: KeyPath;
  /** Where in the text of that key, from 1; null: in all of it. */
  position: { line: number; column: number } | null;
  message: string;
}

/** Compiles what rules and masking consist of, and gives what is wrong with it. */
export function expressionProblems({
  rules,
  masking,
}: Pick<Configuration, 'rules' | 'masking'>): PolicyProblem[] {
  const ofRules = checkRules(rules).map(({ rule, key, message, line, column }) => ({
    path: ['rules', rule, key],
    position: { line, column },
    message,
  }));
  const ofMasking = checkMasking(masking).map(({ rule, key, index, message }) => ({
    path: ['masking', 'rules', rule, key, ...(index === null ? [] : [index])],
    position: null,
    message,
  }));
  return [...ofRules, ...ofMasking];
}
