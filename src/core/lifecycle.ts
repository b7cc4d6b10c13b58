import type { AttemptState, JobState, TaskState } from './model.ts';

type Moves<S extends string> = Readonly<Record<S, readonly S[]>>;

export const JOB_MOVES: Moves<JobState> = {
  accepted: ['running', 'successful', 'failed', 'dismissed'],
  running: ['successful', 'failed', 'dismissed'],
  successful: [],
  failed: [],
  dismissed: [],
};

export const TASK_MOVES: Moves<TaskState> = {
  ready: ['running'],
  running: ['finished', 'failed', 'ready'],
  finished: [],
  failed: [],
};

/** Engines may skip news, so an attempt can end without ever having been seen running. */
export const ATTEMPT_MOVES: Moves<AttemptState> = {
  launched: ['running', 'finished', 'failed', 'lost', 'killed'],
  running: ['finished', 'failed', 'lost', 'killed'],
  finished: [],
  failed: [],
  lost: [],
  killed: [],
};

export const canMove = <S extends string>(moves: Moves<S>, from: S, to: S): boolean =>
  moves[from].includes(to);

/** @returns `to` @throws Error for a move that the table does not allow: a defect, not a user's fault */
export function legalMove<S extends string>(moves: Moves<S>, from: S, to: S): S {
  if (!canMove(moves, from, to)) throw new Error(`an illegal move from ${from} to ${to}`);
  return to;
}

export const isTerminal = <S extends string>(moves: Moves<S>, state: S): boolean =>
  moves[state].length === 0;

export const isJobEnded = (state: JobState): boolean => isTerminal(JOB_MOVES, state);
export const isAttemptEnded = (state: AttemptState): boolean => isTerminal(ATTEMPT_MOVES, state);
