/**
 * Owns the environment that rules are parsed and type-checked in.
 * Invariant: only the variables of views.ts and CEL's standard library are declared; limits hold while parsing.
 */
import { Environment } from '@marcbachmann/cel-js';
import { MAX_DEPTH, MAX_NODES } from './syntax.ts';
import type { Evaluator } from './syntax-node.ts';
import { ClientView, FIELDS, HttpView, McpView, PrincipalView, ServerView } from './views.ts';

const TYPES = {
  principal: { name: 'Principal', ctor: PrincipalView },
  mcp: { name: 'Mcp', ctor: McpView },
  client: { name: 'Client', ctor: ClientView },
  http: { name: 'Http', ctor: HttpView },
  server: { name: 'Server', ctor: ServerView },
} as const;

export function createEnvironment(): Environment {
  const environment = new Environment({
    limits: { maxAstNodes: MAX_NODES, maxDepth: MAX_DEPTH, maxCallArguments: 8 },
  });
  for (const [variable, { name, ctor }] of Object.entries(TYPES)) {
    environment.registerType(name, { ctor, fields: FIELDS[variable as keyof typeof FIELDS] });
    environment.registerVariable(variable, name);
  }
  typeValuesByTheirOutside(environment);
  return environment;
}

/**
 * The engine types a dynamic value by what is in it, to any depth, and keeps every such type for ever. Clients choose the values:
 * the types would fill the memory. Nothing that rules can say depends on more than whether a value is a list or a map.
 */
function typeValuesByTheirOutside(environment: Environment): void {
  environment.registerFunction('evaluator(ast): dyn', ({ args }: { args: unknown }) => ({
    args,
    typeCheck: (checker: { getType(name: string): unknown }) => checker.getType('dyn'),
    evaluate: (evaluator: Evaluator) => {
      evaluator.debugTypeDeep = evaluator.debugType;
      return true;
    },
  }));
  environment.evaluate('evaluator(true)');
}
