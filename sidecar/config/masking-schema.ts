/**
 * Owns the section `masking` of the configuration: what is replaced before it is recorded, or before it passes.
 * Invariant: each rule looks for one kind of thing; patterns and paths are text here, and checked where their languages are known.
 */
import { z } from 'zod';
import { MASKING_TARGETS, type MaskingConfiguration, type MaskingRuleConfiguration } from './access.ts';
import { indexOfRepeated, ruleName, someOf, text } from './access-words.ts';
import { section } from './section.ts';

const MAX_RULES = 100;
const KIND_EXPECTED = 'exactly one of detectors, keys, paths and pattern';
const KINDS = ['detectors', 'keys', 'paths', 'pattern'] as const;

const rule = section(
  {
    name: ruleName
      .optional()
      .describe('What is found is replaced by [masked:<name>]. Detectors have names of their own.'),
    appliesTo: z
      .enum(MASKING_TARGETS, { error: `one of ${MASKING_TARGETS.join(', ')}` })
      .prefault('Record')
      .describe('What it is masked in: the recording, what passes, or both.'),
    detectors: someOf(
      text((given) => /^[a-z0-9-]{1,63}$/.test(given), 'the name of a detector, or all'),
      'a list of detectors, for example [all]',
    )
      .optional()
      .describe('Detectors of credentials and personal data.'),
    keys: someOf(
      text((given) => given !== '' && given.length <= 256, 'the name of a member, a header or a parameter'),
      'a list of names, for example [password]',
    )
      .optional()
      .describe('Names whose values are masked, whatever the case: of members, headers, query parameters.'),
    paths: someOf(
      text((given) => given.startsWith('$') && given.length <= 1_024, 'a JSONPath that begins with $'),
      'a list of JSONPath expressions, for example ["$.params.arguments.ssn"]',
    )
      .optional()
      .describe('Places in a JSON-RPC message (JSONPath, RFC 9535).'),
    pattern: text(
      (given) => given !== '' && given.length <= 1_000,
      'a regular expression (RE2) of at most 1000 characters',
    )
      .optional()
      .describe('A regular expression (RE2 syntax).'),
  },
  'a rule: {detectors: [all]}, {name: ..., keys: [...]}, {name: ..., paths: [...]} or {name: ..., pattern: ...}',
)
  .superRefine((given, context) => {
    const refuse = (path: string[], message: string): void =>
      context.addIssue({ code: 'custom', path, message });
    if (KINDS.filter((kind) => given[kind] !== undefined).length !== 1) refuse([], KIND_EXPECTED);
    else if (given.detectors === undefined && given.name === undefined) {
      refuse(['name'], 'the name that stands in the place of what is found');
    } else if (given.detectors !== undefined && given.name !== undefined) {
      refuse(['name'], 'no name with detectors: each has its own');
    }
  })
  // The JSON Schema can't see what a refinement wants.
  .meta({ oneOf: KINDS.map((kind) => ({ required: [kind] })) });

const LIST_EXPECTED = `a list of at most ${MAX_RULES} rules`;

export const maskingSection = section({
  base64: z
    .boolean({ error: 'true or false' })
    .prefault(false)
    .describe('Look into strings that are base64 of text.'),
  rules: z
    .array(rule, { error: LIST_EXPECTED })
    .max(MAX_RULES, { error: LIST_EXPECTED })
    .prefault([])
    .describe('What is masked.'),
})
  .superRefine(({ rules }, context) => {
    const repeated = indexOfRepeated(rules.map(({ name }, index) => name ?? `#${index}`));
    if (repeated < 0) return;
    context.addIssue({
      code: 'custom',
      path: ['rules', repeated, 'name'],
      message: 'a name of its own: an earlier rule has this one',
    });
  })
  .transform(({ base64, rules }): MaskingConfiguration => ({ base64, rules: rules.map(ruleOf) }));

function ruleOf({
  appliesTo,
  name = '',
  detectors,
  keys,
  paths,
  pattern = '',
}: z.output<typeof rule>): MaskingRuleConfiguration {
  if (detectors !== undefined) return { appliesTo, kind: 'detectors', detectors };
  if (keys !== undefined) return { appliesTo, kind: 'keys', name, keys };
  if (paths !== undefined) return { appliesTo, kind: 'paths', name, paths };
  return { appliesTo, kind: 'pattern', name, pattern };
}
