import { describe, expect, it } from 'vitest';
import { foldCase } from '../../../sidecar/exchange/rules/ambiguity.ts';
import { callText, deny, rulesOf } from './support.ts';

const DUPLICATE = /two members whose names differ in nothing but case, or not at all/;
const NUL = /NUL/;
const CASE = /nothing but case from one that a rule reads/;
const DEEP = /200 levels/;

function ambiguityOf(args: string, when = 'mcp.arguments.path == "/etc"'): string | null {
  return rulesOf(deny(when)).ambiguity(callText('t', args));
}

describe('arguments are ambiguous', () => {
  it.each([
    ['{"path":"a","path":"b"}', DUPLICATE],
    ['{"path":"a","p\\u0061th":"b"}', DUPLICATE],
    ['{"other":1,"Other":2}', DUPLICATE],
    ['{"a":[{"b":{}},{"x":1,"c":[[{"key":1,"KEY":2}]]}]}', DUPLICATE],
    ['{"\u00E9":1,"\u00C9":2}', DUPLICATE],
    ['{"Path":"a"}', CASE],
    ['{"path":"a","PATH":"b"}', DUPLICATE],
    ['{"x":[0,{"y":{"pAth":"a"}}]}', CASE],
    ['{"P\\u0041TH":"a"}', CASE],
    ['{"path\\u0000":"a"}', NUL],
    ['{"x":{"\\u0000":"a"}}', NUL],
    [`{"a":${'['.repeat(200)}${']'.repeat(200)}}`, DEEP],
    [`${'{"a":'.repeat(800_000)}1${'}'.repeat(800_000)}`, DEEP],
  ])('%.60j', (args, reason) => {
    expect(ambiguityOf(args)).toMatch(reason);
  });

  it('as Go folds names: long s and the Kelvin sign', () => {
    expect(ambiguityOf('{"ta\u017Fk":1}', 'mcp.arguments.task == 1')).toMatch(CASE);
    expect(ambiguityOf('{"tas\u212A":1}', 'mcp.arguments.task == 1')).toMatch(CASE);
    expect(ambiguityOf('{"task":1,"ta\u017F\\u212a":1}')).toMatch(DUPLICATE);
  });

  it('in any message of a batch, whatever its method', () => {
    const rules = rulesOf(deny('mcp.arguments.path == "/etc"'));
    const message = '{"id":1,"method":"x","params":{"arguments":{"PATH":1}}}';
    expect(rules.ambiguity(`[7, ${callText('t')}, ${message}]`)).toMatch(CASE);
  });
});

describe('arguments are not', () => {
  it.each([
    '{"path":"a","other":1}',
    '{"a":{"x":1},"b":{"x":2},"c":[{"x":3},{"x":4}]}',
    '{"path":{"path":{"path":[]}}}',
    '{}',
    '[]',
    '"Path"',
    'null',
    '[[],{},[{}],1,"\\u0000"]',
    `{"a":${'['.repeat(199)}${']'.repeat(199)}}`,
    '{"" : "" , "a" : [ 1 , 2 ] }',
  ])('%.60j', (args) => {
    expect(ambiguityOf(args)).toBeNull();
  });

  it('where no rule reads them', () => {
    expect(ambiguityOf('{"path":1,"path":2}', 'mcp.tool == "t"')).toBeNull();
  });

  it('where there is no body', () => {
    expect(rulesOf(deny('mcp.arguments.path == "a"')).ambiguity(null)).toBeNull();
  });
});

describe('names that rules read', () => {
  it.each([
    ['mcp.arguments.path == "a"', ['PATH']],
    ['mcp.arguments["path"] == "a"', ['PATH']],
    ['mcp["arguments"].path == "a"', ['PATH']],
    ['has(mcp.arguments.path)', ['PATH']],
    ['"path" in mcp.arguments', ['PATH']],
    ['mcp.arguments.a.b["c"].d == 1', ['A', 'B', 'C', 'D']],
    ['mcp.arguments.items.exists(i, i.path == "x")', ['ITEMS', 'PATH', 'X']],
    ['mcp.arguments.exists(k, k == "path")', ['PATH']],
    ['mcp.arguments[mcp.tool + "path"] == 1', ['PATH']],
    ['(mcp.tool == "x" ? "path" : "dir") in mcp.arguments', ['PATH', 'DIR']],
    ['mcp.arguments.o == {"path": true}', ['O', 'PATH']],
    ['mcp.arguments.o in [{"a": {"path": 1}}]', ['O', 'A', 'PATH']],
  ])('%s', (when, names) => {
    for (const name of names) expect(ambiguityOf(`{"${name}":1}`, when), name).toMatch(CASE);
    expect(ambiguityOf('{"GROUPS":1,"TOOL":2,"ARGUMENTS":3}', when)).toBeNull();
  });

  it('are not those of other variables', () => {
    const when =
      'mcp.arguments.a == "V" && principal.claims.email == "x" && http.headers["accept"] == "y" && !(mcp.tool in ["push"])';
    expect(ambiguityOf('{"EMAIL":1,"ACCEPT":2,"v":1,"Push":3}', when)).toBeNull();
  });
});

it('folds what has one simple folding (Unicode) to one form', () => {
  for (const orbit of [
    'kK\u212A',
    's\u017FS',
    '\u00E5\u00C5\u212B',
    '\u03B8\u03D1\u0398\u03F4',
    '\u00DF\u1E9E',
    '\u03C3\u03C2\u03A3',
    '\u01C4\u01C5\u01C6',
  ]) {
    expect(new Set([...orbit].map(foldCase)).size, orbit).toBe(1);
  }
  for (let code = 0; code <= 0xffff; code += 1) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const character = String.fromCodePoint(code);
    const folded = foldCase(character);
    for (const other of [character.toLowerCase(), character.toUpperCase()]) {
      if ([...other].length === 1 && foldCase(other) !== folded) expect.fail(`U+${code.toString(16)}`);
    }
  }
});
