/**
 * Owns what the tests of rules say often: a rule, a caller, a call, and what was decided.
 */
import type { RuleConfiguration } from '../../../sidecar/config/access.ts';
import type { Caller } from '../../../sidecar/exchange/caller.ts';
import { scanMessages } from '../../../sidecar/exchange/json-scan.ts';
import { checkRules, compileRules, type RuleProblem } from '../../../sidecar/exchange/rules/compile.ts';
import type { RuleDecision, RuleRequest, Rules } from '../../../sidecar/exchange/rules/rules.ts';

export function deny(when: string, more: Partial<RuleConfiguration> = {}): RuleConfiguration {
  return { name: 'rule', when, action: 'Deny', message: null, hideTools: false, ...more };
}

export function rulesOf(...rules: RuleConfiguration[]): Rules {
  const compiled = compileRules(rules, {
    name: 'github',
    namespace: 'tools',
    cluster: 'eu-1',
    labels: { environment: 'prod' },
  });
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems));
  return compiled.rules;
}

/** The only thing that is wrong with a rule. */
export function problemOf(when: string, more: Partial<RuleConfiguration> = {}): RuleProblem {
  const problems = checkRules([deny(when, more)]);
  if (problems.length !== 1) throw new Error(`${problems.length} problems: ${JSON.stringify(problems)}`);
  return problems[0] as RuleProblem;
}

export function callerOf(more: Partial<Caller> = {}): Caller {
  return {
    principal: {
      how: 'oidc',
      issuer: 'https://idp.example.com',
      subject: 'u-1',
      name: 'Ada',
      client_id: 'inspector',
      groups: ['dev'],
    },
    principalJson: '{}',
    key: 'ada',
    verified: true,
    groups: ['dev', 'staff'],
    scopes: ['mcp:use'],
    claims: { email: 'ada@example.com', level: 3, nested: { constructor: 'x', list: [1, 2] } },
    ...more,
  };
}

export function requestOf(more: Partial<RuleRequest> = {}): RuleRequest {
  return {
    caller: callerOf(),
    clientAddress: '10.0.0.7',
    method: 'POST',
    target: '/mcp?key=1',
    rawHeaders: ['User-Agent', 'inspector/1', 'Authorization', 'Bearer x', 'X-Team', 'a', 'x-team', 'b'],
    session: 'h:1',
    protocol: '2025-11-25',
    ...more,
  };
}

/** The text of a call of a tool; `args` is JSON text. */
export function callText(tool: string, args = '{}'): string {
  return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":${JSON.stringify(tool)},"arguments":${args}}}`;
}

export function decideText(rules: Rules, text: string, request = requestOf()): RuleDecision[] {
  const scanned = scanMessages(text);
  if (!scanned.ok) throw new Error(`${scanned.reason} at ${scanned.offset}`);
  return rules.decide(request, scanned.messages, text);
}

/** What one rule says of one call: true, false, or its error. */
export function outcomeOf(when: string, args = '{}', request = requestOf()): boolean | string {
  const [decision] = decideText(rulesOf(deny(when)), callText('create_issue', args), request);
  if (decision === undefined) throw new Error('no decision');
  return decision.error ?? decision.action === 'deny';
}
