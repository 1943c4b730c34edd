/**
 * What masking does to JSON: only the tokens that are masked differ, and what is masked stays JSON.
 */
import { describe, expect, it } from 'vitest';
import { plantedSecrets } from '../../support/secrets.ts';
import { recordMasker, type Rule } from './support.ts';

const ALL: Rule = { kind: 'detectors', detectors: ['all'] };
const TOKEN = plantedSecrets(1, 200).find(({ detector }) => detector === 'github')?.text as string;
const CARD = '4111111111111111';

function masked(text: string, rules: readonly Rule[] = [ALL], base64 = false): string {
  return recordMasker(rules, base64).content(text).text;
}

/** A JSON string with every character escaped. */
function escaped(text: string): string {
  const units = Array.from({ length: text.length }, (_, index) => text.charCodeAt(index));
  return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')}"`;
}

describe('detectors in JSON', () => {
  it('leave all source text beside the secret as it is', () => {
    const text = `{ "a" : 1.0e0,\t"b":"\\u00e9\\/ ${TOKEN}", "a":[ ] ,"c":"\\u0041"}\n`;
    expect(masked(text)).toBe('{ "a" : 1.0e0,\t"b":"é/ [masked:github]", "a":[ ] ,"c":"\\u0041"}\n');
  });

  it.each([
    ['a value', `{"a":"${TOKEN}"}`, '{"a":"[masked:github]"}'],
    ['a name', `{"${TOKEN}":1}`, '{"[masked:github]":1}'],
    ['an element', `[[["${TOKEN}"]]]`, '[[["[masked:github]"]]]'],
    ['a JSON string alone', `"${TOKEN}"`, '"[masked:github]"'],
    ['escapes', `{"a":${escaped(TOKEN)}}`, '{"a":"[masked:github]"}'],
    ['an escaped name', `{${escaped(TOKEN)}:1}`, '{"[masked:github]":1}'],
    ['text behind a line end', `{"a":"x\\n${TOKEN}\\ny"}`, '{"a":"x\\n[masked:github]\\ny"}'],
    ['a number', `{"a":${CARD},"b":1}`, '{"a":"[masked:card-number]","b":1}'],
    [
      'JSON in a JSON string in a string',
      JSON.stringify({ text: JSON.stringify(JSON.stringify({ a: JSON.stringify([TOKEN]) })) }),
      JSON.stringify({ text: JSON.stringify(JSON.stringify({ a: JSON.stringify(['[masked:github]']) })) }),
    ],
    [
      'JSON in a string',
      JSON.stringify({ text: JSON.stringify({ [TOKEN]: [TOKEN] }) }),
      '{"text":"{\\"[masked:github]\\":[\\"[masked:github]\\"]}"}',
    ],
    [
      'an escaped string of JSON in a string',
      JSON.stringify({ text: `{"a":${escaped(TOKEN)}}` }),
      '{"text":"{\\"a\\":\\"[masked:github]\\"}"}',
    ],
    [
      'escapes in text in a string',
      JSON.stringify({ text: `found ${escaped(TOKEN)} there` }),
      '{"text":"found \\"[masked:github]\\" there"}',
    ],
    [
      'percent-encoding in a string',
      `{"uri":"https://x/?t=${TOKEN.replace('_', '%5f')}&u=1"}`,
      '{"uri":"https://x/?t=[masked:github]&u=1"}',
    ],
  ])('find it in %s', (_, text, expected) => {
    expect(masked(text)).toBe(expected);
  });

  it('find it behind a byte order mark, in JSON that is cut off, and in what other parsers take for JSON', () => {
    expect(masked(`\ufeff{"a":${escaped(TOKEN)}}`)).toBe('\ufeff{"a":"[masked:github]"}');
    expect(masked(`{"a":${escaped(TOKEN)},`)).toBe('{"a":"[masked:github]",');
    expect(masked(`{'a':${escaped(TOKEN)},}`)).toBe(`{'a':"[masked:github]",}`);
  });

  it('find an AWS secret key by the name of its member', () => {
    const secret = 'aB3/+'.repeat(8);
    expect(masked(`{"SecretAccessKey":"${secret}","other":"${secret}"}`)).toBe(
      `{"SecretAccessKey":"[masked:aws]","other":"${secret}"}`,
    );
  });

  it('look four texts deep into one another, and no deeper', () => {
    const nested = (depth: number): string =>
      depth === 0 ? `{"a":${escaped(TOKEN)}}` : JSON.stringify({ text: nested(depth - 1) });
    for (const depth of [0, 1, 2, 3, 4])
      expect(masked(nested(depth)), String(depth)).toContain('[masked:github]');
    // The last text is read as plain text, in which one layer of escapes is seen through.
    expect(masked(nested(5))).toContain('[masked:github]');
    expect(masked(nested(6))).not.toContain('[masked:github]');
  });

  it('count what they found, each rule by itself', () => {
    const text = JSON.stringify({ a: [TOKEN, TOKEN], b: Number(CARD) });
    expect(recordMasker([ALL]).content(text).masked).toEqual([
      { rule: 'card-number', count: 1 },
      { rule: 'github', count: 2 },
    ]);
  });
});

