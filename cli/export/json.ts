/** Owns exchanges as JSON lines: what `show --json` prints, then what was not recorded, then a summary. */
import { gapJson } from '../row-json.ts';
import { exchangeLine } from '../exchange-json.ts';
import type { Selection } from '../selection.ts';

export async function* exportJson({ about, exchanges }: Selection): AsyncIterable<string> {
  let count = 0;
  for await (const { view } of exchanges()) {
    count += 1;
    yield `${exchangeLine(view)}\n`;
  }
  for (const gap of about.gaps) yield `${JSON.stringify(gapJson(gap))}\n`;
  const { store, asked, made, gaps } = about;
  yield `${JSON.stringify({ v: 1, type: 'summary', store, asked, made, exchanges: count, gaps: gaps.length })}\n`;
}
