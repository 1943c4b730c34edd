/**
 * Owns look-ups in header lists as they stood on the wire: flat, names and values in turn.
 */

/** The first header of that name (given in lower case), or null. */
export function headerOf(flat: readonly string[], name: string): string | null {
  for (let i = 0; i < flat.length; i += 2) {
    const candidate = flat[i] as string;
    if (candidate.length === name.length && candidate.toLowerCase() === name) return flat[i + 1] as string;
  }
  return null;
}

/** The list without headers of that name (given in lower case). */
export function withoutHeader(flat: string[], name: string): string[] {
  if (headerOf(flat, name) === null) return flat;
  const kept: string[] = [];
  for (let i = 0; i < flat.length; i += 2) {
    if ((flat[i] as string).toLowerCase() !== name) kept.push(flat[i] as string, flat[i + 1] as string);
  }
  return kept;
}
