/**
 * Owns the writing of other data into an event (WHATWG HTML 9.2.6).
 * Invariant: lines of the body that hold no data stay where they were; a client reads exactly the data that was given.
 */

interface BodyLine {
  text: string;
  /** The line's end as it stood; "" for the last line of a body. */
  end: string;
}

/** The lines of a body: the first is a data value without its field name, as bodies begin there. */
function linesOf(body: string): BodyLine[] {
  const lines: BodyLine[] = [];
  const ends = /\r\n|\r|\n/g;
  let start = 0;
  for (let found = ends.exec(body); found !== null; found = ends.exec(body)) {
    lines.push({ text: body.slice(start, found.index), end: found[0] });
    start = ends.lastIndex;
  }
  lines.push({ text: body.slice(start), end: '' });
  return lines;
}

function isData(line: string): boolean {
  return line === 'data' || line.startsWith('data:');
}

/**
 * The body with other data in the lines of its data.
 * @param body of an event, from the first data value to the end of the last (sse.ts)
 * @param data what a client shall read
 * @param other what stands for a line of the body that holds no data
 */
export function withData(body: string, data: string, other: (line: string) => string): string {
  const lines = linesOf(body);
  const values = data.split(/\r\n|\r|\n/);
  const lineEnd = lines.length > 1 ? (lines[0] as BodyLine).end : '\n';
  let lastData = 0;
  for (let index = 1; index < lines.length; index += 1) {
    if (isData((lines[index] as BodyLine).text)) lastData = index;
  }
  const written: string[] = [];
  let next = 0;
  for (const [index, { text }] of lines.entries()) {
    if (index > 0 && !isData(text)) {
      written.push(other(text));
      continue;
    }
    const until = index === lastData ? values.length : Math.min(next + 1, values.length);
    for (; next < until; next += 1)
      written.push(written.length === 0 ? (values[next] as string) : `data: ${values[next]}`);
  }
  return written.join(lineEnd);
}

/** The body with all its data as it stands. @param other what stands for a line of the body that holds no data */
export function withOther(body: string, other: (line: string) => string): string {
  return linesOf(body)
    .map(({ text, end }, index) => (index === 0 || isData(text) ? text : other(text)) + end)
    .join('');
}
