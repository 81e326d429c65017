import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simWorld } from '#ground/base/world.ts'
import { parseNameTemplate } from './name-template.ts'

const fields = { DisplayName: 'token-Ann', RoleName: 'app' }
const make = (text: string): string => parseNameTemplate(simWorld({ seed: 1 }), text).generate('x.meta', fields)

for (const [text, want] of [
  ['{{ .DisplayName | truncate 5 | uppercase }}-{{ lowercase "ABC" }}', 'TOKEN-abc'],
  ['{{ "häß" | truncate 2 }}', 'h\ufffd'],
  ['{{ "short" | truncate_sha256 9 }}', 'short'],
  ['{{ "a name that is long" | truncate_sha256 12 }}', 'a na80089bb0'],
  ['{{ .RoleName | replace "p" "--" }}', 'a----'],
  ['{{ "ab" | replace "" "-" }}', '-a-b-'],
  ['{{ "a" | sha256 | truncate 10 }}', 'ca978112ca'],
  ['{{ "a" | base64 }}{{ decode_base64 "YQ==" }}', 'YQ==a'],
  ['{{ "a" | hex }}{{ decode_hex "6162" }}', '61ab'],
  ['{{ unix_time }} {{ unix_time_millis }}', '1767225600 1767225600000'],
  ['{{ timestamp "2006-01-02" }}', '2026-01-01'],
  ['{{ if glob "a*" .RoleName }}yes{{ end }}', 'yes'],
  ['{{ printf "%s" (random 24) | len }}', '24'],
  ['{{ uuid | len }}', '36'],
] as const) {
  test(`name template: ${text}`, () => assert.equal(make(text), want))
}

for (const [text, problem] of [
  ['{{ truncate 0 "a" }}', /max length must be > 0 but was 0/],
  ['{{ truncate_sha256 8 "a" }}', /max length must be > 8 but was 8/],
  ['{{ random 100000 }}', /random: length must be 0 to 1024/],
  ['{{ decode_base64 "*" }}', /illegal base64 data at input byte 0/],
  ['{{ decode_hex "a" }}', /encoding\/hex: odd length hex string/],
  ['{{ decode_hex "zz" }}', /encoding\/hex: invalid byte: "z"/],
  ['{{ .Nope }}', /can't evaluate field Nope in type x\.meta/],
  ['{{ $a := printf "%1000s" "x" }}{{ replace " " $a $a }}', /replace: it grows too long/],
] as const) {
  test(`name template: fails: ${text}`, () => assert.throws(() => make(text), problem))
}

test('name template: an unknown function is refused at the parse', () => {
  assert.throws(() => parseNameTemplate(simWorld({ seed: 1 }), '{{ nope }}'), /function "nope" not defined/)
})
