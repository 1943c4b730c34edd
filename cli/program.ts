/**
 * Owns the command line: which commands there are, and that mistakes in using them exit with 2.
 */
import { Command } from 'commander';
import { bucketPolicyCommand } from './bucket-policy.ts';
import packageFile from './package.json' with { type: 'json' };
import { exportCommand } from './export/export-command.ts';
import { policyCommand } from './policy-test.ts';
import { recordCommand } from './record.ts';
import { searchCommand } from './search/search-command.ts';
import { replayCommand } from './replay/replay-command.ts';
import { sessionsCommand } from './sessions.ts';
import { showCommand } from './show/show.ts';
import { tailCommand } from './tail/tail-command.ts';
import { verifyCommand } from './verify.ts';
import { verifyProofCommand } from './verify-proof.ts';

/** The whole program; each command sets `process.exitCode` when it is not 0. */
export function createProgram(): Command {
  const program = new Command('mcp-recorder')
    .description('Records every exchange with an MCP server, durably and provably, and reads the recordings.')
    .version(packageFile.version)
    .showHelpAfterError('Run with --help to see what is possible.');
  for (const command of [
    recordCommand(),
    sessionsCommand(),
    searchCommand(),
    showCommand(),
    tailCommand(),
    verifyCommand(),
    verifyProofCommand(),
    replayCommand(),
    exportCommand(),
    policyCommand(),
    bucketPolicyCommand(),
  ]) {
    program.addCommand(command.copyInheritedSettings(program));
  }
  const all = [program, ...program.commands, ...program.commands.flatMap(({ commands }) => commands)];
  for (const command of all) {
    // Help must read the same on every terminal: it is part of the documentation.
    command.exitOverride().configureOutput({ getOutHelpWidth: () => 100, getErrHelpWidth: () => 100 });
  }
  return program;
}
