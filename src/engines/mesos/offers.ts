import type { EngineId, Millis, Offer, OfferId } from '../../core/model.ts';
import type { Emit } from '../engine.ts';
import type { Agents } from './agents.ts';
import { decline } from './commands.ts';
import type { Call, MesosOffer } from './protocol.ts';
import { capacityOf } from './resources.ts';

export interface OffersOptions {
  readonly engine: EngineId;
  readonly agents: Agents;
  /** An offer that nothing has used for so many milliseconds goes back. */
  readonly hold: number;
  /** Seconds for which what was given back is not wanted. */
  readonly refuse: number;
  readonly now: () => Millis;
  readonly emit: Emit;
  send(call: Call): void;
  /** Something is offered of an agent that is not known, or not to take tasks. */
  onUnknown(): void;
}

/** Seconds before an agent that is of no use is offered again. */
const REFUSE_UNWANTED = 3600;
const REFUSE_AWAY = 30;

/** What the master offers and nobody has used yet. */
export class Offers {
  readonly #options: OffersOptions;
  readonly #held = new Map<OfferId, MesosOffer>();
  /** Of agents of which the master has to be asked first. */
  readonly #early = new Map<OfferId, MesosOffer>();

  constructor(options: OffersOptions) {
    this.#options = options;
  }

  hear(offers: readonly MesosOffer[]): void {
    // Only agents that take tasks are offered: where we know otherwise, that is old.
    const isOld = ({ agentId }: MesosOffer) =>
      this.#options.agents.find(agentId)?.why !== undefined;
    for (const offer of offers.filter(isOld)) this.#early.set(offer.id, offer);
    this.#sort(offers.filter((offer) => !isOld(offer)));
  }

  #sort(offers: readonly MesosOffer[]): void {
    const { agents, engine, hold, now, emit, refuse } = this.#options;
    const useless = new Map<number, string[]>();
    const good: Offer[] = [];
    const until = now() + hold;
    const held = this.#held.values();
    const roles = new Map(held.map(({ agentId, role }) => [agentId, role]));
    for (const offer of offers) {
      const { id, agentId, resources, role } = offer;
      const refusal = this.#refusalOf(offer, roles);
      if (refusal !== undefined) {
        const ids = useless.get(refusal);
        if (ids) ids.push(id);
        else useless.set(refusal, [id]);
        continue;
      }
      agents.back(agentId);
      const agent = agents.find(agentId);
      if (!agent) {
        this.#early.set(id, offer);
        continue;
      }
      this.#held.set(id, offer);
      roles.set(agentId, role);
      good.push({ id, engine, node: agent.node, resources: capacityOf(resources), until });
    }
    for (const [seconds, ids] of useless) this.#decline(ids, seconds || refuse);
    if (this.#early.size > 0) this.#options.onUnknown();
    if (good.length > 0) void emit({ type: 'offered', offers: good });
  }

  /** Agents are known by now, as far as anybody knows them. */
  retry(): void {
    const early = [...this.#early.values()];
    this.#early.clear();
    for (const offer of early) this.#options.agents.meet(offer);
    this.#sort(early);
  }

  rescind(id: OfferId): void {
    this.#early.delete(id);
    if (!this.#held.delete(id)) return;
    void this.#options.emit({ type: 'rescinded', engine: this.#options.engine, offerIds: [id] });
  }

  /** A new subscription has begun, or none will: old offers are void, whether they are rescinded or not. */
  forget(): void {
    const offerIds = [...this.#held.keys()];
    this.#held.clear();
    this.#early.clear();
    if (offerIds.length === 0) return;
    void this.#options.emit({ type: 'rescinded', engine: this.#options.engine, offerIds });
  }

  /** Ends offers. @returns those that were still valid */
  take(ids: readonly OfferId[]): MesosOffer[] {
    const taken = ids.flatMap((id) => this.#held.get(id) ?? []);
    for (const id of ids) this.#held.delete(id);
    return taken;
  }

  /**
   * Ends offers, and gives those back that cannot be used with the others: Mesos takes none of several agents or roles.
   *
   * @param agentId the one to be used, if some of them are of it
   * @returns of those that were still valid, the ones of one agent and one role
   */
  takeTogether(ids: readonly OfferId[], agentId: string | undefined): MesosOffer[] {
    const taken = this.take(ids);
    const first = taken.find((offer) => offer.agentId === agentId) ?? taken[0];
    const isOther = (offer: MesosOffer) =>
      offer.agentId !== first?.agentId || offer.role !== first.role;
    this.#decline(
      taken.filter(isOther).map(({ id }) => id),
      this.#options.refuse,
    );
    return taken.filter((offer) => !isOther(offer));
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
  #refusalOf(offer: MesosOffer, roles: ReadonlyMap<string, string>): number | undefined {
    const { agentId, attributes, resources, role, unavailability } = offer;
    const { agents } = this.#options;
    if (!agents.isWanted(attributes)) return REFUSE_UNWANTED;
    agents.plan(agentId, unavailability);
    const agent = agents.find(agentId);
    if (agent && agent.lostAt === undefined && agents.away(agent) !== undefined) return REFUSE_AWAY;
    const { cpus, memoryMb } = capacityOf(resources);
    // Ports, say, that were left over.
    if (cpus === 0 && memoryMb === 0) return 0;
    // What was allocated to two roles cannot be used together.
    return (roles.get(agentId) ?? role) === role ? undefined : 0;
  }
}
