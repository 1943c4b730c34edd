/**
 * Owns generated recordings: sessions of many people with several servers over many days, with every kind of line and of trouble.
 * Invariant: the same seed gives the same lines; what is stored verifies.
 */
import { generateKeyPairSync } from 'node:crypto';
import type { Outcome, Principal, Session } from '@mcp-recorder/recording/format/line';
import { createUlidFactory } from '@mcp-recorder/recording/format/ulid';
import {
  ANONYMOUS,
  type BuiltSegment,
  createStreamBuilder,
  type StreamBuilder,
} from '../../recording/stream-builder.ts';
import { type CallFacts, type Caller, type Draft, exchangeDrafts } from './drafts.ts';

export interface CorpusOptions {
  seed: number;
  sessions: number;
  days: number;
}

const START_MS = Date.parse('2026-10-01T00:00:00Z');
const DAY_MS = 86_400_000;
export const SERVERS = ['github', 'jira', 'files', 'db.main', 'mail'] as const;
export const NAMESPACES = ['tools', 'data'] as const;
export const GROUPS = ['dev', 'ops', 'audit', 'a*b', "o'neil"] as const;
export const TOOLS = [
  'echo',
  'create_issue',
  'delete_repo',
  'delete_file',
  'query',
  'a"b',
  'späti',
  '[x]?',
] as const;
export const WORDS = [
  'invoice',
  'Zürich',
  'budget',
  'delete_repo',
  'straße',
  '4711',
  'secret',
  'über',
  'quarter',
] as const;
const OUTCOMES: readonly Outcome[] = [
  'ok',
  'ok',
  'ok',
  'error',
  'tool_error',
  'cancelled',
  'input_required',
  'task',
  'unknown',
];

/** A generator of numbers in [0, 1) (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export const PEOPLE: readonly Principal[] = Array.from({ length: 50 }, (_, n): Principal => {
  const groups = GROUPS.filter((_group, g) => (n >> g) % 2 === 1);
  if (n % 10 === 0) return ANONYMOUS;
  if (n % 10 === 1) return { ...ANONYMOUS, how: 'unverified', name: `user*${n}` };
  if (n % 10 === 2) {
    const subject = `system:serviceaccount:tools:agent-${n}`;
    return { ...ANONYMOUS, how: 'kubernetes', issuer: 'https://kubernetes', subject, groups };
  }
  const issuer = 'https://idp.example.com';
  return {
    how: 'oidc',
    issuer,
    subject: `u-${n}`,
    name: `zoë-${n}@example.com`,
    client_id: `client-${n % 3}`,
    groups,
  };
});

/** All segments of a corpus, stream by stream. */
export function* generateCorpus({ seed, sessions, days }: CorpusOptions): Iterable<BuiltSegment> {
  const random = randomOf(seed);
  const below = (n: number) => Math.floor(random() * n);
  const pick = <T>(items: readonly T[]): T => items[below(items.length)] as T;
  const perStream = 25;
  let nowMs = START_MS;
  const nextId = createUlidFactory(() => nowMs);
  /** A stream whose recorder died: the next one seals what it left. */
  let dead = null as { builder: StreamBuilder; drafts: Draft[] } | null;

  for (let left = sessions; left > 0; left -= perStream) {
    nowMs = START_MS + below(days) * DAY_MS + pick([0, below(DAY_MS), below(DAY_MS), DAY_MS - 2_000]);
    const stream = nextId();
    const { privateKey } = generateKeyPairSync('ed25519');
    const place = { server: pick(SERVERS), namespace: pick(NAMESPACES) };
    const recovered =
      dead === null ? null : dead.builder.segment(dead.drafts, { recoveredBy: { stream, privateKey } });
    const previousStreams =
      recovered === null
        ? []
        : [
            {
              stream: recovered.stream,
              segment: recovered.segment,
              root: recovered.root.toString('base64'),
              how: 'recovered' as const,
            },
          ];
    if (recovered !== null) yield recovered;
    dead = null;
    const builder = createStreamBuilder({ stream, startMs: nowMs, privateKey, ...place, previousStreams });
    const context = createContext(random, () => nowMs, nextId);
    const segments = 1 + below(3);
    const dies = below(5) === 0 && left > perStream;
    for (let n = 0; n < segments; n += 1) {
      const drafts: Draft[] = context.goOn();
      const count = Math.min(left, Math.ceil(perStream / segments));
      for (let session = 0; session < count; session += 1) drafts.push(...context.session());
      if (below(3) === 0) drafts.push(...context.trouble());
      const last = n === segments - 1;
      if (last && dies) dead = { builder, drafts };
      else yield builder.segment(drafts, { last });
      const waited = pick([500, 20_000, 3_000_000, 10_000_000]);
      builder.wait(waited);
      nowMs += waited + drafts.length;
    }
  }
}

