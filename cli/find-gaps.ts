/**
 * Owns what is said to be missing from an answer: what was not recorded in the time and place that was asked for.
 */
import { formatMicros, parseMicros } from '@mcp-recorder/recording/format/time';
import type { Filter } from '@mcp-recorder/recording/index/filter';
import type { Reader } from '@mcp-recorder/recording/index/reader';
import type { PlacedGap } from '@mcp-recorder/recording/index/row';

/** A gap is written when recording goes on, so after what it tells of: so much later lines are looked at too. */
const WRITTEN_WITHIN_US = 3_600_000_000;

/** The gaps of which some part is in the time that is asked for, oldest first. @throws StoreError */
export async function findGaps(
  reader: Reader,
  { between, servers, namespaces }: Pick<Filter, 'between' | 'servers' | 'namespaces'>,
): Promise<PlacedGap[]> {
  const { since, until } = between;
  const later = until === null ? null : formatMicros(parseMicros(until) + WRITTEN_WITHIN_US);
  const gaps = await reader.gaps({ between: { since, until: later }, servers, namespaces });
  return gaps.filter(
    ({ gap }) => (until === null || gap.first_time < until) && (since === null || gap.last_time >= since),
  );
}
