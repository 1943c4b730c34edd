/**
 * Bodies that a server may read otherwise than the recorder's rules: whatever is sent, a tool that a rule denies is not run. The server is
 * written in Go with an SDK that finds members whatever their case (CVE-2026-27896).
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RuleConfiguration } from '../../sidecar/config/access.ts';
import { type GoMcpServer, startGoMcpServer } from '../support/go-mcp-server.ts';
import { startTestRecorder, type TestRecorder } from '../support/recorder.ts';

interface Sent {
  name: string;
  body: string | Uint8Array<ArrayBuffer>;
  /** Default: `application/json`; null: none. */
  contentType?: string | null;
  headers?: Record<string, string>;
}

const JSON_RPC = '"jsonrpc":"2.0","id":1';
const ARGUMENTS = '"arguments":{"repo":"a"}';
const DELETE = `{${JSON_RPC},"method":"tools/call","params":{"name":"delete_repo",${ARGUMENTS}}}`;
const ECHO = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hi"}}}`;
/** A call with these members of `params`. */
const params = (members: string): string => `{${JSON_RPC},"method":"tools/call","params":{${members}}}`;
const message = (members: string): string => `{${JSON_RPC},${members}}`;
const utf16 = (text: string): Buffer<ArrayBuffer> => Buffer.from(text, 'utf16le') as Buffer<ArrayBuffer>;
const nested = `${'['.repeat(5000)}${']'.repeat(5000)}`;

