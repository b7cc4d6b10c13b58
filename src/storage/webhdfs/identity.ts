import type { StorageAccess } from '../storage.ts';

/** Delegation tokens of one storage. */
export interface Tokens {
  /** One that is good for a while. @throws PushbroomError */
  current(): Promise<string>;
  /** Told of one that was not accepted: the next is another, if there is one. */
  refused(token: string): void;
}

/** Who asks. */
export interface Identity {
  /** In words. */
  readonly who: string;
  parameters(): Promise<Readonly<Record<string, string>>>;
  /** Told that they were not accepted. @returns whether there may be others now */
  refused(parameters: Readonly<Record<string, string>>): boolean;
}

/** The query parameters `delegation` and `user.name` ("WebHDFS REST API", Authentication). */
export function identityOf({ token, user }: StorageAccess, tokens?: Tokens): Identity {
  if (tokens) {
    return {
      who: 'this delegation token',
      parameters: async () => ({ delegation: await tokens.current() }),
      refused({ delegation }) {
        if (delegation === undefined) return false;
        tokens.refused(delegation);
        return true;
      },
    };
  }
  const parameters = {
    ...(token === undefined ? user !== undefined && { 'user.name': user } : { delegation: token }),
  };
  const named = user === undefined ? 'a user without a name' : `the user '${user}'`;
  return {
    who: token === undefined ? named : 'this delegation token',
    parameters: async () => parameters,
    refused: () => false,
  };
}
