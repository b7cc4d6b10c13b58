/** What a runner leaves in its directory, so that it can be found again: a socket to talk to it, and its journal. */
export const runnerFiles = (name: string) => ({
  socket: `${name}.sock`,
  journal: `${name}.ends`,
});

/** @returns undefined for a file that is not a runner's */
export const runnerOf = (file: string): string | undefined =>
  /^(.+)\.(?:sock|ends|ends\.1)$/.exec(file)?.[1];
