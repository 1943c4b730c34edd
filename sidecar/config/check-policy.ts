/**
 * Owns the second look at a configuration: at expressions, patterns and paths, whose languages the schema does not know.
 * Invariant: what stands nowhere is not loaded; a fault is told with its place in the file and in the expression.
 */
import type { Configuration } from './schema.ts';
import { ConfigurationError, keyText, type Problem } from './configuration-error.ts';
import type { PolicyProblem } from './expressions.ts';
import { type ConfigurationSource, readConfiguration } from './load.ts';

/** Compiles what rules and masking consist of, and gives what is wrong with it. */
export async function policyProblems(
  policy: Pick<Configuration, 'rules' | 'masking'>,
): Promise<PolicyProblem[]> {
  if (policy.rules.length === 0 && policy.masking.rules.length === 0) return [];
  const { expressionProblems } = await import('./expressions.ts');
  return expressionProblems(policy);
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
