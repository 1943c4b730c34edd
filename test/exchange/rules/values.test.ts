import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { callText, decideText, deny, outcomeOf, rulesOf } from './support.ts';

describe('numbers of JSON', () => {
  it.each([
    ['mcp.arguments.a > 100', '{"a":200}'],
    ['mcp.arguments.a > 100', '{"a":200.5}'],
    ['mcp.arguments.a == 200', '{"a":200}'],
    ['mcp.arguments.a == 200 && 200 == mcp.arguments.a', '{"a":2e2}'],
    ['mcp.arguments.a != 200', '{"a":200.5}'],
    ['mcp.arguments.a != 200', '{"a":"200"}'],
    ['mcp.arguments.a in [1, 200]', '{"a":200}'],
    ['1 in mcp.arguments.a && !(3 in mcp.arguments.a)', '{"a":[1,2]}'],
    ['mcp.arguments.a == [1, 2]', '{"a":[1,2]}'],
    ['mcp.arguments.a == {"b": {"c": [1]}}', '{"a":{"b":{"c":[1.0]}}}'],
    ['mcp.arguments.a != {"b": {"c": [1]}}', '{"a":{"b":{"c":[1],"d":null}}}'],
    ['mcp.arguments.a == 9007199254740993', '{"a":9007199254740993}'],
    ['mcp.arguments.a != 9007199254740992', '{"a":9007199254740993}'],
    ['mcp.arguments.a > 9007199254740992 && mcp.arguments.a < 9007199254740994', '{"a":9007199254740993}'],
    ['mcp.arguments.a == -9223372036854775807', '{"a":-9223372036854775807}'],
    [
      'mcp.arguments.a != mcp.arguments.b',
      '{"a":123456789012345678901234567890,"b":123456789012345678901234567891}',
    ],
    ['mcp.arguments.a == 0.1234567890123456789', '{"a":0.1234567890123456789}'],
    ['mcp.arguments.a > 1.0', `{"a":1${'0'.repeat(400)}}`],
    ['mcp.arguments.a == 0', '{"a":-0}'],
    ['int(mcp.arguments.a) + 1 == 201', '{"a":200}'],
    ['mcp.arguments.a == null && mcp.arguments.b == true', '{"a":null,"b":true}'],
    ['type(mcp.arguments.a) == double && type(mcp.arguments.b) == string', '{"a":1,"b":"1"}'],
  ])('%s of %s', (when, args) => {
    expect(outcomeOf(when, args)).toBe(true);
  });
});

describe('members of maps are those of the JSON', () => {
  const names = [
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    'valueOf',
    '__defineGetter__',
    'length',
    'size',
    'get',
  ];

  it.each(names)('%s is none unless it is there', (name) => {
    expect(outcomeOf(`has(mcp.arguments.a.${name === '__proto__' ? 'x' : name})`, '{"a":{}}')).toBe(false);
    for (const args of ['{"a":{}}', '{"a":{"constructor_":1}}', '{"a":{"\\u0061":1}}']) {
      expect(outcomeOf(`"${name}" in mcp.arguments.a || "${name}" in mcp.arguments`, args)).toBe(false);
      expect(outcomeOf(`mcp.arguments.a["${name}"] == 1`, args)).toMatch(/not there/);
      expect(outcomeOf(`mcp.arguments["${name}"] == 1`, args)).toMatch(/not there/);
      expect(
        outcomeOf(`"${name}" in principal.claims || "${name}" in http.headers || "${name}" in server.labels`),
      ).toBe(false);
    }
  });

  it.each(names)('%s is one where it is there', (name) => {
    const args = `{"a":{"${name}":1,"${name}2":{"${name}":[1]}},"${name}":{"b":2}}`;
    expect(outcomeOf(`mcp.arguments.a["${name}"] == 1 && mcp.arguments["${name}"].b == 2`, args)).toBe(true);
    expect(outcomeOf(`mcp.arguments.a["${name}2"]["${name}"] == [1]`, args)).toBe(true);
    expect(outcomeOf(`"${name}" in mcp.arguments && size(mcp.arguments.a) == 2`, args)).toBe(true);
    expect(outcomeOf(`mcp.arguments.exists(k, k == "${name}")`, args)).toBe(true);
    expect(outcomeOf(`mcp.arguments.a == {"b": 1}`, args)).toBe(false);
  });

  it('compares maps by their own members only', () => {
    expect(outcomeOf('mcp.arguments.a == mcp.arguments.b', '{"a":{"toString":1},"b":{"valueOf":1}}')).toBe(
      false,
    );
    expect(outcomeOf('mcp.arguments.a == mcp.arguments.b', '{"a":{"__proto__":1},"b":{"__proto__":1}}')).toBe(
      true,
    );
    expect(outcomeOf('mcp.arguments.a == {"x": {}}', '{"a":{"x":{}}}')).toBe(true);
  });
});