describe('keys', () => {
  const KEYS: Rule = { kind: 'keys', name: 'secrets', keys: ['Password', 'naïve', 'q"uote'] };

  it('mask the value of a member, whatever its kind, whatever the case of its name', () => {
    const text = '{"password":"x","PASSWORD":1,"Password":null,"passWord":{"a":[1]},"x":{"password":[]}}';
    expect(masked(text, [KEYS])).toBe(
      '{"password":"[masked:secrets]","PASSWORD":"[masked:secrets]","Password":"[masked:secrets]","passWord":"[masked:secrets]","x":{"password":"[masked:secrets]"}}',
    );
  });

  it.each([
    ['an escape', '{"pass\\u0077ord":1}', '{"pass\\u0077ord":"[masked:secrets]"}'],
    ['a letter beyond ASCII', '{"NAÏVE":1}', '{"NAÏVE":"[masked:secrets]"}'],
    ['a quote', '{"q\\"uote":1}', '{"q\\"uote":"[masked:secrets]"}'],
    ['white space before the colon', '{"password" :\n1}', '{"password" :\n"[masked:secrets]"}'],
  ])('know names with %s', (_, text, expected) => {
    expect(masked(text, [KEYS])).toBe(expected);
  });

  it('apply to JSON in strings, and to each of several members of one name', () => {
    expect(masked(JSON.stringify({ text: '{"password":1,"password":2}' }), [KEYS])).toBe(
      JSON.stringify({ text: '{"password":"[masked:secrets]","password":"[masked:secrets]"}' }),
    );
  });

  it('apply to forms, and leave what is no such name', () => {
    expect(masked('user=joe&Password=a%20b&passwords=x', [KEYS])).toBe(
      'user=joe&Password=[masked:secrets]&passwords=x',
    );
    expect(masked('user=joe&p%61ssword=ab', [KEYS])).toBe('user=joe&p%61ssword=[masked:secrets]');
    expect(masked('{"passwords":1,"a":"password"}', [KEYS])).toBe('{"passwords":1,"a":"password"}');
  });

  it('apply to names of headers and parameters', () => {
    const masker = recordMasker([KEYS]);
    expect(masker.member('PASSWORD', 'x')).toEqual({
      text: '[masked:secrets]',
      masked: [{ rule: 'secrets', count: 1 }],
      exceeded: false,
    });
    expect(masker.member('user', 'x')).toEqual({ text: 'x', masked: null, exceeded: false });
  });
});

describe('paths', () => {
  const paths = (...list: string[]): Rule[] => [{ kind: 'paths', name: 'here', paths: list }];
  const CALL = '{"params":{"arguments":{"ssn":1,"list":[{"id":1},{"id":2}],"a b":{"id":3}}},"id":4}';

  it.each([
    ['$.params.arguments.ssn', ['"ssn":1']],
    ["$['params']['arguments'][\"a b\"].id", ['"id":3']],
    ['$.params.arguments.list[1].id', ['"id":2']],
    ['$.params.arguments.list[*].id', ['"id":1', '"id":2']],
    ['$.params..id', ['"id":1', '"id":2', '"id":3']],
    ['$.params.arguments.*', ['"ssn":1', '"list":[{"id":1},{"id":2}]', '"a b":{"id":3}']],
    ['$..list[0]', ['{"id":1}']],
    ['$.*.ssn', []],
    ['$.PARAMS', []],
  ])('%s means %j', (path, meant) => {
    let expected = CALL;
    for (const member of meant) {
      const name = /^("[^"]*":)?/.exec(member)?.[0] ?? '';
      expected = expected.replace(member, `${name}"[masked:here]"`);
    }
    expect(masked(CALL, paths(path))).toBe(expected);
  });

  it('begin at each message of a batch', () => {
    expect(masked(`[${CALL},{"id":5}]`, paths('$.id'))).toBe(
      `[${CALL.replace('"id":4', '"id":"[masked:here]"')},{"id":"[masked:here]"}]`,
    );
  });
});

