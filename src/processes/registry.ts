import { copyFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Millis } from '../core/model.ts';
import { PushbroomError } from '../errors.ts';
import { hashFile } from '../hash.ts';
import { createTurns } from '../turns.ts';
import { type ArchiveLimits, inspectArchive, packDirectory, tooLarge } from './archive.ts';
import {
  type BundleRecord,
  type DeployedBundle,
  ownerOf,
  readBundleRecord,
  type RegistryEntry,
} from './bundle.ts';
import { inWorkDirectory, loadBundles, publish, rewrite, withdrawFiles } from './bundle-files.ts';
import { parseDescriptor, processId } from './descriptor.ts';
import { extractBundle } from './extract.ts';
import { changedStanding, firstStanding } from './standing.ts';
import type { BundleVisibility, Standing, StandingWish } from './standing.ts';

export interface Registry {
  /**
   * Takes in a bundle from a zip file or a directory on this machine; the source stays as it is. The same content
   * again changes nothing.
   *
   * @throws INVALID_BUNDLE, BUNDLE_EXISTS (that version is there with other content), STORAGE_FULL
   */
  deploy(source: string, by: string): Promise<DeployedBundle>;
  /**
   * Takes in a user's bundle from a zip file: it is his alone until an operator has vetted and deployed it. The same
   * content again changes nothing. Names belong to who came first.
   *
   * @throws INVALID_BUNDLE, BUNDLE_EXISTS, STORAGE_FULL
   */
  upload(source: string, by: string, visibility: BundleVisibility): Promise<DeployedBundle>;
  /** @throws NOT_FOUND, CONFLICT for a state that does not follow, STORAGE_FULL */
  change(key: string, wish: StandingWish, by: string): Promise<DeployedBundle>;
  /**
   * Forgets a bundle that nothing needs. Jobs that have ended keep its name and hash.
   *
   * @throws NOT_FOUND, CONFLICT for one that is deployed, or that a job needs
   */
  remove(key: string, isNeeded: (bundle: DeployedBundle) => Promise<boolean>): Promise<void>;
  /** By name, then version: 1.9 before 1.10. */
  bundles(): readonly DeployedBundle[];
  bundle(name: string, version: string): DeployedBundle | undefined;
  /**
   * Also for jobs that run with a bundle which was withdrawn since.
   *
   * @param processId `bundle~version~processor` (specification B.4)
   * @throws NO_SUCH_PROCESS naming what comes near
   */
  find(processId: string): RegistryEntry;
  /**
   * For new jobs.
   *
   * @throws NO_SUCH_PROCESS as `find` does, and for what was withdrawn
   */
  offered(processId: string): RegistryEntry;
}

export interface RegistryDeps {
  /** Absolute; made if it is not there. One registry at a time. */
  readonly directory: string;
  readonly limits: ArchiveLimits;
  readonly now: () => Millis;
  readonly log: { warn(details: object, message: string): void };
}

/** Keeps the deployed bundles as `<name>~<version>.zip` and `.json` in a directory, and in memory for reading. */
export async function createRegistry(deps: RegistryDeps): Promise<Registry> {
  const { directory, limits, now, log } = deps;
  const shelf = createShelf(await loadBundles(directory, log));
  const inTurn = createTurns();

  async function take(source: string, work: string, intake: Intake): Promise<DeployedBundle> {
    const archive = join(work, 'bundle.zip');
    await copyIn(source, archive, limits);
    const hash = await hashFile(archive);
    const key = await readKey(archive, limits);
    if (intake.isOwn) checkName(key, intake.by, shelf.sorted());
    const present = shelf.get(key);
    if (present?.hash === hash) return present;
    if (present) throw bundleExists(key);
    // Unpacking it once is the test that every node can.
    const { descriptor, files } = await extractBundle(archive, join(work, 'unpacked'), limits);
    const record: BundleRecord = {
      hash,
      size: (await stat(archive)).size,
      deployedAt: now(),
      deployedBy: intake.by,
      descriptor,
      files: [...files].toSorted(),
      standing: intake.standing,
    };
    const bundle = readBundleRecord(record, join(directory, `${key}.zip`));
    await publish(work, directory, key, record);
    warnOfIncludes(key, bundle, log);
    return shelf.put(key, bundle);
  }

  // One after the other, so that two of the same version can not both be the first.
  const takeIn = (source: string, intake: Intake) =>
    inTurn(() => inWorkDirectory(directory, (work) => take(source, work, intake)));

  return {
    deploy: (source, by) =>
      takeIn(source, { by, standing: firstStanding('deployed', 'public', by, now()) }),
    upload: (source, by, visibility) =>
      takeIn(source, {
        by,
        standing: firstStanding('uploaded', visibility, by, now()),
        isOwn: true,
      }),
    change: (key, wish, by) =>
      inTurn(async () => {
        const bundle = shelf.get(key) ?? noSuchBundle(key);
        const standing = changedStanding(key, standingOf(bundle), wish, by, now());
        await rewrite(directory, key, standing);
        return shelf.put(key, { ...bundle, ...standing });
      }),
    remove: (key, isNeeded) =>
      inTurn(async () => {
        const bundle = shelf.get(key) ?? noSuchBundle(key);
        await checkUnneeded(key, bundle, isNeeded);
        shelf.drop(key);
        await withdrawFiles(directory, key);
      }),
    bundles: shelf.sorted,
    bundle: (name, version) => shelf.get(`${name}~${version}`),
    find: (id) => findIn(shelf, id),
    offered: (id) => offeredIn(shelf, id),
  };
}

