import { dropInverse } from './master-agents.ts';
import type { Master } from './master.ts';
import { ipOf } from './registry.ts';
import type { AgentEntry, Unavailability } from './registry.ts';
import { nanoseconds } from './statuses.ts';
import { ok } from './wire.ts';
import type { Reply } from './wire.ts';

interface Machine {
  readonly hostname?: string;
  readonly ip?: string;
}
interface Schedule {
  readonly windows?: readonly {
    readonly machine_ids?: readonly Machine[];
    readonly unavailability: Unavailability;
  }[];
}

const keyOf = ({ hostname = '', ip = '' }: Machine): string => `${hostname}|${ip}`;

/** Offers of the machines' agents are rescinded and come again with what is known of their unavailability (15). */
export function updateSchedule(master: Master, { windows = [] }: Schedule): Reply {
  master.maintenance.clear();
  for (const { machine_ids: machines = [], unavailability } of windows) {
    for (const machine of machines) master.maintenance.set(keyOf(machine), unavailability);
  }
  for (const entry of master.entries.values()) {
    const unavailability = windowOf(master, entry);
    if (JSON.stringify(unavailability) === JSON.stringify(entry.unavailability)) continue;
    for (const offer of entry.offers) master.dropOffer(offer, true);
    dropInverse(entry);
    entry.unavailability = unavailability;
  }
  master.allocateSoon();
  return ok;
}

export const windowOf = (master: Master, { link: { host } }: AgentEntry) =>
  master.maintenance.get(keyOf({ hostname: host, ip: ipOf(host) }));

export function maintenanceStatus(master: Master): object {
  const machines = [...master.maintenance.keys()].map((key) => {
    const [hostname, ip] = key.split('|');
    const agents = [...master.entries.values()].filter(
      ({ link }) => keyOf({ hostname: link.host, ip: ipOf(link.host) }) === key,
    );
    const statuses = [...master.frameworks.values()].flatMap((framework) =>
      agents.flatMap((agent) => {
        const answer = framework.inverseAnswers.get(agent.id);
        if (!answer) return [];
        const { status, at } = answer;
        return [{ status, framework_id: { value: framework.id }, timestamp: nanoseconds(at) }];
      }),
    );
    return { id: { hostname, ip }, ...(statuses.length > 0 && { statuses }) };
  });
  return machines.length > 0 ? { draining_machines: machines } : {};
}
