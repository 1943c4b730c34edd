/**
 * What rules may cost. The engine's syntax tree is instrumented; a version of it that is built otherwise must fail here.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Message, scanMessages } from '../../../sidecar/exchange/json-scan.ts';
import { createEnvironment } from '../../../sidecar/exchange/rules/environment.ts';
import { parseCelValue } from '../../../sidecar/exchange/rules/json-value.ts';
import { Meter } from '../../../sidecar/exchange/rules/meter.ts';
import { McpView, PrincipalView } from '../../../sidecar/exchange/rules/views.ts';
import { callText, decideText, deny, outcomeOf, requestOf, rulesOf } from './support.ts';

const MIB = 1024 * 1024;
/** Some 100 ms of work are allowed; this is for noticing work without end, on any machine. */
const WITHOUT_END_MS = 10_000;
const TOO_MUCH = /would take more work than is allowed/;

const numbers = `[${'1,'.repeat(99_999)}1]`;
const objects = `[${'{"n":1},'.repeat(20_000)}{}]`;
const ones = `"${'1'.repeat(4 * MIB)}"`;
const members = `{${Array.from({ length: 20_000 }, (_, index) => `"k${index}":1`).join()}}`;
const half = `"${'a'.repeat(2 * MIB)}"`;

describe('what would take too long is denied', () => {
  it.each([
    ['nested loops', 'mcp.arguments.a.exists(x, mcp.arguments.a.exists(y, x + y > 5))', `{"a":${numbers}}`],
    [
      'nested loops over names',
      'mcp.arguments.a.all(x, mcp.arguments.a.all(y, x + y != "z"))',
      `{"a":${members}}`,
    ],
    ['an error for each element', 'mcp.arguments.a.exists(x, x.m == 1)', `{"a":${objects}}`],
    [
      'an error for each element that || forgives',
      'mcp.arguments.a.exists(x, x.m == 1) || true',
      `{"a":${objects}}`,
    ],
    [
      'an error for each element that all forgives',
      'mcp.arguments.a.all(x, x.m == 1) && false',
      `{"a":${objects}}`,
    ],
    [
      'text compared for each element',
      'mcp.arguments.a.exists(x, mcp.arguments.b == mcp.arguments.c)',
      `{"a":[${'1,'.repeat(9999)}1],"b":${half},"c":"${'a'.repeat(2 * MIB - 1)}b"}`,
    ],
    [
      'ordered text for each element',
      'mcp.arguments.a.exists(x, mcp.arguments.b < mcp.arguments.b)',
      `{"a":[${'1,'.repeat(9999)}1],"b":${half}}`,
    ],
    [
      'a search in quadratic time',
      'mcp.arguments.a.contains(mcp.arguments.b)',
      `{"a":${half},"b":"b${'a'.repeat(MIB)}"}`,
    ],
    [
      'the same from the end',
      'mcp.arguments.a.lastIndexOf(mcp.arguments.b) == 1',
      `{"a":${half},"b":"${'a'.repeat(MIB)}b"}`,
    ],
    [
      'a text that doubles',
      `[mcp.arguments.a]${'.map(x, x + x)'.repeat(50)}.exists(x, x.contains("z"))`,
      `{"a":"aa"}`,
    ],
    ['a list that doubles', `[[mcp.arguments.a]]${'.map(x, x + x)'.repeat(50)}.size() == 1`, `{"a":"aa"}`],
    [
      'equal trees that share their branches',
      `[1]${'.map(x, [x, x])'.repeat(50)} == [1]${'.map(x, [x, x])'.repeat(50)}`,
      '{}',
    ],
    [
      'looking for one of them',
      `[1]${'.map(x, [x, x])'.repeat(50)}[0] in [1]${'.map(x, [x, x])'.repeat(50)}`,
      '{}',
    ],
    ['a pattern that keeps many states', 'mcp.arguments.a.matches("(?:a?){200}a{200}$")', `{"a":${ones}}`],
    ['a pattern of the caller', 'mcp.arguments.a.matches(mcp.arguments.b)', `{"a":${ones},"b":"(1+1+)+y"}`],
    [
      'patterns of the caller',
      'mcp.arguments.a.exists(p, "x".matches(p))',
      `{"a":[${Array.from({ length: 5000 }, (_, index) => `"(a{30}){30}${index}"`).join()}]}`,
    ],
    [
      'sizes for each element',
      'mcp.arguments.b.all(x, size(mcp.arguments.a) > 0)',
      `{"a":${half},"b":[${'1,'.repeat(9999)}1]}`,
    ],
    ['splitting into characters', 'mcp.arguments.a.split("").size() > 5', `{"a":${ones}}`],
    [
      'joining again and again',
      'mcp.arguments.b.map(x, mcp.arguments.a).join("").size() > 5',
      `{"a":${half},"b":[${'1,'.repeat(9999)}1]}`,
    ],
    [
      'letters changed for each element',
      'mcp.arguments.b.all(x, mcp.arguments.a.lowerAscii() != "")',
      `{"a":${half},"b":[${'1,'.repeat(9999)}1]}`,
    ],
  ])('%s', (_, when, args) => {
    const begin = performance.now();
    expect(outcomeOf(when, args)).toMatch(TOO_MUCH);
    expect(performance.now() - begin).toBeLessThan(WITHOUT_END_MS);
  });

  it.each([
    ['numbers', `[${'1,'.repeat(2 * MIB - 100)}1]`],
    ['long numbers', `[${'12345678901234567,'.repeat(230_000)}1]`],
    ['empty objects', `[${'{},'.repeat(1_350_000)}1]`],
    ['members', `{${Array.from({ length: 300_000 }, (_, index) => `"k${index}":1`).join()}}`],
  ])('reading 4 MiB of %s', (_, args) => {
    const begin = performance.now();
    expect(String(outcomeOf('size(mcp.arguments.a) == 0', `{"a":${args}}`))).toMatch(/false|more work/);
    expect(performance.now() - begin).toBeLessThan(WITHOUT_END_MS);
  });

  it('for all messages of a batch together, and anew for each request', () => {
    const rules = rulesOf(deny('mcp.arguments.a.exists(x, x == 2)'));
    const call = callText('t', `{"a":[${'1,'.repeat(9_999)}1]}`);
    const decisions = decideText(rules, `[${Array.from({ length: 100 }, () => call).join()}]`);
    expect(decisions[0]).toMatchObject({ action: 'allow' });
    expect(decisions.at(-1)).toMatchObject({ action: 'deny' });
    expect(decisions.at(-1)?.error).toMatch(TOO_MUCH);
    expect(decideText(rules, call)).toMatchObject([{ action: 'allow' }]);
  });
});

