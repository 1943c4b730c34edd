/**
 * Owns what a reader may ask for, and what each part of it means.
 * Invariant: a part that is empty asks for nothing; within one part any may hold, and all parts must.
 */
import type { Outcome } from '../format/line.ts';
import { ALL_TIME, type TimeRange } from '../read/time-range.ts';

/** What rows are wanted. Names are whole and case-sensitive; `*` in one stands for any run of characters. */
export interface Filter {
  /** Of the row's own time. */
  between: TimeRange;
  /** Name, subject or client id of the principal. */
  users: readonly string[];
  /** One of the principal's groups. */
  groups: readonly string[];
  /** Targets of `tools/call`. */
  tools: readonly string[];
  /** JSON-RPC methods. */
  methods: readonly string[];
  servers: readonly string[];
  namespaces: readonly string[];
  /** Ids as they are recorded, `h:` and 32 hex digits, or how they begin. */
  sessions: readonly string[];
  outcomes: readonly Outcome[];
  /**
   * Words that must all stand in one body of the row's exchange, or of the one that carried its result: letters and digits of any script,
   * case and accents aside; words in double quotes stand one after the other; `word*` is how a word begins.
   */
  text: string | null;
}

/** Asks for nothing: every row. */
export const EVERYTHING: Filter = {
  between: ALL_TIME,
  users: [],
  groups: [],
  tools: [],
  methods: [],
  servers: [],
  namespaces: [],
  sessions: [],
  outcomes: [],
  text: null,
};
