/**
 * Owns what a rule may say beyond what the type check finds, and what it reads of a request.
 * Invariant: an expression that passes uses only what has a cost here, and what it reads is known without evaluating it.
 */
import {
  callOf,
  childrenOf,
  comprehensionOf,
  literalString,
  type SyntaxNode,
  selectOf,
} from './syntax-node.ts';
import { FIELDS, type VariableName } from './views.ts';

/** Most characters of an expression, nodes of its tree, and levels that the tree is deep. */
export const MAX_SOURCE_LENGTH = 4096;
export const MAX_NODES = 2000;
export const MAX_DEPTH = 100;

/** Functions without a cost that could grow are called by these names; with one, costs.ts has it. */
const FUNCTIONS = new Set(['has', 'size', 'string', 'int', 'double', 'bool', 'dyn', 'type']);
const MACROS = ['all', 'exists', 'exists_one', 'map', 'filter'];
const METHODS = new Set([
  ...MACROS,
  'contains',
  'endsWith',
  'indexOf',
  'join',
  'lastIndexOf',
  'lowerAscii',
  'matches',
  'size',
  'split',
  'startsWith',
  'substring',
  'trim',
  'upperAscii',
]);
/** Names of types, to compare `type(value)` with. */
const TYPE_NAMES = new Set(['string', 'bool', 'int', 'double', 'map', 'list', 'null_type', 'type']);
/** What else the engine gives a meaning to. */
const NAMESPACES = new Set(['cel', 'google', 'optional', 'bytes', 'uint']);
const OPERATORS = new Set(
  '. [] value id call rcall list map ?: || && !_ -_ != == in + - * / % < <= > >='.split(' '),
);

export interface SyntaxProblem {
  message: string;
  node: SyntaxNode;
}

/** What an expression reads of a request. */
export interface Reads {
  /** `mcp.arguments`, whole or in part. */
  arguments: boolean;
  /** Names that may be members of the arguments, at any depth: a server that finds them by another case must not be believed. */
  argumentNames: ReadonlySet<string>;
}

/** The first thing that a rule must not say, or null. Meant for a tree before its type check; needs no deep stack. */
export function findSyntaxProblem(root: SyntaxNode): SyntaxProblem | null {
  const open: [node: SyntaxNode, depth: number, parent: SyntaxNode | null][] = [[root, 1, null]];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [node, depth, parent] = next;
    const message = depth > MAX_DEPTH ? TOO_DEEP : problemOf(node, parent);
    if (message !== null) return { message, node };
    for (const child of childrenOf(node).toReversed()) open.push([child, depth + 1, node]);
  }
  return null;
}

const TOO_DEEP = `The expression is nested more than ${MAX_DEPTH} levels deep. A list with \`in\` says the same as many \`||\`.`;

function isVariable(name: string): name is VariableName {
  return Object.hasOwn(FIELDS, name);
}

function problemOf(node: SyntaxNode, parent: SyntaxNode | null): string | null {
  if (node.op === 'id') return problemOfName(node.args as string, parent);
  if (!OPERATORS.has(node.op)) return `\`${node.op}\` is not available in rules`;
  if (node.op === 'value' && typeof node.args === 'object' && node.args !== null) {
    return 'Rules have no bytes and no unsigned integers: write text in quotes and numbers without `u`';
  }
  const call = callOf(node);
  if (call === null) return null;
  const { name, receiver, operands } = call;
  if (!(receiver === null ? FUNCTIONS : METHODS).has(name)) {
    return `The function \`${name}\` is not available in rules`;
  }
  if (comprehensionOf(node) === null) return null;
  const variable = operands[0] as SyntaxNode;
  const declared = variable.args as string;
  if (isVariable(declared) || TYPE_NAMES.has(declared)) {
    return `\`${declared}\` has a meaning already: call the variable of \`${name}\` something else`;
  }
  return null;
}

function problemOfName(name: string, parent: SyntaxNode | null): string | null {
  if (NAMESPACES.has(name)) return `\`${name}\` is not available in rules`;
  if (!isVariable(name) || (parent !== null && selectOf(parent) !== null)) return null;
  const [member] = Object.keys(FIELDS[name]);
  return `\`${name}\` can't be used as a whole: name one of its members, as in \`${name}.${member}\``;
}

/** What an expression reads that `findSyntaxProblem` found nothing in. */
export function findReads(root: SyntaxNode): Reads {
  const nodes = nodesOf(root);
  const readsArguments = nodes.some((node) => {
    const select = selectOf(node);
    return select !== null && isArgumentsSelect(select);
  });
  const argumentNames = new Set<string>();
  if (!readsArguments) return { arguments: false, argumentNames };
  // Which names are looked up can't be told where a name is computed, where names are looked through, or where maps are compared: then any
  // literal may be one.
  const anyLiteral = nodes.some(
    (node) =>
      comprehensionOf(node) !== null ||
      (node.op === '[]' && selectOf(node) === null) ||
      node.op === 'map' ||
      (node.op === 'in' && looksForComputedName(node)),
  );
  for (const node of nodes) {
    const select = selectOf(node);
    if (select !== null && mayBeOfArguments(select.base)) argumentNames.add(select.name);
    const literal = anyLiteral ? literalString(node) : node.op === 'in' ? keyLookedFor(node) : null;
    if (literal !== null) argumentNames.add(literal);
  }
  return { arguments: true, argumentNames };
}

function isArgumentsSelect({ base, name }: { base: SyntaxNode; name: string }): boolean {
  return name === 'arguments' && base.op === 'id' && base.args === 'mcp';
}

/** False for what certainly comes from elsewhere: members of the other variables. */
function mayBeOfArguments(base: SyntaxNode): boolean {
  let node = base;
  for (;;) {
    const select = selectOf(node);
    if (select === null) return !(node.op === 'id' && isVariable(node.args as string));
    if (isArgumentsSelect(select)) return true;
    node = select.base;
  }
}

function looksForComputedName({ args }: SyntaxNode): boolean {
  const [name, container] = args as [SyntaxNode, SyntaxNode];
  return literalString(name) === null && container.op !== 'list' && mayBeOfArguments(container);
}

function keyLookedFor(node: SyntaxNode): string | null {
  return literalString((node.args as [SyntaxNode, SyntaxNode])[0]);
}

/** All nodes of a tree. */
export function nodesOf(root: SyntaxNode): SyntaxNode[] {
  const nodes = [root];
  for (const node of nodes) nodes.push(...childrenOf(node));
  return nodes;
}
