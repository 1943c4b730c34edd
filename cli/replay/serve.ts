/** Owns `replay --serve`: starts the mock server, says what it can answer, and ends with Ctrl-C. */
import { printableLine } from '../printable.ts';
import { createAnswerBook, kindsOf } from './answer-book.ts';
import { startMockServer } from './mock-server.ts';
import type { RecordedServer } from './recorded-calls.ts';

/** Kinds of calls that are named. */
const MOST_NAMED = 40;

export interface Serving {
  recorded: RecordedServer;
  listen: { host: string; port: number };
  lenient: boolean;
  timing: boolean;
}

/** Serves until SIGINT or SIGTERM. @throws the error of `listen` */
export async function serveRecording({ recorded, listen, lenient, timing }: Serving): Promise<void> {
  const { calls, streams } = recorded;
  const eras = Map.groupBy(calls, ({ protocol }) =>
    protocol !== null && protocol >= '2026-07-28' ? 'modern' : 'legacy',
  );
  const books = {
    legacy: createAnswerBook(eras.get('legacy') ?? [], lenient),
    modern: createAnswerBook(eras.get('modern') ?? [], lenient),
  };
  const say = (text: string): void => void process.stderr.write(`mcp-recorder: ${printableLine(text)}\n`);
  const ended = new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
  const server = await startMockServer({ ...listen, books, streams, timing, told: say });
  const named = kindsOf(calls);
  const unanswered = calls.filter(({ answer }) => answer === null).length;
  process.stdout.write(
    [
      `Mock server: ${server.url}`,
      `It answers ${calls.length} recorded calls, ${lenient ? 'and others with the nearest of them' : 'and no others'}:`,
      ...named.slice(0, MOST_NAMED).map((what) => `  ${printableLine(what)}`),
      ...(named.length > MOST_NAMED ? [`  and ${named.length - MOST_NAMED} more kinds`] : []),
      ...(unanswered === 0
        ? []
        : [`Of ${unanswered} the recording does not have the answer: they get an error that says why.`]),
      'Ctrl-C ends it.',
      '',
    ].join('\n'),
  );
  await ended;
  await server.close();
}
