import { randomUUID } from 'node:crypto';
import { copyFile, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import type { ValidateFunction } from 'ajv';
import type { Millis } from '../core/model.ts';
import { messageOf, PushbroomError } from '../errors.ts';
import { hashFile } from '../hash.ts';
import { type ArchiveLimits, inspectArchive, packDirectory, tooLarge } from './archive.ts';
import {
  BundleRecord,
  type DeployedBundle,
  readBundleRecord,
  type RegistryEntry,
} from './bundle.ts';
import { parseDescriptor, processId } from './descriptor.ts';
import { extractBundle } from './extract.ts';

export interface Registry {
  /**
   * Takes in a bundle from a zip file or a directory on this machine; the source stays as it is. The same content
   * again changes nothing.
   *
   * @throws INVALID_BUNDLE, BUNDLE_EXISTS (that version is there with other content), STORAGE_FULL
   */
  deploy(source: string, by: string): Promise<DeployedBundle>;
  /** By name, then version: 1.9 before 1.10. */
  bundles(): readonly DeployedBundle[];
  bundle(name: string, version: string): DeployedBundle | undefined;
  /**
   * @param processId `bundle~version~processor` (specification B.4)
   * @throws NO_SUCH_PROCESS naming what comes near
   */
  find(processId: string): RegistryEntry;
}

export interface RegistryDeps {
  /** Absolute; made if it is not there. One registry at a time. */
  readonly directory: string;
  readonly limits: ArchiveLimits;
  readonly now: () => Millis;
  readonly log: { warn(details: object, message: string): void };
}

const TEMPORARY = '.deploying-';

/** Keeps the deployed bundles as `<name>~<version>.zip` and `.json` in a directory, and in memory for reading. */
export async function createRegistry(deps: RegistryDeps): Promise<Registry> {
  const { directory, limits, now, log } = deps;
  const byKey = await load(directory, log);
  let sorted = sort(byKey);
  let last: Promise<unknown> = Promise.resolve();

  async function take(source: string, by: string, work: string): Promise<DeployedBundle> {
    const archive = join(work, 'bundle.zip');
    await copyIn(source, archive, limits);
    const hash = await hashFile(archive);
    const key = await readKey(archive, limits);
    const present = byKey.get(key);
    if (present?.hash === hash) return present;
    if (present) throw bundleExists(key);
    // Unpacking it once is the test that every node can.
    const { descriptor, files } = await extractBundle(archive, join(work, 'unpacked'), limits);
    const { size } = await stat(archive);
    const record: BundleRecord = {
      hash,
      size,
      deployedAt: now(),
      deployedBy: by,
      descriptor,
      files: [...files].toSorted(),
    };
    const bundle = readBundleRecord(record, join(directory, `${key}.zip`));
    await publish(work, directory, key, record);
    byKey.set(key, bundle);
    sorted = sort(byKey);
    for (const include of bundle.includes) {
      log.warn({ bundle: key, include }, 'an included bundle is not installed with this one yet');
    }
    return bundle;
  }

  return {
    async deploy(source, by) {
      // One after the other, so that two of the same version can not both be the first.
      const deployed = last.then(() =>
        inWorkDirectory(directory, (work) => take(source, by, work)),
      );
      last = deployed.catch(() => undefined);
      return deployed;
    },
    bundles: () => sorted,
    bundle: (name, version) => byKey.get(`${name}~${version}`),
    find(id) {
      const [name, version, executable, ...more] = id.split('~');
      const bundle = byKey.get(`${name}~${version}`);
      const processor = bundle?.processors.find((known) => known.executableName === executable);
      if (!bundle || !processor || more.length > 0) throw noSuchProcess(id, sorted);
      return { bundle, processor };
    },
  };
}

const order = new Intl.Collator('en', { numeric: true });

const sort = (byKey: ReadonlyMap<string, DeployedBundle>): readonly DeployedBundle[] =>
  [...byKey.values()].toSorted(
    (a, b) => order.compare(a.name, b.name) || order.compare(a.version, b.version),
  );

async function load(
  directory: string,
  log: RegistryDeps['log'],
): Promise<Map<string, DeployedBundle>> {
  await mkdir(directory, { recursive: true });
  const byKey = new Map<string, DeployedBundle>();
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    if (name.startsWith(TEMPORARY)) await rm(path, { recursive: true, force: true });
    if (name.startsWith('.') || !name.endsWith('.json')) continue;
    const key = name.slice(0, -'.json'.length);
    try {
      byKey.set(key, await loadBundle(directory, key));
    } catch (error) {
      const message = 'a deployed bundle is damaged and not offered: deploy it again';
      log.warn({ file: path, reason: messageOf(error) }, message);
    }
  }
  return byKey;
}

