/**
 * Owns the recording that `npm run bench:read` reads: tool calls of 50 people on 5 servers, evenly over 30 days, about 4 kB of lines each.
 * Invariant: the same number of exchanges gives the same lines but for their keys, and what is stored verifies.
 */
import { generateKeyPairSync } from 'node:crypto';
import type { LineDraft } from '@mcp-recorder/recording/format/line';
import { createUlidFactory } from '@mcp-recorder/recording/format/ulid';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { ANONYMOUS, createStreamBuilder, store as put } from '../test/recording/stream-builder.ts';
import { exchangeDrafts } from '../test/support/corpus/drafts.ts';
import { randomOf } from '../test/support/corpus/generate.ts';

export const DAYS = 30;
export const START_MS = Date.parse('2026-10-01T00:00:00Z');
/** Who is searched for. */
export const SOMEBODY = 'user-7@example.com';
/** Stands in one body of each ten thousand. */
export const RARE_WORD = 'zanzibar';
const DAY_MS = 86_400_000;
const PEOPLE = 50;
const SERVERS = ['github', 'jira', 'files', 'mail', 'db'];
const TOOLS = ['echo', 'create_issue', 'delete_repo', 'query', 'read_file'];
const WORDS = (
  'invoice budget quarter repository issue label milestone branch commit review merge deploy rollback alert metric trace customer order ' +
  'payment refund ticket queue worker schedule report total average median error timeout retry cluster node volume image secret config'
).split(' ');
/** About a megabyte of lines: what five seconds of a busy server hold. */
const EXCHANGES_A_SEGMENT = 250;
const REQUEST_CHARACTERS = 500;
const ANSWER_CHARACTERS = 1_800;
const PUTS_AT_ONCE = 4;

/** Stores it; answers how many bytes of lines that are. */
export async function storeRecording(target: ObjectStore, exchanges: number): Promise<number> {
  let bytes = 0;
  const running = new Set<Promise<void>>();
  const random = randomOf(1);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const word = () => (random() < 0.05 ? `w${Math.floor(random() * 200_000)}` : pick(WORDS));
  const text = (length: number): string => {
    const words: string[] = [];
    for (let size = 0; size < length; size += (words.at(-1)?.length ?? 0) + 1) words.push(word());
    return words.join(' ');
  };
  const aDay = Math.ceil(exchanges / DAYS);
  const stepMs = DAY_MS / aDay;

  /** One call with its answer. */
  function callOf(exchange: string, n: number, day: number): LineDraft[] {
    const person = Math.floor(random() * PEOPLE);
    const session = {
      id: `h:${(person * 1_000 + day).toString(16).padStart(32, '0')}`,
      how: 'mcp-session-id' as const,
    };
    const principal = {
      ...ANONYMOUS,
      how: 'oidc' as const,
      issuer: 'https://idp.example.com',
      subject: `u-${person}`,
      name: `user-${person}@example.com`,
      client_id: 'claude',
      groups: ['dev'],
    };
    const drafts = exchangeDrafts(exchange, { principal, session, protocol: '2025-11-25' });
    const tool = pick(TOOLS);
    const facts = { rpcId: String(n), method: 'tools/call', target: tool, params: {} };
    const rare = n % 10_000 === 0 ? ` ${RARE_WORD}` : '';
    const params = { name: tool, arguments: { query: text(REQUEST_CHARACTERS) + rare } };
    const answer = { content: [{ type: 'text', text: JSON.stringify({ found: text(ANSWER_CHARACTERS) }) }] };
    return [
      drafts.request(JSON.stringify({ jsonrpc: '2.0', id: n, method: 'tools/call', params }), [facts]),
      drafts.response(200, JSON.stringify({ jsonrpc: '2.0', id: n, result: answer })),
      drafts.result({
        operation: `${exchange}.0`,
        rpc_id: String(n),
        method: 'tools/call',
        target: tool,
        outcome: random() < 0.02 ? 'error' : 'ok',
        callExchange: exchange,
      }),
      drafts.end(),
    ];
  }

  let n = 0;
  for (let day = 0; day < DAYS; day += 1) {
    let nowMs = START_MS + day * DAY_MS;
    const nextId = createUlidFactory(() => nowMs);
    const { privateKey } = generateKeyPairSync('ed25519');
    const builders = SERVERS.map((server) =>
      createStreamBuilder({ stream: nextId(), startMs: nowMs, privateKey, server, namespace: 'tools' }),
    );
    for (let ofDay = 0, turn = 0; ofDay < aDay; turn += 1) {
      const count = Math.min(EXCHANGES_A_SEGMENT, aDay - ofDay);
      const drafts: LineDraft[] = [];
      for (let of = 0; of < count; of += 1, n += 1) {
        drafts.push(...callOf(nextId(), n, day));
        nowMs += stepMs;
      }
      ofDay += count;
      const builder = builders[turn % SERVERS.length];
      if (builder === undefined) break;
      const segment = builder.segment(drafts);
      for (const line of segment.lines) bytes += line.length + 1;
      for (const other of builders) other.wait(stepMs * count - (other === builder ? drafts.length + 2 : 0));
      const putting = put(target, segment).finally(() => running.delete(putting));
      running.add(putting);
      if (running.size >= PUTS_AT_ONCE) await Promise.race(running);
    }
    process.stderr.write(`stored ${day + 1} of ${DAYS} days\n`);
  }
  await Promise.all(running);
  return bytes;
}
