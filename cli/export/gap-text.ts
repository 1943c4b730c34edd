/** Owns how a gap is told: one sentence without its full stop. */
import type { PlacedGap } from '@mcp-recorder/recording/index/row';
import { formatTime } from '../exchange-text.ts';
import { count } from '../table.ts';

export function describeGap({ place, gap }: PlacedGap): string {
  const which = `${gap.exact ? '' : 'about '}${count(gap.exchanges, 'exchange')}`;
  const when = `from ${formatTime(gap.first_time)} to ${formatTime(gap.last_time)}`;
  return `${which} with ${place.namespace}/${place.server} ${when} (${gap.cause})`;
}
