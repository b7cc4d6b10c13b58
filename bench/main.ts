import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';

import { doors } from './doors.ts';
import { history } from './history.ts';
import { local } from './local.ts';
import { locality } from './locality.ts';
import { mesos } from './mesos.ts';
import { million } from './million.ts';
import { recover } from './recover.ts';
import { table } from './report.ts';
import type { Bench } from './report.ts';
import { schedule } from './schedule.ts';
import { soak } from './soak.ts';
import { start } from './start.ts';
import { submit } from './submit.ts';
import { webhdfs } from './webhdfs.ts';
import { yarn } from './yarn.ts';

const BENCHES: Readonly<Record<string, Bench>> = {
  doors,
  history,
  local,
  locality,
  mesos,
  million,
  recover,
  schedule,
  soak,
  start,
  submit,
  webhdfs,
  yarn,
};

const { values, positionals } = parseArgs({
  options: { json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const [name = ''] = positionals;
const bench = BENCHES[name];
if (values.help || !bench) {
  console.log('Usage: npm run bench -- NAME [--json]\n');
  for (const [each, { title }] of Object.entries(BENCHES))
    console.log(`  ${each.padEnd(10)}${title}`);
  process.exitCode = values.help ? 0 : 2;
} else {
  const memory = (totalmem() / 1024 ** 3).toFixed(0);
  console.log(
    `${bench.title}\n${cpus().length} x ${cpus()[0]?.model}, ${memory} GiB, Node ${process.version}\n`,
  );
  const rows = await bench.run((line) => console.log(line));
  console.log(`\n${table(rows)}`);
  if (values.json) console.log(JSON.stringify({ bench: name, rows }));
}
