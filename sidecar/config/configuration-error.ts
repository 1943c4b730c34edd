/**
 * Owns how faults of the configuration are told to the person who wrote it.
 * Invariant: all faults are told at once, each with its place.
 */

/** Where a fault is: the keys from the top of the file. */
export type KeyPath = readonly PropertyKey[];

/** A key as messages name it: `recording.spool.sizeLimit`, `rules[0].when`. */
export function keyText(path: KeyPath): string {
  return path.reduce<string>(
    (text, key) =>
      typeof key === 'number' ? `${text}[${key}]` : text === '' ? String(key) : `${text}.${String(key)}`,
    '',
  );
}

export interface Problem {
  /** `recording.spool.sizeLimit`, or the flag that gave the value. Empty: the file as a whole. */
  path: string;
  /** Line of the file, from 1; null when the value is not from the file. */
  line: number | null;
  message: string;
}

/** The configuration can't be used; `problems` says all that is wrong with it. */
export class ConfigurationError extends Error {
  readonly problems: readonly Problem[];

  constructor(file: string | null, problems: readonly Problem[]) {
    const lines = problems.map(({ path, line, message }) => {
      const place = file !== null && line !== null ? `${file}:${line}: ` : '';
      return `  ${place}${path === '' ? '' : `${path}: `}${message}`;
    });
    const source = file === null ? 'The configuration' : `The configuration ${file}`;
    super([`${source} can't be used:`, ...lines].join('\n'));
    this.name = 'ConfigurationError';
    this.problems = problems;
  }
}
