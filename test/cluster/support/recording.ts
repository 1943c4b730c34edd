/**
 * Owns what suites want to know of a server's recording as it lies in the bucket, read from the lines themselves.
 */
import { SEGMENTS_PREFIX } from '@mcp-recorder/recording/format/keys';
import type { MinioService } from './minio-service.ts';

export interface RecordingSummary {
  /** Exchanges that began. */
  requests: number;
  /** Exchanges without their end. */
  unended: string[];
  /** Operations `tools/call` that have a result. */
  calls: number;
  /** Streams whose last segment that is stored does not say that it is the last. */
  open: string[];
  lines: Record<string, unknown>[];
}

export async function readRecording(
  minio: MinioService,
  namespace: string,
  server: string,
): Promise<RecordingSummary> {
  const prefix = `${SEGMENTS_PREFIX}cluster=test/namespace=${namespace}/server=${server}/`;
  const text = await minio.lines('recordings', prefix);
  const lines = text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const begun = new Set<string>();
  const ended = new Set<string>();
  const last = new Map<string, boolean>();
  let calls = 0;
  for (const line of lines) {
    const exchange = `${line['stream']}/${line['exchange']}`;
    if (line['type'] === 'request') begun.add(exchange);
    if (line['type'] === 'end') ended.add(exchange);
    if (line['type'] === 'result' && line['method'] === 'tools/call') calls++;
    if (line['type'] === 'seal')
      last.set(String(line['stream']), (line['seal'] as { last?: boolean } | undefined)?.last === true);
  }
  return {
    requests: begun.size,
    unended: [...begun].filter((exchange) => !ended.has(exchange)),
    calls,
    open: [...last].filter(([, isLast]) => !isLast).map(([stream]) => stream),
    lines,
  };
}
