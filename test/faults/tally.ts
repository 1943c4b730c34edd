/**
 * Owns what clients were told, and whether it was right: a refusal by a closed gate must say so in each of its parts.
 * Invariant: every call is counted under exactly one outcome, with its times.
 */
import type { Called } from '../support/ledger-traffic.ts';

/**
 * `answered` by the server, whole; `refused` by the closed gate; `lost`: refused or cut because its own lines could not be made durable;
 * `cut`: no answer, or a part of one; `failed`: any other answer of the recorder (502 and the like).
 */
const OUTCOMES = ['answered', 'refused', 'lost', 'cut', 'failed'] as const;
export type CallOutcome = (typeof OUTCOMES)[number];

export interface Tally {
  over(called: Called): void;
  readonly counts: Readonly<Record<CallOutcome, number>>;
  /** Gate reasons that refused calls were told, with how many. */
  readonly gates: Readonly<Record<string, number>>;
  /** What was wrong with refusals and answers, one sentence for each kind. */
  wrong(): string[];
  /** Calls of this outcome that began after `fromMs` and were over before `toMs` (`performance.now()`). */
  within(outcome: CallOutcome, fromMs: number, toMs: number): number;
}

interface RpcError {
  jsonrpc?: unknown;
  id?: unknown;
  error?: { code?: unknown; message?: unknown; data?: { reason?: unknown; gate?: unknown; hint?: unknown } };
}

export function createTally(): Tally {
  const counts: Record<CallOutcome, number> = { answered: 0, refused: 0, lost: 0, cut: 0, failed: 0 };
  const gates: Record<string, number> = {};
  const faults = new Map<string, number>();
  const times: Record<CallOutcome, [number, number][]> = {
    answered: [],
    refused: [],
    lost: [],
    cut: [],
    failed: [],
  };

  const blame = (what: string) => void faults.set(what, (faults.get(what) ?? 0) + 1);

  /** Looks at an answer 503, which must be the recorder's. */
  function refusal({ entry, headers }: Called): CallOutcome {
    let answer: RpcError = {};
    try {
      answer = JSON.parse(Buffer.concat(entry.received).toString()) as RpcError;
    } catch {
      blame('a 503 without JSON');
    }
    const data = answer.error?.data;
    if (answer.jsonrpc !== '2.0' || typeof answer.error?.code !== 'number')
      blame('a 503 that is no JSON-RPC error');
    if (typeof data?.hint !== 'string') blame(`a 503 (${data?.reason}) without hint`);
    if (data?.reason === 'not_durable') return 'lost';
    if (data?.reason !== 'gate_closed') {
      blame(`a 503 with reason ${data?.reason}`);
      return 'failed';
    }
    if (!/^[1-9]\d*$/.test(headers['retry-after'] ?? '')) blame('a refusal by the gate without Retry-After');
    if (typeof data.gate === 'string') gates[data.gate] = (gates[data.gate] ?? 0) + 1;
    else blame("a refusal by the gate without the gate's reason");
    return 'refused';
  }

  function outcomeOf(called: Called): CallOutcome {
    const { status, complete } = called.entry;
    if (status === null || !complete) return 'cut';
    if (status === 503) return refusal(called);
    return status < 500 ? 'answered' : 'failed';
  }

  return {
    over(called) {
      const outcome = outcomeOf(called);
      counts[outcome] += 1;
      times[outcome].push([called.startedMs, called.endedMs]);
    },
    counts,
    gates,
    wrong: () => [...faults].map(([what, count]) => `${what} (${count} times)`),
    within: (outcome, fromMs, toMs) =>
      times[outcome].filter(([started, ended]) => started > fromMs && ended < toMs).length,
  };
}
