/**
 * Owns the status of one resource, put together from what was decided.
 * Invariant: equal decisions give an equal status: whoever compares it with the one that stands needs not write it again.
 */
import type { RecordedMCPServerStatus } from '../api/recorded-mcp-server.ts';
import { conditionsOf, type Verdicts } from './conditions.ts';
import { outdatedPods } from './configuration-state.ts';
import { otherPortsOf } from './ports.ts';
import type { Situation } from './situation.ts';

const DIRECT_ACCESS = { True: 'Blocked', False: 'Open', Unknown: 'Unknown' } as const;

export function statusOf(
  { observed, pods, ports }: Situation,
  verdicts: Verdicts,
  decided: {
    phase: NonNullable<RecordedMCPServerStatus['phase']>;
    enforcedSince: string | null;
    digest: string | null;
    notes: string[];
  },
): RecordedMCPServerStatus {
  const { resource, nowMs } = observed;
  const { phase, enforcedSince, digest, notes } = decided;
  const matched = pods.filter(({ selected, terminating }) => selected && !terminating);
  const recorded = matched.filter(({ recorded }) => recorded);
  const open = ports === null ? [] : otherPortsOf(resource, ports).open;
  return {
    observedGeneration: resource.metadata.generation ?? 0,
    phase,
    ...(enforcedSince === null ? {} : { enforcedSince }),
    directAccess: DIRECT_ACCESS[verdicts.DirectAccessBlocked.status],
    podsSummary: `${recorded.length}/${matched.length}`,
    pods: { matched: matched.length, recorded: recorded.length, outdated: outdatedPods(pods, nowMs).length },
    ...(ports === null ? {} : { serverPort: ports.original }),
    ...(open.length === 0
      ? {}
      : { unrecordedPorts: open.map(({ port, protocol }) => `${port}/${protocol}`) }),
    ...(digest === null ? {} : { configuration: digest }),
    ...(notes.length === 0 ? {} : { notes }),
    conditions: conditionsOf(resource, verdicts, nowMs),
  };
}
