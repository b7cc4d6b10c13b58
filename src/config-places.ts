/** Who can reach what: storages, and what engines see of them. */
import { join, resolve } from 'node:path';
import { baseUrlProblems, failureOf, storagesOf } from './config-problems.ts';
import type { Problem } from './config-problems.ts';
import type { Settings } from './config-schema.ts';
import { type Archive, placesOf } from './products/ad-hoc.ts';
import type { Dataset } from './products/dataset.ts';
import { checkStorage, levelsOf } from './products/patterns.ts';
import { enginesOf, isBelow } from './products/roots.ts';
import type { EngineSight } from './products/roots.ts';
import { isUrl, joinLocation } from './storage/location.ts';

/** The engines that are used, and what their nodes see. */
export function sightsOf({ engines }: Pick<Settings, 'engines'>): EngineSight[] {
  const { local, mesos, yarn } = engines;
  return [
    ...(local.enabled ? [{ id: 'local' }] : []),
    ...(mesos.masters.length > 0 ? [{ id: 'mesos' }] : []),
    ...(yarn.resourceManagers.length > 0
      ? [{ id: 'yarn', directories: yarn.sharedDirectories }]
      : []),
  ];
}

/** A path or URL of the configuration as it is used. */
export const resolveLocation = (directory: string, location: string): string =>
  isUrl(location) ? joinLocation(location).replace(/\/$/, '') : resolve(directory, location);

/** Where operators may ask for products by path patterns: below the archive's root and the datasets, if nothing is said. */
export function archiveOf(
  config: Pick<Settings, 'archive' | 'storage'> & { readonly datasets: readonly Dataset[] },
): Archive {
  const { root, allowed } = config.archive;
  const byDefault = [...(root === undefined ? [] : [root]), ...config.datasets.flatMap(placesOf)];
  return {
    ...(root !== undefined && { root }),
    allowed: allowed ?? [...new Set(byDefault)],
    storages: storagesOf(config),
  };
}

/** What the schema allows of storages, and of engines that need them, but makes no sense. */
export function storageProblems(settings: Settings): Problem[] {
  const { workDir, dataDir, staging, storage, engines, archive } = settings;
  const problems: Problem[] = [...storage.hdfs.entries()].flatMap(([index, hdfs]) =>
    hdfsProblems(hdfs, storage.hdfs.slice(0, index)).map(({ path, reason }) => ({
      path: ['storage', 'hdfs', String(index), ...path],
      reason,
    })),
  );
  const onStorages = [
    [['workDir'], workDir],
    [['archive', 'root'], archive.root],
    ...(archive.allowed ?? []).map((place, index) => [['archive', 'allowed', `${index}`], place]),
  ] as [string[], string | undefined][];
  for (const [path, location] of onStorages) {
    const unknown = location && failureOf(() => checkStorage(location, storagesOf(settings)));
    if (unknown) problems.push({ path, reason: unknown });
  }
  const onlyPaths = [
    [['dataDir'], dataDir],
    [['staging', 'directory'], staging.directory ?? ''],
  ] as const;
  for (const [path, location] of onlyPaths) {
    const reason = 'cannot be a URL; name a directory';
    if (isUrl(location)) problems.push({ path: [...path], reason });
  }
  if (engines.yarn.resourceManagers.length > 0) problems.push(...yarnProblems(settings));
  return problems;
}

type Hdfs = Settings['storage']['hdfs'][number];

function hdfsProblems(hdfs: Hdfs, before: readonly Hdfs[]): Problem[] {
  const { name, urls, authentication, tokenFile, principal, keytab } = hdfs;
  const problems = urls.flatMap((url, index) => baseUrlProblems(['urls', String(index)], url));
  const add = (isWrong: boolean, key: string, reason: string) => {
    if (isWrong) problems.push({ path: [key], reason });
  };
  const isTwice = before.some((other) => other.name === name);
  add(isTwice, 'name', 'is that of another storage');
  const [isToken, isKerberos] = [authentication === 'token', authentication === 'kerberos'];
  add(isToken && tokenFile === undefined, 'authentication', 'token needs tokenFile, too');
  add(!isToken && tokenFile !== undefined, 'tokenFile', 'needs authentication: token, too');
  add(!isKerberos && principal !== undefined, 'principal', 'needs authentication: kerberos, too');
  add(!isKerberos && keytab !== undefined, 'keytab', 'needs authentication: kerberos, too');
  add(isKerberos && !!keytab && principal === undefined, 'keytab', 'needs principal, too');
  return problems;
}

function yarnProblems({ engines: { yarn }, storage }: Settings): Problem[] {
  const problems = yarn.resourceManagers.flatMap((url, index) =>
    baseUrlProblems(['resourceManagers', String(index)], url),
  );
  const names = storage.hdfs.map(({ name }) => name);
  if (yarn.hadoopConfiguration === undefined) {
    problems.push({ path: [], reason: 'has no hadoopConfiguration' });
  }
  if (names.length === 0) {
    problems.push({ path: [], reason: 'needs the file system of its cluster in storage.hdfs' });
  } else if (yarn.storage !== undefined && !names.includes(yarn.storage)) {
    const reason = `is none of storage.hdfs, which has ${names.join(', ')}`;
    problems.push({ path: ['storage'], reason });
  }
  if (yarn.keytab !== undefined && yarn.principal === undefined) {
    problems.push({ path: ['keytab'], reason: 'needs principal, too' });
  }
  if (yarn.applicationMaster === 'managed') problems.push(...managedProblems(yarn));
  return problems.map(({ path, reason }) => ({ path: ['engines', 'yarn', ...path], reason }));
}

function managedProblems({ managed, principal }: Settings['engines']['yarn']): Problem[] {
  const problems = baseUrlProblems(['managed', 'baseUrl'], managed.baseUrl);
  for (const key of ['certFile', 'keyFile'] as const) {
    const reason = `has no ${key}: masters call by HTTPS alone`;
    if (managed[key] === undefined) problems.push({ path: ['managed'], reason });
  }
  if (principal !== undefined) {
    const reason = 'can only be unmanaged where there is a principal';
    problems.push({ path: ['applicationMaster'], reason });
  }
  return problems;
}

/** A configuration with absolute paths. */
interface Resolved extends Pick<Settings, 'dataDir' | 'workDir' | 'engines'> {
  readonly datasets: readonly Dataset[];
}

/** What engines are to use, but cannot reach. */
export function reachProblems(config: Resolved): Problem[] {
  const engines = sightsOf(config);
  const { dataDir, workDir, datasets } = config;
  const problems: Problem[] = [];
  const work = workDir ?? join(dataDir, 'work', 'jobs');
  const blind = engines.find(
    ({ directories }) =>
      directories && !isUrl(work) && !directories.some((directory) => isBelow(work, directory)),
  );
  if (blind) {
    const reason =
      `nodes of the engine ${blind.id} do not see ${work}: ` +
      'let workDir be an hdfs:// URL, or a directory below its sharedDirectories';
    problems.push({ path: workDir === undefined ? ['engines', blind.id] : ['workDir'], reason });
  }
  for (const [index, { patterns, roots }] of datasets.entries()) {
    const places = roots
      ? [roots]
      : patterns.map((pattern) => [{ location: levelsOf(pattern).base }]);
    const hidden = places.find((place) => enginesOf(engines, place)?.length === 0);
    if (!hidden) continue;
    const key = roots ? 'roots' : 'path';
    const where = hidden.map(({ location }) => location).join(', ');
    const reason = `no engine has nodes that can read ${where}`;
    problems.push({ path: ['datasets', String(index), key], reason });
  }
  return problems;
}