/** Each tries to have `delete_repo` run. */
const BODIES: Sent[] = [
  { name: 'the plain call', body: DELETE },
  { name: 'Method', body: message(`"Method":"tools/call","params":{"name":"delete_repo",${ARGUMENTS}}`) },
  {
    name: 'method of a list, then Method of a call',
    body: message(`"method":"tools/list","Method":"tools/call","params":{"name":"delete_repo",${ARGUMENTS}}`),
  },
  {
    name: 'method twice',
    body: message(`"method":"tools/list","method":"tools/call","params":{"name":"delete_repo",${ARGUMENTS}}`),
  },
  { name: 'Params', body: message(`"method":"tools/call","Params":{"name":"delete_repo",${ARGUMENTS}}`) },
  {
    name: 'params, then PARAMS',
    body: message(`"method":"tools/call","params":{"name":"echo"},"PARAMS":{"name":"delete_repo"}`),
  },
  {
    name: 'params twice',
    body: message(`"method":"tools/call","params":{"name":"echo"},"params":{"name":"delete_repo"}`),
  },
  {
    name: 'param and long s',
    body: message(`"method":"tools/call","param\u017F":{"name":"delete_repo",${ARGUMENTS}}`),
  },
  {
    name: 'param and long s, escaped',
    body: message(`"method":"tools/call","params":{"name":"echo"},"param\\u017f":{"name":"delete_repo"}`),
  },
  {
    name: 'name twice, the denied one last',
    body: params(`"name":"echo","name":"delete_repo",${ARGUMENTS}`),
  },
  {
    name: 'name twice, the denied one first',
    body: params(`"name":"delete_repo","name":"echo",${ARGUMENTS}`),
  },
  { name: 'Name', body: params(`"Name":"delete_repo",${ARGUMENTS}`) },
  { name: 'name, then NAME', body: params(`"name":"echo","NAME":"delete_repo",${ARGUMENTS}`) },
  { name: 'NaMe, then name', body: params(`"NaMe":"delete_repo","name":"echo",${ARGUMENTS}`) },
  { name: 'a NUL behind name', body: params(`"name":"echo","name\\u0000":"delete_repo",${ARGUMENTS}`) },
  {
    name: 'a NUL within method',
    body: message(`"meth\\u0000od":"tools/call","params":{"name":"delete_repo"}`),
  },
  { name: 'a raw NUL', body: params(`"name":"delete_repo\0",${ARGUMENTS}`) },
  { name: 'a NUL behind the value', body: params(`"name":"delete_repo\\u0000",${ARGUMENTS}`) },
  { name: 'escapes in the value', body: params(`"name":"\\u0064elete\\u005frep\\u006F",${ARGUMENTS}`) },
  { name: 'escapes in the keys', body: params(`"n\\u0061me":"delete_repo",${ARGUMENTS}`) },
  {
    name: 'escapes everywhere',
    body: message(
      `"m\\u0065thod":"tools\\/c\\u0061ll","p\\u0061rams":{"\\u006eame":"delete\\u005Frepo",${ARGUMENTS}}`,
    ),
  },
  { name: 'an escaped Name beside name', body: params(`"name":"echo","\\u004eame":"delete_repo"`) },
  { name: 'a batch with one denied call', body: `[${ECHO},${DELETE}]` },
  { name: 'a batch of one', body: `[${DELETE}]` },
  { name: 'a batch in a batch', body: `[[${DELETE}]]` },
  { name: 'a header that names another tool', body: DELETE, headers: { 'Mcp-Name': 'echo' } },
  {
    name: 'headers that name another method and tool',
    body: DELETE,
    headers: { 'Mcp-Method': 'tools/list', 'Mcp-Name': 'echo', 'MCP-Protocol-Version': '2026-07-28' },
  },
  { name: 'a byte order mark', body: `\uFEFF${DELETE}` },
  { name: 'UTF-16', body: utf16(DELETE) },
  { name: 'UTF-16 with a byte order mark', body: utf16(`\uFEFF${DELETE}`) },
  { name: 'UTF-16, big-endian', body: utf16(`\uFEFF${DELETE}`).swap16() },
  { name: 'broken UTF-8', body: Buffer.from(params('"name":"delete_repo","x":"\xFF"'), 'latin1') },
  { name: 'garbage before', body: `)]}',\n${DELETE}` },
  { name: 'garbage behind', body: `${DELETE} x` },
  { name: 'two messages one after the other', body: `${ECHO}\n${DELETE}` },
  { name: 'a comment', body: `/* */${DELETE}` },
  { name: 'a comma too many', body: `${DELETE.slice(0, -1)},}` },
  { name: 'white space of other kinds', body: `\u00A0\u2028${DELETE}` },
  { name: 'white space', body: `\r\n\t ${DELETE.replaceAll(',"', ' ,\n"').replaceAll('":', '"\t: ')}\n\n` },
  { name: 'params in params', body: params(`"params":{"name":"delete_repo",${ARGUMENTS}},"name":"echo"`) },
  { name: 'params as a list', body: message(`"method":"tools/call","params":[{"name":"delete_repo"}]`) },
  {
    name: 'params as text',
    body: message(`"method":"tools/call","params":"{\\"name\\":\\"delete_repo\\"}"`),
  },
  { name: 'very deep', body: params(`"_meta":{"x":${nested}},"name":"delete_repo",${ARGUMENTS}`) },
  {
    name: 'very deep arguments',
    body: params(`"name":"delete_repo","arguments":{"repo":"a","x":${nested}}`),
  },
  {
    name: 'a long way to the name',
    body: params(`${'"a":1,'.repeat(10_000)}"name":"delete_repo",${ARGUMENTS}`),
  },
  { name: 'a notification', body: `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"delete_repo"}}` },
  { name: 'an id that is null', body: DELETE.replace('"id":1', '"id":null') },
  {
    name: 'an answer that is a call too',
    body: message(`"result":{},"method":"tools/call","params":{"name":"delete_repo"}`),
  },
  { name: 'no version', body: `{"id":1,"method":"tools/call","params":{"name":"delete_repo",${ARGUMENTS}}}` },
  { name: 'the type text/plain', body: DELETE, contentType: 'text/plain' },
  { name: 'no type', body: DELETE, contentType: null },
  { name: 'another type', body: DELETE, contentType: 'application/octet-stream' },
  { name: 'a type in another spelling', body: DELETE, contentType: 'Application/JSON; charset=utf-16' },
  { name: 'a form', body: DELETE, contentType: 'application/x-www-form-urlencoded' },
  { name: 'another type and Name', body: params('"Name":"delete_repo"'), contentType: 'text/plain' },
  { name: 'another type and garbage behind', body: `${DELETE} x`, contentType: 'text/plain' },
  { name: 'another type and a byte order mark', body: `\uFEFF${DELETE}`, contentType: 'text/plain' },
  { name: 'a compressed body', body: gzipSync(DELETE), headers: { 'Content-Encoding': 'gzip' } },
  { name: 'a body that says it is compressed', body: DELETE, headers: { 'Content-Encoding': 'identity' } },
  { name: 'a compressed body that does not say so', body: gzipSync(DELETE) },
];

