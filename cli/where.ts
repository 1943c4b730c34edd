/**
 * Owns `--where`: an expression in CEL over the result line of a row and its call.
 * Invariants: an expression that can't be right is refused before anything is read; a row of which it can't be said does not match, and is counted.
 */
import type { Row } from '@mcp-recorder/recording/index/row';
import { CommandFailure } from './failure.ts';
import { printableLine } from './printable.ts';

export interface Where {
  /** Whether the expression is true of the row. */
  matches(row: Row): boolean;
  /** Rows of which it could not be said. */
  errors(): number;
  /** Why, of the first of them; null: there was none. */
  firstError(): string | null;
  /** The same expression, with nothing counted yet. */
  again(): Where;
}

/** Far above what a person writes. */
const MAX_EXPRESSION = 10_000;

/** Without an expression every row matches. @throws CommandFailure with the place of what is wrong */
export async function compileWhere(expression: string | undefined): Promise<Where> {
  if (expression === undefined) return everyRow();
  if (expression.length > MAX_EXPRESSION) {
    throw new CommandFailure(`--where: the expression is longer than ${MAX_EXPRESSION} characters.`);
  }
  // Loaded only by those who use it.
  const { Environment } = await import('@marcbachmann/cel-js');
  const environment = new Environment().registerVariable('result', 'dyn').registerVariable('call', 'dyn');
  let evaluate: ReturnType<typeof environment.parse>;
  try {
    evaluate = environment.parse(expression);
  } catch (error) {
    throw wrong(expression, error);
  }
  const checked = evaluate.check();
  if (!checked.valid) throw wrong(expression, checked.error);
  if (checked.type !== 'bool' && checked.type !== 'dyn') {
    throw new CommandFailure(
      `--where: ${quoted(expression)} is of type ${checked.type}; needs what is true or false (bool).`,
    );
  }
  return countingWhere((row) => evaluate({ result: celValue(row.result), call: celValue(row.call) }));
}

function everyRow(): Where {
  return { matches: () => true, errors: () => 0, firstError: () => null, again: everyRow };
}

function countingWhere(evaluate: (row: Row) => unknown): Where {
  let errors = 0;
  let firstError: string | null = null;
  return {
    matches(row) {
      try {
        const found = evaluate(row);
        if (typeof found === 'boolean') return found;
        throw new Error('it is neither true nor false');
      } catch (error) {
        errors += 1;
        firstError ??= summaryOf(error);
        return false;
      }
    },
    errors: () => errors,
    firstError: () => firstError,
    again: () => countingWhere(evaluate),
  };
}

/** What is said of rows of which the expression could not be evaluated; empty when there were none. */
export function describeWhereErrors(where: Where): string[] {
  const errors = where.errors();
  if (errors === 0) return [];
  const rows = errors === 1 ? '1 row' : `${errors} rows`;
  return [
    printableLine(
      `Of ${rows} --where could not be evaluated, so they are not shown (the first: ${where.firstError() ?? ''}).`,
    ),
  ];
}

function wrong(expression: string, error: unknown): CommandFailure {
  const { range } = error as { range?: { start: number } };
  const at = range === undefined ? '' : ` at ${placeOf(expression, range.start)}`;
  return new CommandFailure(
    `--where: ${printableLine(summaryOf(error))}${at} of ${quoted(expression)}. It is CEL over result and call, such as result.outcome == "error" && result.duration_us > 1000000.`,
  );
}

/** `character 12`; of an expression of several lines `line 2, character 3`. */
function placeOf(expression: string, offset: number): string {
  const before = expression.slice(0, offset).split('\n');
  const character = `character ${[...(before.at(-1) ?? '')].length + 1}`;
  return expression.includes('\n') ? `line ${before.length}, ${character}` : character;
}

/** The message without the drawing of the place that the engine adds. */
function summaryOf(error: unknown): string {
  const [summary = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
  return summary;
}

function quoted(expression: string): string {
  const line = printableLine(expression);
  return line.length > 200 ? `'${line.slice(0, 200)}...'` : `'${line}'`;
}

/** Whole numbers as CEL's `int`: a plain number would be a `double` and take part in no arithmetic with `1`. */
function celValue(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(celValue);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, celValue(member)]));
}
