/**
 * Owns leaving tools out of the text of an answer.
 * Invariant: all bytes but those of the tools left out stay as they were; where two readers may find different tools, nothing is given out.
 */
import { codesOf, skipSpace, skipValue, stringOf } from '../json-text.ts';
import { foldCase } from './ambiguity.ts';
import { elementsOf, membersOf, type Span } from './argument-text.ts';

const QUOTE = 0x22;
const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;

export type ToolListText =
  /** `hidden`: names of the tools that were left out, in order. */
  | { unreadable: false; text: string; hidden: string[] }
  /** Not JSON, or it has `result`, `tools` or a tool's `name` twice, in another case or with a NUL: what clients find there is not known. */
  | { unreadable: true };

/** Thrown within this file only. */
class UnreadableError extends Error {}

/**
 * Leaves tools out of `result.tools` of each message.
 * @param text a JSON-RPC message or a batch: a body, or the data of an event
 * @param isHidden asked once for each tool that has a name
 */
export function withoutTools(text: string, isHidden: (tool: string) => boolean): ToolListText {
  const codes = codesOf(text);
  const start = skipSpace(codes, 0);
  const end = skipValue(codes, start);
  if (end < 0 || skipSpace(codes, end) < text.length) return { unreadable: true };
  try {
    const lists = messagesOf(codes, start).flatMap((message) => toolsOf(text, codes, message));
    // The predicate may read another text, and the codes hold until then only.
    const named = lists.map((list) => list.map((tool) => ({ ...tool, name: nameOf(text, codes, tool) })));
    return cut(text, named, isHidden);
  } catch (error) {
    if (error instanceof UnreadableError) return { unreadable: true };
    throw error;
  }
}

interface NamedTool extends Span {
  name: string | null;
}

function cut(text: string, lists: NamedTool[][], isHidden: (tool: string) => boolean): ToolListText {
  const hidden: string[] = [];
  let result = '';
  let copied = 0;
  for (const list of lists) {
    let kept = 0;
    list.forEach((tool, index) => {
      const before = list[index - 1];
      if (tool.name !== null && isHidden(tool.name)) {
        hidden.push(tool.name);
        // What stands before the first tool stays; each later one goes with the comma before it.
        if (before === undefined) result += text.slice(copied, tool.start);
      } else {
        // The first one that is kept has no comma before it, whichever it was.
        if (kept === 0 && before !== undefined) copied = tool.start;
        result += text.slice(copied, tool.end);
        kept += 1;
      }
      copied = tool.end;
    });
  }
  return { unreadable: false, text: hidden.length === 0 ? text : result + text.slice(copied), hidden };
}

function messagesOf(codes: Uint16Array, start: number): number[] {
  if (codes[start] === OPEN_BRACE) return [start];
  if (codes[start] !== OPEN_BRACKET) return [];
  return [...elementsOf(codes, start)]
    .map((element) => element.start)
    .filter((at) => codes[at] === OPEN_BRACE);
}

/** The list of tools of a message, in an array; none for a message that has no such list. */
function toolsOf(text: string, codes: Uint16Array, message: number): Span[][] {
  const result = onlyMember(text, codes, message, 'result');
  if (result === null || codes[result.start] !== OPEN_BRACE) return [];
  const tools = onlyMember(text, codes, result.start, 'tools');
  if (tools === null || codes[tools.start] !== OPEN_BRACKET) return [];
  return [[...elementsOf(codes, tools.start)]];
}

/** Null for what has no name that is text: no client can call it. */
function nameOf(text: string, codes: Uint16Array, tool: Span): string | null {
  if (codes[tool.start] !== OPEN_BRACE) return null;
  const name = onlyMember(text, codes, tool.start, 'name');
  return name === null || codes[name.start] !== QUOTE ? null : stringOf(text, name.start, name.end);
}

/** @throws UnreadableError when it is there more than once, or under a name that some readers take for it */
function onlyMember(text: string, codes: Uint16Array, object: number, name: string): Span | null {
  let found: Span | null = null;
  for (const { keyStart, keyEnd, start, end } of membersOf(codes, object)) {
    const key = stringOf(text, keyStart, keyEnd);
    const [untilNul = ''] = key.split('\0', 1);
    if (foldCase(untilNul) !== name) continue;
    if (found !== null || key !== name) throw new UnreadableError();
    found = { start, end };
  }
  return found;
}
