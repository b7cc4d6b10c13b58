import { createScenario } from '../src/simulator/scenario.ts';
import { simulate } from '../src/simulator/simulate.ts';
import type { Bench } from './report.ts';

const rack = (name: string) => ({ count: 7, cpus: 24, memoryMb: 98_304, rack: name, pool: 'site' });

/**
 * 28 nodes with 24 processors each, on which a campaign (its size and pace are those of the largest in a real history),
 * a second one and a portal with a small job every 45 s compete for six hours.
 */
const SCENARIO = {
  nodes: ['r1', 'r2', 'r3', 'r4'].map(rack),
  data: { replicas: 3, remoteRead: { rack: 15, pool: 30, any: 60 } },
  jobs: [
    { tasks: 50_000, user: 'campaign', memoryMb: 2560, duration: { median: 300 } },
    { at: 3600, tasks: 10_000, user: 'science', memoryMb: 2560, duration: { median: 180 } },
    { at: 60, every: 45, count: 400, user: 'portal', tasks: 12, duration: { median: 120 } },
  ],
};

export const locality: Bench = {
  title: 'locality: 64,800 tasks on 28 simulated nodes, products with 3 replicas',
  async run(say) {
    const begun = performance.now();
    const report = await simulate(createScenario(SCENARIO));
    const taken = (performance.now() - begun) / 1000;
    say(`${report.makespan} s simulated in ${taken.toFixed(1)} s`);
    if (report.jobs.successful !== 402) throw new Error(`not all jobs ended: ${report.end}`);
    const local = report.locality.node ?? 0;
    const stretch = report.makespan / report.lowerBound;
    return [
      { what: 'node-local attempts', value: local, unit: '%', target: 98, ok: local >= 98 },
      {
        what: 'makespan',
        value: stretch,
        unit: 'x lower bound',
        target: 1.03,
        ok: stretch <= 1.03,
      },
      { what: 'utilisation', value: report.utilisation, unit: '%' },
    ];
  },
};
