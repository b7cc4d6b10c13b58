import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import type { StorageAccess } from '../src/storage/storage.ts';
import { createWebHdfs } from '../src/storage/webhdfs/webhdfs.ts';
import type { WebHdfs } from '../src/storage/webhdfs/webhdfs.ts';
import { startHadoop } from '../test/servers/hadoop/cluster.ts';
import type { HadoopCluster } from '../test/servers/hadoop/cluster.ts';
import { residentMb } from './measure.ts';
import { median } from './report.ts';
import type { Bench, Row } from './report.ts';

const MIB = 1024 ** 2;
const FILE_MB = 256;
const ROUNDS = 15;
const WARM_ROUNDS = 3;
const FILES = 100_000;
const MAKERS = 64;
const MAKE_FILES = join(import.meta.dirname, 'peers/MakeFiles.java');
/** A listing that held all entries would take more. */
const MOST_MB = 60;

const run = promisify(execFile);

type Say = (line: string) => void;

const accessTo = ({ webhdfsUrl }: HadoopCluster): StorageAccess => ({
  type: 'webhdfs',
  name: 'bench',
  urls: [webhdfsUrl],
  user: 'root',
  replication: 1,
  blockSize: 128 * MIB,
});

/** What there is to be written: nothing that a disk or a network would make smaller. */
async function makeFile(file: string): Promise<void> {
  const handle = await open(file, 'w');
  const chunk = Buffer.alloc(MIB);
  for (let index = 0; index < FILE_MB; index += 1) {
    crypto.getRandomValues(chunk.subarray(0, 65_536));
    await handle.write(chunk);
  }
  await handle.close();
}

const rateOf = async (work: Work): Promise<number> => {
  const begun = performance.now();
  await work();
  return FILE_MB / ((performance.now() - begun) / 1000);
};

/** Ours and curl's. */
type Rates = readonly [number, number];
type Work = () => Promise<unknown>;

async function sideBySide(isFirst: boolean, ours: Work, theirs: Work): Promise<Rates> {
  if (isFirst) return [await rateOf(ours), await rateOf(theirs)];
  const rate = await rateOf(theirs);
  return [await rateOf(ours), rate];
}

async function curl(...parameters: string[]): Promise<string> {
  const { stdout } = await run('curl', ['--silent', '--show-error', '--fail', ...parameters]);
  return stdout;
}

/** As the documentation of WebHDFS has it, in two steps. */
async function curlWrites({ webhdfsUrl }: HadoopCluster, file: string): Promise<void> {
  const query = `op=CREATE&overwrite=true&user.name=root&replication=1&blocksize=${128 * MIB}`;
  const url = `${webhdfsUrl}/webhdfs/v1/curl?${query}`;
  const show = ['--output', '/dev/null', '--write-out', '%{redirect_url}'];
  const place = await curl('--request', 'PUT', ...show, url);
  await curl('--output', '/dev/null', '--upload-file', file, place);
}

const curlReads = ({ webhdfsUrl }: HadoopCluster): Promise<string> =>
  curl(
    '--location',
    '--output',
    '/dev/null',
    `${webhdfsUrl}/webhdfs/v1/curl?op=OPEN&user.name=root`,
  );

async function weRead(storage: WebHdfs): Promise<void> {
  let bytes = 0;
  for await (const chunk of await storage.read('hdfs://bench/ours'))
    bytes += (chunk as Buffer).length;
  if (bytes !== FILE_MB * MIB) throw new Error(`${bytes} bytes were read`);
}

async function transfers(cluster: HadoopCluster, say: Say): Promise<Row[]> {
  const directory = await mkdtemp(join(tmpdir(), 'pushbroom-bench-'));
  const storage = createWebHdfs(accessTo(cluster));
  const rates = { read: [] as Rates[], write: [] as Rates[] };
  try {
    const file = join(directory, 'file');
    await makeFile(file);
    // As a runner reads what it stores.
    const content = () => createReadStream(file, { highWaterMark: MIB });
    const weWrite = () => storage.write('hdfs://bench/ours', content);
    // The first ones warm the servers up, and us.
    for (let warm = 0; warm < WARM_ROUNDS; warm += 1) {
      await curlWrites(cluster, file);
      await weWrite();
      await curlReads(cluster);
      await weRead(storage);
    }
    for (let round = 1; round <= ROUNDS; round += 1) {
      // Who comes second finds other things in the caches: each does as often.
      const isFirst = round % 2 === 1;
      const write = await sideBySide(isFirst, weWrite, () => curlWrites(cluster, file));
      const read = await sideBySide(
        isFirst,
        () => weRead(storage),
        () => curlReads(cluster),
      );
      rates.write.push(write);
      rates.read.push(read);
      const show = ([ours, theirs]: Rates) => `${ours.toFixed(0)} MB/s, curl ${theirs.toFixed(0)}`;
      say(`round ${round}: writing ${show(write)}; reading ${show(read)}`);
    }
  } finally {
    await rm(directory, { recursive: true });
  }
  return [rowOf('reading', rates.read), rowOf('writing', rates.write)];
}

function rowOf(what: string, rates: readonly Rates[]): Row {
  const ratio = median(rates.map(([ours, theirs]) => ours / theirs));
  return {
    what: `${what} ${FILE_MB} MB`,
    value: median(rates.map(([ours]) => ours)),
    unit: 'MB/s',
    peer: 'curl',
    peerValue: median(rates.map(([, theirs]) => theirs)),
    ratio,
    target: 0.9,
    ok: ratio >= 0.9,
  };
}

async function listing(cluster: HadoopCluster, say: Say): Promise<Row[]> {
  const storage = createWebHdfs(accessTo(cluster));
  const begunToMake = performance.now();
  await cluster.run(MAKE_FILES, ['/l', String(FILES), String(MAKERS)]);
  say(`${FILES} files made in ${((performance.now() - begunToMake) / 1000).toFixed(0)} s`);
  const before = await residentMb(process.pid);
  let [count, largest] = [0, 0];
  const begun = performance.now();
  for await (const batch of storage.list('hdfs://bench/l')) {
    count += batch.length;
    largest = Math.max(largest, batch.length);
  }
  const seconds = (performance.now() - begun) / 1000;
  const peak = await residentMb(process.pid, 'peak');
  if (count !== FILES) throw new Error(`${count} files were listed`);
  say(
    `batches of up to ${largest} entries; ${before.toFixed(0)} MB before, ${peak.toFixed(0)} MB at most`,
  );
  const grown = peak - before;
  return [
    { what: `listing ${FILES} files`, value: FILES / seconds, unit: 'files/s' },
    { what: 'memory for that', value: grown, unit: 'MB', target: MOST_MB, ok: grown < MOST_MB },
  ];
}

export const webhdfs: Bench = {
  title: `webhdfs: a file of ${FILE_MB} MB to and from HDFS, beside curl, and a listing of ${FILES} files`,
  async run(say) {
    // Only so that its many files are made in a reasonable time.
    const hdfs = { 'dfs.namenode.edits.noeditlogchannelflush': true };
    await using cluster = await startHadoop({ nodes: 1, yarn: false, settings: { hdfs } });
    // First, as the most memory that there ever was is measured.
    const listed = await listing(cluster, say);
    return [...(await transfers(cluster, say)), ...listed];
  },
};
