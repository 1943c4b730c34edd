/**
 * What a policy does to requests, at the level of bytes: a raw client, the recorder, a raw server.
 */
import { setTimeout as pause } from 'node:timers/promises';
import zlib from 'node:zlib';
import type { Line } from '@mcp-recorder/recording/format/line';
import { afterEach, describe, expect, it } from 'vitest';
import type { Identified } from '../../sidecar/identity/identity.ts';
import type { Policy } from '../../sidecar/policy.ts';
import type { HttpMessage } from '../support/http-message.ts';
import { bearerIsName, callerNamed, maskerOf, policyOf, rulesOf } from '../support/policy.ts';
import { connectRaw, listenRaw, type RawConnection, type RawServer } from '../support/raw-http.ts';
import { createHeldFiles, startTestRecorder, type TestRecorder } from '../support/recorder.ts';

const PONG = '{"jsonrpc":"2.0","id":1,"result":{}}';
/** Each request comes on a connection of its own, so that `accept` gives it. */
const ok = (body = PONG) =>
  `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const SECRET = 'tok_12345678';
const secrets = maskerOf('token', 'tok_[0-9]{8}', ['password', 'x-secret']);

let server: RawServer;
let recorder: TestRecorder;
let client: RawConnection;

async function start(parts: Partial<Policy>, more: Partial<Parameters<typeof startTestRecorder>[0]> = {}) {
  server = await listenRaw();
  recorder = await startTestRecorder({ upstream: server.origin, policy: policyOf(parts), ...more });
  client = await connectRaw(recorder.port);
}

afterEach(async () => {
  client.reset();
  await server.close();
  await recorder[Symbol.asyncDispose]();
});

function post(body: string | Buffer, ...headers: string[]): Buffer {
  const bytes = Buffer.from(body);
  const head = ['POST /mcp HTTP/1.1', 'Host: h', 'Content-Type: application/json', ...headers];
  return Buffer.concat([
    Buffer.from(`${head.join('\r\n')}\r\nContent-Length: ${bytes.length}\r\n\r\n`),
    bytes,
  ]);
}

function call(tool: string, id: number | string = 1, more: object = {}): string {
  const params = { name: tool, arguments: {}, ...more };
  return JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params });
}

/** Sends a request that passes, and gives it as the server got it. */
async function pass(request: Buffer | string, answer = PONG): Promise<HttpMessage> {
  await client.send(request);
  const upstream = await server.accept();
  const message = await upstream.message();
  await upstream.send(ok(answer));
  expect((await client.message()).body.toString()).toBe(answer);
  return message;
}

/** Sends a request that is answered by the recorder, and gives the answer. */
async function refused(request: Buffer | string): Promise<HttpMessage> {
  await client.send(request);
  const answer = await client.message();
  expect(server.connections.every((connection) => connection.received().length === 0)).toBe(true);
  return answer;
}

const status = ({ startLine }: HttpMessage) => Number(startLine.split(' ')[1]);
const json = ({ body }: HttpMessage) => JSON.parse(body.toString());
const value = (message: HttpMessage, name: string) =>
  message.headers.find(([candidate]) => candidate.toLowerCase() === name)?.[1];

function ofType<T extends Line['type']>(lines: Line[], type: T): Extract<Line, { type: T }>[] {
  return lines.filter((line) => line.type === type) as Extract<Line, { type: T }>[];
}

describe('a caller', () => {
  it('without a token is refused on its head, counted, and told how to go on', async () => {
    await start({ identity: bearerIsName() });
    const head = 'POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n';
    const answer = await refused(head);
    expect(status(answer)).toBe(401);
    expect(value(answer, 'www-authenticate')).toBe('Bearer');
    expect(json(answer)).toMatchObject({ id: null, error: { data: { reason: 'no_token' } } });
    const lines = await recorder.finish();
    expect(ofType(lines, 'request')).toEqual([]);
    expect(ofType(lines, 'denied').map(({ denied }) => denied)).toMatchObject([
      { reason: 'no_token', source: '127.0.0.1', principal: null, count: 1 },
    ]);
  });

  it('stands on request and result lines, and on what is denied of it later', async () => {
    await start({ identity: bearerIsName() });
    await pass(post(call('echo'), 'Authorization: Bearer ada'));
    await refused0(post('{', 'Authorization: Bearer ada'));
    const lines = await recorder.finish();
    const { principal } = callerNamed('ada');
    expect(ofType(lines, 'request')[0]?.principal).toEqual(principal);
    expect(ofType(lines, 'result')[0]?.principal).toEqual(principal);
    expect(ofType(lines, 'denied')[0]?.denied).toMatchObject({ reason: 'malformed_json', principal });
    expect(JSON.stringify(lines)).not.toContain('Bearer');
  });

  it('is asked about before its body is read, and may go meanwhile', async () => {
    const asked: ((answer: Identified) => void)[] = [];
    const identity = bearerIsName(() => new Promise((resolve) => asked.push(resolve)));
    await start({ identity });
    await client.send('POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n');
    while (asked.length === 0) await pause(5);
    expect(client.received().length).toBe(0);
    client.reset();
    const second = await connectRaw(recorder.port);
    await second.send(post(call('echo'), 'Expect: 100-continue'));
    while (asked.length < 2) await pause(5);
    expect(second.received().length).toBe(0);
    for (const answer of asked) answer({ verdict: 'pass', caller: callerNamed('ada') });
    expect((await second.message({ headOnly: true })).startLine).toBe('HTTP/1.1 100 Continue');
    const upstream = await server.accept();
    await upstream.message();
    await upstream.send(ok());
    expect(status(await second.message())).toBe(200);
    const reasons = ofType(await recorder.finish(), 'denied').map(({ denied }) => denied.reason);
    expect(reasons).toEqual(['client_closed']);
    expect(server.connections).toHaveLength(1);
  });

  it('that nobody need know gets the words that are for everybody, and no exchange', async () => {
    const headers = { 'Content-Type': 'application/json', 'X-Own': '1' };
    await start({
      identity: bearerIsName(() => ({ verdict: 'answer', status: 200, headers, body: '{"resource":"r"}' })),
    });
    const answer = await refused('GET /.well-known/x HTTP/1.1\r\nHost: h\r\n\r\n');
    expect([status(answer), value(answer, 'x-own'), json(answer)]).toEqual([200, '1', { resource: 'r' }]);
    await client.send('HEAD /.well-known/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
    await client.end();
    const all = client.received().toString();
    expect(all.match(/Content-Length: 16/g)).toHaveLength(2);
    expect(all.endsWith('\r\n\r\n')).toBe(true);
    const lines = await recorder.finish();
    expect(lines.map(({ type }) => type)).toEqual([]);
  });

  it('is told that it is not known also while nothing passes', async () => {
    const held = createHeldFiles();
    await start({ identity: bearerIsName() }, { files: held.files });
    held.failSyncs('EIO');
    const other = await connectRaw(recorder.port);
    await other.send(post(call('echo'), 'Authorization: Bearer ada'));
    expect(status(await other.message())).toBe(503);
    const unnamed = await refused(post(call('echo')));
    expect(status(unnamed)).toBe(401);
    const named = await connectRaw(recorder.port);
    await named.send(post(call('echo'), 'Authorization: Bearer ada'));
    expect(json(await named.message())).toMatchObject({ error: { data: { reason: 'gate_closed' } } });
    held.failSyncs(null);
  });
});

/** As `refused`, on a connection of its own, after others went to the server. */
async function refused0(request: Buffer | string): Promise<HttpMessage> {
  const other = await connectRaw(recorder.port);
  await other.send(request);
  return other.message();
}

describe('a session', () => {
  const INIT = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}';

  async function open(id: string): Promise<void> {
    await client.send(post(INIT, 'Authorization: Bearer ada'));
    const upstream = await server.accept();
    await upstream.message();
    await upstream.send(ok().replace('Content-Type', `Mcp-Session-Id: ${id}\r\nContent-Type`));
    expect(value(await client.message(), 'mcp-session-id')).toBe(id);
  }

  it('is not found by another caller than the one that it was opened for', async () => {
    await start({ identity: bearerIsName() });
    await open('s-1');
    const foreign = await refused0(post(call('echo'), 'Authorization: Bearer bob', 'Mcp-Session-Id: s-1'));
    expect(status(foreign)).toBe(404);
    expect(json(foreign)).toMatchObject({
      id: null,
      error: { code: -32001, message: 'Session not found', data: { reason: 'foreign_session' } },
    });
    await pass(post(call('echo'), 'Authorization: Bearer ada', 'Mcp-Session-Id: s-1'));
    const lines = await recorder.finish();
    expect(ofType(lines, 'denied').map(({ denied }) => [denied.reason, denied.principal?.subject])).toEqual([
      ['foreign_session', 'bob'],
    ]);
    expect(JSON.stringify(lines)).not.toContain('s-1');
  });

  it('belongs to who comes with it first, when this recorder did not see it opened', async () => {
    await start({ identity: bearerIsName() });
    const target = '/messages?x=1&sessionId=s%2D2';
    const inQuery = (name: string, query: string) =>
      post(call('echo'), `Authorization: Bearer ${name}`).toString().replace('/mcp', query);
    await pass(inQuery('ada', target));
    expect(status(await refused0(inQuery('bob', target)))).toBe(404);
    expect(status(await refused0(inQuery('bob', '/messages?sessionId=bobs&sessionId=s-2')))).toBe(404);
    expect(status(await refused0(post(call('x'), 'Authorization: Bearer bob', 'Mcp-Session-Id: s-2')))).toBe(
      404,
    );
  });

  it('is not found under another spelling that a server takes for its id', async () => {
    await start({ identity: bearerIsName() });
    const id = '0dea9f6d4a9f4d3bb2c0a5a0d1e2f3a4';
    const use = (name: string, target: string, ...headers: string[]) =>
      post(call('echo'), `Authorization: Bearer ${name}`, ...headers)
        .toString()
        .replace('/mcp', target);
    await pass(use('ada', `/messages?session_id=${id}`));
    const spellings = [
      // UUID(hex=...) of Python.
      id.toUpperCase(),
      '0dea9f6d-4a9f-4d3b-b2c0-a5a0d1e2f3a4',
      `%7Burn:uuid:${id}%7D`,
      `+${id.slice(1)}`,
      `%2B${id.slice(1)}`,
      `%EF%BC%90${id.slice(1)}`,
      // Servers that parse a target as a URL cut a fragment off.
      `${id}#x`,
    ];
    const targets = spellings.map((spelling) => `/messages?session_id=${spelling}`);
    // Express 4 makes a list of these, and the list is found under what is in it.
    targets.push(
      `/messages?session_id[]=${id}`,
      `/messages?session_id%5B0%5D=${id}`,
      `/messages?[session_id]=${id}`,
    );
    for (const target of targets) {
      expect([target, status(await refused0(use('bob', target)))]).toEqual([
        target,
        target.includes('#') ? 400 : 404,
      ]);
    }
    // A gateway between gives it to the server as Mcp-Session-Id.
    expect(status(await refused0(use('bob', '/mcp', `Mcp_Session_Id: ${id}`)))).toBe(400);
  });

  it('is none where its header is empty', async () => {
    await start({ identity: bearerIsName() });
    await pass(post(call('echo'), 'Authorization: Bearer ada', 'Mcp-Session-Id:'));
    client = await connectRaw(recorder.port);
    await pass(post(call('echo'), 'Authorization: Bearer bob', 'Mcp-Session-Id:'));
    const sessions = ofType(await recorder.finish(), 'request').map(({ session }) => session);
    expect(sessions.map((session) => session?.how)).toEqual(['address', 'address']);
    expect(sessions[0]?.id).not.toBe(sessions[1]?.id);
  });

  it('is bound over a restart, and free again when the server has ended it', async () => {
    await start({ identity: bearerIsName() });
    await open('s-3');
    await recorder.drain();
    const { directory } = recorder;
    const again = await startTestRecorder({
      upstream: server.origin,
      policy: policyOf({ identity: bearerIsName() }),
      directory,
    });
    recorder = again;
    const use = (name: string, method: string) =>
      `${method} /mcp HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${name}\r\nMcp-Session-Id: s-3\r\n\r\n`;
    expect(status(await refused0(use('bob', 'DELETE')))).toBe(404);
    client = await connectRaw(again.port);
    await pass(use('ada', 'DELETE'));
    await pass(use('bob', 'GET'));
  });
});