/** Each tries to have it run with force. */
const FORCED: Sent[] = [
  { name: 'the plain call', body: params('"name":"delete_repo","arguments":{"repo":"a","force":true}') },
  { name: 'Force', body: params('"name":"delete_repo","arguments":{"repo":"a","Force":true}') },
  {
    name: 'force, then FORCE',
    body: params('"name":"delete_repo","arguments":{"force":false,"FORCE":true}'),
  },
  { name: 'force twice', body: params('"name":"delete_repo","arguments":{"force":false,"force":true}') },
  {
    name: 'force twice, the last one false',
    body: params('"name":"delete_repo","arguments":{"force":true,"force":false}'),
  },
  { name: 'an escaped force', body: params('"name":"delete_repo","arguments":{"\\u0066orce":true}') },
  { name: 'a NUL behind force', body: params('"name":"delete_repo","arguments":{"force\\u0000":true}') },
  { name: 'Arguments', body: params('"name":"delete_repo","Arguments":{"force":true}') },
  {
    name: 'arguments, then Arguments',
    body: params('"name":"delete_repo","arguments":{},"ARGUMENTS":{"force":true}'),
  },
  { name: 'arguments twice', body: params('"name":"delete_repo","arguments":{},"arguments":{"force":true}') },
  { name: 'argument and long s', body: params('"name":"delete_repo","argument\u017F":{"force":true}') },
  { name: 'a batch', body: `[${ECHO},${params('"name":"delete_repo","arguments":{"force":true}')}]` },
];

const deny = (when: string): RuleConfiguration[] => [
  { name: 'no-deletes', when, action: 'Deny', message: null, hideTools: false },
];

let directory: string;
let server: GoMcpServer;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'mcp-recorder-'));
  server = await startGoMcpServer(directory);
}, 300_000);

afterAll(async () => {
  await server.stop();
  await rm(directory, { recursive: true });
});

/** Sends a body as it is. @returns the status, 0 when the connection broke */
async function send(
  origin: string,
  { body, contentType = 'application/json', headers }: Sent,
): Promise<number> {
  const type = contentType === null ? {} : { 'Content-Type': contentType };
  try {
    const response = await fetch(`${origin}/mcp`, {
      method: 'POST',
      // Bytes, since text would get a type.
      body: Buffer.from(body as string),
      headers: { Accept: 'application/json, text/event-stream', ...type, ...headers },
    });
    await response.arrayBuffer();
    return response.status;
  } catch {
    return 0;
  }
}

const deletions = (executed: string[]): string[] => executed.filter((line) => line.startsWith('delete_repo'));

it('the server by itself is fooled by many of them', async () => {
  const fooling: string[] = [];
  for (const sent of BODIES) {
    await send(server.origin, sent);
    if (deletions(server.takeExecuted()).length > 0) fooling.push(sent.name);
  }
  expect(fooling).toEqual(
    expect.arrayContaining([
      'the plain call',
      'Method',
      'Name',
      'name, then NAME',
      'param and long s',
      'name twice, the denied one last',
    ]),
  );
  for (const sent of FORCED) await send(server.origin, sent);
  expect(server.takeExecuted().filter((line) => line.endsWith('force=true')).length).toBeGreaterThan(6);
});

describe.each([
  ['by its name', deny('mcp.tool == "delete_repo"'), BODIES, 'delete_repo'],
  [
    'by its arguments',
    deny('mcp.tool == "delete_repo" && has(mcp.arguments.force) && mcp.arguments.force == true'),
    FORCED,
    'force=true',
  ],
] as const)('through the recorder, a tool that is denied %s', (_, rules, bodies, trace) => {
  let recorder: TestRecorder;

  beforeAll(async () => {
    recorder = await startTestRecorder({ upstream: server.origin, rules: [...rules] });
  });
  afterAll(async () => {
    // Whatever was sent, the recording is sound.
    await recorder.finish();
    await recorder[Symbol.asyncDispose]();
  });

  it.each(bodies)('is not run: $name', async (sent) => {
    await send(recorder.origin, sent);
    expect(server.takeExecuted().filter((line) => line.includes(trace))).toEqual([]);
    // The recorder is as it was: what is allowed still passes.
    expect(await send(recorder.origin, { name: 'echo', body: ECHO })).toBe(200);
    expect(server.takeExecuted()).toEqual(['echo hi']);
  });

  it('and a batch is refused whole', async () => {
    const [first = DELETE] = bodies.map(({ body }) => body);
    await send(recorder.origin, { name: 'batch', body: `[${ECHO},${String(first)},${ECHO}]` });
    expect(server.takeExecuted()).toEqual([]);
  });
});
