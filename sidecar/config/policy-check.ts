/**
 * Owns the way from a file to rules and masks that can be tried on recordings: a configuration of the recorder, whole or only these
 * sections of it, or a `RecordedMCPServer`.
 * Invariant: what is tried was checked as a recorder checks it.
 */
import { createPolicyCheck, type PolicyCheck, type TriedPolicy } from '../policy-check/policy-check.ts';
import { policyPlace } from './check-policy.ts';
import { ConfigurationError, type KeyPath, keyText } from './configuration-error.ts';
import { expressionProblems } from './expressions.ts';
import { parseFile, readFile } from './load.ts';
import { describeIssues } from './problems.ts';
import { configurationSchema } from './schema.ts';

export type { MaskFindings } from '../policy-check/find-masks.ts';
export type { MessageVerdict, Outcome, RecordedBody, RequestVerdict } from '../policy-check/judge-request.ts';
export type {
  CheckedRequest,
  PolicyCheck,
  RecordedPlace,
  ToolHiding,
  TriedPolicy,
} from '../policy-check/policy-check.ts';

/** Of a configuration that says more, all is checked; only what a recorder can't start without may be left out. */
const fileSchema = configurationSchema.partial({ server: true, auth: true, storage: true });
const resourceSchema = configurationSchema.pick({ labels: true, rules: true, masking: true });

/**
 * Reads and compiles what is to be tried.
 * @throws ConfigurationError with every problem found
 */
export function loadPolicyCheck(file: string): { policy: TriedPolicy; check: PolicyCheck } {
  const { content, lineOf } = parseFile(file, readFile(file));
  const isResource = valueOf(content, 'kind') === 'RecordedMCPServer';
  const given = isResource ? ofResource(content) : content;
  /** Where it stands in the file. */
  const placeOf = (path: KeyPath): KeyPath => {
    if (!isResource) return path;
    return path[0] === 'labels' ? ['metadata', ...path] : ['spec', ...path];
  };
  const checked = (isResource ? resourceSchema : fileSchema).safeParse(given);
  if (!checked.success) {
    const problems = describeIssues(checked.error.issues, given).map(({ path, message }) => {
      const place = placeOf(path);
      return { path: keyText(place), line: lineOf(place), message };
    });
    throw new ConfigurationError(file, problems);
  }
  const { labels, rules, masking } = checked.data;
  const policy = { labels, rules, masking };
  const problems = expressionProblems(policy).map((problem) => {
    const path = placeOf(problem.path);
    return { path: policyPlace({ ...problem, path }), line: lineOf(path), message: problem.message };
  });
  if (problems.length > 0) throw new ConfigurationError(file, problems);
  return { policy, check: createPolicyCheck(policy) };
}

function ofResource(content: unknown): Record<string, unknown> {
  const spec = valueOf(content, 'spec');
  const given = {
    labels: valueOf(valueOf(content, 'metadata'), 'labels'),
    rules: valueOf(spec, 'rules'),
    masking: valueOf(spec, 'masking'),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function valueOf(content: unknown, key: string): unknown {
  return typeof content === 'object' && content !== null ? Reflect.get(content, key) : undefined;
}