describe('rules', () => {
  it('see the path that the server finds in any form of a target', async () => {
    await start({ rules: rulesOf({ name: 'no-admin', when: 'http.path == "/admin"' }) });
    for (const target of ['/admin', '/admin?x', 'http://h/admin', 'HTTP://user@h:80/admin?x', '/admin#x']) {
      const answer = await refused0(`GET ${target} HTTP/1.1\r\nHost: h\r\n\r\n`);
      expect([target, status(answer)]).toEqual([target, target.includes('#') ? 400 : 403]);
    }
    expect(server.connections).toHaveLength(0);
  });

  const DELETES = { name: 'no-deletes', when: 'mcp.tool.startsWith("delete_")', message: 'For admins' };

  it('deny a call before the server sees it: recorded whole, answered with the id of the request', async () => {
    await start({ rules: rulesOf(DELETES) });
    const answer = await refused(post(call('delete_repo', 'a-7')));
    expect(status(answer)).toBe(200);
    expect(json(answer)).toMatchObject({
      jsonrpc: '2.0',
      id: 'a-7',
      error: { code: -32003, message: 'For admins', data: { reason: 'denied_by_rule', rule: 'no-deletes' } },
    });
    await pass(post(call('list_repos')));
    const lines = await recorder.finish();
    const [request] = ofType(lines, 'request');
    expect(request?.calls?.[0]).toMatchObject({
      target: 'delete_repo',
      decision: { action: 'deny', rule: 'no-deletes' },
    });
    const own = lines.filter((line) => 'exchange' in line && line.exchange === request?.exchange);
    expect(own.map(({ type }) => type)).toEqual(['request', 'response', 'result', 'end']);
    expect(own[1]).toMatchObject({ answered_by: 'recorder', http: { status: 200 } });
    expect(own[2]).toMatchObject({ outcome: 'denied', rpc_id: '"a-7"', target: 'delete_repo' });
    expect(own[3]).toMatchObject({ ended: { how: 'denied', status: 200, parts: 4 } });
    expect(ofType(lines, 'request')[1]?.calls?.[0]?.decision).toEqual({ action: 'allow', rule: null });
    expect(ofType(lines, 'denied')).toEqual([]);
  });

  it('refuse a batch whole, one error for each of its requests', async () => {
    await start({ rules: rulesOf(DELETES) });
    const notification = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
    const answer = await refused(post(`[${call('echo')},${notification},${call('delete_x', 2)}]`));
    expect(status(answer)).toBe(200);
    expect(json(answer)).toMatchObject([
      { id: 1, error: { code: -32003, data: { reason: 'batch_denied' } } },
      { id: 2, error: { message: 'For admins', data: { reason: 'denied_by_rule' } } },
    ]);
    const lines = await recorder.finish();
    expect(ofType(lines, 'result').map(({ outcome }) => outcome)).toEqual(['denied', 'denied']);
  });

  it('answer 403 where no request has an id, and to a request without a body', async () => {
    await start({ rules: rulesOf({ name: 'nothing', when: 'true' }) });
    const notification = await refused(post('{"jsonrpc":"2.0","method":"notifications/initialized"}'));
    expect([status(notification), json(notification).id]).toEqual([403, null]);
    expect(status(await refused('GET /mcp HTTP/1.1\r\nHost: h\r\n\r\n'))).toBe(403);
    const lines = await recorder.finish();
    expect(ofType(lines, 'end').map(({ ended }) => ended.how)).toEqual(['denied', 'denied']);
  });

  it.each([
    ['a member in another case', 400, 'ambiguous_body', call('echo').replace('"id"', '"Method":"x","id"')],
    [
      'a name twice',
      400,
      'ambiguous_body',
      call('echo').replace('"name":"echo"', '"name":"echo","name":"x"'),
    ],
    ['a NUL in a name', 400, 'ambiguous_body', call('echo').replace('"id"', '"method\\u0000":"x","id"')],
  ])('refuse a body with %s, which a server may read otherwise', async (_, code, reason, body) => {
    await start({ rules: rulesOf(DELETES) });
    const answer = await refused(post(body));
    expect([status(answer), json(answer).error.data.reason]).toEqual([code, reason]);
    expect(ofType(await recorder.finish(), 'denied')[0]?.denied.reason).toBe(reason);
  });

  it.each([
    ['text', 'Content-Type: text/plain', `x${call('delete_x')}`],
    ['lines of JSON', 'Content-Type: application/x-ndjson', `${call('echo')}\n${call('delete_x')}`],
    ['bytes', 'Content-Type: application/octet-stream', Buffer.from([0xff, 0xfe, 0x7b, 0])],
    [
      'JSON that a server reads by another charset',
      'X-A: 1\r\nContent-Type: application/json; charset=utf-7',
      call('a'),
    ],
  ])('refuse a body that is %s', async (_, type, body) => {
    await start({ rules: rulesOf(DELETES) });
    const request = post(body).toString('latin1').replace('Content-Type: application/json', type);
    const answer = await refused(request);
    expect([status(answer), json(answer).error.data.reason]).toEqual([415, 'unreadable_body']);
  });

  it('refuse a second Content-Type, by which the server might go', async () => {
    await start({ rules: rulesOf(DELETES) });
    const answer = await refused(post(call('echo'), 'Content-Type: text/plain'));
    expect([status(answer), json(answer).error.data.reason]).toEqual([415, 'unreadable_body']);
  });

  it('that cannot be evaluated deny', async () => {
    await start({ rules: rulesOf({ name: 'broken', when: 'mcp.arguments.size > 1' }) });
    const answer = await refused(post(call('echo')));
    expect(json(answer)).toMatchObject({ error: { data: { rule: 'broken' } } });
  });

  it('leave only metadata of what they say so of', async () => {
    await start({ rules: rulesOf({ name: 'private', when: 'mcp.tool == "mail"', action: 'MetadataOnly' }) });
    const body = call('mail', 1, { arguments: { text: 'dear' } });
    expect((await pass(post(body))).body.toString()).toBe(body);
    const [request] = ofType(await recorder.finish(), 'request');
    expect(request).toMatchObject({
      body: null,
      body_encoding: null,
      wire_bytes: body.length,
      withheld: { reason: 'metadata_only', bytes: body.length },
      calls: [{ target: 'mail', decision: { action: 'metadata_only', rule: 'private' } }],
    });
    expect(JSON.stringify(request)).not.toContain('dear');
  });

  it('whose denial can not be recorded let it end as if nothing had come', async () => {
    const held = createHeldFiles();
    await start({ rules: rulesOf(DELETES) }, { files: held.files });
    held.failSyncs('EIO');
    const answer = await refused(post(call('delete_repo', 9)));
    expect([status(answer), json(answer).id, json(answer).error.data.reason]).toEqual([
      503,
      9,
      'not_durable',
    ]);
    held.failSyncs(null);
    const lines = await recorder.finish();
    expect(lines.filter(({ type }) => ['request', 'response', 'result', 'end'].includes(type))).toEqual([]);
  });

  it('deny also while the recording may have gaps', async () => {
    const held = createHeldFiles();
    await start({ rules: rulesOf(DELETES) }, { files: held.files, recording: { onFailure: 'Open' } });
    held.failSyncs('EIO');
    const answer = await refused(post(call('delete_repo')));
    expect(json(answer)).toMatchObject({ error: { data: { rule: 'no-deletes' } } });
    held.failSyncs(null);
  });

  it('do not let a denied answer settle what the server asked', async () => {
    await start({ rules: rulesOf({ name: 'no-answers', when: 'mcp.kind == "response"' }) });
    const answer = await refused(post('{"jsonrpc":"2.0","id":5,"result":{}}'));
    expect(status(answer)).toBe(403);
    expect(ofType(await recorder.finish(), 'result')).toEqual([]);
  });
});

