/**
 * Owns what the recorder knows of the syntax tree of `@marcbachmann/cel-js`, its undocumented parts included.
 * Invariant: nothing else names them, so that a new version of the engine is one file to check (test/exchange/rules/cost.test.ts fails when they change).
 */
import type { ASTNode } from '@marcbachmann/cel-js';

/** The engine's evaluator, as handlers are given it. */
export interface Evaluator {
  run(node: SyntaxNode, context: unknown): unknown;
  debugType(value: unknown): unknown;
  debugTypeDeep(value: unknown): unknown;
}

/** A scope with one variable of a comprehension. */
export interface IterationContext {
  accuValue: unknown;
  iterValue: unknown;
  reuse(parent: unknown): IterationContext;
  setIterValue(value: unknown, evaluator: Evaluator): IterationContext;
}

/** What `all`, `exists`, `exists_one`, `map` and `filter` become. */
export interface Comprehension {
  /** An error of one element does not end it: `all` and `exists` (CEL, "Macros"). */
  errorsAreFatal: boolean;
  init: SyntaxNode;
  step: SyntaxNode;
  condition?: (accumulated: unknown) => boolean;
  result: (accumulated: unknown) => unknown;
  iterCtx: IterationContext;
}

export interface SyntaxNode {
  readonly op: string;
  readonly args: unknown;
  /** Where it begins and ends in the source; `pos` is where an error of it is shown. */
  readonly start: number;
  readonly end: number;
  readonly pos: number;
  readonly meta: { alternate?: SyntaxNode; macro?: unknown };
  /** Set by the type check. */
  checkedType?: { name: string; kind: string };
  /** Set by the type check where operands are evaluated first; called with them. */
  handle?: (...operands: never[]) => unknown;
  evaluate: (evaluator: Evaluator, node: SyntaxNode, context: unknown) => unknown;
}

/** A call by name: `receiver.name(arguments)`, or `name(arguments)` without one. */
export interface Call {
  name: string;
  receiver: SyntaxNode | null;
  operands: readonly SyntaxNode[];
}

export function syntaxOf(ast: ASTNode): SyntaxNode {
  return ast as unknown as SyntaxNode;
}

export function callOf(node: SyntaxNode): Call | null {
  if (node.op === 'call') {
    const [name, operands] = node.args as [string, SyntaxNode[]];
    return { name, receiver: null, operands };
  }
  if (node.op === 'rcall') {
    const [name, receiver, operands] = node.args as [string, SyntaxNode, SyntaxNode[]];
    return { name, receiver, operands };
  }
  return null;
}

/** The comprehension that a call was expanded to, or null. */
export function comprehensionOf(node: SyntaxNode): SyntaxNode | null {
  const expanded = node.meta.alternate;
  return expanded?.op === 'comprehension' ? expanded : null;
}

/** Name and base of a select (`base.name`), or of an index by a literal string (`base["name"]`); else null. */
export function selectOf(node: SyntaxNode): { base: SyntaxNode; name: string } | null {
  if (node.op === '.') {
    const [base, name] = node.args as [SyntaxNode, string];
    return { base, name };
  }
  if (node.op !== '[]') return null;
  const [base, index] = node.args as [SyntaxNode, SyntaxNode];
  const name = literalString(index);
  return name === null ? null : { base, name };
}

export function literalString(node: SyntaxNode): string | null {
  return node.op === 'value' && typeof node.args === 'string' ? node.args : null;
}

/** The nodes that a node is made of; the variable that a comprehension declares is none. */
export function childrenOf(node: SyntaxNode): readonly SyntaxNode[] {
  switch (node.op) {
    case 'value':
    case 'id':
      return [];
    case '.':
      return [(node.args as [SyntaxNode, string])[0]];
    case '!_':
    case '-_':
      return [node.args as SyntaxNode];
    case 'map':
      return (node.args as [SyntaxNode, SyntaxNode][]).flat();
    case 'call':
    case 'rcall': {
      const { receiver, operands } = callOf(node) as Call;
      const used = comprehensionOf(node) === null ? operands : operands.slice(1);
      return receiver === null ? used : [receiver, ...used];
    }
    default:
      return node.args as SyntaxNode[];
  }
}
