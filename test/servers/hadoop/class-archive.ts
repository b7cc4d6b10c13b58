import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Installation } from './installation.ts';
import { startDaemons } from './java-process.ts';
import { writeSettings } from './settings.ts';
import { claimSubnet } from './subnet.ts';

/** Runs a cluster of one node for a moment, and keeps the classes that it has loaded as they are in memory. */
export async function writeClassArchive(installation: Installation, file: string): Promise<void> {
  using subnet = await claimSubnet();
  const directory = await mkdtemp(join(tmpdir(), 'pushbroom-hadoop-'));
  try {
    const host = subnet.address(1);
    const configuration = await writeSettings({
      directory,
      host,
      nodes: [{ name: subnet.address(11), rack: '/rack' }],
      capacity: { vcores: 1, memoryMb: 1024 },
      heartbeatMs: 1000,
      settings: {},
      daemonSettings: {},
    });
    for (const name of ['tmp', 'logs']) await mkdir(join(directory, name));
    const place = { installation, directory, configuration };
    const option = `-XX:ArchiveClassesAtExit=${file}`;
    const daemons = await startDaemons(place, 'all', ['nn', 'rm', 'dn1', 'nm1'], 768, option);
    // What is first loaded to answer is to be there too.
    const asked = [`${host}:9870/webhdfs/v1/?op=LISTSTATUS`, `${host}:8088/ws/v1/cluster/nodes`];
    for (const each of asked) await (await fetch(`http://${each}`)).text();
    await daemons.exit();
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
