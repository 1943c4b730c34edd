/**
 * Owns reading back what a store holds, line by line, for tests of the spool.
 */
import type { Line } from '@mcp-recorder/recording/format/line';
import { decodeSegment } from '@mcp-recorder/recording/read/segment-object';

/** All lines in the order of their objects' keys. */
export async function storedLines(store: { objects: Map<string, Uint8Array> }): Promise<Line[]> {
  const lines: Line[] = [];
  for (const key of [...store.objects.keys()].sort()) {
    const text = (await decodeSegment(store.objects.get(key) as Uint8Array)).toString('utf8');
    for (const line of text.split('\n')) if (line !== '') lines.push(JSON.parse(line) as Line);
  }
  return lines;
}

/** What `tail(name)` named. */
export function namesOf(lines: Line[]): string[] {
  return lines.flatMap((line) => (line.type === 'gap' ? [line.gap.cause.split(' ')[0] as string] : []));
}
