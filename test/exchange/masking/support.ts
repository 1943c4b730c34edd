/**
 * Owns how the tests of masking make a masker from the rules as they are configured.
 */
import type { MaskingRuleConfiguration } from '../../../sidecar/config/access.ts';
import { compileMasking } from '../../../sidecar/exchange/masking/compile.ts';
import type { Masker, Masking } from '../../../sidecar/exchange/masking/masking.ts';

type WithoutTarget<T> = T extends { appliesTo: unknown } ? Omit<T, 'appliesTo'> : never;
export type Rule = WithoutTarget<MaskingRuleConfiguration>;

export function compiled(rules: readonly MaskingRuleConfiguration[], base64 = false): Masking {
  const result = compileMasking({ base64, rules: [...rules] });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.masking;
}

/** What masks the record by these rules. */
export function recordMasker(rules: readonly Rule[], base64 = false): Masker {
  const masking = compiled(
    rules.map((rule) => ({ ...rule, appliesTo: 'Record' }) as MaskingRuleConfiguration),
    base64,
  );
  return masking.record as Masker;
}
