/** What is sent and answered about who may do what, and who did. */
import { Type } from 'typebox';
import type { Static } from 'typebox';

export const AuditQuery = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
    after: Type.Optional(Type.String({ maxLength: 100 })),
    user: Type.Optional(
      Type.String({ maxLength: 500, description: 'Who did it, or on whose behalf' }),
    ),
  },
  { additionalProperties: false },
);

export const AuditRecord = Type.Object({
  time: Type.String({ format: 'date-time' }),
  what: Type.String({ description: "'login', 'execute', ..., or an operator's request" }),
  outcome: Type.String({ description: "'done', or why not" }),
  by: Type.Optional(Type.String({ description: 'Who has logged in, or tried to' })),
  user: Type.Optional(Type.String({ description: 'On whose behalf' })),
  address: Type.String(),
  jobId: Type.Optional(Type.String()),
  target: Type.Optional(Type.String({ description: 'What it was done to' })),
});
export type AuditRecord = Static<typeof AuditRecord>;

export const ShareWish = Type.Object(
  { hours: Type.Integer({ minimum: 1, maximum: 8760, default: 24 }) },
  { additionalProperties: false },
);

export const Share = Type.Object({
  url: Type.String({ description: 'Of the results; whoever has it may read them' }),
  expires: Type.String({ format: 'date-time' }),
});
export type Share = Static<typeof Share>;
