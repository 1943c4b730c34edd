/**
 * Owns the trying of rules and masks on recordings, part by part.
 * Invariant: nothing of a recording is kept after the answer about it.
 */
import type { RequestLine } from '@mcp-recorder/recording/format/line';
import type { MaskingConfiguration, RuleConfiguration } from '../config/access.ts';
import { compileMasking } from '../exchange/masking/compile.ts';
import type { Masking } from '../exchange/masking/masking.ts';
import { compileRules } from '../exchange/rules/compile.ts';
import { headerReads } from '../exchange/rules/header-reads.ts';
import type { Rules } from '../exchange/rules/rules.ts';
import { withoutTools } from '../exchange/rules/tool-list.ts';
import { findMasks, type MaskFindings, type MaskedPart } from './find-masks.ts';
import { judgeRequest, type RecordedBody, type RequestVerdict } from './judge-request.ts';
import { recordedRequest } from './recorded-request.ts';
import { createUnrecorded } from './unrecorded.ts';

/** What is tried; all of it compiles. */
export interface TriedPolicy {
  labels: Record<string, string>;
  rules: RuleConfiguration[];
  masking: MaskingConfiguration;
}

/** Where it was recorded. */
export interface RecordedPlace {
  cluster: string;
  namespace: string;
  server: string;
}

export interface CheckedRequest {
  verdict: RequestVerdict;
  /** What rules would have left out of an answer to it. @param text of a body, or the data of an event */
  hidden(text: string): ToolHiding;
}

export interface ToolHiding {
  /** By rule: the tools, in the order of the list. */
  hidden: { rule: string; names: string[] }[];
  /** Rules of which it is not known, since what they read is not recorded. */
  undecidable: string[];
}

export interface PolicyCheck {
  request(place: RecordedPlace, line: RequestLine, body: RecordedBody): CheckedRequest;
  masks(part: MaskedPart): MaskFindings;
  /** The text with what masks match in it masked, to be shown. */
  shown(text: string): string;
}

const ALLOWED: CheckedRequest = {
  verdict: { outcome: 'allowed', refusal: null, messages: [] },
  hidden: () => ({ hidden: [], undecidable: [] }),
};

/** @throws Error when an expression, pattern or path does not compile */
export function createPolicyCheck({ labels, rules, masking }: TriedPolicy): PolicyCheck {
  const masks = masksOf(masking);
  const reads = rules.map(({ when }) => headerReads(when));
  const readHeaders = reads.includes('all') ? 'all' : new Set(reads.flatMap((names) => [...names]));
  const unrecorded = createUnrecorded();
  const compiled = new Map<string, Rules>();

  function rulesFor({ cluster, namespace, server }: RecordedPlace): Rules {
    const key = JSON.stringify([cluster, namespace, server]);
    let found = compiled.get(key);
    if (found === undefined) {
      const made = compileRules(rules, { name: server, namespace, cluster, labels });
      if (!made.ok) throw new Error(`The rules can't be used: ${made.problems[0]?.message}`);
      found = made.rules;
      compiled.set(key, found);
    }
    return found;
  }

  return {
    request(place, line, body) {
      if (rules.length === 0) return ALLOWED;
      const forPlace = rulesFor(place);
      const request = recordedRequest(line, readHeaders, unrecorded);
      const verdict = judgeRequest(forPlace, request, line, body, unrecorded);
      return {
        verdict,
        hidden(text) {
          if (!forPlace.hidesTools || verdict.outcome === 'denied' || verdict.outcome === 'refused') {
            return ALLOWED.hidden(text);
          }
          const undecidable = new Set<string>();
          const names = new Map<string, string[]>();
          withoutTools(text, (tool) => {
            unrecorded.forget();
            const rule = forPlace.hides(request, tool);
            if (rule === null) return false;
            if (unrecorded.read.length > 0) undecidable.add(rule);
            else names.set(rule, [...(names.get(rule) ?? []), tool]);
            return true;
          });
          const hidden = [...names].map(([rule, tools]) => ({ rule, names: tools }));
          return { hidden, undecidable: [...undecidable] };
        },
      };
    },
    masks: (part) => findMasks(masks, part),
    shown(text) {
      const recorded = masks.record?.value(text).text ?? text;
      return masks.wire?.value(recorded).text ?? recorded;
    },
  };
}

function masksOf(masking: MaskingConfiguration): Masking {
  const made = compileMasking(masking);
  if (!made.ok) throw new Error(`The masking rules can't be used: ${made.problems[0]?.message}`);
  return made.masking;
}
