/** Metrics of a recorder in which nothing happens, for what only passes them on. */
import { createMetrics, type Metrics } from '../../sidecar/metrics.ts';

/** @param activeExchanges as they are told */
export function idleMetrics(activeExchanges = 0): Metrics {
  return createMetrics({
    activeExchanges: () => activeExchanges,
    activeStreams: () => 0,
    gate: () => 'Open',
    storeFailing: () => false,
    issuers: () => [],
    credentialFailing: () => false,
    spool: () => ({
      watermarks: { appended: 0, synced: 0, acked: 0 },
      bytes: 0,
      sizeLimit: 0,
      quarantined: 0,
      lagMs: 0,
    }),
  });
}
