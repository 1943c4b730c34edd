import { describe, expect, it } from 'vitest';
import { callerOf, callText, decideText, deny, outcomeOf, requestOf, rulesOf } from './support.ts';

describe('variables', () => {
  it.each([
    'principal.how == "oidc" && principal.issuer == "https://idp.example.com" && principal.subject == "u-1"',
    'principal.name == "Ada" && principal.client_id == "inspector"',
    'principal.groups == ["dev", "staff"] && "mcp:use" in principal.scopes',
    'principal.claims.email.endsWith("@example.com") && principal.claims.level == 3',
    'principal.claims.nested.constructor == "x" && principal.claims.nested.list[1] == 2',
    '!has(principal.claims.nested.toString) && !has(principal.claims.other)',
    'mcp.method == "tools/call" && mcp.kind == "request" && mcp.tool == "create_issue" && mcp.target == mcp.tool',
    'mcp.session == "h:1" && mcp.protocol == "2025-11-25"',
    'client.address == "10.0.0.7" && client.id == "inspector"',
    'http.method == "POST" && http.path == "/mcp" && http.headers["user-agent"] == "inspector/1"',
    'http.headers["x-team"] == "a, b" && !("authorization" in http.headers)',
    'server.name == "github" && server.namespace == "tools" && server.cluster == "eu-1"',
    'server.labels.environment == "prod" && !has(server.labels.owner)',
    'mcp.arguments.size() == 0 && size(mcp.arguments) == 0',
  ])('%s', (when) => {
    expect(outcomeOf(when)).toBe(true);
  });

  it('are empty where there is nothing', () => {
    const caller = callerOf({
      principal: { how: 'anonymous', issuer: null, subject: null, name: null, client_id: null, groups: [] },
      groups: [],
      scopes: [],
      claims: {},
    });
    const request = requestOf({ caller, session: null, protocol: null, rawHeaders: [] });
    const empty =
      'principal.issuer + principal.subject + principal.name + principal.client_id + mcp.session + mcp.protocol + client.id == ""';
    expect(outcomeOf(empty, '{}', request)).toBe(true);
    expect(outcomeOf('principal.claims.size() == 0 && http.headers.size() == 0', '{}', request)).toBe(true);
  });
});

describe('one decision for each message', () => {
  const rules = rulesOf(
    deny('mcp.tool == "pay" && !("finance" in principal.groups)', { name: 'pay', message: 'Ask finance' }),
    deny('mcp.tool.startsWith("p")', { name: 'private', action: 'MetadataOnly' }),
    deny('mcp.tool == "prune" || mcp.kind == "none" && http.method == "DELETE"', { name: 'prune' }),
    deny('mcp.kind == "response" && mcp.method == ""', { name: 'answers', action: 'MetadataOnly' }),
    deny('mcp.kind == "notification"', { name: 'told' }),
  );

  it('of a batch, by the first rule that matches', () => {
    const calls = ['pay', 'profile', 'prune', 'other'].map((tool) => callText(tool));
    expect(decideText(rules, `[${calls.join(',')}, {"id":1,"result":{}}, {"method":"x"}, 7]`)).toEqual([
      { action: 'deny', rule: 'pay', message: 'Ask finance', error: null },
      { action: 'metadata_only', rule: 'private', message: null, error: null },
      { action: 'metadata_only', rule: 'private', message: null, error: null },
      { action: 'allow', rule: null, message: null, error: null },
      { action: 'metadata_only', rule: 'answers', message: null, error: null },
      { action: 'deny', rule: 'told', message: 'The rule told denies this', error: null },
      { action: 'allow', rule: null, message: null, error: null },
    ]);
  });

  it('and one for a request without messages', () => {
    expect(rules.decide(requestOf({ method: 'DELETE' }), [], null)).toMatchObject([{ rule: 'prune' }]);
    expect(rules.decide(requestOf({ method: 'GET' }), [], null)).toMatchObject([{ action: 'allow' }]);
  });

  it('allows all without rules', () => {
    expect(decideText(rulesOf(), callText('pay'))).toMatchObject([{ action: 'allow', rule: null }]);
  });

  it('of each message by its own arguments, those of prompts too', () => {
    const byAmount = rulesOf(deny('has(mcp.arguments.amount) && mcp.arguments.amount > 100'));
    const batch = [
      callText('pay', '{"amount":101}'),
      callText('pay', '{"amount":100}'),
      '{"id":3,"method":"prompts/get","params":{"\\u0061rguments" : {"amount":300},"name":"p"}}',
      '{"id":4,"method":"tools/list","params":{"arguments":{"amount":300}}}',
      '{"id":5,"method":"tools/call","params":{"name":"p"}}',
      '{"id":6,"method":"tools/call","params":{"name":"p","arguments":null}}',
      '{"id":7,"method":"tools/call","params":7}',
    ];
    expect(decideText(byAmount, `[${batch.join(',')}]`).map(({ action }) => action)).toEqual([
      'deny',
      'allow',
      'deny',
      'allow',
      'allow',
      'allow',
      'allow',
    ]);
  });
});

