import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import type { LineDraft } from '@mcp-recorder/recording/format/line';
import { ALL_TIME } from '@mcp-recorder/recording/read/time-range';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import { loadPolicyCheck } from '@mcp-recorder/sidecar/config/policy-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ExchangeFindings, PolicySums } from '../../cli/policy-findings.ts';
import { tryPolicy } from '../../cli/policy-test.ts';
import { type FixtureServer, startFixtureServer } from '../support/fixture-server.ts';
import { startTestRecorder } from '../support/recorder.ts';
import { run } from './command.ts';
import { ADA, exchangeOf, type Recorded, recordIn } from './recorded.ts';

/** Valid by its form and known to nobody. */
const SECRET = 'hunter2-hunter2';

let fixture: FixtureServer;
beforeAll(async () => {
  fixture = await startFixtureServer();
});
afterAll(() => fixture.close());

const recordings: Recorded[] = [];
afterEach(async () => {
  for (const recorded of recordings.splice(0)) await recorded.remove();
});
afterAll(() => expect(everything).not.toContain('hunter2'));

let everything = '';
let ids = 0;

function nextExchange(): string {
  ids += 1;
  return `01KAH3MBWD0G6R4Y1S8T2V5${String(ids).padStart(3, '0')}`;
}

async function recorded(...segments: LineDraft[][]): Promise<string> {
  const made = await recordIn(segments);
  recordings.push(made);
  return made.directory;
}

interface Tried {
  text: string;
  exchanges: Record<string, unknown>[];
  summary: Record<string, unknown> & { rules: Record<string, unknown>[]; masks: Record<string, unknown>[] };
}

async function tried(directory: string, policy: string, ...more: string[]): Promise<Tried> {
  const file = path.join(directory, 'policy.yaml');
  await fs.writeFile(file, policy);
  const shown = await run('policy', 'test', '--config', file, '--recording', directory, ...more);
  const json = await run('policy', 'test', '--config', file, '--recording', directory, '--json', ...more);
  everything += shown.stdout + shown.stderr + json.stdout + json.stderr;
  expect([shown.code, shown.stderr, json.code, json.stderr]).toEqual([0, '', 0, '']);
  const lines = json.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return {
    text: shown.stdout,
    exchanges: lines.slice(0, -1),
    summary: lines.at(-1) as Tried['summary'],
  };
}

/** As the command does it, in this process. */
async function inProcess(
  directory: string,
  policy: string,
): Promise<{ sums: PolicySums; found: ExchangeFindings[] }> {
  const file = path.join(directory, 'policy.yaml');
  await fs.writeFile(file, policy);
  const found: ExchangeFindings[] = [];
  const trial = {
    ...loadPolicyCheck(file),
    store: createDirectoryStore(directory),
    between: ALL_TIME,
    examples: 3,
    each: (findings: ExchangeFindings) => void found.push(findings),
  };
  return { sums: await tryPolicy(trial), found };
}

const outcomesOf = async (directory: string, when: string): Promise<PolicySums['outcomes']> =>
  (await inProcess(directory, rule(when))).sums.outcomes;

const rule = (when: string, more = 'action: Deny') => `rules: [{name: no-deletes, when: '${when}', ${more}}]`;

