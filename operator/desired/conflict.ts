/**
 * Owns which of several resources a pod belongs to.
 * Invariant: every pod has at most one; the older resource wins, whoever asks and in whatever order the resources come.
 */
import type { RecordedMCPServer } from '../api/recorded-mcp-server.ts';
import { type Labelled, matches } from './selectors.ts';

/**
 * The resource that a pod belongs to: of those whose selector matches it, the oldest, then the first by name. One that is being deleted
 * does not count: its pods go to the next.
 * @param resources of the pod's namespace
 */
export function winnerOf(pod: Labelled, resources: readonly RecordedMCPServer[]): RecordedMCPServer | null {
  return (
    resources
      .filter(
        ({ metadata, spec }) =>
          metadata.deletionTimestamp === undefined && matches(spec.selector, pod.metadata?.labels),
      )
      .sort(byAge)[0] ?? null
  );
}

function byAge({ metadata: a }: RecordedMCPServer, { metadata: b }: RecordedMCPServer): number {
  const ageOf = (time: string | undefined) =>
    time === undefined ? Number.POSITIVE_INFINITY : Date.parse(time);
  const [first, second] = [ageOf(a.creationTimestamp), ageOf(b.creationTimestamp)];
  if (first !== second) return first < second ? -1 : 1;
  return (a.name ?? '') < (b.name ?? '') ? -1 : 1;
}
