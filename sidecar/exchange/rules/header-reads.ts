/**
 * Owns which headers a rule reads the values of.
 * Invariant: a header that may be read is named, or all are; that one is there (`"x" in http.headers`) is no reading of its value.
 */
import { createEnvironment } from './environment.ts';
import { nodesOf } from './syntax.ts';
import { childrenOf, selectOf, type SyntaxNode, syntaxOf } from './syntax-node.ts';

/** @param when an expression that compiles @returns names as the rule has them, or 'all' where they can't be told */
export function headerReads(when: string): ReadonlySet<string> | 'all' {
  const names = new Set<string>();
  const nodes = nodesOf(syntaxOf(createEnvironment().parse(when).ast));
  for (const node of nodes) {
    const select = selectOf(node);
    if (select !== null && isHeaders(select.base)) names.add(select.name);
    else if (childrenOf(node).some(isHeaders) && !onlyLooksForName(node)) return 'all';
  }
  return names;
}

function isHeaders(node: SyntaxNode): boolean {
  const select = selectOf(node);
  return (
    select !== null && select.name === 'headers' && select.base.op === 'id' && select.base.args === 'http'
  );
}

function onlyLooksForName({ op, args }: SyntaxNode): boolean {
  return op === 'in' && !isHeaders((args as [SyntaxNode, SyntaxNode])[0]);
}