describe('what people do with large arguments is not', () => {
  it.each([
    ['one loop', 'mcp.arguments.a.all(x, x == 1)', `{"a":[${'1,'.repeat(99_999)}1]}`, true],
    [
      'names of all members',
      'mcp.arguments.a.exists(k, k == "k29999")',
      `{"a":{${Array.from({ length: 30_000 }, (_, index) => `"k${index}":1`).join()}}}`,
      true,
    ],
    ['a search', 'mcp.arguments.a.contains("password")', `{"a":${ones}}`, false],
    ['a pattern', 'mcp.arguments.a.matches("AKIA[0-9A-Z]{16}")', `{"a":"${'1'.repeat(500_000)}"}`, false],
    ['its size', 'mcp.arguments.a.size() > 1000', `{"a":${ones}}`, true],
    ['both ends', 'mcp.arguments.a.startsWith("11") && mcp.arguments.a.endsWith("1")', `{"a":${ones}}`, true],
  ])('%s', (_, when, args, outcome) => {
    expect(outcomeOf(when, args)).toBe(outcome);
  });
});

it('compiles the patterns of callers anew when many came in between', () => {
  const rules = rulesOf(deny('"abc".matches(mcp.arguments.p)'));
  for (let index = 0; index < 200; index += 1) {
    const [decision] = decideText(rules, callText('t', `{"p":"^a.{${index % 100}}c$"}`));
    expect(decision?.action, String(index)).toBe(index % 100 === 1 ? 'deny' : 'allow');
  }
});

