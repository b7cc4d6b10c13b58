import type { AttemptEnd } from './attempt.ts';
import type { Assignment } from './assignment.ts';

/** From the local engine to one of its runners. */
export type ToRunner =
  | { readonly type: 'run'; readonly assignment: Assignment }
  | { readonly type: 'kill'; readonly attemptId: string };

/** From a runner to its engine. */
export type FromRunner =
  /** A program was started; its process group is to be ended should the runner die. */
  | { readonly type: 'spawned'; readonly attemptId: string; readonly group: number }
  | { readonly type: 'ended'; readonly attemptId: string; readonly end: AttemptEnd };