describe('masking', () => {
  it('of the record leaves the wire as it is, and nothing of what it finds in the record', async () => {
    await start({ masking: { record: secrets, wire: null }, identity: bearerIsName() });
    const body = call(SECRET, SECRET, { arguments: { password: 'hunter2', list: [SECRET] } });
    const request = post(
      body,
      'Authorization: Bearer tok_12345678',
      `User-Agent: agent ${SECRET}`,
      `Mcp-Name: =?base64?${Buffer.from(SECRET).toString('base64')}?=`,
      `X-${SECRET}: 1`,
      `Mcp-Protocol-Version: ${SECRET}`,
    )
      .toString()
      .replace('/mcp', `/${SECRET}/%74ok_12345678?${SECRET}=1&q=${SECRET}`);
    const got = await pass(request, PONG.replace('1', `"${SECRET}"`));
    expect(got.body.toString()).toBe(body);
    expect(got.startLine).toContain(SECRET);
    const lines = await recorder.finish();
    const text = JSON.stringify(lines.filter(({ type }) => type !== 'response'));
    expect(text).not.toMatch(/(t|%74)ok_12345678/i);
    expect(text).not.toContain(Buffer.from(SECRET).toString('base64'));
    expect(text).not.toContain('hunter2');
    const [line] = ofType(lines, 'request');
    expect(line?.body).toContain('"password":"[masked:token-key]"');
    expect(line?.calls?.[0]).toMatchObject({ rpc_id: '"[masked:token]"', target: '[masked:token]' });
    expect(line?.principal.subject).toBe('[masked:token]');
    expect(line?.protocol).toBe('[masked:token]');
    expect(line?.wire_bytes).toBe(body.length);
    expect(line?.masked?.map(({ rule }) => rule)).toEqual(['token', 'token-key', 'query']);
    expect(line).not.toHaveProperty('wire_masked');
    expect(ofType(lines, 'result')[0]).toMatchObject({
      target: '[masked:token]',
      rpc_id: '"[masked:token]"',
    });
  });

  it('finds addresses, on the lines of a request and where it is refused', async () => {
    await start({ masking: { record: maskerOf('address', '127\\.0\\.0\\.[0-9]'), wire: null } });
    await pass(post(call('echo')));
    await refused0(post('{'));
    const lines = await recorder.finish();
    expect(ofType(lines, 'request')[0]?.http.client_address).toBe('[masked:address]');
    expect(ofType(lines, 'denied')[0]?.denied.source).toBe('[masked:address]');
    expect(JSON.stringify(lines)).not.toContain('127.0.0.1');
  });

  it('finds what a header repeats of a body member that is masked by its name', async () => {
    await start({ masking: { record: maskerOf('names', null, ['name']), wire: null } });
    await pass(post(call('echo'), 'Mcp-Name: echo', 'Mcp-Method: tools/call'));
    const [line] = ofType(await recorder.finish(), 'request');
    expect(line?.http.headers).toContainEqual({ name: 'mcp-name', value: '[masked:names-key]' });
    expect(line?.calls?.[0]?.target).toBe('[masked:names-key]');
    expect(JSON.stringify(line)).not.toContain('echo');
  });

  it('of a body of many lines counts all of its bytes on the first', async () => {
    await start({ masking: { record: secrets, wire: null } }, { maxRequestBytes: 4_000_000 });
    const body = call('echo', 1, { arguments: { text: 'ä'.repeat(700_000) + SECRET } });
    await pass(post(body));
    const lines = await recorder.finish();
    const [line] = ofType(lines, 'request');
    const chunks = ofType(lines, 'chunk');
    expect(chunks.length).toBeGreaterThan(0);
    const shown = (line?.body ?? '') + chunks.map((chunk) => chunk.body).join('');
    expect(JSON.parse(shown).params.arguments.text).toBe(`${'ä'.repeat(700_000)}[masked:token]`);
    expect(line?.wire_bytes).toBe(Buffer.byteLength(body));
    expect(chunks.map(({ wire_bytes }) => wire_bytes)).toEqual(chunks.map(() => 0));
    expect(chunks.map(({ body_offset }) => body_offset)).toEqual(chunks.map(() => Buffer.byteLength(body)));
  });

  it.each([
    ['in UTF-16', 'text/plain', Buffer.from(`\ufeff a ${SECRET} b`, 'utf16le')],
    ['behind a byte order mark', 'text/plain', Buffer.from('\ufeff{"a":"tok\\u005f12345678"}')],
    [
      'that is no text',
      'application/octet-stream',
      Buffer.concat([Buffer.from([0xff, 0x80]), Buffer.from(SECRET)]),
    ],
  ])('finds it in a body %s', async (_, type, body) => {
    await start({ masking: { record: secrets, wire: null } });
    const request = post(body).toString('latin1').replace('application/json', type);
    const got = await pass(request);
    expect(got.body.equals(body)).toBe(true);
    const [line] = ofType(await recorder.finish(), 'request');
    const shown = Buffer.from(line?.body ?? '', line?.body_encoding as BufferEncoding);
    for (const encoding of ['latin1', 'utf16le'] as const)
      expect(shown.toString(encoding)).not.toContain('12345678');
    expect(line?.masked).toEqual([{ rule: 'token', count: 1 }]);
  });

  it('that meets its bound withholds the body from the record, names one by one', async () => {
    const tired = { ...secrets, content: () => ({ text: '', masked: null, exceeded: true }) };
    await start({ masking: { record: tired, wire: null } });
    const body = call(SECRET);
    expect((await pass(post(body))).body.toString()).toBe(body);
    const lines = await recorder.finish();
    expect(JSON.stringify(lines)).not.toContain(SECRET);
    expect(ofType(lines, 'request')[0]).toMatchObject({
      body: null,
      withheld: { reason: 'masking_bound', bytes: body.length },
      calls: [{ target: '[masked:token]' }],
    });
  });

  it('on the wire changes what the server gets, says so, and keeps the original in the record', async () => {
    await start({ masking: { record: null, wire: secrets } });
    const body = zlib.gzipSync(call('echo', 1, { arguments: { a: SECRET, password: 'p' } }));
    const request = post(
      body,
      'Content-Encoding: gzip',
      'Content-Digest: sha-256=:x:',
      'Accept-Encoding: gzip',
      'Range: bytes=0-1',
      `X-Plain: ${SECRET}`,
      'X-Secret: anything',
      `Cookie: ${SECRET}`,
      'Authorization: Bearer x',
    )
      .toString('latin1')
      .replace('/mcp', `/mcp?a=${SECRET}&b=%7Etok_1234%35678&sessionId=${SECRET}&c=x+y`);
    const got = await pass(request);
    expect(JSON.parse(got.body.toString()).params.arguments).toEqual({
      a: '[masked:token]',
      password: '[masked:token-key]',
    });
    const mark = encodeURIComponent('[masked:token]');
    expect(got.startLine).toBe(
      `POST /mcp?a=${mark}&b=${encodeURIComponent('~')}${mark}&sessionId=${SECRET}&c=x+y HTTP/1.1`,
    );
    const names = got.headers.map(([name]) => name.toLowerCase());
    for (const gone of ['content-encoding', 'content-digest', 'accept-encoding', 'range']) {
      expect(names).not.toContain(gone);
    }
    expect(value(got, 'content-length')).toBe(String(got.body.length));
    expect(value(got, 'x-plain')).toBe('[masked:token]');
    expect(value(got, 'x-secret')).toBe('[masked:token-key]');
    expect(value(got, 'cookie')).toBe(SECRET);
    expect(value(got, 'authorization')).toBe('Bearer x');
    const [line] = ofType(await recorder.finish(), 'request');
    expect(line?.wire_masked).toEqual([
      { rule: 'token', count: 4 },
      { rule: 'token-key', count: 2 },
    ]);
    expect(line?.body).toContain(SECRET);
    expect(line?.wire_bytes).toBe(body.length);
  });

  it('on the wire keeps header and body alike', async () => {
    await start({ masking: { record: null, wire: maskerOf('names', null, ['name']) } });
    const got = await pass(post(call('echo'), 'Mcp-Name: echo'));
    expect(JSON.parse(got.body.toString()).params.name).toBe('[masked:names-key]');
    expect(value(got, 'mcp-name')).toBe('[masked:names-key]');
  });

  it('on the wire that finds nothing leaves the request as it came', async () => {
    await start({ masking: { record: null, wire: secrets } });
    const body = zlib.gzipSync(call('echo'));
    const got = await pass(post(body, 'Content-Encoding: gzip', 'X-Plain: a').toString('latin1'));
    expect(got.body.equals(body)).toBe(true);
    expect(value(got, 'content-encoding')).toBe('gzip');
    expect(ofType(await recorder.finish(), 'request')[0]).not.toHaveProperty('wire_masked');
  });

  it('on the wire that meets its bound lets nothing pass', async () => {
    const tired = { ...secrets, content: () => ({ text: '', masked: null, exceeded: true }) };
    await start({ masking: { record: null, wire: tired } });
    const answer = await refused(post(call('echo', 4)));
    expect([status(answer), json(answer).id, json(answer).error.data.reason]).toEqual([413, 4, 'not_masked']);
  });
});

