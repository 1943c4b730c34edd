/**
 * Owns the section `rules` of the configuration: what becomes of a call, decided by the first rule that matches.
 * Invariant: the order is kept; an expression is text here, and checked where its language is known.
 */
import { z } from 'zod';
import { RULE_ACTIONS, type RuleConfiguration } from './access.ts';
import { indexOfRepeated, ruleName, text } from './access-words.ts';
import { section } from './section.ts';

/** So many rules keep a decision short and the series of metrics few. */
const MAX_RULES = 100;
const WHEN_EXPECTED = 'a CEL expression of at most 4096 characters, for example mcp.tool == "delete_repo"';
const MESSAGE_EXPECTED = 'a text of 1 to 500 characters for the caller, on one line';

const rule = section(
  {
    name: ruleName.describe('Its name in recordings, metrics and answers.'),
    when: text((given) => given.trim() !== '' && given.length <= 4_096, WHEN_EXPECTED).describe(
      'CEL expression over principal, mcp, client, http and server: whether the rule matches.',
    ),
    action: z
      .enum(RULE_ACTIONS, { error: `one of ${RULE_ACTIONS.join(', ')}` })
      .describe('Deny: the server does not see it. MetadataOnly: no body is recorded.'),
    message: text((given) => /^\P{Cc}{1,500}$/u.test(given), MESSAGE_EXPECTED)
      .optional()
      .describe('What the caller is told. Only with Deny.'),
    hideTools: z
      .boolean({ error: 'true or false' })
      .prefault(false)
      .describe('Tools that it denies are left out of tools/list. Only with Deny.'),
  },
  'a rule: {name: ..., when: ..., action: ...}',
).superRefine(({ action, message, hideTools }, context) => {
  if (action === 'Deny') return;
  const refuse = (key: string, what: string): void =>
    context.addIssue({
      code: 'custom',
      path: [key],
      message: `no ${what} with action: ${action}: it denies nothing`,
    });
  if (message !== undefined) refuse('message', 'message');
  if (hideTools) refuse('hideTools', 'hideTools');
});

const LIST_EXPECTED = `a list of at most ${MAX_RULES} rules`;

export const rulesSection = z
  .array(rule, { error: LIST_EXPECTED })
  .max(MAX_RULES, { error: LIST_EXPECTED })
  .superRefine((rules, context) => {
    const repeated = indexOfRepeated(rules.map(({ name }) => name));
    if (repeated < 0) return;
    context.addIssue({
      code: 'custom',
      path: [repeated, 'name'],
      message: 'a name of its own: an earlier rule has this one',
    });
  })
  .transform((rules) => rules.map((one): RuleConfiguration => ({ ...one, message: one.message ?? null })));
