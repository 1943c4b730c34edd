#!/usr/bin/env -S node --max-semi-space-size=8
/**
 * Owns the process of `mcp-recorder`: runs one command and turns how it ended into an exit code.
 */
import { CommanderError } from 'commander';
import { closeProcess } from './closing.ts';
import { describeFailure, EXIT } from './failure.ts';
import { createProgram } from './program.ts';

// `mcp-recorder show STORE | head` closes the pipe early, which is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  void closeProcess();
});

try {
  await createProgram().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // The parser has said it already; 1 is for answers, so a mistake in the command line is 2.
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.failed;
  } else {
    process.stderr.write(`mcp-recorder: ${describeFailure(error)}\n`);
    if (process.exitCode !== EXIT.interrupted) process.exitCode = EXIT.failed;
  }
}