describe('credentials', () => {
  it("of the caller are removed, and the server's own set, whatever the caller sent under its name", async () => {
    await start({
      callerToken: 'Remove',
      credential: {
        current: () => Promise.resolve({ ok: true, name: 'X-Api-Key', value: 'own' }),
        problem: null,
        refused() {},
        close() {},
      },
    });
    const got = await pass(
      post(
        call('echo'),
        'Authorization: Bearer a',
        'AUTHORIZATION: Basic b',
        'x-api-key: c',
        'X_Api_Key: e',
        'Accept: d',
      ),
    );
    expect(got.headers.filter(([name]) => /authorization|api.key|accept/i.test(name))).toEqual([
      ['Accept', 'd'],
      ['X-Api-Key', 'own'],
    ]);
    expect(JSON.stringify(await recorder.finish())).not.toContain('"own"');
  });

  it('that the server refuses are told of it, and its answer goes to the client', async () => {
    let refusals = 0;
    await start({
      credential: {
        current: () => ({ ok: true, name: 'Authorization', value: 'Bearer withdrawn' }),
        problem: null,
        refused: () => void (refusals += 1),
        close() {},
      },
    });
    await pass(post(call('echo')));
    expect(refusals).toBe(0);
    await client.send(post(call('echo')));
    const upstream = await server.accept();
    await upstream.message();
    await upstream.send('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
    expect([status(await client.message()), refusals]).toEqual([401, 1]);
  });

  it('that are not there let nothing pass', async () => {
    const current = () => ({ ok: false as const, problem: 'the file is gone' });
    await start({ credential: { current, problem: 'the file is gone', refused() {}, close() {} } });
    const answer = await refused(post(call('echo', 3)));
    expect([status(answer), value(answer, 'retry-after'), json(answer).id]).toEqual([503, '5', 3]);
    expect(answer.body.toString()).not.toContain('file');
    expect(ofType(await recorder.finish(), 'denied')[0]?.denied.reason).toBe('credential_unavailable');
  });

  it('of the caller go on where that is asked for', async () => {
    await start({ callerToken: 'Forward' });
    expect(value(await pass(post(call('echo'), 'Authorization: Bearer a')), 'authorization')).toBe(
      'Bearer a',
    );
  });
});

it('an answer that may have to be changed is asked for uncoded', async () => {
  await start({ rules: rulesOf({ name: 'hide', when: 'mcp.tool == "x"', hideTools: true }) });
  const list = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
  expect(value(await pass(post(list, 'Accept-Encoding: gzip')), 'accept-encoding')).toBeUndefined();
  const other = await connectRaw(recorder.port);
  await other.send(post(call('echo'), 'Accept-Encoding: gzip'));
  const upstream = await server.accept();
  expect(value(await upstream.message(), 'accept-encoding')).toBe('gzip');
});