function createContext(random: () => number, nowMs: () => number, nextId: () => string) {
  const below = (n: number) => Math.floor(random() * n);
  const pick = <T>(items: readonly T[]): T => items[below(items.length)] as T;
  const words = () => Array.from({ length: 1 + below(4) }, () => pick(WORDS)).join(' ');
  /** What is still to come of exchanges that go on in later segments. */
  let later: Draft[][] = [];

  function call(rpcId: string): CallFacts {
    const decision =
      below(12) === 0
        ? { action: 'deny' as const, rule: 'no-deletes' }
        : { action: 'allow' as const, rule: null };
    if (below(4) === 0) {
      const method = pick(['tools/list', 'resources/read', 'prompts/get', 'ping']);
      return {
        rpcId,
        method,
        target: method === 'resources/read' ? 'file:///etc/x' : null,
        params: {},
        decision,
      };
    }
    const target = pick(TOOLS);
    return {
      rpcId,
      method: 'tools/call',
      target,
      params: { name: target, arguments: { text: words() } },
      decision,
    };
  }
  const bodyOf = ({ rpcId, method, params }: CallFacts) =>
    JSON.stringify({ jsonrpc: '2.0', id: Number(rpcId), method, params });
  const answerOf = (rpcId: string) => {
    const inner = JSON.stringify({ note: `${words()}\n${words()}` });
    return JSON.stringify({
      jsonrpc: '2.0',
      id: Number(rpcId),
      result: { content: [{ type: 'text', text: inner }] },
    });
  };

  function opening(caller: Caller, session: Session): Draft[] {
    const id = nextId();
    const drafts = exchangeDrafts(id, { ...caller, session: null });
    const facts: CallFacts = { rpcId: '0', method: 'initialize', target: null, params: {} };
    return [
      drafts.request(bodyOf(facts), [facts]),
      // Learnt from the answer.
      drafts.response(200, answerOf('0'), { session }),
      drafts.result({
        operation: `${id}.0`,
        rpc_id: '0',
        method: 'initialize',
        target: null,
        outcome: 'ok',
        callExchange: id,
      }),
      drafts.end(),
    ];
  }

  function simple(caller: Caller): Draft[] {
    const id = nextId();
    const drafts = exchangeDrafts(id, caller);
    const facts = Array.from({ length: below(8) === 0 ? 3 : 1 }, (_, n) => call(String(n + 1)));
    const body = facts.length === 1 ? bodyOf(facts[0] as CallFacts) : `[${facts.map(bodyOf).join(',')}]`;
    const made: Draft[] = [];
    if (below(10) === 0) {
      made.push(
        drafts.request(body.slice(0, 10), facts, { isLast: false }),
        drafts.chunk(body.slice(10), facts, 10),
      );
    } else made.push(drafts.request(body, facts));
    const fate = below(20);
    // The recorder died, or it runs still.
    if (fate === 0) return made;
    const kind = below(6);
    if (kind === 0) made.push(drafts.response(200, null), drafts.event(answerOf('1')));
    else if (kind === 1) made.push(drafts.response(200, answerOf('1'), { base64: true }));
    else if (kind === 2) made.push(drafts.response(200, null, { withheld: true }));
    else made.push(drafts.response(pick([200, 200, 500]), answerOf('1')));
    for (const [n, { rpcId, method, target, decision }] of facts.entries()) {
      if (fate === 1) continue;
      const outcome = decision?.action === 'deny' ? 'denied' : pick(OUTCOMES);
      const cause = outcome === 'unknown' ? { cause: 'timeout' } : {};
      made.push(
        drafts.result({
          operation: `${id}.${n}`,
          rpc_id: rpcId,
          method,
          target,
          outcome,
          callExchange: id,
          ...cause,
        }),
      );
    }
    if (fate !== 2) made.push(drafts.end());
    return made;
  }

  function notification(caller: Caller): Draft[] {
    const drafts = exchangeDrafts(nextId(), caller);
    const facts: CallFacts = {
      rpcId: '',
      method: 'notifications/initialized',
      target: null,
      params: {},
      kind: 'notification',
    };
    return [drafts.request(bodyOf(facts), [facts]), drafts.response(202, null), drafts.end()];
  }

  /** A stream that the client listens on, over segments, with a question of the server that is answered in another exchange. */
  function listening(caller: Caller): Draft[] {
    const id = nextId();
    const drafts = exchangeDrafts(id, caller);
    const first = [drafts.request(null, [], { method: 'GET' }), drafts.response(200, null)];
    const question: CallFacts = {
      rpcId: '1',
      method: 'sampling/createMessage',
      target: null,
      params: { text: words() },
    };
    const answer = exchangeDrafts(nextId(), caller);
    later.push([drafts.event(bodyOf(question), [question])]);
    later.push([
      answer.request(answerOf('1'), []),
      answer.result({
        operation: `${id}.0`,
        rpc_id: '1',
        method: question.method,
        target: null,
        outcome: 'ok',
        callExchange: id,
        sender: 'server',
      }),
      answer.response(202, null),
      answer.end(),
    ]);
    if (below(2) === 0) later.push([drafts.end('client_closed')]);
    return first;
  }

  /** A result whose call went through another pod. */
  function foreign(caller: Caller): Draft[] {
    const drafts = exchangeDrafts(nextId(), caller);
    const target = pick(TOOLS);
    return [
      drafts.request(null, [], { method: 'GET' }),
      drafts.response(200, null),
      drafts.event(answerOf('9')),
      drafts.result({
        operation: null,
        rpc_id: '9',
        method: 'tools/call',
        target,
        outcome: 'ok',
        callExchange: null,
      }),
      drafts.end(),
    ];
  }

  return {
    /** Lines of what began before, a step further. */
    goOn(): Draft[] {
      const now = later.slice(0, 2);
      later = later.slice(2);
      return now.flat();
    },
    session(): Draft[] {
      const principal = pick(PEOPLE);
      const isModern = below(3) === 0;
      const session: Session = isModern
        ? { id: `h:${hex(random)}`, how: pick(['client-info', 'address', 'trace']) }
        : { id: `h:${hex(random)}`, how: 'mcp-session-id' };
      const caller: Caller = { principal, session, protocol: isModern ? '2026-07-28' : '2025-11-25' };
      const drafts = isModern ? [] : [...opening(caller, session), ...notification(caller)];
      for (let n = below(3); n >= 0; n -= 1) drafts.push(...simple(caller));
      if (below(15) === 0) drafts.push(...listening(caller));
      if (below(25) === 0) drafts.push(...foreign(caller));
      return drafts;
    },
    /** Lines that belong to no exchange. */
    trouble(): Draft[] {
      const time = new Date(nowMs()).toISOString().replace('Z', '000Z');
      const denied = {
        reason: pick(['no_token', 'expired', 'foreign_session']),
        source: '192.0.2.77',
        principal: below(2) === 0 ? pick(PEOPLE) : null,
        count: 1 + below(9),
        first_time: time,
        last_time: time,
      };
      const gap = { cause: 'fail_open', first_time: time, last_time: time, exchanges: 17, exact: true };
      const config = {
        kind: 'configuration' as const,
        before: 'sha256:00',
        after: 'sha256:01',
        signed_by: null,
      };
      return [
        { type: 'denied', denied },
        { type: 'gap', gap },
        { type: 'config', config },
      ];
    },
  };
}

function hex(random: () => number): string {
  return Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16)).join('');
}
