import type { EngineId, Millis, OfferId } from '../../core/model.ts';
import type { Emit } from '../engine.ts';
import type { Agents } from './agents.ts';
import { decline } from './commands.ts';
import type { Call, MesosOffer } from './protocol.ts';
import { capacityOf } from './resources.ts';

export interface OffersOptions {
  readonly engine: EngineId;
  readonly agents: Agents;
  readonly roles: readonly string[];
  /** An offer that nothing has used for so many milliseconds goes back. */
  readonly hold: number;
  /** Seconds for which what was given back is not wanted. */
  readonly refuse: number;
  readonly now: () => Millis;
  readonly emit: Emit;
  send(call: Call): void;
  /** An agent that is not known offers something. */
  onUnknown(): void;
}

/** Seconds before an agent that is of no use is offered again. */
const REFUSE_UNWANTED = 3600;
const REFUSE_AWAY = 30;

/** What the master offers and nobody has used yet. */
export class Offers {
  readonly #options: OffersOptions;
  readonly #held = new Map<OfferId, MesosOffer>();
  /** Of agents that are not known yet. */
  #early: MesosOffer[] = [];

  constructor(options: OffersOptions) {
    this.#options = options;
  }

  hear(offers: readonly MesosOffer[]): void {
    const { agents, engine, hold, now, emit, refuse } = this.#options;
    const useless = new Map<number, string[]>();
    const good: MesosOffer[] = [];
    for (const offer of offers) {
      const refusal = this.#refusalOf(offer);
      if (refusal !== undefined) {
        const ids = useless.get(refusal);
        if (ids) ids.push(offer.id);
        else useless.set(refusal, [offer.id]);
      } else if (agents.find(offer.agentId)) {
        agents.back(offer.agentId);
        this.#held.set(offer.id, offer);
        good.push(offer);
      } else this.#early.push(offer);
    }
    for (const [seconds, ids] of useless) this.#decline(ids, seconds || refuse);
    if (this.#early.length > 0) this.#options.onUnknown();
    if (good.length === 0) return;
    const until = now() + hold;
    void emit({
      type: 'offered',
      offers: good.map(({ id, agentId, resources }) => {
        const { node } = agents.find(agentId)!;
        return { id, engine, node, resources: capacityOf(resources), until };
      }),
    });
  }

  /** Agents are known by now, as far as anybody knows them. */
  retry(): void {
    const early = this.#early.splice(0);
    for (const offer of early) this.#options.agents.meet(offer);
    this.hear(early);
  }

  rescind(id: OfferId): void {
    this.#early = this.#early.filter((offer) => offer.id !== id);
    if (!this.#held.delete(id)) return;
    void this.#options.emit({ type: 'rescinded', engine: this.#options.engine, offerIds: [id] });
  }

  /** A new subscription has begun, or none will: old offers are void, whether they are rescinded or not. */
  forget(): void {
    const offerIds = [...this.#held.keys()];
    this.#held.clear();
    this.#early = [];
    if (offerIds.length === 0) return;
    void this.#options.emit({ type: 'rescinded', engine: this.#options.engine, offerIds });
  }

  /** Ends offers. @returns those that were still valid */
  take(ids: readonly OfferId[]): MesosOffer[] {
    const taken = ids.flatMap((id) => this.#held.get(id) ?? []);
    for (const id of ids) this.#held.delete(id);
    return taken;
  }

  /** @param refuse seconds for which the master should offer it to others; what was just not needed comes at once */
  giveBack(ids: readonly OfferId[], refuse = this.#options.refuse): void {
    this.#decline(
      this.take(ids).map(({ id }) => id),
      refuse,
    );
  }

  #decline(ids: readonly OfferId[], refuse: number): void {
    if (ids.length > 0) this.#options.send(decline(ids, refuse));
  }

  /** For how many seconds an offer is not wanted, 0 for the usual time; `undefined` for one that is wanted. */
  #refusalOf({ agentId, attributes, resources, role, unavailability }: MesosOffer) {
    const { agents } = this.#options;
    if (!agents.isWanted(attributes)) return REFUSE_UNWANTED;
    agents.plan(agentId, unavailability);
    const agent = agents.find(agentId);
    if (agent && agent.lostAt === undefined && agents.away(agent) !== undefined) return REFUSE_AWAY;
    const { cpus, memoryMb } = capacityOf(resources);
    // Ports, say, that were left over.
    if (cpus === 0 && memoryMb === 0) return 0;
    // What was allocated to two roles cannot be used together.
    if (this.#options.roles.length === 1) return undefined;
    const isOther = this.#held.values().some((one) => one.agentId === agentId && one.role !== role);
    return isOther ? 0 : undefined;
  }
}
