/**
 * Owns what all exchanges of a recorder share.
 */
import type { Clock } from '@mcp-recorder/recording/format/time';
import type { Denials } from '../denials.ts';
import type { OperationTable } from '../exchange/operations.ts';
import type { SessionNamer } from '../exchange/session.ts';
import type { Gaps } from '../gaps.ts';
import type { Gate } from '../gate.ts';
import type { Metrics } from '../metrics.ts';
import type { Policy } from '../policy.ts';
import type { SessionBindings } from '../session-bindings.ts';
import type { Spool } from '../spool/spool.ts';
import type { HoldBounds } from './hold.ts';
import type { MemoryBudget } from './request-body.ts';
import type { Upstream } from './upstream.ts';

/** What the proxy counts. */
export type ProxyMetrics = Pick<
  Metrics,
  'exchangeEnded' | 'operationEnded' | 'denied' | 'endpointAlarm' | 'decided' | 'masked' | 'withheld'
> & {
  /** @param message why, without anything of the request */
  ruleFailed(rule: string | null, message: string): void;
};

export interface ProxyContext {
  readonly spool: Spool;
  readonly gate: Gate;
  readonly gaps: Gaps;
  readonly upstream: Upstream;
  readonly operations: OperationTable;
  readonly sessions: SessionNamer;
  readonly denials: Denials;
  readonly budget: MemoryBudget;
  /** Of what is held of a response until it can be masked. */
  readonly hold: HoldBounds;
  readonly clock: Clock;
  readonly metrics: ProxyMetrics;
  /** Tells the operator what the metrics only count. */
  readonly warn: (message: string, fields: Record<string, unknown>) => void;
  readonly newId: () => string;
  /** May change; a request is held to what it found when it came. */
  maxRequestBytes: number;
  /** May be exchanged; a request is judged by the one that it found when its head came. */
  policy: Policy;
  readonly bindings: SessionBindings;
  /** True from the moment the recorder is asked to stop. */
  draining: boolean;
}
