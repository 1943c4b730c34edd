/**
 * The section "Rules" of docs/access.md: its examples do what they say, and its numbers are those of the code.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { RuleConfiguration } from '../../sidecar/config/access.ts';
import { rulesSection } from '../../sidecar/config/rules-schema.ts';
import { checkRules } from '../../sidecar/exchange/rules/compile.ts';
import { MAX_COST } from '../../sidecar/exchange/rules/meter.ts';
import { MAX_DEPTH, MAX_NODES, MAX_SOURCE_LENGTH } from '../../sidecar/exchange/rules/syntax.ts';
import { FIELDS } from '../../sidecar/exchange/rules/views.ts';
import { callText, decideText, deny, problemOf, rulesOf } from '../exchange/rules/support.ts';

const page = await fs.readFile(path.join(import.meta.dirname, '../../docs/access.md'), 'utf8');
const section = /^## Rules\n([^]*?)(?=^## |$(?![^]))/m.exec(page)?.[1] ?? '';
const [, yaml = ''] = /```yaml\n([^]*?)```/.exec(section) ?? [];
const rules = rulesSection.parse((parse(yaml) as { rules: unknown }).rules);

interface Example {
  rule: RuleConfiguration;
  says: string;
  tool: string;
  args: string;
}

/** What stands in comments under each rule. */
const examples = yaml
  .split(/^ {2}- name: /m)
  .slice(1)
  .flatMap((text): Example[] => {
    const rule = rules.find(({ name }) => text.startsWith(`${name}\n`)) as RuleConfiguration;
    const lines = [...text.matchAll(/^ +# (matches|leaves|fails) +(\w+) (\{.*\})$/gm)];
    return lines.map(([, says = '', tool = '', args = '']) => ({ rule, says, tool, args }));
  });

describe('its examples', () => {
  it('are there for each rule', () => {
    expect(rules.length).toBeGreaterThan(5);
    for (const rule of rules) {
      const said = examples.filter((example) => example.rule === rule).map(({ says }) => says);
      expect(said, rule.name).toEqual(expect.arrayContaining(['matches', 'leaves']));
    }
  });

  it.each(examples)('$rule.name $says $tool $args', ({ rule, says, tool, args }) => {
    const [decision] = decideText(rulesOf(rule), callText(tool, args));
    const matched = rule.action === 'Deny' ? 'deny' : 'metadata_only';
    const action = { matches: matched, leaves: 'allow', fails: 'deny' }[says];
    expect({ action: decision?.action, failed: decision?.error !== null }).toEqual({
      action,
      failed: says === 'fails',
    });
  });

  it('stand together in one configuration', () => {
    expect(decideText(rulesOf(...rules), callText('delete_repo'))).toMatchObject([
      { rule: 'only-admins-delete', message: 'Deleting is for admins' },
    ]);
  });
});

it('lists every variable', () => {
  const listed = [...section.matchAll(/^\| (`[^|]+`) \| (?:string|list|map)/gm)].flatMap(([, names = '']) => {
    const [first = '', ...others] = names.replaceAll('`', '').split(', ');
    const [variable] = first.split('.');
    return [first, ...others.map((name) => (name.startsWith('.') ? `${variable}${name}` : name))];
  });
  const declared = Object.entries(FIELDS).flatMap(([variable, members]) =>
    Object.keys(members).map((member) => `${variable}.${member}`),
  );
  expect(listed.toSorted()).toEqual(declared.toSorted());
});

it('lists functions that are there', () => {
  const [, list = ''] = /^Available are all operators of CEL, ([^]*?)There is no clock/m.exec(section) ?? [];
  const names = [...list.matchAll(/`([a-z_A-Z]{2,})`/g)].map(([, name = '']) => name);
  expect(names.length).toBeGreaterThan(20);
  for (const name of names.filter((one) => one !== 'in')) {
    const calls = [`${name}() == 1`, `"x".${name}() == 1`].map((when) => deny(when));
    const unavailable = checkRules(calls).filter(({ message }) => message.includes('not available'));
    expect(unavailable.length, name).toBeLessThan(2);
  }
});

it('says the limits of the code', () => {
  expect(section).toContain(`${MAX_COST.toLocaleString('en')} units`);
  expect(section).toContain(`${MAX_SOURCE_LENGTH} characters, ${MAX_NODES} nodes and ${MAX_DEPTH} levels`);
  expect(problemOf(`mcp.tool.matches("${'a'.repeat(1001)}")`).message).toMatch(/1000 characters/);
  expect(rulesOf(deny(`mcp.tool.matches("${'a'.repeat(900)}")`))).toBeDefined();
});
