import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startPushbroom } from '../test/servers/pushbroom.ts';
import { residentMb } from './measure.ts';
import { median } from './report.ts';
import type { Bench } from './report.ts';

const ROUNDS = 5;

export const start: Bench = {
  title: 'start: from the start of `serve` to both listeners answering, and idle memory',
  async run(say) {
    const directory = await mkdtemp(join(tmpdir(), 'pushbroom-bench-'));
    const seconds: number[] = [];
    const megabytes: number[] = [];
    try {
      for (let round = 0; round <= ROUNDS; round += 1) {
        const begun = performance.now();
        const server = await startPushbroom(directory, {});
        const taken = (performance.now() - begun) / 1000;
        const used = await residentMb(server.pid);
        await server.stop();
        say(
          `round ${round}: ${taken.toFixed(2)} s, ${used.toFixed(0)} MB${round === 0 ? ' (not counted)' : ''}`,
        );
        if (round === 0) continue;
        seconds.push(taken);
        megabytes.push(used);
      }
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
    const ready = median(seconds);
    const idle = median(megabytes);
    return [
      { what: 'serve ready', value: ready, unit: 's', target: 1, ok: ready < 1 },
      { what: 'idle memory', value: idle, unit: 'MB', target: 120, ok: idle < 120 },
    ];
  },
};
