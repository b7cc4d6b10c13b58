/** Bundles as they lie in a directory: `<name>~<version>.zip` and, of what is deployed, its record in `.json`. */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import type { ValidateFunction } from 'ajv';
import { messageOf } from '../errors.ts';
import { BundleRecord, type DeployedBundle, readBundleRecord } from './bundle.ts';
import type { Standing } from './standing.ts';

const TEMPORARY = '.deploying-';

export async function loadBundles(
  directory: string,
  log: { warn(details: object, message: string): void },
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

export async function inWorkDirectory<T>(
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
export async function publish(
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

/** Writes the record with another standing, all of it or nothing. */
export async function rewrite(directory: string, key: string, standing: Standing): Promise<void> {
  const file = join(directory, `${key}.json`);
  const record = JSON.parse(await readFile(file, 'utf8')) as BundleRecord;
  const text = `${JSON.stringify({ ...record, standing }, undefined, 2)}\n`;
  await inWorkDirectory(directory, async (work) => {
    const written = join(work, 'bundle.json');
    await writeSynced(written, text);
    await rename(written, file);
  });
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

/** The record goes first: an archive without one is not deployed, so a crash in between leaves nothing to be used. */
export async function withdrawFiles(directory: string, key: string): Promise<void> {
  await rm(join(directory, `${key}.json`));
  await rm(join(directory, `${key}.zip`), { force: true });
  await sync(directory);
}
