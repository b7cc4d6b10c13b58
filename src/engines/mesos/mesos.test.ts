import { createMesosEngine } from '../../../test/fixtures/mesos-engine.ts';
import { startMesos } from '../../../test/servers/mesos/cluster.ts';
import { engineContract } from '../contract.ts';

engineContract('Mesos', async () => {
  const cluster = await startMesos({ agents: [{ cpus: 2, memoryMb: 1000 }] });
  const made = await createMesosEngine([cluster.url]);
  return {
    ...made,
    async [Symbol.asyncDispose]() {
      await cluster[Symbol.asyncDispose]();
      await made[Symbol.asyncDispose]();
    },
  };
});