describe('base64', () => {
  const coded = Buffer.from(`my token is ${TOKEN}, keep it`).toString('base64');
  const expected = Buffer.from('my token is [masked:github], keep it').toString('base64');

  it('is looked into where that is asked for', () => {
    expect(masked(`{"blob":"${coded}"}`, [ALL], true)).toBe(`{"blob":"${expected}"}`);
    expect(masked(`{"blob":"${coded}"}`, [ALL], false)).toBe(`{"blob":"${coded}"}`);
  });

  it('may be broken into lines', () => {
    const lines = coded.replace(/.{20}/g, '$&\r\n');
    expect(masked(JSON.stringify({ blob: lines }), [ALL], true)).toBe(`{"blob":"${expected}"}`);
    const clean = JSON.stringify({
      blob: Buffer.from('a '.repeat(50)).toString('base64').replace(/.{20}/g, '$&\n'),
    });
    expect(masked(clean, [ALL], true)).toBe(clean);
  });

  it('may be a data URL, base64url, JSON within, or base64 again', () => {
    expect(masked(`{"u":"data:text/plain;base64,${coded}"}`, [ALL], true)).toBe(
      `{"u":"data:text/plain;base64,${expected}"}`,
    );
    const json = Buffer.from(JSON.stringify({ 'k>>?': TOKEN })).toString('base64url');
    const within = JSON.parse(masked(JSON.stringify({ json }), [ALL], true)) as { json: string };
    expect(Buffer.from(within.json, 'base64url').toString()).toBe('{"k>>?":"[masked:github]"}');
    const twice = JSON.parse(
      masked(JSON.stringify([Buffer.from(coded).toString('base64')]), [ALL], true),
    ) as string[];
    expect(Buffer.from(Buffer.from(twice[0] as string, 'base64').toString(), 'base64').toString()).toBe(
      'my token is [masked:github], keep it',
    );
  });

  it('of anything but text stays as it is', () => {
    const bytes = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(TOKEN)]).toString('base64');
    expect(masked(`{"blob":"${bytes}"}`, [ALL], true)).toBe(`{"blob":"${bytes}"}`);
  });
});

describe('text that is no JSON', () => {
  it('is masked as it stands', () => {
    expect(masked(`key: ${TOKEN}\n`)).toBe('key: [masked:github]\n');
    expect(recordMasker([ALL]).value(`{"a":"${TOKEN}"}`).text).toBe('{"a":"[masked:github]"}');
  });

  it('may be bytes that are no UTF-8', () => {
    const masker = recordMasker([ALL]);
    const bytes = Buffer.concat([Buffer.from([0xff, 0x20]), Buffer.from(TOKEN), Buffer.from([0x20, 0xfe])]);
    const answer = masker.bytes(bytes);
    expect(answer?.bytes).toEqual(
      Buffer.concat([Buffer.from([0xff]), Buffer.from(' [masked:github] '), Buffer.from([0xfe])]),
    );
    expect(answer?.masked).toEqual([{ rule: 'github', count: 1 }]);
    expect(masker.bytes(Buffer.from([0xff, 0xfe]))).toBeNull();
  });

  it('may be a form with cards and tokens in any coding', () => {
    expect(masked(`n=Ada&card=4111+1111+1111+1111&t=${encodeURIComponent(TOKEN).replace('g', '%67')}`)).toBe(
      'n=Ada&card=[masked:card-number]&t=[masked:github]',
    );
  });
});

describe('a marker', () => {
  it('is not found again', () => {
    const rules: Rule[] = [
      ALL,
      { kind: 'keys', name: 'secrets', keys: ['a'] },
      { kind: 'pattern', name: 'words', pattern: '[a-z]{6,}' },
    ];
    const once = masked(`{"a":1,"b":"${TOKEN} postgres://joe:hunter22@db/x abcdefgh"}`, rules);
    expect(recordMasker(rules).content(once)).toEqual({ text: once, masked: null, exceeded: false });
  });

  it('takes along what overlaps it: one piece, named for the first and longest', () => {
    const rules: Rule[] = [ALL, { kind: 'pattern', name: 'tail', pattern: '[A-Za-z0-9]{4} tail' }];
    expect(masked(`see ${TOKEN} tail.`, rules)).toBe('see [masked:github].');
  });
});
