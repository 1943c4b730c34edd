/**
 * Owns the second look at a configuration: at expressions, patterns and paths, whose languages the schema does not know.
 * Invariant: what stands nowhere is not loaded; a fault is told with its place in the file and in the expression.
 */
import type { Configuration } from './schema.ts';
import { ConfigurationError, type KeyPath, keyText, type Problem } from './configuration-error.ts';
import { type ConfigurationSource, readConfiguration } from './load.ts';

/** What is wrong with an expression. */
export interface PolicyProblem {
  path: KeyPath;
  /** Where in the text of that key, from 1; null: in all of it. */
  position: { line: number; column: number } | null;
  message: string;
}

/** Compiles what rules and masking consist of, and gives what is wrong with it. */
export async function policyProblems({
  rules,
  masking,
}: Pick<Configuration, 'rules' | 'masking'>): Promise<PolicyProblem[]> {
  const problems: PolicyProblem[] = [];
  if (rules.length > 0) {
    const { checkRules } = await import('../exchange/rules/compile.ts');
    for (const { rule, key, message, line, column } of checkRules(rules)) {
      problems.push({ path: ['rules', rule, key], position: { line, column }, message });
    }
  }
  if (masking.rules.length > 0) {
    const { checkMasking } = await import('../exchange/masking/compile.ts');
    for (const { rule, key, index, message } of checkMasking(masking)) {
      const path = ['masking', 'rules', rule, key, ...(index === null ? [] : [index])];
      problems.push({ path, position: null, message });
    }
  }
  return problems;
}

/** The key as messages name it, with the place in its text: `rules[0].when (line 1, column 14)`. */
export function policyPlace({ path, position }: PolicyProblem): string {
  const key = keyText(path);
  return position === null ? key : `${key} (line ${position.line}, column ${position.column})`;
}

/**
 * Reads the configuration as `loadConfiguration` does, and looks at its expressions.
 * @throws ConfigurationError with every problem found
 */
export async function loadCheckedConfiguration(source: ConfigurationSource): Promise<Configuration> {
  const { configuration, file, lineOf } = readConfiguration(source);
  const problems = (await policyProblems(configuration)).map(
    (problem): Problem => ({
      path: policyPlace(problem),
      line: lineOf(problem.path),
      message: problem.message,
    }),
  );
  if (problems.length > 0) throw new ConfigurationError(file, problems);
  return configuration;
}
