import { add, amountText, asResources, nothing } from '../core/amount.ts';
import type { Amount } from '../core/amount.ts';
import { Heap } from '../core/heap.ts';
import type {
  AttemptId,
  EngineId,
  Millis,
  NodeId,
  Offer,
  OfferId,
  Resources,
} from '../core/model.ts';
import { Recent } from '../core/recent.ts';
import { OfferGone } from '../engines/engine.ts';
import type { AttemptNews, Engine, EngineEvent, Launch } from '../engines/engine.ts';
import type { Assignment } from '../runner/assignment.ts';
import type { Clock } from '../scheduler/clock.ts';

export interface SimulatedNode extends Resources {
  readonly name: NodeId;
  readonly rack?: string;
  readonly pool?: string;
}

/** How an attempt goes if nobody stops it. */
export interface Course {
  readonly duration: Millis;
  readonly end: AttemptNews;
}

export interface SimulatedEngineOptions {
  readonly id: EngineId;
  readonly clock: Clock;
  /** Ends are told at multiples of so many milliseconds, as with the heartbeats of real engines; 0: at once. */
  readonly heartbeat: Millis;
  courseOf(assignment: Assignment, resources: Resources, node: SimulatedNode): Course;
}

/** An attempt's stay on a node. */
interface Stay {
  readonly attemptId: AttemptId;
  readonly node: SimulatedNode;
  readonly resources: Resources;
  /** When its end is told, if nothing comes between. */
  readonly to: Millis;
  readonly end: AttemptNews;
}

interface NodeState {
  readonly node: SimulatedNode;
  /** Neither running nor offered. */
  readonly spare: Amount;
  readonly offers: Map<OfferId, Resources>;
  readonly running: Set<AttemptId>;
}

/** Of so many ended attempts the engine still knows at least. */
const REMEMBERED = 50_000;
/** Tenths of a processor do not add up exactly. */
const EPSILON = 1e-6;

/**
 * A resource manager whose attempts only take their time. It outlives the schedulers that it serves: attempts run on
 * while nobody listens.
 */
export class SimulatedEngine implements Engine {
  readonly id: EngineId;
  /** The last launch that asked for more than was offered; it was refused. */
  defect: Error | undefined;
  readonly #options: SimulatedEngineOptions;
  readonly #nodes = new Map<NodeId, NodeState>();
  readonly #running = new Map<AttemptId, Stay>();
  readonly #ended = new Recent<AttemptId, AttemptNews>(REMEMBERED);
  readonly #ends = new Heap<Stay>((a, b) => a.to < b.to);
  #alarm: { readonly at: Millis; readonly cancel: () => void } | undefined;
  #offerCount = 0;
  #emit: (event: EngineEvent) => void = () => undefined;

  constructor(options: SimulatedEngineOptions) {
    this.id = options.id;
    this.#options = options;
  }

