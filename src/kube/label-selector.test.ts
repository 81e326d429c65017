import assert from 'node:assert/strict'
import { test } from 'node:test'
import { matchesSelector, parseLabelSelector } from './label-selector.ts'

const labels = { team: 'a', tier: 'web' }

for (const [rule, text, want] of [
  ['nothing asked takes everything', '{}', true],
  ['a label that is there', 'matchLabels: {team: a}', true],
  ['a label of another value', '{"matchLabels":{"team":"b"}}', false],
  ['one of two labels is not enough', 'matchLabels: {team: a, tier: db}', false],
  ['In', 'matchExpressions: [{key: team, operator: In, values: [b, a]}]', true],
  ['In of an absent label', 'matchExpressions: [{key: zone, operator: In, values: [a]}]', false],
  ['NotIn', 'matchExpressions: [{key: team, operator: NotIn, values: [a]}]', false],
  ['NotIn of an absent label', 'matchExpressions: [{key: zone, operator: NotIn, values: [a]}]', true],
  ['Exists', 'matchExpressions: [{key: team, operator: Exists}]', true],
  ['Exists of a name that all objects have', 'matchExpressions: [{key: toString, operator: Exists}]', false],
  ['DoesNotExist', 'matchExpressions: [{key: team, operator: DoesNotExist}]', false],
  ['labels and expressions', 'matchLabels: {team: a}\nmatchExpressions: [{key: zone, operator: Exists}]', false],
] as const) {
  test(`label selector: ${rule}`, () => assert.equal(matchesSelector(parseLabelSelector(text), labels), want))
}

for (const [rule, text, problem] of [
  ['no YAML', '{a', 'it is neither JSON nor YAML'],
  ['a text', 'team=a', 'it is no object'],
  ['a stray member', 'matchlabels: {team: a}', 'it has a member "matchlabels"'],
  ['a number as a label', 'matchLabels: {team: 1}', 'matchLabels is no object of texts'],
  ['labels as a list', 'matchLabels: [team]', 'matchLabels is no object of texts'],
  ['expressions as an object', 'matchExpressions: {key: a}', 'matchExpressions is no list'],
  ['an expression without a key', 'matchExpressions: [{operator: In}]', 'an expression has no key'],
  ['an unknown operator', 'matchExpressions: [{key: a, operator: Gt, values: ["1"]}]', /"Gt" is no operator/],
  ['In without values', 'matchExpressions: [{key: a, operator: In}]', 'In of a needs values'],
  ['Exists with values', 'matchExpressions: [{key: a, operator: Exists, values: [b]}]', 'Exists of a takes no values'],
] as const) {
  test(`label selector: refused: ${rule}`, () =>
    assert.throws(() => parseLabelSelector(text), { name: 'SelectorProblem', message: problem }))
}
