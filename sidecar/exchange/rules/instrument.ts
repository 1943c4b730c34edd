/**
 * Owns what is done to a type-checked tree before it is evaluated: variables are read from where they are, work is paid for,
 * and what the engine does in more than linear time, or not as CEL says, is done here.
 * Invariant: no operation whose work can grow with the request stays as the engine made it.
 */
import { COST_OF_ELEMENT, COST_OF_ERROR, COST_OF_NODE } from './costs.ts';
import { costOfCall, costOfJoining, costOfOrdering } from './costs.ts';
import { equalValues, isInList } from './equality.ts';
import type { Meter } from './meter.ts';
import { compilePattern, createPatternCache, type Pattern } from './patterns.ts';
import { nodesOf } from './syntax.ts';
import {
  type Call,
  callOf,
  type Comprehension,
  childrenOf,
  comprehensionOf,
  type Evaluator,
  type IterationContext,
  literalString,
  type SyntaxNode,
  selectOf,
} from './syntax-node.ts';
import { FIELDS, type Variables } from './views.ts';

/** Where evaluations find the variables and the meter of the moment; shared by the rules of one set. */
export interface Scope {
  variables: Variables | null;
  readonly meter: Meter;
  readonly patternOf: (source: string) => Pattern;
}

export function createScope(meter: Meter): Scope {
  return { variables: null, meter, patternOf: createPatternCache(meter) };
}

/** Where instrumenting found something wrong that only it looks at: a literal pattern. */
export class InstrumentError extends Error {
  readonly node: SyntaxNode;

  constructor(node: SyntaxNode, cause: unknown) {
    super((cause as Error).message, { cause });
    this.node = node;
  }
}

/** @throws InstrumentError; Error when the engine's tree is not the one that this was written for */
export function instrument(root: SyntaxNode, scope: Scope): void {
  for (const node of nodesOf(root)) {
    if (node.op === 'id') readVariable(node, scope);
    else if (node.op === '.') readMember(node, scope);
    else if (node.op === 'list') keepConstant(node);
    else if (node.op === '==' || node.op === '!=') compareEqual(node, scope.meter);
    else if (node.op === 'in') lookIn(node, scope.meter);
    else if (node.op === '+') payBefore(node, costOfJoining, scope.meter);
    else if (/^[<>]=?$/.test(node.op)) payBefore(node, costOfOrdering, scope.meter);
    else callFunction(node, scope);
  }
}

function readVariable(node: SyntaxNode, scope: Scope): void {
  const name = node.args as keyof Variables;
  if (Object.hasOwn(FIELDS, name)) node.evaluate = () => scope.variables?.[name];
}

/** The engine would look up the type of the variable, of the member and of its value at each reading. */
function readMember(node: SyntaxNode, scope: Scope): void {
  const { base, name } = selectOf(node) as { base: SyntaxNode; name: string };
  if (base.op !== 'id' || !Object.hasOwn(FIELDS, base.args as string)) return;
  const variable = base.args as keyof Variables;
  node.evaluate = () =>
    ((scope.variables as Variables)[variable] as unknown as Record<string, unknown>)[name];
}

/** A list of literals is the same one at each evaluation: nothing changes a list. */
function keepConstant(node: SyntaxNode): void {
  const elements = childrenOf(node);
  if (elements.length === 0 || !elements.every(({ op }) => op === 'value')) return;
  const list = elements.map(({ args }) => args);
  node.evaluate = () => list;
}

function compareEqual(node: SyntaxNode, meter: Meter): void {
  const equal = node.op === '==';
  replaceHandle(node, () => (left: unknown, right: unknown) => equalValues(left, right, meter) === equal);
}

function lookIn(node: SyntaxNode, meter: Meter): void {
  replaceHandle(node, (engines) => (left: unknown, right: unknown, ...rest: unknown[]) => {
    if (Array.isArray(right)) return isInList(left, right, meter);
    return engines(left, right, ...rest);
  });
}

function payBefore(node: SyntaxNode, cost: (left: unknown, right: unknown) => number, meter: Meter): void {
  if (childrenOf(node).some(({ checkedType }) => isNumber(checkedType?.name))) return;
  replaceHandle(node, (engines) => (left: unknown, right: unknown, ...rest: unknown[]) => {
    meter.spend(cost(left, right));
    return engines(left, right, ...rest);
  });
}

/** One operand that is certainly a number makes the other one a number too, or the operation an error. */
function isNumber(type: string | undefined): boolean {
  return type === 'int' || type === 'double';
}

