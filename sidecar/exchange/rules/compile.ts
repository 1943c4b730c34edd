/**
 * Owns how the rules of a configuration become something that can be evaluated, or a list of what is wrong with them.
 * Invariant: a compiled rule is of type bool, and all that it may cost is known or metered.
 */
import type { Environment, ParseResult } from '@marcbachmann/cel-js';
import type { RuleConfiguration } from '../../config/access.ts';
import { createEnvironment } from './environment.ts';
import { createScope, InstrumentError, instrument, type Scope } from './instrument.ts';
import { Meter } from './meter.ts';
import { positionIn } from './position.ts';
import { createRules } from './rule-set.ts';
import type { RecordedServer, Rules } from './rules.ts';
import { findReads, findSyntaxProblem, MAX_SOURCE_LENGTH, type Reads } from './syntax.ts';
import { syntaxOf } from './syntax-node.ts';

/** What is wrong with one rule, and where. */
export interface RuleProblem {
  /** Index of the rule in the list. */
  rule: number;
  key: 'when' | 'hideTools';
  message: string;
  /** Within the expression, from 1. */
  line: number;
  column: number;
}

export interface CompiledRule {
  configuration: RuleConfiguration;
  reads: Reads;
  /** @returns what the expression is; @throws where CEL says it is an error, where the meter is exceeded */
  evaluate: ParseResult;
}

export type CompiledRules = { ok: true; rules: Rules } | { ok: false; problems: RuleProblem[] };

/** Compiles the rules of a recorder of this server. */
export function compileRules(rules: readonly RuleConfiguration[], server: RecordedServer): CompiledRules {
  const scope = createScope(new Meter());
  const { compiled, problems } = compileAll(rules, scope);
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, rules: createRules(compiled, server, scope) };
}

/** All that is wrong with rules, the first thing of each. */
export function checkRules(rules: readonly RuleConfiguration[]): RuleProblem[] {
  return compileAll(rules, createScope(new Meter())).problems;
}

function compileAll(rules: readonly RuleConfiguration[], scope: Scope) {
  const environment = createEnvironment();
  const compiled: CompiledRule[] = [];
  const problems: RuleProblem[] = [];
  rules.forEach((configuration, index) => {
    const result = compileRule(configuration, environment, scope);
    if ('evaluate' in result) compiled.push(result);
    else problems.push({ rule: index, ...result });
  });
  return { compiled, problems };
}

function compileRule(
  configuration: RuleConfiguration,
  environment: Environment,
  scope: Scope,
): CompiledRule | Omit<RuleProblem, 'rule'> {
  const source = configuration.when;
  const problem = (message: string, offset: number, key: RuleProblem['key'] = 'when') => ({
    key,
    message,
    ...positionIn(source, offset),
  });
  if (source.length > MAX_SOURCE_LENGTH) {
    return problem(`The expression is longer than ${MAX_SOURCE_LENGTH} characters`, 0);
  }
  try {
    const evaluate = environment.parse(source);
    const root = syntaxOf(evaluate.ast);
    const wrong = findSyntaxProblem(root);
    if (wrong !== null) return problem(wrong.message, wrong.node.pos);
    const checked = evaluate.check();
    if (!checked.valid) throw checked.error;
    if (checked.type !== 'bool') return problem(notBool(checked.type), root.start);
    const reads = findReads(root);
    if (configuration.hideTools && reads.arguments) {
      const message =
        "A rule that hides tools can't read `mcp.arguments`: a list of tools has none. Use two rules.";
      return problem(message, source.indexOf('arguments'), 'hideTools');
    }
    instrument(root, scope);
    return { configuration, reads, evaluate };
  } catch (error) {
    if (error instanceof InstrumentError) return problem(sentence(error.message), error.node.pos);
    const { summary, range } = error as { summary?: string; range?: { start: number } };
    if (summary !== undefined) return problem(sentence(summary), range?.start ?? 0);
    if (error instanceof RangeError) return problem('The expression is nested too deeply', 0);
    throw error;
  }
}

/** Flags of JSON are of any type, so a rule must say what it expects. */
function notBool(type: string | undefined): string {
  const hint =
    type === 'dyn' ? ': values from JSON may be of any type, so compare it, for example `== true`' : '';
  return `The expression must be true or false, but it is of type ${type ?? 'dyn'}${hint}`;
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
