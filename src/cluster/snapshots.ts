/** Daily snapshots of the data volumes, which AWS makes and deletes by itself. */
export interface SnapshotSpec {
  /** Snapshots of each volume that are kept. */
  readonly keep: number;
  /** When they begin, in UTC, e.g. `03:00`. */
  readonly time: string;
  /** ARN of the policy that limits the role that makes them; null: none. */
  readonly permissionsBoundary: string | null;
}
