/**
 * Owns what masks texts by compiled rules.
 * Invariant: most texts hold nothing: those cost one pass over their characters, and come back as the same string.
 */
import { Buffer } from 'node:buffer';
import { codesOf } from '../json-text.ts';
import {
  type CompiledRules,
  count,
  countsOf,
  isExceeded,
  newRun,
  type Run,
  scanTriggers,
} from './compiled-rules.ts';
import { isForm, maskForm, ruleOfMember } from './form-text.ts';
import { maskJson } from './json-masking.ts';
import type { MaskedText, Masker } from './masking.ts';
import { maskPlain } from './plain-text.ts';
import { createTextStream } from './text-stream.ts';
import { newHits } from './triggers.ts';

export function createMasker(rules: CompiledRules): Masker {
  const hits = newHits();

  /** Looks for triggers of the source; returns its codes. */
  function scan(text: string): Uint16Array {
    const codes = codesOf(text);
    scanTriggers(rules, codes, text.length, hits, true);
    return codes;
  }

  function content(text: string): MaskedText {
    const codes = scan(text);
    if (hits.count === 0 && !rules.always && !rules.base64) return unchanged(text);
    return masked(rules, text, (run) => {
      const json = maskJson(run, text, codes, hits, 0);
      if (json !== null || isExceeded(run)) return json ?? '';
      return isForm(text) ? maskForm(run, text) : maskPlain(run, text);
    });
  }

  function value(text: string): MaskedText {
    scan(text);
    if (hits.count === 0 && !rules.always) return unchanged(text);
    return masked(rules, text, (run) => maskPlain(run, text));
  }

  function member(name: string, text: string): MaskedText {
    const run = newRun(rules, text.length);
    const rule = ruleOfMember(run, name, text);
    return rule === null ? value(text) : answer(run, count(run, rule));
  }

  function bytes(bytes: Buffer): ReturnType<Masker['bytes']> {
    const { text, masked, exceeded } = content(bytes.toString('latin1'));
    return masked === null && !exceeded
      ? null
      : { bytes: Buffer.from(text, 'latin1'), masked: masked ?? [], exceeded };
  }

  return { content, value, member, bytes, stream: () => createTextStream(rules, value) };
}

function masked(rules: CompiledRules, text: string, mask: (run: Run) => string): MaskedText {
  const run = newRun(rules, text.length);
  const result = mask(run);
  if (isExceeded(run)) return { text: '', masked: null, exceeded: true };
  return result === text ? unchanged(text) : answer(run, result);
}

function answer(run: Run, text: string): MaskedText {
  return { text, masked: countsOf(run), exceeded: false };
}

function unchanged(text: string): MaskedText {
  return { text, masked: null, exceeded: false };
}