function warnOfIncludes(key: string, { includes }: DeployedBundle, log: RegistryDeps['log']): void {
  for (const include of includes) {
    log.warn({ bundle: key, include }, 'an included bundle is not installed with this one yet');
  }
}

/** What is taken in, by whom. */
interface Intake {
  readonly by: string;
  readonly standing: Standing;
  /** Whether it is a user's own: then its name must be his, too. */
  readonly isOwn?: true;
}

const standingOf = ({ state, visibility, history }: DeployedBundle): Standing => ({
  state,
  visibility,
  history,
});

type Shelf = ReturnType<typeof createShelf>;

/** The bundles in memory, by `name~version` and in their order. */
function createShelf(byKey: Map<string, DeployedBundle>) {
  let sorted = sort(byKey);
  return {
    get: (key: string) => byKey.get(key),
    sorted: () => sorted,
    put(key: string, bundle: DeployedBundle): DeployedBundle {
      byKey.set(key, bundle);
      sorted = sort(byKey);
      return bundle;
    },
    drop(key: string): void {
      byKey.delete(key);
      sorted = sort(byKey);
    },
  };
}

function findIn(shelf: Shelf, id: string): RegistryEntry {
  const [name, version, executable, ...more] = id.split('~');
  const bundle = shelf.get(`${name}~${version}`);
  const processor = bundle?.processors.find((known) => known.executableName === executable);
  if (!bundle || !processor || more.length > 0) throw noSuchProcess(id, shelf.sorted());
  return { bundle, processor };
}

function offeredIn(shelf: Shelf, id: string): RegistryEntry {
  const entry = findIn(shelf, id);
  const { name, version, state } = entry.bundle;
  if (state !== 'withdrawn') return entry;
  throw new PushbroomError(
    'NO_SUCH_PROCESS',
    `The bundle ${name}~${version} was withdrawn: it takes no new jobs. Ask for another version, or have it deployed again.`,
    { locator: 'Identifier' },
  );
}

/**
 * Else a user could offer as the next version of a known bundle what is not by its author. The refusal does not tell whose
 * it is, nor what: it may be private.
 */
function checkName(key: string, by: string, bundles: readonly DeployedBundle[]): void {
  const name = key.split('~', 1)[0]!;
  const [first] = bundles
    .filter((bundle) => bundle.name === name)
    .toSorted((a, b) => a.deployedAt - b.deployedAt);
  if (first === undefined || ownerOf(first) === by) return;
  throw new PushbroomError(
    'BUNDLE_EXISTS',
    `The bundle name ${name} is taken: choose another one.`,
  );
}

const order = new Intl.Collator('en', { numeric: true });

const sort = (byKey: ReadonlyMap<string, DeployedBundle>): readonly DeployedBundle[] =>
  [...byKey.values()].toSorted(
    (a, b) => order.compare(a.name, b.name) || order.compare(a.version, b.version),
  );

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

const bundleExists = (key: string): PushbroomError =>
  new PushbroomError(
    'BUNDLE_EXISTS',
    `Bundle ${key} is deployed already, with other content: raise the version.`,
  );

async function checkUnneeded(
  key: string,
  bundle: DeployedBundle,
  isNeeded: (bundle: DeployedBundle) => Promise<boolean>,
): Promise<void> {
  if (bundle.state === 'deployed') throw conflict(key, 'is deployed: withdraw it first');
  if (await isNeeded(bundle)) {
    throw conflict(key, 'is needed by a job: wait until it has ended, or cancel it');
  }
}

const conflict = (key: string, reason: string): PushbroomError =>
  new PushbroomError('CONFLICT', `Bundle ${key} ${reason}.`);

function noSuchBundle(key: string): never {
  throw new PushbroomError('NOT_FOUND', `There is no bundle '${key.slice(0, 200)}'.`);
}

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
