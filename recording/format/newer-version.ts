/**
 * Owns what is said of a line that a later version of the format wrote: it is told apart from one that is damaged.
 */
import { FORMAT_VERSION } from './keys.ts';

/** The end of a sentence that begins with the line; null: the columns are of no later version. */
export function whyNewer(columns: unknown): string | null {
  const version = typeof columns === 'object' && columns !== null && 'v' in columns ? columns.v : null;
  if (typeof version !== 'number' || !(version > FORMAT_VERSION)) return null;
  return `was written by a newer version of mcp-recorder (format ${version}; this one reads format ${FORMAT_VERSION})`;
}
