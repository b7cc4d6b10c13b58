import { pino } from 'pino';

import type { Resources } from '../../src/core/model.ts';
import { accept, acknowledge, subscribe, teardown } from '../../src/engines/mesos/commands.ts';
import { createConnection } from '../../src/engines/mesos/connection.ts';
import { createMasters } from '../../src/engines/mesos/masters.ts';
import type { MesosOffer } from '../../src/engines/mesos/protocol.ts';
import { take } from '../../src/engines/mesos/resources.ts';

/**
 * The least that a framework can do: it launches `true` on whatever is offered, acknowledges everything and keeps no
 * books.
 *
 * @returns tasks per second from the first offer to the last end
 */
export async function runLoop(master: string, tasks: number, share: Resources): Promise<number> {
  const stop = new AbortController();
  const ended = Promise.withResolvers<void>();
  let launched = 0;
  let open = tasks;
  let begun: number | undefined;

  function launchOn({ id, agentId, resources }: MesosOffer): void {
    begun ??= performance.now();
    const infos: object[] = [];
    let rest = resources;
    for (; launched < tasks; launched += 1) {
      const part = take(rest, share);
      if (!part) break;
      rest = part.rest;
      infos.push({
        name: 'true',
        task_id: { value: `true-${launched}` },
        agent_id: { value: agentId },
        resources: part.taken,
        command: { shell: true, value: 'true' },
      });
    }
    void connection.call(accept([id], infos, 0));
  }

  const connection = createConnection({
    masters: createMasters([master]),
    logger: pino({ level: 'error' }),
    subscribe: () =>
      subscribe({ name: 'loop', user: 'root', roles: ['eo'], failoverTimeoutSeconds: 0 }),
    lost: (reason) => ended.reject(new Error(reason)),
    hear: (event) => {
      if (event.type === 'offers') for (const offer of event.offers) launchOn(offer);
      if (event.type !== 'update') return;
      const { status } = event;
      if (status.uuid !== undefined) void connection.call(acknowledge(status));
      if (status.state === 'TASK_FINISHED') open -= 1;
      else if (!/RUNNING|STARTING|STAGING/.test(status.state)) {
        ended.reject(new Error(`${status.state}: ${status.message}`));
      }
      if (open === 0) ended.resolve();
    },
  });
  const ran = connection.run(stop.signal);
  try {
    await ended.promise;
    return tasks / ((performance.now() - begun!) / 1000);
  } finally {
    await connection.call(teardown()).catch(() => undefined);
    stop.abort();
    await ran;
  }
}
