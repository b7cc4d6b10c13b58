import { add, nothing } from '../core/amount.ts';
import type { Amount } from '../core/amount.ts';
import type { CoolingOff, NodeKey } from '../core/change.ts';
import type { EngineId, Resources } from '../core/model.ts';
import type { GroupPolicy } from '../core/policy.ts';
import { dominantShare } from '../core/shares.ts';
import type { ShareGroup, Use } from '../core/shares.ts';
import { nodeKey } from '../core/state.ts';
import type { NodeRecord, State } from '../core/state.ts';

/** A node as an operator sees it. */
export interface NodeStatus extends NodeRecord {
  readonly key: NodeKey;
  /** What attempts use there. */
  readonly use: Resources;
  readonly attempts: number;
  /** Why it was taken out of work, where it was. */
  readonly drained?: string;
  readonly coolingOff?: CoolingOff;
}

/** What there is of an engine. */
export interface EngineUse {
  /** That are up. */
  readonly nodes: number;
  /** That have not ended, as far as is known. */
  readonly attempts: number;
}

/** A group of the share tree as an operator sees it. */
export interface GroupStatus {
  /** `''` is the root. */
  readonly path: string;
  readonly policy: GroupPolicy;
  readonly use: Readonly<Use>;
  /** Of the cluster, 0 to 1. */
  readonly share: number;
  /** What it would have if every group wanted all it can get. */
  readonly fairShare: number;
}

export function nodeStatus(state: State): NodeStatus[] {
  const uses = new Map<NodeKey, Amount & { attempts: number }>();
  for (const { attempts } of state.jobs.values()) {
    for (const { attempt, resources } of attempts.values()) {
      const key = nodeKey(attempt.engine, attempt.node);
      const use = uses.get(key) ?? { ...nothing(), attempts: 0 };
      add(use, resources, 1);
      use.attempts += 1;
      uses.set(key, use);
    }
  }
  return Array.from(knownNodes(state), ([key, record]) => {
    const { attempts, ...use } = uses.get(key) ?? { ...nothing(), attempts: 0 };
    const drained = state.drained.get(key);
    const coolingOff = state.cooling.get(key);
    return {
      ...record,
      key,
      use,
      attempts,
      ...(drained !== undefined && { drained }),
      ...(coolingOff && { coolingOff }),
    };
  });
}

/** Those that are up, and drained ones that are not: somebody has to be able to give them back. */
function knownNodes({ nodes, drained }: State): Map<NodeKey, NodeRecord> {
  const known = new Map(nodes);
  for (const key of drained.keys()) {
    const slash = key.indexOf('/');
    const [engine, node] = [key.slice(0, slash), key.slice(slash + 1)];
    if (!known.has(key)) known.set(key, { engine, node, offers: [] });
  }
  return known;
}

/** Attempts are counted also where their nodes are not known yet, as after a start without a cluster. */
export function engineUse({ nodes, jobs }: State, id: EngineId): EngineUse {
  const isIts = ({ engine }: { readonly engine: EngineId }): boolean => engine === id;
  let count = 0;
  for (const { attempts } of jobs.values()) {
    for (const { attempt } of attempts.values()) if (isIts(attempt)) count += 1;
  }
  return { nodes: Array.from(nodes.values()).filter(isIts).length, attempts: count };
}

export function groupStatus({ shares, total }: State): GroupStatus[] {
  const below = (group: ShareGroup, fairShare: number): GroupStatus[] => {
    const weights = group.children.reduce((sum, { policy }) => sum + policy.weight, 0);
    const { path, policy, use } = group;
    return [
      { path, policy, use: { ...use }, share: dominantShare(use, total), fairShare },
      ...group.children.flatMap((child) => {
        const byWeight = (fairShare * child.policy.weight) / weights;
        const { minimumPercent, maximumPercent } = child.policy;
        return below(
          child,
          Math.min(Math.max(byWeight, minimumPercent / 100), maximumPercent / 100),
        );
      }),
    ];
  };
  return below(shares.root, 1);
}
