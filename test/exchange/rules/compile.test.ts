import { describe, expect, it } from 'vitest';
import { checkRules } from '../../../sidecar/exchange/rules/compile.ts';
import { MAX_SOURCE_LENGTH } from '../../../sidecar/exchange/rules/syntax.ts';
import { deny, problemOf } from './support.ts';

describe('a rule is refused where it is wrong', () => {
  it.each([
    ['mcp.tool ==', 1, 12, /Unexpected token: EOF/],
    ['mcp.tool == "a" &&\n  mcp.tol == "b"', 2, 7, /No such key: tol/],
    ['mcp.tool == 7', 1, 1, /No such overload: string == int/],
    ['tool == "a"', 1, 1, /Unknown variable: tool/],
    ['mcp.tool.startsWith(7)', 1, 1, /no matching overload/],
    ['mcp.tool', 1, 1, /true or false, but it is of type string/],
    ['mcp.arguments.flag', 1, 1, /== true/],
    ['mcp.tool.matches("a(b")', 1, 18, /Not a regular expression/],
    ['mcp.method == "x" && mcp.tool.matches("(?=b)")', 1, 39, /Not a regular expression/],
    ['mcp.tool.matches("(a{500}){3}")', 1, 18, /regular expression/],
    ['cel.bind(x, mcp.tool, x == "a")', 1, 1, /`bind` is not available/],
    ['duration(mcp.tool) == duration("1s")', 1, 1, /`duration` is not available/],
    ['bytes(mcp.tool).json().a == 1', 1, 1, /not available/],
    ['evaluator(true) == true', 1, 1, /not available/],
    ['b"x" == b"x"', 1, 1, /no bytes/],
    ['5u == 5u', 1, 1, /unsigned/],
    ['[mcp].exists(m, m.tool == "a")', 1, 2, /can't be used as a whole.*mcp\.method/],
    ['mcp["to" + "ol"] == "a"', 1, 1, /as a whole/],
    ['principal', 1, 1, /as a whole/],
    ['principal.groups.exists(mcp, mcp == "a")', 1, 1, /has a meaning already/],
    ['principal.groups.exists(7, true)', 1, 25, /iteration variable/],
    ['google.protobuf.Timestamp == string', 1, 1, /`google` is not available/],
  ])('%j', (when, line, column, message) => {
    const problem = problemOf(when);
    expect(problem.message).toMatch(message);
    expect([problem.rule, problem.key, problem.line, problem.column]).toEqual([0, 'when', line, column]);
  });

  it('when it is too long, too deep or too large, without running out of stack', () => {
    const deep = `${'!'.repeat(10_000)}true`;
    for (const when of [
      `mcp.tool == "${'x'.repeat(MAX_SOURCE_LENGTH)}"`,
      deep,
      `${'('.repeat(5000)}true${')'.repeat(5000)}`,
      Array.from({ length: 150 }, (_, index) => `mcp.tool == "t${index}"`).join(' || '),
      `mcp.tool in [${'"a",'.repeat(2100)}]`,
      `${'['.repeat(3000)}${']'.repeat(3000)} == []`,
      `mcp.tool == "a"${'.x'.repeat(3000)}`,
    ]) {
      expect(problemOf(when).message.length, when.slice(0, 40)).toBeGreaterThan(10);
    }
  });

  it('when it hides tools by arguments, which a list of tools does not have', () => {
    const problem = problemOf('mcp.tool == "pay" && mcp["arguments"].amount > 5', { hideTools: true });
    expect(problem).toMatchObject({ key: 'hideTools', line: 1, column: 27 });
    expect(problem.message).toMatch(/Use two rules/);
  });
});

it('finds what is wrong with each rule of a list', () => {
  const problems = checkRules([deny('mcp.tool == "a"'), deny('mcp.tool'), deny('true'), deny('x')]);
  expect(problems.map(({ rule }) => rule)).toEqual([1, 3]);
});

it('accepts what people write', () => {
  expect(
    checkRules(
      [
        'mcp.method == "tools/call" && mcp.tool.startsWith("delete_") && !("admins" in principal.groups)',
        'mcp.arguments.flag == true',
        'mcp.arguments.amount > 100 || mcp.arguments["amount"] < 0.5',
        'has(mcp.arguments.path) && mcp.arguments.path.matches("^/etc/(passwd|shadow)$")',
        'mcp.arguments.items.exists(i, i.price * double(i.count) > 100.0)',
        'mcp.arguments.all(key, key in ["a", "b"])',
        'server.labels["environment"] == "prod" && http.headers["user-agent"].contains("curl")',
        'type(mcp.arguments.x) == string',
        'principal.claims.address.country in ["DE", "FR"] ? mcp.kind == "request" : false',
        'client.address == "10.0.0.1" && client.id == "inspector" // a comment',
        'size(mcp.arguments.text.split(",")) > 3 || int(mcp.arguments.n) % 2 == 0',
        `mcp.tool in [${Array.from({ length: 300 }, (_, index) => `"tool_${index}"`).join(', ')}]`,
      ].map((when) => deny(when)),
    ),
  ).toEqual([]);
});