describe('texts', () => {
  it.each([
    'mcp.arguments.t.matches("^/etc/(passwd|shadow)$")',
    'mcp.arguments.t.matches("tc") && !mcp.arguments.t.matches("^tc")',
    '"a" + mcp.arguments.t == "a/etc/passwd" && mcp.arguments.t.size() == 11',
    'mcp.arguments.t.split("/") == ["", "etc", "passwd"] && mcp.arguments.t.split("/").join("-") == "-etc-passwd"',
    'mcp.arguments.t.indexOf("e") == 1 && mcp.arguments.t.lastIndexOf("s") == 8 && mcp.arguments.t.substring(1, 4) == "etc"',
    '"K\u212A\u00C9x".lowerAscii() == "k\u212A\u00C9x" && "k\u017F\u00E9".upperAscii() == "K\u017F\u00E9"',
    '" a ".trim() == "a" && mcp.arguments.t.startsWith("/etc") && mcp.arguments.t.endsWith("wd")',
    'mcp.arguments.t.matches(mcp.arguments.p) && "abc".matches("a" + "b")',
    '["x", "y"].map(p, p + "1") == ["x1", "y1"] && [1, 2, 3].filter(n, n > 1) == [2, 3]',
    '[1, 2, 3].exists_one(n, n > 2) && [1, 2].all(n, n > 0) && [[1], [2]].exists(l, l.exists(n, n == 2))',
    'mcp.arguments.items.map(i, i.n) == [1, 2] && mcp.arguments.items.filter(i, i.n > 1).size() == 1',
    'mcp.arguments.map(k, k) == ["t", "p", "items"]',
  ])('%s', (when) => {
    expect(outcomeOf(when, '{"t":"/etc/passwd","p":"s+wd$","items":[{"n":1},{"n":2}]}')).toBe(true);
  });
});

describe('hostile arguments', () => {
  it('nested without end are an error, not a crash', () => {
    for (const depth of [1000, 100_000, 1_000_000]) {
      for (const args of [
        `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`,
        `{"a":${'[{"constructor":'.repeat(depth)}1${'}]'.repeat(depth)}}`,
      ]) {
        expect(outcomeOf('mcp.arguments.a == "x" || size(mcp.arguments) == 7', args)).toMatch(
          /nested too deeply/,
        );
      }
    }
    const lists = `${'['.repeat(150)}${']'.repeat(150)}`;
    expect(outcomeOf('mcp.arguments.a == mcp.arguments.b', `{"a":${lists},"b":${lists}}`)).toBe(true);
  });

  it('leave no types of their values behind', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const rules = rulesOf(
      deny('mcp.arguments.a == "x" || size(mcp.arguments.a) == 77 || mcp.arguments.a in [1]'),
    );
    /** A value whose nesting of lists and maps nobody else has. */
    const shape = (index: number) => {
      const bits = [...(2n ** 150n + BigInt(index)).toString(2)];
      const begin = bits.map((bit) => (bit === '1' ? '[' : '{"a":')).join('');
      const end = bits.map((bit) => (bit === '1' ? ']' : '}')).toReversed();
      return `{"a":${begin}1${end.join('')}}`;
    };
    const heapAfter = (first: number, count: number) => {
      for (let index = first; index < first + count; index += 1)
        decideText(rules, callText('t', shape(index)));
      collect();
      return process.memoryUsage().heapUsed;
    };
    const before = heapAfter(0, 50);
    // The engine by itself keeps them all, 100 MB.
    expect(heapAfter(50, 300) - before).toBeLessThan(8 * 1024 * 1024);
  });
});
