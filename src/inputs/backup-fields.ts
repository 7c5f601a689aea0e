import { z } from 'zod';
import { CIPHERS, DAYS } from '../cluster/backup.ts';
import { explain, isClusterName, matching, text, wholeNumber } from './schema-fields.ts';

/** S3 User Guide, "General purpose bucket naming rules". A dot does not match the certificate of a bucket's host. */
const BUCKET = /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/;
/** Folders of letters that need no escaping (S3 User Guide, "Naming Amazon S3 objects"). */
const PREFIX = /^(?:[A-Za-z0-9_-][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?$/;
const MAX_PREFIX = 200;
const HOST = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[1-9]\d{0,4})?$/;
const KEY =
  /^arn:aws(-cn|-us-gov)?:kms:[a-z0-9-]+:\d{12}:(key\/[A-Za-z0-9-]{1,128}|alias\/[A-Za-z0-9/_-]{1,250})$/;
const POLICY = /^arn:aws(-cn|-us-gov)?:iam::(\d{12}|aws):policy\/[A-Za-z0-9_+=,.@/-]{1,512}$/;
const TIME_OF_DAY = /^([01]\d|2[0-3]):[0-5]\d$/;
const MOMENT =
  /^\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

const bucket = matching(
  BUCKET,
  explain('the name of an S3 bucket, of lower-case letters, digits and dashes', 'acme-backups'),
);

const prefix = text(
  (value) => PREFIX.test(value) && value.length <= MAX_PREFIX,
  explain(
    `folders of letters, digits, dots, dashes and underscores, without a slash at either end, at most ${MAX_PREFIX} characters`,
    'postgres/production',
  ),
  { pattern: PREFIX.source, maxLength: MAX_PREFIX },
);

const timeOfDay = (example: string) =>
  matching(TIME_OF_DAY, explain('a time of day in UTC', example));

const boundary = (example: string) =>
  matching(
    POLICY,
    explain('the ARN of an IAM policy', `arn:aws:iam::123456789012:policy/${example}`),
  );

/** A map with these keys only. `example` is one of its lines. */
const map = <Shape extends z.ZodRawShape>(shape: Shape, example: string) =>
  z.strictObject(shape, {
    error: (issue) => {
      const allowed = `Allowed: a map with ${Object.keys(shape).join(', ')}, e.g. ${example}.`;
      return issue.code === 'unrecognized_keys'
        ? `Unknown in it: ${issue.keys.map((key) => JSON.stringify(key.slice(0, 60))).join(', ')}. ${allowed}`
        : allowed;
    },
  });

const endpoint = matching(
  HOST,
  explain('the host of an S3 service, with or without a port, that speaks TLS', 's3.example.com'),
);

const key = matching(
  KEY,
  explain(
    'the ARN of a KMS key',
    'arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab',
  ),
);

const cipher = z.enum(
  CIPHERS,
  explain('none, or aes-256-cbc to encrypt with a key of the secrets', 'aes-256-cbc'),
);

/** The key `backup`: where backups are kept, when they are made and how long they are kept. */
export const backupMap = () =>
  map(
    {
      bucket,
      prefix: prefix.optional(),
      retention_days: wholeNumber(1, 3_650, 14).optional(),
      schedule: map(
        {
          time: timeOfDay('02:30').optional(),
          full_on: z.enum(DAYS, explain('a day of the week', 'sunday')).optional(),
        },
        'time: 02:30',
      ).optional(),
      endpoint: endpoint.optional(),
      kms_key_id: key.optional(),
      cipher: cipher.optional(),
      permissions_boundary: boundary('postgres-cluster-nodes').optional(),
    },
    'bucket: acme-backups',
  );

/** The key `restore`: what a cluster without data begins with. */
export const restoreMap = () =>
  map(
    {
      from: map(
        {
          bucket,
          prefix: prefix.optional(),
          cluster: text(
            isClusterName,
            explain('the name of the cluster that was backed up', 'orders'),
          ),
          endpoint: endpoint.optional(),
          kms_key_id: key.optional(),
          cipher: cipher.optional(),
          permissions_boundary: boundary('postgres-cluster-nodes').optional(),
        },
        'bucket: acme-backups',
      ),
      time: text(
        (value) => MOMENT.test(value) && !Number.isNaN(Date.parse(value)),
        explain('a time with its zone, or nothing for the newest state', '2026-11-26T05:12:00Z'),
        { pattern: MOMENT.source },
      ).optional(),
    },
    'from: {bucket: acme-backups, cluster: orders}',
  );

/** The key `snapshots`: how many snapshots of each data volume are kept, and when they are made. Empty: the defaults. */
export const snapshotsMap = () =>
  map(
    {
      // DLM API Reference, "RetainRule".
      keep: wholeNumber(1, 1_000, 7).optional(),
      time: timeOfDay('03:00').optional(),
      permissions_boundary: boundary('postgres-cluster-snapshots').optional(),
    },
    'keep: 7',
  );