function callFunction(node: SyntaxNode, scope: Scope): void {
  const call = callOf(node);
  if (call === null) return;
  const comprehension = comprehensionOf(node);
  if (comprehension !== null) return iterate(call, comprehension, scope.meter);
  if (call.name === 'matches') return matchPattern(node, call, scope);
  const replacement = node.op === 'rcall' ? ASCII_ONLY[call.name] : undefined;
  const cost = costOfCall(call.name);
  if (cost === null) return;
  replaceHandle(node, (engines) => (operands: unknown[], ...rest: unknown[]) => {
    scope.meter.spend(cost(operands));
    const [text] = operands;
    if (replacement !== undefined && typeof text === 'string') return replacement(text);
    return engines(operands, ...rest);
  });
}

const ASCII = /[\0-\x7f]+/g;
/** The engine changes letters of every alphabet. */
const ASCII_ONLY: Record<string, ((text: string) => string) | undefined> = {
  lowerAscii: (text) => text.replaceAll(ASCII, (letters) => letters.toLowerCase()),
  upperAscii: (text) => text.replaceAll(ASCII, (letters) => letters.toUpperCase()),
};

/** The engine's own `matches` is V8's, which can take exponential time. */
function matchPattern(node: SyntaxNode, call: Call, { meter, patternOf }: Scope): void {
  const [source] = call.operands as [SyntaxNode];
  const literal = literalString(source);
  let pattern: Pattern | null = null;
  if (literal !== null) {
    try {
      pattern = compilePattern(literal);
    } catch (error) {
      throw new InstrumentError(source, error);
    }
  }
  replaceHandle(node, () => ([text, written]: unknown[]) => {
    if (typeof text !== 'string' || typeof written !== 'string') throw new TypeError('matches needs strings');
    return (pattern ?? patternOf(written)).matches(text, meter);
  });
}

/**
 * The loop of a comprehension. The engine's own goes on after every error in `all` and `exists`, which takes long where each element is one,
 * and keeps the last values it saw.
 */
function iterate(call: Call, node: SyntaxNode, meter: Meter): void {
  const { iterCtx, init, step, condition, result, errorsAreFatal } = node.args as Comprehension;
  const costOfStep =
    COST_OF_ELEMENT + COST_OF_NODE * call.operands.slice(1).reduce((sum, body) => sum + ownNodes(body), 0);
  const run = (items: readonly unknown[], evaluator: Evaluator, context: IterationContext): unknown => {
    let accumulated = evaluator.run(init, context);
    context.accuValue = accumulated;
    let failure: { error: unknown } | null = null;
    for (let index = 0; index < items.length; index += 1) {
      if (condition !== undefined && !condition(accumulated)) break;
      meter.spend(costOfStep);
      try {
        accumulated = evaluator.run(step, context.setIterValue(items[index], evaluator));
      } catch (error) {
        if (errorsAreFatal || meter.exceeded) throw error;
        meter.spend(COST_OF_ERROR);
        failure ??= { error };
      }
    }
    if (failure !== null && condition?.(accumulated) === true) throw failure.error;
    return result(accumulated);
  };
  replaceHandle(node, (engines) => (items: unknown, args: unknown, evaluator: Evaluator, outer: unknown) => {
    const elements = elementsOf(items);
    if (elements === null) return engines(items, args, evaluator, outer);
    if (elements !== items) meter.spend(10 * elements.length);
    const context = iterCtx.reuse(outer);
    try {
      return run(elements, evaluator, context);
    } finally {
      context.accuValue = undefined;
      context.iterValue = undefined;
      context.reuse(null);
    }
  });
}

/** Elements of a list, keys of a map; null for what is neither, for which the engine has an error. */
function elementsOf(items: unknown): readonly unknown[] | null {
  if (Array.isArray(items)) return items;
  if (items instanceof Map) return [...items.keys()];
  return typeof items === 'object' && items !== null ? Object.keys(items) : null;
}

/** Nodes of a body, without those of comprehensions in it: they pay for themselves. */
function ownNodes(body: SyntaxNode): number {
  let count = 0;
  const open = [body];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    count += 1;
    if (comprehensionOf(node) === null) open.push(...childrenOf(node));
    else open.push((callOf(node) as Call).receiver as SyntaxNode);
  }
  return count;
}

type Handle = (...operands: unknown[]) => unknown;

function replaceHandle(node: SyntaxNode, make: (engines: Handle) => (...operands: never[]) => unknown): void {
  const engines = node.handle as Handle | undefined;
  if (typeof engines !== 'function') throw new Error(`The expression engine has no handler for ${node.op}`);
  node.handle = make(engines);
}