describe('what can not be evaluated is denied, and nothing of the request is told', () => {
  it.each([
    ['mcp.arguments.secret == "a"', '{}', /line 1, column 15\): it reads a member that is not there/],
    ['mcp.arguments[mcp.tool] == "a"', '{}', /member that is not there/],
    ['mcp.arguments.a[1] == 1', '{"a":[1]}', /element that the list does not have/],
    ['mcp.arguments.a + 1 == 2', '{"a":"create_issue"}', /types that do not go together/],
    ['mcp.arguments.a && true', '{"a":"create_issue"}', /true or false that is neither/],
    ['mcp.arguments.a.exists(x, x == 1)', '{"a":"create_issue"}', /neither a list nor a map/],
    ['mcp.arguments.a.contains("x")', '{"a":["create_issue"]}', /types that it does not take/],
    ['int(mcp.tool) == 1', '{}', /no integer/],
    ['"x".matches(mcp.arguments.a)', '{"a":"create_issue("}', /regular expression that it makes/],
    ['mcp.arguments.a == 1', '["create_issue"]', /no JSON object/],
    ['mcp.tool.substring(100) == "x"', '{}', /part that the text does not have/],
  ])('%s', (when, args, reason) => {
    const rules = rulesOf(deny('false', { name: 'before' }), deny(when, { name: 'broken' }), deny('true'));
    const [decision] = decideText(rules, callText('create_issue', args));
    expect(decision).toMatchObject({ action: 'deny', rule: 'broken' });
    expect(decision?.error).toMatch(reason);
    expect(decision?.error).not.toContain('create_issue');
    expect(decision?.message).not.toContain('create_issue');
  });

  it('whatever the action', () => {
    const rules = rulesOf(deny('mcp.arguments.x == 1', { action: 'MetadataOnly' }));
    expect(decideText(rules, callText('a'))).toMatchObject([{ action: 'deny', rule: 'rule' }]);
  });

  it('unless the other side of || or && decides alone', () => {
    expect(outcomeOf('mcp.arguments.x == 1 || true')).toBe(true);
    expect(outcomeOf('mcp.arguments.x == 1 && false')).toBe(false);
    expect(outcomeOf('[1, 2].exists(x, mcp.arguments.x == 1 || x == 2)')).toBe(true);
  });
});

describe('hiding tools', () => {
  const request = requestOf();

  it('as a call of the tool without arguments would be denied', () => {
    const rules = rulesOf(
      deny('mcp.arguments.amount > 5', { name: 'by-arguments' }),
      deny('mcp.tool == "read_file"', { name: 'kept', action: 'MetadataOnly' }),
      deny('mcp.tool == "old"', { name: 'shown' }),
      deny('mcp.method == "tools/call" && mcp.kind == "request" && !mcp.tool.startsWith("list_")', {
        name: 'only-lists',
        hideTools: true,
      }),
    );
    expect(rules.hidesTools).toBe(true);
    expect(rules.hides(request, 'drop')).toBe('only-lists');
    expect(rules.hides(request, 'list_files')).toBeNull();
    expect(rules.hides(request, 'read_file')).toBeNull();
    expect(rules.hides(request, 'old')).toBeNull();
  });

  it('hides what it can not decide', () => {
    const rules = rulesOf(deny('principal.claims.missing == "x"', { name: 'broken', hideTools: true }));
    expect(rules.hides(request, 'drop')).toBe('broken');
  });

  it('hides nothing where no rule asks', () => {
    const rules = rulesOf(deny('true'));
    expect(rules.hidesTools).toBe(false);
    expect(rules.hides(request, 'drop')).toBeNull();
  });
});
