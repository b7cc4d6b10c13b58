import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createConfigFile } from '../test/fixtures/config.ts';
import { cheapHash } from '../test/fixtures/passwords.ts';
import { describeConfig } from './config.ts';
import { isGuarded, readUsersFile } from './config-access.ts';

const { directory, load, problems } = createConfigFile();
const HASH = cheapHash('secret');

describe('who may ask', () => {
  test('is everybody, unless somebody is named', async () => {
    expect(isGuarded(await load(''))).toBe(false);
    expect(isGuarded(await load('access: { rateLimit: { requests: 5 } }'))).toBe(false);
    for (const named of [
      'users: [{ name: a }]',
      'usersFile: users.yaml',
      'oidc: { issuer: "https://idp.example/realms/x", audience: pushbroom }',
    ]) {
      expect(isGuarded(await load(`access: { ${named} }`))).toBe(true);
    }
  });

  test('is found beside the configuration, and kept a secret', async () => {
    const config = await load(`access:
  users: [{ name: alice, passwordHash: "${HASH}" }]
  usersFile: users.yaml
  auditFile: audit.jsonl`);
    expect(config.access).toMatchObject({
      users: [{ role: 'user', groups: [], actsForOthers: false }],
      usersFile: `${directory}/users.yaml`,
      auditFile: `${directory}/audit.jsonl`,
      rateLimit: { per: 60, failedLogins: 10 },
    });
    expect(describeConfig(config)).not.toContain(HASH);
  });

  test.each([
    ['access: { users: [{ name: ../a }] }', 'access.users[0].name: must match pattern'],
    ['access: { users: [{ name: a }, { name: a }] }', 'access.users[1].name: is that of another'],
    [
      'access: { users: [{ name: a, passwordHash: plain }] }',
      "as 'pushbroom hash-password' prints",
    ],
    ['access: { users: [{ name: a, role: root }] }', 'must be one of user, operator, admin'],
    ['public: { trustedProxies: [proxy] }', 'public.trustedProxies[0]: must be an address or a'],
    ['public: { trustedProxies: [10.0.0.0/33] }', 'must be an address or a network'],
    ['access: { anonymous: true }', 'access.anonymous: needs somebody who can log in'],
    ['internal: { authentication: true }', 'internal.authentication: needs somebody who can'],
    ['access: { bundles: { a~1~b: { users: [x] } } }', 'access.bundles.a~1~b: must be named'],
    ['access: { oidc: { issuer: "http://idp", audience: x } }', 'issuer: must be an https URL'],
    ['access: { oidc: { issuer: "https://idp" } }', 'access.oidc: has no audience'],
    [
      'access: { oidc: { issuer: "https://i", audience: x, jwksUrl: "ftp://i" } }',
      'jwksUrl: must be an https URL',
    ],
  ])('%s is refused', async (yaml, reason) => {
    const [problem] = await problems(yaml);
    expect(problem).toContain(reason);
    expect(problem).not.toContain('plain');
  });
});

test('the examples of docs/access.md are good', async () => {
  const page = readFileSync(new URL('../docs/access.md', import.meta.url), 'utf8');
  const examples = Array.from(page.matchAll(/```yaml\n(.*?)```/gs), ([, yaml = '']) => yaml);
  expect(examples).toHaveLength(4);
  for (const yaml of examples) {
    expect(isGuarded(await load(yaml.replaceAll('scrypt$32768$8$3$...', () => HASH)))).toBe(true);
  }
});

describe('a file of users', () => {
  test('is a list of them', () => {
    expect(readUsersFile('users.yaml', '')).toEqual([]);
    expect(readUsersFile('users.yaml', '- { name: a, groups: [g] }')).toEqual([
      { name: 'a', groups: ['g'], role: 'user', actsForOthers: false },
    ]);
  });

  test.each([
    ['- name: [', /^users.yaml: line 1, column \d+: /],
    ['users: []', /^users.yaml: line 1, column 1: .*must be array/],
    ['- name: a\n- nam: b', /^users.yaml: line 2, column 3: \[1\]: has no name\n/],
    ['- name: a\n- name: a', /^users.yaml: line 2, column 3: \[1\].name: is that of another user/],
  ])('%j is refused with the line', (text, reason) => {
    expect(() => readUsersFile('users.yaml', text)).toThrow(reason);
  });
});