describe('mcp-recorder policy test', () => {
  it('says which calls a rule would have denied, whose they were, and that the others pass', async () => {
    const [denied, passed] = [nextExchange(), nextExchange()];
    const directory = await recorded([
      ...exchangeOf({ exchange: denied, tool: 'delete_repo', answer: 'gone' }),
      ...exchangeOf({ exchange: passed, answer: 'hi' }),
    ]);
    const { text, exchanges, summary } = await tried(directory, rule('mcp.tool.startsWith("delete_")'));
    expect(text).toMatch(/^RULE +ACTION +CALLS +EXCHANGES +AS RECORDED +NOT DECIDABLE$/m);
    expect(text).toMatch(/^no-deletes +Deny +1 +1 +0 +0$/m);
    expect(text).toContain(
      `${denied}  ada@example.com (oidc, https://idp.example.com)  tools/call delete_repo`,
    );
    expect(text).toContain('  1 pass, 0 without bodies in the record, 1 denied, 0 refused, 0 not decidable');
    expect(exchanges).toMatchObject([
      {
        type: 'exchange',
        exchange: denied,
        outcome: 'denied',
        messages: [
          {
            method: 'tools/call',
            target: 'delete_repo',
            action: 'deny',
            rule: 'no-deletes',
            recorded: { action: 'allow' },
          },
        ],
      },
    ]);
    expect(summary).toMatchObject({ exchanges: 2, outcomes: { denied: 1, allowed: 1 } });
  });

  it('tells what was recorded of the caller: groups are known, of scopes and claims it says that they are not', async () => {
    const principal = { ...ADA, groups: ['admins'] };
    const directory = await recorded(exchangeOf({ exchange: nextExchange(), principal, answer: 'hi' }));
    expect(await outcomesOf(directory, '"admins" in principal.groups')).toMatchObject({ denied: 1 });
    const { summary, text } = await tried(directory, rule('principal.claims.team == "x"'));
    expect(summary.outcomes).toMatchObject({ undecidable: 1 });
    expect(summary.rules[0]).toMatchObject({ undecidable: 1, messages: 0, unrecorded: ['principal.claims'] });
    expect(text).toContain('no-deletes reads what is not in the recording: principal.claims.');
    expect(await outcomesOf(directory, '"a" in principal.scopes')).toMatchObject({ undecidable: 1 });
    // Whatever the scopes were, the tool is another one.
    const other = '"a" in principal.scopes && mcp.tool == "x"';
    expect(await outcomesOf(directory, other)).toMatchObject({ allowed: 1 });
    const same = '"a" in principal.scopes || mcp.tool == "echo"';
    expect(await outcomesOf(directory, same)).toMatchObject({ denied: 1 });
  });

  it('reads arguments, and says that it can not where they were withheld or masked', async () => {
    const when = 'has(mcp.arguments.repo) && mcp.arguments.repo == "prod"';
    const whole = exchangeOf({
      exchange: nextExchange(),
      params: { arguments: { repo: 'prod' } },
      answer: 'x',
    });
    const masked = exchangeOf({
      exchange: nextExchange(),
      params: { arguments: { repo: '[masked:names]' } },
      answer: 'x',
    });
    const withheld = exchangeOf({ exchange: nextExchange(), answer: 'x' }).map((draft) =>
      draft.type === 'request'
        ? {
            ...draft,
            body: null,
            body_encoding: null,
            withheld: { reason: 'metadata_only' as const, bytes: 90 },
          }
        : draft,
    );
    const { summary, text } = await tried(await recorded([...whole, ...masked], withheld), rule(when));
    expect(summary.outcomes).toMatchObject({ denied: 1, undecidable: 2 });
    expect(summary.rules[0]).toMatchObject({ undecidable: 2, unrecorded: ['mcp.arguments'] });
    expect(summary.not_read).toEqual([{ line: 'request', why: 'withheld', count: 1 }]);
    expect(text).toContain(
      'Of 1 request the body is not in the recording (withheld), so no mask was tried on it.',
    );
    expect(await outcomesOf(await recorded(withheld), 'mcp.tool == "echo"')).toMatchObject({ denied: 1 });
  });

  it('reads headers whose values are recorded, and of others that they are there', async () => {
    const exchange = exchangeOf({ exchange: nextExchange(), answer: 'x' }).map((draft) =>
      draft.type === 'request'
        ? {
            ...draft,
            http: {
              ...draft.http,
              headers: [
                { name: 'user-agent', value: 'curl/8' },
                { name: 'x-team', value: null },
              ],
            },
          }
        : draft,
    );
    const directory = await recorded(exchange);
    const of = (when: string) => outcomesOf(directory, when);
    expect(await of('http.headers["user-agent"].startsWith("curl")')).toMatchObject({ denied: 1 });
    expect(await of('"x-team" in http.headers')).toMatchObject({ denied: 1 });
    expect(await of('"x-team" in http.headers && http.headers["x-team"] == "a"')).toMatchObject({
      undecidable: 1,
    });
    expect(await of('http.headers.exists(name, http.headers[name] == "a")')).toMatchObject({
      undecidable: 1,
    });
  });

  it('counts what masks match by rule and kind of line, and never prints it', async () => {
    const secret = { arguments: { password: SECRET, note: `it is ${SECRET}` } };
    const principal = { ...ADA, name: SECRET };
    const directory = await recorded([
      ...exchangeOf({ exchange: nextExchange(), params: secret, answer: `you said ${SECRET}` }),
      ...exchangeOf({ exchange: nextExchange(), answer: SECRET, events: true }),
      ...exchangeOf({ exchange: nextExchange(), principal, tool: SECRET, answer: 'x' }),
    ]);
    const policy = `
rules: [{name: all, when: 'mcp.method == "tools/call"', action: Deny}]
masking:
  rules:
    - {name: passwords, keys: [password]}
    - {name: hunters, pattern: 'hunter[0-9](-hunter[0-9])*', appliesTo: Both}
    - {name: nothing, pattern: 'nothing at all'}
`;
    const { text, exchanges, summary } = await tried(directory, policy);
    expect(summary.masks).toMatchObject([
      { rule: 'passwords', in: 'record', request: 1, response: 0, event: 0, exchanges: 1 },
      { rule: 'hunters', in: 'record', request: 2, response: 1, event: 1, exchanges: 3 },
      { rule: 'hunters', in: 'wire', request: 3, response: 1, event: 1, exchanges: 3 },
      { rule: 'nothing', in: 'record', request: 0, response: 0, event: 0, exchanges: 0, examples: [] },
    ]);
    expect(exchanges).toHaveLength(3);
    expect(text).toMatch(/^hunters +what passes +3 +1 +1 +3 +01K/m);
    expect(text).toContain('[masked:hunters] (oidc, https://idp.example.com)  tools/call [masked:hunters]');
  });

  it('takes a RecordedMCPServer, with the labels of its metadata', async () => {
    const directory = await recorded(exchangeOf({ exchange: nextExchange(), answer: 'hi' }));
    const resource = `
apiVersion: mcp-recorder.dev/v1alpha1
kind: RecordedMCPServer
metadata: {name: github, labels: {environment: prod}}
spec:
  selector: {matchLabels: {app: github}}
  ${rule('server.labels.environment == "prod" && server.name == "github"')}
`;
    expect((await tried(directory, resource)).summary.outcomes).toMatchObject({ denied: 1 });
  });

  it('says what would have been refused since rules could be deceived', async () => {
    const twice = exchangeOf({ exchange: nextExchange(), answer: 'hi' }).map((draft) =>
      draft.type === 'request'
        ? {
            ...draft,
            body: `${draft.body?.slice(0, -1)},"method":"ping"}`,
            ambiguous: ['duplicate_key' as const],
          }
        : draft,
    );
    const { summary, text } = await tried(await recorded(twice), rule('mcp.tool == "x"'));
    expect(summary).toMatchObject({ outcomes: { refused: 1 }, refusals: { ambiguous_body: 1 } });
    expect(text).toContain(
      '1 exchange refused before the rules, since servers may read them otherwise: ambiguous_body.',
    );
  });

  it('tries what a real recorder recorded: batches, lists of tools, events, bodies in many pieces', async () => {
    const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'policy-test-'));
    await using recorder = await startTestRecorder({ upstream: fixture.url, directory });
    const url = new URL(`${recorder.origin}/mcp`);
    const client = new Client({ name: 'policy-test', version: '1.0.0' });
    await client.connect(new StreamableHTTPClientTransport(url));
    const { tools } = await client.listTools();
    await client.callTool({ name: 'test_simple_text', arguments: {} });
    await client.callTool({
      name: 'test_image_content',
      arguments: { note: SECRET, long: 'x'.repeat(500_000) },
    });
    await client.close();
    const call = (id: number, name: string) => ({
      jsonrpc: '2.0',
      id,
      method: 'tools/call',
      params: { name },
    });
    await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: JSON.stringify([call(1, 'test_simple_text'), call(2, 'test_image_content')]),
    });
    await recorder.finish();

    const policy = `
rules:
  - {name: no-images, when: 'mcp.tool == "test_image_content"', action: Deny, hideTools: true}
  - {name: quiet, when: 'mcp.method == "initialize"', action: MetadataOnly}
masking: {rules: [{name: hunters, pattern: 'hunter[0-9](-hunter[0-9])*'}]}
`;
    const { summary, exchanges, text } = await tried(path.join(directory, 'store'), policy);
    expect(tools.map(({ name }) => name)).toContain('test_image_content');
    expect(summary.rules).toMatchObject([
      { name: 'no-images', messages: 2, exchanges: 2, lists: 1, tools: ['test_image_content'] },
      { name: 'quiet', messages: 1, exchanges: 1, lists: 0 },
    ]);
    expect(summary.masks).toMatchObject([{ rule: 'hunters', request: 1 }]);
    expect(summary.not_read).toEqual([]);
    expect(
      exchanges.map(({ messages }) => (messages as { action: string }[]).map(({ action }) => action)),
    ).toContainEqual(['allow', 'deny']);
    expect(text).toContain('no-images hides in 1 list of tools: test_image_content');
  });

  it('decides as the recorder decided that had these rules in force', async () => {
    const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'policy-test-'));
    const rules = `
rules:
  - {name: still, when: 'mcp.method == "prompts/get" && principal.how == "anonymous"', action: MetadataOnly}
  - {name: no-images, when: 'mcp.tool == "test_image_content" || mcp.method == "tools/list"', action: Deny}
  - {name: no-prod, when: 'has(mcp.arguments.repo) && mcp.arguments.repo == "prod"', action: Deny}
  - {name: quiet, when: 'mcp.target.startsWith("test_") && size(mcp.arguments) > 1', action: MetadataOnly}
  - {name: fails, when: 'mcp.kind == "notification" && mcp.arguments.nothing == 1', action: Deny}
  - {name: no-end, when: 'http.method == "DELETE" && http.path.startsWith("/mcp")', action: Deny}
  - {name: no-answers, when: 'mcp.kind == "response" && http.headers["user-agent"] == "answers"', action: Deny}
`;
    const file = path.join(directory, 'rules.yaml');
    await fs.writeFile(file, rules);
    await using recorder = await startTestRecorder({
      upstream: fixture.url,
      directory,
      rules: loadPolicyCheck(file).policy.rules,
    });
    const call = (name: string, given?: object) => ({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name, arguments: given },
    });
    const bodies: unknown[] = [
      ...['test_simple_text', 'test_image_content', 'other'].flatMap((name) =>
        [undefined, {}, { repo: 'prod' }, { repo: 'dev' }, { repo: 'dev', a: 1 }].map((given) =>
          call(name, given),
        ),
      ),
      { jsonrpc: '2.0', id: 2, method: 'tools/list' },
      {
        jsonrpc: '2.0',
        id: 'p',
        method: 'prompts/get',
        params: { name: 'test_x', arguments: { a: '1', b: '2' } },
      },
      { jsonrpc: '2.0', method: 'notifications/initialized' },
      { jsonrpc: '2.0', id: 3, result: {} },
      [call('other'), { jsonrpc: '2.0', id: 4, method: 'ping' }],
      [call('other'), call('test_image_content')],
      [],
      'text',
    ];
    const send = (method: string, agent: string, body: string | null) =>
      fetch(`${recorder.origin}/mcp?a=b`, {
        method,
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'user-agent': agent,
        },
        body,
      }).then((response) => response.arrayBuffer());
    for (const body of bodies) await send('POST', 'calls', JSON.stringify(body));
    await send('POST', 'answers', JSON.stringify({ jsonrpc: '2.0', id: 3, result: {} }));
    await send('DELETE', 'calls', null);
    const lines = await recorder.finish();

    const { sums, found } = await inProcess(path.join(directory, 'store'), rules);
    const requests = lines.filter((line) => line.type === 'request');
    expect(sums.exchanges).toBe(requests.length);
    expect(sums.outcomes).toMatchObject({ refused: 0 });
    const seen = new Set<string>();
    for (const request of requests) {
      const verdict = found.find(({ exchange }) => exchange === request.exchange)?.verdict;
      const end = lines.find((line) => line.type === 'end' && line.exchange === request.exchange);
      const denied = end?.type === 'end' && end.ended.how === 'denied';
      const outcome = verdict?.outcome ?? 'allowed';
      seen.add(outcome);
      // Only where the body was withheld by a rule can it not be told.
      if (outcome === 'undecidable') expect(request.withheld?.reason).toBe('metadata_only');
      else expect([request.body, outcome === 'denied']).toEqual([request.body, denied]);
      for (const { action, rule: by, recorded: then } of verdict?.messages ?? []) {
        if (then !== null && action !== 'undecidable') expect(then).toEqual({ action, rule: by });
      }
    }
    expect(seen).toEqual(new Set(['allowed', 'denied', 'metadata_only', 'undecidable']));
    // What it leaves of a body in the record is too little for the rule before it.
    expect(sums.rules.filter(({ messages }) => messages === 0).map(({ name }) => name)).toEqual(['quiet']);
    expect(sums.rules.find(({ name }) => name === 'fails')).toMatchObject({ errors: 1 });
  });

  it('takes only exchanges that began in the time that is asked for', async () => {
    const directory = await recorded(exchangeOf({ exchange: nextExchange(), answer: 'hi' }));
    const { text, summary } = await tried(directory, rule('true'), '--since', '2026-11-22');
    expect(summary.exchanges).toBe(0);
    expect(text).toMatch(/^No exchange in \S+ in that time yet\.$/m);
  });

  it.each<[string, string, RegExp]>([
    [
      'an expression that does not compile',
      rule('mcp.tol == "x"'),
      /policy\.yaml:1: rules\[0\]\.when \(line 1, column \d+\): /,
    ],
    ['a key that is not known', 'rulez: []', /policy\.yaml:1: rulez: unknown key; known here: /],
    [
      'a pattern that does not compile',
      'masking: {rules: [{name: a, pattern: "("}]}',
      /masking\.rules\[0\]\.pattern/,
    ],
  ])('ends with 2 for %s, and says where it is', async (_, policy, message) => {
    const directory = await recorded(exchangeOf({ exchange: nextExchange(), answer: 'hi' }));
    const file = path.join(directory, 'policy.yaml');
    await fs.writeFile(file, policy);
    const { code, stdout, stderr } = await run('policy', 'test', '--config', file, '--recording', directory);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
  });

  it('ends with 2 when there is no recording', async () => {
    const directory = await recorded(exchangeOf({ exchange: nextExchange(), answer: 'hi' }));
    const file = path.join(directory, 'policy.yaml');
    await fs.writeFile(file, rule('true'));
    const { code, stderr } = await run(
      'policy',
      'test',
      '--config',
      file,
      '--recording',
      path.join(directory, 'no'),
    );
    expect(code).toBe(2);
    expect(stderr).toMatch(/No recording in /);
  });
});
