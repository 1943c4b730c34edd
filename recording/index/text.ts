/**
 * Owns what the words of a body are, and how a person's text becomes a query for them.
 * Invariant: no text of a person or of a recording is ever read as an operator of the query language.
 */

/** Of the text of one line; what is beyond is not found by its words (characters). */
const MAX_TEXT = 256 * 1024;
/** JSON within strings of JSON is opened so often: tool results hold JSON as text. */
const MAX_NESTING = 4;

const ESCAPE = /\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))/g;
const BLANKS: Record<string, string> = { b: ' ', f: ' ', n: '\n', r: '\n', t: '\t' };

/**
 * The words of a body, for the full text: of JSON its names and values, else the text as it is; empty when it has none.
 * @param isPiece it may be the middle of some JSON
 */
export function textOfBody(body: string, isPiece: boolean): string {
  const parts: string[] = [];
  if (isPiece) parts.push(unescapedOften(body));
  else addText(body, 0, parts);
  const text = parts.join('\n');
  return text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) : text;
}

function addText(text: string, depth: number, parts: string[]): void {
  const first = text.trimStart()[0];
  if (depth >= MAX_NESTING || (first !== '{' && first !== '[')) {
    parts.push(text);
    return;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // How a long body begins, or text that only looks like JSON.
    parts.push(unescapedOften(text));
    return;
  }
  addValue(value, depth, parts);
}

function addValue(value: unknown, depth: number, parts: string[]): void {
  if (typeof value === 'string') addText(value, depth + 1, parts);
  else if (Array.isArray(value)) for (const item of value) addValue(item, depth, parts);
  else if (typeof value === 'object' && value !== null) {
    for (const [name, of] of Object.entries(value)) {
      parts.push(name);
      addValue(of, depth, parts);
    }
  } else parts.push(String(value));
}

/** The text of a piece of JSON, and of the JSON that is in its strings. */
function unescapedOften(text: string): string {
  let opened = text.includes('\\') ? text.replace(ESCAPE, unescaped) : text;
  for (let depth = 1; depth < MAX_NESTING && opened.includes('\\"'); depth += 1) {
    opened = opened.replace(ESCAPE, unescaped);
  }
  return opened;
}

function unescaped(_: string, hex: string | undefined, character: string): string {
  return hex === undefined ? (BLANKS[character] ?? character) : String.fromCharCode(Number.parseInt(hex, 16));
}

/** What a person asked for has no word in it. */
export class NoWords extends Error {
  constructor() {
    super('The text to search for has no letter or digit in it.');
    this.name = 'NoWords';
  }
}

/** `delete_repo "old one" pay*` as a query of FTS5. @throws NoWords */
export function queryOfText(text: string): string {
  const terms: string[] = [];
  for (const [, phrase, word = '', star] of text.matchAll(/"([^"]*)"|([^\s"*]+)(\*?)/g)) {
    const term = (phrase ?? word).replaceAll('\0', ' ');
    if (/[\p{L}\p{N}]/u.test(term)) terms.push(`"${term}"${star === '*' ? ' *' : ''}`);
  }
  if (terms.length === 0) throw new NoWords();
  return terms.join(' AND ');
}
