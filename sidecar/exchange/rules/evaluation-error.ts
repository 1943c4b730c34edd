/**
 * Owns what is said of an evaluation that ended in an error.
 * Invariant: it is made of the rule and of the kind of error, never of what the request had in it.
 */
import { EvaluationError } from '@marcbachmann/cel-js';
import { COST_EXCEEDED } from './meter.ts';
import { PatternError } from './patterns.ts';
import { positionIn } from './position.ts';

/** `mcp.arguments` of a message whose `params.arguments` is no object. */
export class ArgumentsError extends Error {}

/** In words, by the engine's codes; its own messages quote values. */
const REASONS: Record<string, string | undefined> = {
  no_such_key: 'it reads a member that is not there (has() asks whether one is)',
  index_out_of_bounds: 'it reads an element that the list does not have',
  index_out_of_range: 'it reads a part that the text does not have',
  no_such_overload: 'an operator has operands of types that do not go together',
  no_matching_overload: 'a function has operands of types that it does not take',
  invalid_logical_operand: 'it takes something for true or false that is neither',
  invalid_condition_type: 'it takes something for true or false that is neither',
  invalid_comprehension_range: 'it looks through something that is neither a list nor a map',
  field_type_mismatch: 'a member is of another type than declared',
  list_item_type_mismatch: 'an element is of another type than declared',
  variable_type_mismatch: 'an element is of another type than declared',
  division_by_zero: 'it divides by zero',
  modulo_by_zero: 'it divides by zero',
  numeric_overflow: 'a number is too large',
  int_conversion_error: 'a text is no integer',
  double_conversion_error: 'a text is no number',
  bool_conversion_error: 'a text is neither true nor false',
};

/**
 * One sentence for the record: which rule, where in its expression, why.
 * @param thrown what the evaluation threw, or what it was in place of a bool
 */
export function errorOf(rule: string, source: string, thrown: unknown): string {
  return `Rule ${rule} could not be evaluated${whereOf(source, thrown)}: ${reasonOf(thrown)}`;
}

function whereOf(source: string, thrown: unknown): string {
  if (!(thrown instanceof EvaluationError) || thrown.range === undefined) return '';
  const { line, column } = positionIn(source, thrown.range.start);
  return ` (line ${line}, column ${column})`;
}

function reasonOf(thrown: unknown): string {
  if (thrown === COST_EXCEEDED) return 'it would take more work than is allowed for one request';
  if (thrown instanceof EvaluationError) return REASONS[thrown.code] ?? 'it has no value';
  if (thrown instanceof ArgumentsError) return 'the arguments are no JSON object';
  if (thrown instanceof PatternError) return "a regular expression that it makes can't be used";
  if (thrown instanceof RangeError) return 'a value is nested too deeply or is too large';
  return 'it has no value';
}
