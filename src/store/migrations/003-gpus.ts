/** GPUs of attempts; null where they have none. */
export const sqlite = `
ALTER TABLE attempts ADD COLUMN gpus INTEGER CHECK (gpus > 0);
`;
