/**
 * Owns `node bench/masking.ts`: what masking costs for texts of several sizes, in microseconds a kB: nothing found, one found, and texts made to be slow.
 * Invariant: each figure is the median of several rounds in one process; a plain scan of the same text stands beside it.
 */
import type { MaskingRuleConfiguration } from '../sidecar/config/access.ts';
import { compileMasking } from '../sidecar/exchange/masking/compile.ts';
import type { Masker } from '../sidecar/exchange/masking/masking.ts';
import { scanMessages } from '../sidecar/exchange/json-scan.ts';
import { plantedSecrets } from '../test/support/secrets.ts';

const ROUNDS = 9;
const ROUND_MS = 60;

const RULES: MaskingRuleConfiguration[] = [
  { kind: 'detectors', detectors: ['all'], appliesTo: 'Record' },
  { kind: 'keys', name: 'passwords', keys: ['password', 'authorization', 'secret'], appliesTo: 'Record' },
  { kind: 'paths', name: 'ssn', paths: ['$.params.arguments.ssn'], appliesTo: 'Record' },
  { kind: 'pattern', name: 'employee', pattern: 'E[0-9]{6}', appliesTo: 'Record' },
];

function maskerOf(rules: MaskingRuleConfiguration[]): Masker {
  const compiled = compileMasking({ base64: false, rules });
  if (!compiled.ok || compiled.masking.record === null) throw new Error(JSON.stringify(compiled));
  return compiled.masking.record;
}

/** A result of a tool of about so many bytes: issues, as a server of a forge lists them. */
function result(bytes: number): string {
  const issues: object[] = [];
  for (let id = 4711; JSON.stringify(issues).length < bytes - 150; id += 1) {
    issues.push({
      id,
      url: `https://github.example.com/acme/site/issues/${id}`,
      title: 'Memory leak in the worker after a restart',
      labels: ['bug', 'p2'],
      created_at: '2026-11-20T10:00:00Z',
      author: 'ada@example.com',
      commit: '9fceb02d0ae598e95dc970b74767f19372d61af8',
    });
  }
  return JSON.stringify({
    jsonrpc: '2.0',
    id: 7,
    result: { content: [{ type: 'text', text: JSON.stringify(issues) }] },
  });
}

/** Median of microseconds a call. */
function measure(call: () => unknown): number {
  const figures: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const start = performance.now();
    let calls = 0;
    for (; performance.now() - start < ROUND_MS; calls += 1) call();
    figures.push(((performance.now() - start) * 1000) / calls);
  }
  return figures.sort((a, b) => a - b)[ROUNDS >> 1] as number;
}

function report(what: string, text: string, masker: Masker): void {
  const kilobytes = text.length / 1000;
  const us = measure(() => masker.content(text));
  const scan = measure(() => scanMessages(text));
  const { exceeded, masked } = masker.content(text);
  const outcome = exceeded ? 'given up' : masked === null ? 'nothing found' : `${masked.length} rules found`;
  console.log(
    `${what.padEnd(44)} ${kilobytes.toFixed(1).padStart(7)} kB ${us.toFixed(1).padStart(9)} us ${(us / kilobytes).toFixed(2).padStart(8)} us/kB ${(us / scan).toFixed(1).padStart(6)}x a scan  ${outcome}`,
  );
}

const started = performance.now();
const masker = maskerOf(RULES);
console.log(`compiled in ${(performance.now() - started).toFixed(0)} ms\n`);
const call = JSON.stringify({
  jsonrpc: '2.0',
  id: 7,
  method: 'tools/call',
  params: {
    name: 'search_issues',
    arguments: { query: 'is:open label:bug', repo: 'acme/site', page: 2, since: '2026-11-20T10:00:00Z' },
  },
});
const token = plantedSecrets(1, 200).find(({ detector }) => detector === 'github')?.text as string;
report('a call, nothing found', call, masker);
for (const bytes of [1000, 7000, 100_000]) report('a result, nothing found', result(bytes), masker);
report('a call, one found', call.replace('label:bug', token), masker);
report('a result, one found', result(7000).replace('ada@example.com', token), masker);
report('a result in escapes beyond ASCII', result(7000).replaceAll('Memory', '\\u00dcber'), masker);
for (const [what, unit] of [
  ['a megabyte of one trigger', 'ghs_1_aaaaaaaa.'],
  ['a megabyte of digits', '4111 '],
  ['a megabyte of beginnings of JWTs', 'eyJhbGciOiJ '],
  ['a megabyte of beginnings of keys', '-----BEGIN PRIVATE KEY-----A'],
  ['a megabyte of URLs', 'https://aaaaaaaa:bbbbbbbb@'],
  ['a megabyte of escapes', '\\u0041'],
  ['a megabyte of markers', '[masked:github] '],
  ['a megabyte of brackets', '['],
] as const) {
  report(what, `{"text":"${unit.repeat(1_000_000 / unit.length)}"}`, masker);
}
for (const [pattern, unit] of [
  ['\\S{20,}', 'word '],
  ['(a|aa)+b', 'a'],
  ['a.*b|a', 'a'],
  ['(?:a?){50}a{50}', 'a'],
] as const) {
  const own = maskerOf([{ kind: 'pattern', name: 'own', pattern, appliesTo: 'Record' }]);
  report(`a megabyte against ${pattern}`, `{"text":"${unit.repeat(1_000_000 / unit.length)}"}`, own);
}
