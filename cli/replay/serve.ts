/** Owns `replay --serve`: starts the mock server, says what it can answer, and ends with Ctrl-C. */
import type { ReadExchange } from '@mcp-recorder/recording/read/exchange-reader';
import { printableLine } from '../printable.ts';
import { createAnswerBook } from './answer-book.ts';
import { startMockServer } from './mock-server.ts';
import { type RecordedCall, recordedStreams } from './recorded-calls.ts';

/** Kinds of calls that are named. */
const MOST_NAMED = 40;

export interface Serving {
  calls: readonly RecordedCall[];
  exchanges(): AsyncIterable<ReadExchange>;
  listen: { host: string; port: number };
  lenient: boolean;
  timing: boolean;
}

/** Serves until SIGINT or SIGTERM. @throws the error of `listen` */
export async function serveRecording({ calls, exchanges, listen, lenient, timing }: Serving): Promise<void> {
  const book = createAnswerBook(calls, lenient);
  const say = (text: string): void => void process.stderr.write(`mcp-recorder: ${printableLine(text)}\n`);
  const streams = await recordedStreams(exchanges());
  const ended = new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
  const server = await startMockServer({ ...listen, book, streams, timing, told: say });
  const named = book.list();
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