/** Compiled for the first of them: there may be none. */
let check: ValidateFunction<BundleRecord> | undefined;
const isBundleRecord = (value: unknown): value is BundleRecord =>
  (check ??= new Ajv().compile<BundleRecord>(BundleRecord))(value);

async function loadBundle(directory: string, key: string): Promise<DeployedBundle> {
  const archive = join(directory, `${key}.zip`);
  const record: unknown = JSON.parse(await readFile(join(directory, `${key}.json`), 'utf8'));
  if (!isBundleRecord(record)) {
    throw new Error('it does not hold what a deployment writes');
  }
  const { size } = await stat(archive);
  if (size !== record.size) {
    throw new Error(`${archive} has ${size} bytes instead of ${record.size}`);
  }
  const bundle = readBundleRecord(record, archive);
  const described = `${bundle.name}~${bundle.version}`;
  if (described !== key) throw new Error(`it describes ${described}`);
  return bundle;
}

async function copyIn(source: string, archive: string, limits: ArchiveLimits): Promise<void> {
  const found = await stat(source).catch(() => undefined);
  if (found?.isDirectory()) {
    await packDirectory(source, archive, limits);
    return;
  }
  if (!found?.isFile()) {
    throw new PushbroomError('INVALID_BUNDLE', `There is no file or directory ${source}.`);
  }
  if (found.size > limits.compressedBytes) {
    throw new PushbroomError('INVALID_BUNDLE', tooLarge(found.size, limits));
  }
  await copyFile(source, archive);
}

async function readKey(archive: string, limits: ArchiveLimits): Promise<string> {
  const { file, text } = await inspectArchive(archive, limits);
  const { name, version } = parseDescriptor(file, text);
  return `${name}~${version}`;
}

async function inWorkDirectory<T>(
  directory: string,
  task: (work: string) => Promise<T>,
): Promise<T> {
  const work = join(directory, TEMPORARY + randomUUID());
  await mkdir(join(work, 'unpacked'), { recursive: true });
  try {
    return await task(work);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The record comes last: an archive without one is not deployed. */
async function publish(
  work: string,
  directory: string,
  key: string,
  record: BundleRecord,
): Promise<void> {
  const written = join(work, 'bundle.json');
  const archive = join(work, 'bundle.zip');
  await writeSynced(written, `${JSON.stringify(record, undefined, 2)}\n`);
  await sync(archive);
  await rename(archive, join(directory, `${key}.zip`));
  await rename(written, join(directory, `${key}.json`));
  await sync(directory);
}

async function writeSynced(path: string, text: string): Promise<void> {
  await using file = await open(path, 'wx');
  await file.writeFile(text);
  await file.sync();
}

async function sync(path: string): Promise<void> {
  await using file = await open(path, 'r');
  await file.sync();
}

const bundleExists = (key: string): PushbroomError =>
  new PushbroomError(
    'BUNDLE_EXISTS',
    `Bundle ${key} is deployed already, with other content: raise the version.`,
  );

function noSuchProcess(id: string, bundles: readonly DeployedBundle[]): PushbroomError {
  const shown = id.length > 200 ? `${id.slice(0, 200)}...` : id;
  return new PushbroomError(
    'NO_SUCH_PROCESS',
    `There is no process '${shown}': ${nearest(id, bundles)}.`,
    { locator: 'Identifier' },
  );
}

function nearest(id: string, bundles: readonly DeployedBundle[]): string {
  const [name, version, processor, ...more] = id.split('~');
  if (processor === undefined || more.length > 0) {
    return 'a process is named <bundle>~<version>~<processor>';
  }
  const ofName = bundles.filter((bundle) => bundle.name === name);
  const ofVersion = ofName.find((bundle) => bundle.version === version);
  if (ofVersion) {
    const offered = ofVersion.processors.map(({ executableName }) => executableName);
    return `${name}~${version} has ${offered.join(', ') || 'no processors'}`;
  }
  if (ofName.length > 0) return `${name} is there in ${ofName.map((b) => b.version).join(', ')}`;
  const alike = bundles.flatMap((bundle) =>
    bundle.processors
      .filter((known) => equalIgnoringCase(known.executableName, processor))
      .map((known) => processId(bundle, known.executableName)),
  );
  if (alike.length > 0) return `did you mean ${alike.slice(0, 3).join(' or ')}?`;
  return bundles.length === 0 ? 'no bundle is deployed' : 'GetCapabilities lists what there is';
}

const equalIgnoringCase = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();
