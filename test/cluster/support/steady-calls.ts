/**
 * Owns callers that go on and on: a pod that calls a tool in several ways at once until it is told to stop, and what became of each call.
 * Invariant: a call is counted once, as answered or as failed with its reason; nothing is tried again behind the count.
 */
import { type ClientPod, startClientPod } from './client-pod.ts';
import { inPod } from './kubectl.ts';
import { waitFor } from './wait-for.ts';

export interface CallReport {
  answered: number;
  /** First failures, `lane: what happened`, at most 50; `failed` counts all. */
  failures: string[];
  failed: number;
  /** Longest time between two answers, ms. */
  longestPauseMs: number;
}

export interface SteadyCalls {
  client: ClientPod;
  /** What happened until now. */
  report(): Promise<CallReport>;
  /** Waits until so many further calls were answered. */
  answers(more: number, deadlineMs?: number): Promise<void>;
  /** Ends the callers; calls under way are waited for. */
  stop(): Promise<CallReport>;
}

/** Calls on a connection each, calls on kept connections, and calls that take two seconds, on a connection each. */
export type Lane = 'fresh' | 'kept' | 'slow';

/**
 * Each lane speaks MCP as the server wants it: initialize, then calls in that session; a session that is gone (404) is opened anew, as clients must.
 */
const CALLER = `
import fs from 'node:fs';
import http from 'node:http';
const [url, folder, chosen] = process.argv.slice(2);
const counts = { answered: 0, failures: [], failed: 0, longestPauseMs: 0 };
let last = performance.now();
const write = () => {
  fs.writeFileSync(folder + '/report.tmp', JSON.stringify(counts));
  fs.renameSync(folder + '/report.tmp', folder + '/report.json');
};
function post(agent, session, body) {
  return new Promise((resolve, reject) => {
    const text = JSON.stringify(body);
    const request = http.request(url, { method: 'POST', agent, timeout: 20000, headers: {
      'content-type': 'application/json', 'content-length': Buffer.byteLength(text), accept: 'application/json, text/event-stream',
      ...(session ? { 'mcp-session-id': session, 'mcp-protocol-version': '2025-06-18' } : {}),
    } }, (response) => {
      let answer = '';
      response.on('data', (bytes) => (answer += bytes));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode, session: response.headers['mcp-session-id'], answer }));
    });
    request.on('error', reject);
    request.on('timeout', () => request.destroy(new Error('no answer within 20 s')));
    request.end(text);
  });
}
let stopping = false;
async function lane(name, agent, tool, args) {
  let session = null;
  for (let id = 1; !stopping; id++) {
    try {
      if (session === null) {
        const hello = await post(agent(), null, { jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name, version: '1' } } });
        if (hello.status !== 200) throw new Error('initialize: ' + hello.status + ' ' + hello.answer.slice(0, 200));
        session = hello.session;
        const told = await post(agent(), session, { jsonrpc: '2.0', method: 'notifications/initialized' });
        if (told.status !== 202 && told.status !== 404 && told.status !== 400) throw new Error('initialized: ' + told.status + ' ' + told.answer.slice(0, 200));
      }
      const { status, answer } = await post(agent(), session, { jsonrpc: '2.0', id, method: 'tools/call', params: { name: tool, arguments: args } });
      // The session lived in a pod that is gone: told by the server behind the recorder, as the specification has it.
      if (status === 404 || (status === 400 && /session/i.test(answer))) { session = null; continue; }
      if (status !== 200 || !answer.includes('"result"')) throw new Error(status + ' ' + answer.slice(0, 300));
      const now = performance.now();
      counts.longestPauseMs = Math.max(counts.longestPauseMs, Math.round(now - last));
      last = now;
      counts.answered++;
    } catch (error) {
      counts.failed++;
      session = null;
      if (counts.failures.length < 50) counts.failures.push(new Date().toISOString() + ' ' + name + ': ' + (error.code ?? '') + ' ' + error.message);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
const kept = new http.Agent({ keepAlive: true, maxSockets: 4 });
const fresh = () => new http.Agent({ keepAlive: false });
const ways = {
  fresh: () => lane('fresh', fresh, 'echo', { message: 'fresh' }),
  kept: () => lane('kept', () => kept, 'echo', { message: 'kept' }),
  slow: () => lane('slow', fresh, 'trigger-long-running-operation', { duration: 2, steps: 2 }),
};
const lanes = chosen.split(',').map((way) => ways[way]());
const writing = setInterval(() => {
  write();
  if (fs.existsSync(folder + '/stop')) stopping = true;
}, 100);
await Promise.all(lanes);
clearInterval(writing);
write();
fs.writeFileSync(folder + '/done', '');
process.exit(0);
`;

/** Starts the callers in a pod of their own. @param url of the MCP endpoint */
export async function startSteadyCalls(
  namespace: string,
  url: string,
  name = 'callers',
  lanes: readonly Lane[] = ['fresh', 'kept', 'slow'],
): Promise<SteadyCalls> {
  const client = await startClientPod(namespace, name);
  const folder = `/tmp/${name}`;
  const sh = (script: string, stdin = '') =>
    inPod(namespace, name, 'client', ['sh', '-c', script], { stdin, mayFail: true });
  await sh(
    `mkdir -p ${folder} && cat > /tmp/${name}.mjs && (node /tmp/${name}.mjs ${url} ${folder} ${lanes.join(',')} > ${folder}/log 2>&1 &)`,
    CALLER,
  );
  const report = async (): Promise<CallReport> =>
    await waitFor(
      `${name} reports`,
      async () => {
        const { code, stdout } = await sh(`cat ${folder}/report.json`);
        return code === 0 ? (JSON.parse(stdout) as CallReport) : null;
      },
      { deadlineMs: 20_000 },
    );
  return {
    client,
    report,
    async answers(more, deadlineMs = 60_000) {
      const wanted = (await report()).answered + more;
      await waitFor(`${name} has ${more} more answers`, async () => (await report()).answered >= wanted, {
        deadlineMs,
      });
    },
    async stop() {
      await sh(`touch ${folder}/stop`);
      await waitFor(`${name} has stopped`, async () => (await sh(`ls ${folder}/done`)).code === 0, {
        deadlineMs: 30_000,
      });
      return await report();
    },
  };
}
