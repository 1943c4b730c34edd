/**
 * Owns the metrics of who may call, what rules decide, and what masking finds.
 * Invariant: names of rules come from the configuration, and the number of their series is bounded however often it changes.
 */
import type { Decision, Withheld } from '@mcp-recorder/recording/format/line';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { IssuerHealth } from './identity/identity.ts';
import { createChildren } from './metric-children.ts';

export interface AccessMetrics {
  /** @param rule null: none matched */
  decided(rule: string | null, action: Decision['action']): void;
  /** A rule could not be evaluated, so the call was denied. @param rule null: what all rules need could not be made */
  ruleFailed(rule: string | null): void;
  /** @param rule that found it, or the detector */
  masked(rule: string, count: number): void;
  /** A body, or a piece of one, of which the recording has only the size. */
  withheld(reason: Withheld['reason']): void;
}

export interface AccessSources {
  issuers(): readonly IssuerHealth[];
  /** The server's own credential can't be had. */
  credentialFailing(): boolean;
}

/** So many names of rules and detectors have series of their own; what is configured later is counted as `other`. */
const MAX_NAMES = 500;
const ISSUER_STATES: readonly IssuerHealth['state'][] = ['Ok', 'Stale', 'Unavailable'];

export function createAccessMetrics(registry: Registry, sources: AccessSources): AccessMetrics {
  const registers = [registry];
  const decisions = new Counter({
    name: 'mcp_recorder_decisions_total',
    help: 'Decisions about messages, by the rule that matched (none: "") and what it does.',
    labelNames: ['rule', 'action'],
    registers,
  });
  const ruleErrors = new Counter({
    name: 'mcp_recorder_rule_errors_total',
    help: 'Rules that could not be evaluated, by rule; the message was denied.',
    labelNames: ['rule'],
    registers,
  });
  const maskings = new Counter({
    name: 'mcp_recorder_masked_total',
    help: 'Values that masking replaced, by rule or detector.',
    labelNames: ['rule'],
    registers,
  });
  const withholdings = new Counter({
    name: 'mcp_recorder_withheld_total',
    help: 'Bodies, or pieces of them, that the recording has only the size of, by reason.',
    labelNames: ['reason'],
    registers,
  });
  addGauges(registry, sources);

  const decisionCounts = createNamed((rule) =>
    createChildren((action: Decision['action']) => decisions.labels(rule, action)),
  );
  const ruleErrorCounts = createNamed((rule) => ruleErrors.labels(rule));
  const maskingCounts = createNamed((rule) => maskings.labels(rule));
  const withholdingCounts = createChildren((reason: Withheld['reason']) => withholdings.labels(reason));
  return {
    decided: (rule, action) => decisionCounts(rule ?? '')(action).inc(),
    ruleFailed: (rule) => ruleErrorCounts(rule ?? '').inc(),
    masked: (rule, count) => maskingCounts(rule).inc(count),
    withheld: (reason) => withholdingCounts(reason).inc(),
  };
}

/** Issuers are those that are configured when it is asked. */
function addGauges(registry: Registry, { issuers, credentialFailing }: AccessSources): void {
  const failing = new Gauge({
    name: 'mcp_recorder_credential_failing',
    help: "1 while the server's own credential can not be had.",
    registers: [],
    collect() {
      this.set(Number(credentialFailing()));
    },
  });
  const states = new Gauge({
    name: 'mcp_recorder_issuer_state',
    help: '1 for the state that the keys of an issuer are in, 0 for the others.',
    labelNames: ['issuer', 'state'],
    registers: [],
    collect() {
      this.reset();
      for (const { issuer, state: now } of issuers()) {
        for (const state of ISSUER_STATES) this.labels(issuer, state).set(Number(now === state));
      }
    },
  });
  const ages = new Gauge({
    name: 'mcp_recorder_issuer_keys_age_seconds',
    help: 'Time since the keys of an issuer were fetched.',
    labelNames: ['issuer'],
    registers: [],
    collect() {
      this.reset();
      for (const { issuer, keysAgeMs } of issuers()) {
        if (keysAgeMs !== null) this.labels(issuer).set(keysAgeMs / 1000);
      }
    },
  });
  for (const gauge of [failing, states, ages]) registry.registerMetric(gauge);
}

/** As `createChildren`, for names that the configuration gives. */
function createNamed<Child>(make: (name: string) => Child): (name: string) => Child {
  const names = new Set<string>();
  const children = createChildren(make);
  return (name) => {
    if (names.size < MAX_NAMES) names.add(name);
    return children(names.has(name) ? name : 'other');
  };
}