  async run(emit: (event: EngineEvent) => void, signal: AbortSignal): Promise<void> {
    this.#emit = emit;
    for (const state of this.#nodes.values()) {
      takeBack(state, state.offers.keys());
      this.#tellUp(state);
    }
    this.#offer(this.#nodes.values());
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    if (this.#emit === emit) this.#emit = () => undefined;
  }

  /** A node that is there already stays as it is. */
  join(node: SimulatedNode): void {
    if (this.#nodes.has(node.name)) return;
    const { cpus, memoryMb, gpus = 0 } = node;
    const spare = { cpus, memoryMb, gpus };
    const state = { node, spare, offers: new Map(), running: new Set<AttemptId>() };
    this.#nodes.set(node.name, state);
    this.#tellUp(state);
    this.#offer([state]);
  }

  /** What runs on the node is lost. */
  leave(name: NodeId): void {
    const state = this.#nodes.get(name);
    if (!state) return;
    this.#nodes.delete(name);
    this.#emit({ type: 'nodeDown', engine: this.id, node: name });
    const failure = { kind: 'engine', message: `node ${name} is gone` } as const;
    for (const id of state.running) {
      this.#end(this.#running.get(id)!, { state: 'lost', result: { failure } });
    }
  }

  async launch({ node, offerIds, attempts }: Launch): Promise<void> {
    const state = this.#nodes.get(node);
    const isGone = !state || offerIds.some((id) => !state.offers.has(id));
    if (state) takeBack(state, offerIds);
    if (isGone) {
      if (state) this.#offer([state]);
      throw new OfferGone(`an offer of ${node} is gone`);
    }
    const fresh = attempts.filter(({ assignment }) => !this.#newsOf(assignment.attemptId));
    const { spare } = state;
    const wanted = nothing();
    for (const { resources } of fresh) add(wanted, resources, 1);
    if (
      wanted.cpus > spare.cpus + EPSILON ||
      wanted.memoryMb > spare.memoryMb + EPSILON ||
      wanted.gpus > spare.gpus
    ) {
      this.defect = new Error(
        `${amountText(wanted)} do not fit into an offer of ${amountText(spare)} on ${node}`,
      );
      throw this.defect;
    }
    for (const attempt of fresh) this.#start(state, attempt);
    this.#offer([state]);
    this.#setAlarm();
  }

  async kill(attemptId: AttemptId): Promise<void> {
    const stay = this.#running.get(attemptId);
    if (!stay) return;
    this.#end(stay, { state: 'killed' });
    this.#offer([this.#nodes.get(stay.node.name)!]);
  }

  async reconcile(ids: readonly AttemptId[]): Promise<ReadonlyMap<AttemptId, AttemptNews>> {
    return new Map(ids.map((id) => [id, this.#newsOf(id) ?? { state: 'lost' }]));
  }

  #newsOf(attemptId: AttemptId): AttemptNews | undefined {
    if (this.#running.has(attemptId)) return { state: 'running' };
    return this.#ended.get(attemptId);
  }

  #start(state: NodeState, { assignment, resources }: Launch['attempts'][number]): void {
    const { node } = state;
    const { clock, heartbeat, courseOf } = this.#options;
    const { duration, end } = courseOf(assignment, resources, node);
    const { attemptId } = assignment;
    const over = Math.round(clock.now() + duration);
    const to = heartbeat > 0 ? Math.ceil(over / heartbeat) * heartbeat : over;
    const stay: Stay = { attemptId, node, resources, to, end };
    add(state.spare, resources, -1);
    state.running.add(attemptId);
    this.#running.set(attemptId, stay);
    this.#ends.push(stay);
    // As in real engines, what is over at once is never seen running.
    if (duration > heartbeat) this.#tell(attemptId, { state: 'running' });
  }

  #end(stay: Stay, news: AttemptNews): void {
    const { attemptId, node, resources } = stay;
    this.#running.delete(attemptId);
    this.#ended.set(attemptId, news);
    const state = this.#nodes.get(node.name);
    if (state?.running.delete(attemptId)) add(state.spare, resources, 1);
    this.#tell(attemptId, news);
  }

  /** All that is due ends, and what it leaves free is offered in one piece of news. */
  #endDue(): void {
    this.#alarm = undefined;
    const now = this.#options.clock.now();
    const touched = new Set<NodeState>();
    for (let stay = this.#ends.peek(); stay && stay.to <= now; stay = this.#ends.peek()) {
      this.#ends.pop();
      if (this.#running.get(stay.attemptId) !== stay) continue;
      this.#end(stay, stay.end);
      touched.add(this.#nodes.get(stay.node.name)!);
    }
    this.#offer(touched);
    this.#setAlarm();
  }

  #setAlarm(): void {
    const at = this.#ends.peek()?.to;
    if (at === undefined || (this.#alarm && this.#alarm.at <= at)) return;
    this.#alarm?.cancel();
    this.#alarm = { at, cancel: this.#options.clock.wakeAt(at, () => this.#endDue()) };
  }

  #offer(states: Iterable<NodeState>): void {
    const offers: Offer[] = [];
    for (const state of states) {
      const { cpus, memoryMb, gpus } = state.spare;
      const resources = asResources({ cpus: tidy(cpus), memoryMb: tidy(memoryMb), gpus });
      if (resources.cpus <= 0 || resources.memoryMb <= 0) continue;
      this.#offerCount += 1;
      const id = `offer-${this.#offerCount}`;
      state.offers.set(id, resources);
      add(state.spare, resources, -1);
      offers.push({ id, engine: this.id, node: state.node.name, resources });
    }
    if (offers.length > 0) this.#emit({ type: 'offered', offers });
  }

  #tellUp({ node: { name, rack, pool, ...resources } }: NodeState): void {
    this.#emit({
      type: 'nodeUp',
      engine: this.id,
      node: name,
      resources,
      ...(rack !== undefined && { rack }),
      ...(pool !== undefined && { pool }),
    });
  }

  #tell(attemptId: AttemptId, { state: to, result }: AttemptNews): void {
    this.#emit({
      type: 'attemptMoved',
      engine: this.id,
      attemptId,
      to,
      ...(result && { result }),
    });
  }
}

function takeBack(state: NodeState, offerIds: Iterable<OfferId>): void {
  for (const id of offerIds) {
    const offered = state.offers.get(id);
    if (!offered) continue;
    add(state.spare, offered, 1);
    state.offers.delete(id);
  }
}

const tidy = (amount: number): number => Math.round(amount * 1e6) / 1e6;