/** Expressions of each type, over `mcp.arguments` {s, t: string; l: list<string>; n: list<double>; m: map; d: deep}. */
const { bool: booleans } = fc.letrec<{ bool: string; text: string; list: string; number: string }>((tie) => {
  const [bool, text, list, number] = [tie('bool'), tie('text'), tie('list'), tie('number')] as const;
  const of = (...parts: (fc.Arbitrary<string> | string)[]) =>
    fc
      .tuple(...parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part)))
      .map((all) => all.join(''));
  const one = (...kinds: fc.Arbitrary<string>[]) =>
    fc.oneof({ maxDepth: 4, withCrossShrink: true }, ...kinds);
  return {
    bool: one(
      fc.constantFrom(
        'true',
        'mcp.tool == "t"',
        'has(mcp.arguments.s)',
        'has(mcp.arguments.zz)',
        'mcp.arguments.zz == 1',
      ),
      of(text, '.contains(', text, ')'),
      of(text, '.matches(', text, ')'),
      of(text, '.matches("(a|aa)+b|[^x]{1,9}$")'),
      of(text, ' == ', text),
      of(text, ' < ', text),
      of(text, ' in ', list),
      of(list, ' == ', list),
      of('(', bool, ' || ', bool, ')'),
      of('(', bool, ' && ', bool, ')'),
      of('!(', bool, ')'),
      of('(', bool, ' ? ', bool, ' : ', bool, ')'),
      of(number, ' > ', number),
      of(list, '.exists(x, ', bool, ' || x == ', text, ')'),
      of(list, '.all(y, y.contains(', text, ') && ', bool, ')'),
      of(list, '.exists_one(z, z.startsWith(', text, '))'),
      fc.constantFrom(
        'mcp.arguments.m == mcp.arguments.d',
        'mcp.arguments.n.exists(q, q > 3)',
        'mcp.arguments.d.e[1].f == [1]',
      ),
    ),
    text: one(
      fc.constantFrom('"a"', '""', 'mcp.tool', 'string(mcp.arguments.s)', 'string(mcp.arguments.t)', '"ab"'),
      of('(', text, ' + ', text, ')'),
      of(text, '.lowerAscii()'),
      of(list, '.join(', text, ')'),
      of(list, '[0]'),
    ),
    list: one(
      fc.constantFrom(
        '["a", "b"]',
        'mcp.arguments.l.map(k, string(k))',
        'mcp.arguments.m.map(k, k)',
        'principal.groups',
      ),
      of('(', list, ' + ', list, ')'),
      of(text, '.split(', text, ')'),
      of(list, '.map(x, x + ', text, ')'),
      of(list, '.filter(y, ', bool, ')'),
      of('[', text, ', ', text, ']'),
    ),
    number: one(
      fc.constantFrom('1', '3'),
      of('size(', list, ')'),
      of(text, '.size()'),
      of(text, '.indexOf(', text, ')'),
      of('(', number, ' + ', number, ')'),
    ),
  };
});

describe('any expression', () => {
  const environment = createEnvironment();
  const checks = (when: string) => {
    const { valid, type } = environment.check(when);
    return valid && type === 'bool';
  };
  const expressions = booleans.filter((when) => when.length < 10_000 && checks(when));

  it('says what the engine says by itself, where the engine has an answer', () => {
    const answers = new Map<string, number>();
    const args =
      '{"s":"Aab","t":"aba","l":["a","ba","x"],"n":[1,2.5,4],"m":{"a":1,"k":{"c":[1]}},"d":{"a":1,"k":{"c":[1]},"e":[1,{"f":[1]}]}}';
    fc.assert(
      fc.property(expressions, (when) => {
        const outcome = outcomeOf(when, args);
        if (typeof outcome === 'string') expect(outcome).not.toMatch(/has no value/);
        const engines = byEngine(environment, when, args);
        expect(typeof outcome === 'string' ? 'error' : outcome).toBe(engines);
        answers.set(String(engines), (answers.get(String(engines)) ?? 0) + 1);
      }),
      { numRuns: 1500 },
    );
    for (const answer of ['true', 'false', 'error']) expect(answers.get(answer), answer).toBeGreaterThan(50);
  });

  it('ends, whatever the arguments', () => {
    const filler = fc.constantFrom('a', 'ab', '1', 'aab', ' ');
    const sizes = fc.constantFrom(1, 1000, 300_000);
    fc.assert(
      fc.property(expressions, filler, sizes, sizes, (when, unit, length, count) => {
        const text = JSON.stringify(unit.repeat(length));
        const list = `[${Array.from({ length: Math.min(count, 300_000) }, () => `"${unit}"`).join()}]`;
        const args = `{"s":${text},"t":"${unit}","l":${list},"n":[1,2],"m":{"a":1,"b":${list}},"d":{"a":1,"b":${list}}}`;
        const begin = performance.now();
        outcomeOf(when, args);
        expect(performance.now() - begin, when).toBeLessThan(WITHOUT_END_MS);
      }),
      { numRuns: 30 },
    );
  });
});

/** What the engine says without anything of ours in its tree. */
function byEngine(
  environment: ReturnType<typeof createEnvironment>,
  when: string,
  args: string,
): boolean | 'error' {
  const request = requestOf();
  const scanned = scanMessages(callText('create_issue', args));
  const message = scanned.ok ? (scanned.messages[0] as Message) : null;
  const variables = {
    mcp: new McpView(request, message, () => parseCelValue(args, new Meter())),
    principal: new PrincipalView(request.caller),
  };
  try {
    const value: unknown = environment.evaluate(when, variables);
    return typeof value === 'boolean' ? value : 'error';
  } catch {
    return 'error';
  }
}
