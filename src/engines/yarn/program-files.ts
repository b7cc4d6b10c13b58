import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { LocalResource } from './protocol.ts';
import type { Publisher } from './publisher.ts';

/** What a master has to know of its cluster. */
const CONFIGURATION = ['core-site.xml', 'hdfs-site.xml', 'yarn-site.xml'];

/** The program's jars and the cluster's configuration, brought to where nodes find them. */
export async function programFiles(
  publisher: Publisher,
  program: string,
  configuration: string,
): Promise<LocalResource[]> {
  const jars = (await readdir(program)).filter((name) => name.endsWith('.jar')).toSorted();
  const files = [
    ...jars.map((name) => join(program, name)),
    ...CONFIGURATION.map((name) => join(configuration, name)),
  ];
  return Promise.all(files.map((file) => publisher.file(file, file.split('/').at(-1)!)));
}
