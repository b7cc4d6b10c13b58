import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

import { expect, test } from 'vitest';

const SRC = join(import.meta.dirname, '../src');

/** Who may import what of our own, types included; a folder may always import itself. Paths begin with these. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  'errors.ts': [],
  'hash.ts': [],
  'data-url.ts': [],
  'text.ts': [],
  'turns.ts': [],
  'xml.ts': [],
  'yaml.ts': [],
  'layout.ts': ['core', 'storage/location.ts'],
  'storage/storage.ts': ['core', 'errors.ts'],
  'storage/location.ts': [],
  'storage/contract.ts': ['core', 'errors.ts', 'storage/storage.ts', 'storage/location.ts'],
  storage: ['core', 'errors.ts', 'text.ts'],
  'lock.ts': ['errors.ts'],
  'http.ts': ['errors.ts'],
  'version.ts': [],
  'config-schema.ts': ['core', 'processes/builtin.ts'],
  'config-problems.ts': [
    'config-schema.ts',
    'core',
    'engines/mesos/masters.ts',
    'errors.ts',
    'products',
    'storage/location.ts',
  ],
  'config-places.ts': ['config-schema.ts', 'config-problems.ts', 'products', 'storage/location.ts'],
  'config-access.ts': [
    'access/password.ts',
    'config-schema.ts',
    'config-problems.ts',
    'errors.ts',
    'yaml.ts',
  ],
  'config.ts': [
    'config-access.ts',
    'config-schema.ts',
    'config-problems.ts',
    'config-places.ts',
    'core',
    'errors.ts',
    'products',
    'yaml.ts',
  ],
  runner: [
    'hash.ts',
    'core',
    'errors.ts',
    'processes/extract.ts',
    'processes/archive.ts',
    'storage',
  ],
  'engines/engine.ts': ['core', 'runner/assignment.ts'],
  'engines/node-files.ts': [],
  'engines/runner-end.ts': ['core', 'engines/engine.ts', 'runner'],
  'engines/mesos': [
    'core',
    'errors.ts',
    'text.ts',
    'engines/engine.ts',
    'engines/node-files.ts',
    'engines/runner-end.ts',
    'runner',
    'storage/location.ts',
  ],
  'engines/yarn': [
    'core',
    'errors.ts',
    'text.ts',
    'http.ts',
    'hash.ts',
    'engines/runner-end.ts',
    'engines/engine.ts',
    'processes',
    'runner',
    'storage',
  ],
  'engines/local': ['core', 'errors.ts', 'engines/engine.ts', 'runner'],
  'store/sqlite': ['core', 'errors.ts', 'store'],
  store: ['core', 'errors.ts'],
  scheduler: ['core', 'errors.ts', 'engines/engine.ts', 'store/store.ts', 'runner/assignment.ts'],
  processes: [
    'turns.ts',
    'hash.ts',
    'core',
    'errors.ts',
    'xml.ts',
    'products/dataset.ts',
    'jobs/jobs.ts',
  ],
  products: ['core', 'errors.ts', 'storage'],
  jobs: [
    'data-url.ts',
    'core',
    'errors.ts',
    'text.ts',
    'layout.ts',
    'storage',
    'engines/engine.ts',
    'processes',
    'products',
    'runner/assignment.ts',
    'runner/result.ts',
    'runner/stored-result.ts',
    'scheduler',
    'store/store.ts',
  ],
  publication: [
    'data-url.ts',
    'hash.ts',
    'processes/builtin.ts',
    'core',
    'errors.ts',
    'xml.ts',
    'layout.ts',
    'jobs',
    'runner/result.ts',
    'storage',
    'store/store.ts',
  ],
  simulator: [
    'core',
    'errors.ts',
    'config-schema.ts',
    'config-problems.ts',
    'config.ts',
    'engines/engine.ts',
    'runner/assignment.ts',
    'scheduler',
    'store/store.ts',
    'store/sqlite',
  ],
  uploads: ['turns.ts', 'core', 'errors.ts', 'hash.ts', 'jobs/jobs.ts', 'processes'],
  access: ['core', 'errors.ts', 'jobs/jobs.ts', 'products/dataset.ts'],
  gateways: [
    'data-url.ts',
    'access',
    'core',
    'errors.ts',
    'xml.ts',
    'http.ts',
    'jobs/jobs.ts',
    'store/store.ts',
    'publication/media-type.ts',
    'uploads',
  ],
  operator: [
    'access',
    'uploads',
    'core',
    'errors.ts',
    'xml.ts',
    'http.ts',
    'yaml.ts',
    'engines/engine.ts',
    'jobs',
    'processes',
    'products',
    'scheduler',
    'store/store.ts',
  ],
  cli: [
    'access/password.ts',
    'core',
    'errors.ts',
    'xml.ts',
    'operator/access-schemas.ts',
    'operator/action-schemas.ts',
    'hash.ts',
    'operator/quote-schemas.ts',
    'operator/schemas.ts',
    'operator/events.ts',
    'processes/archive.ts',
    'processes/production.ts',
    'simulator',
  ],
  // The composition root and the process around it.
  'serve.ts': [''],
  'create-engines.ts': [''],
  'create-storages.ts': [''],
  'create-gate.ts': [''],
  'create-yarn.ts': [''],
  'create-execute-reader.ts': [''],
  'main.ts': ['cli', 'serve.ts', 'version.ts'],
};

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter(
  (file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && !/contract[^/]*\.ts$/.test(file),
);

const importsOf = (file: string): string[] =>
  Array.from(
    readFileSync(join(SRC, file), 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g),
    ([, path]) => relative(SRC, resolve(SRC, dirname(file), path!)),
  );

const isBelow = (file: string, place: string): boolean =>
  place === '' || file === place || file.startsWith(`${place}/`);

/** The most particular rule wins. */
const placeOf = (file: string): string | undefined =>
  Object.keys(MAY_IMPORT)
    .filter((place) => isBelow(file, place))
    .toSorted((a, b) => b.length - a.length)[0];

test('every file imports only what its place in the architecture allows', () => {
  const offences = files.flatMap((file) => {
    const place = placeOf(file);
    if (place === undefined) return [`${file} has no place: add it to MAY_IMPORT`];
    const allowed = [place, ...MAY_IMPORT[place]!];
    return importsOf(file)
      .filter((imported) => !allowed.some((each) => isBelow(imported, each)))
      .map((imported) => `${file} -> ${imported}`);
  });
  expect(offences).toEqual([]);
});

test('the core knows nothing but itself', () => {
  const foreign = files
    .filter((file) => isBelow(file, 'core'))
    .flatMap((file) => {
      const source = readFileSync(join(SRC, file), 'utf8');
      return Array.from(
        source.matchAll(/from '([^.'][^']*)'/g),
        ([, name]) => `${file} -> ${name}`,
      );
    });
  expect(foreign).toEqual([]);
});

test('nobody but the process itself reads its environment', () => {
  const readers = files.filter((file) =>
    readFileSync(join(SRC, file), 'utf8').includes('process.env'),
  );
  expect(readers).toEqual(['main.ts', 'runner/agent.ts']);
});

test('the checks have something to check', () => {
  expect(files.length).toBeGreaterThan(50);
  expect(files.flatMap(importsOf).length).toBeGreaterThan(150);
});
