import type { AttemptId, Failure, Millis } from '../../core/model.ts';
import { timeText } from './agents.ts';
import type { Agents } from './agents.ts';
import { acceptInverse } from './commands.ts';
import type { Call, InverseOffer } from './protocol.ts';

export interface MaintenanceOptions {
  readonly agents: Agents;
  /** Milliseconds that an attempt is given to end before the machine goes. */
  readonly notice: number;
  readonly now: () => Millis;
  attemptsOn(agentId: string): readonly AttemptId[];
  kill(attemptId: AttemptId, failure: Failure): void;
  send(call: Call): void;
}

/** Leaves machines in time that an operator of the cluster wants to take away (inverse offers). */
export class Maintenance {
  readonly #options: MaintenanceOptions;
  /** The inverse offer that came last, by agent: agreed to, the same comes again and again. */
  readonly #asked = new Map<string, string>();
  /** Agents that have been left, and the time for which. */
  readonly #left = new Map<string, Millis>();

  constructor(options: MaintenanceOptions) {
    this.#options = options;
  }

  hear(offers: readonly InverseOffer[]): void {
    const { agents, send } = this.#options;
    for (const { id, agentId, unavailability } of offers) {
      if (agentId === undefined) continue;
      this.#asked.set(agentId, id);
      agents.plan(agentId, unavailability);
    }
    // Agreed to always: whatever still runs then will have been moved.
    if (offers.length > 0) send(acceptInverse(offers.map(({ id }) => id)));
    this.tick();
  }

  rescind(offerId: string): void {
    const [agentId] = this.#asked.entries().find(([, id]) => id === offerId) ?? [];
    if (agentId === undefined) return;
    this.#asked.delete(agentId);
    this.#options.agents.plan(agentId, undefined);
  }

  /** The last moment is used: what ends before it need not be done again. */
  tick(): void {
    const { agents, notice, now, attemptsOn, kill } = this.#options;
    for (const { id, node, unavailability } of agents.all()) {
      if (!unavailability || this.#left.get(id) === unavailability.start) continue;
      const { start, durationMs = Infinity } = unavailability;
      if (now() < start - notice || now() > start + durationMs) continue;
      this.#left.set(id, start);
      const message = `node ${node} goes into maintenance at ${timeText(start)}`;
      for (const attemptId of attemptsOn(id)) kill(attemptId, { kind: 'operator', message });
    }
  }
}
