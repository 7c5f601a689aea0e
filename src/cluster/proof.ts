import type { ArchiverObservation, FileSystemObservation } from './observation.ts';
import type { Canary, Verification } from './rehearsal.ts';

/** Capacity and use of a file system, in bytes. */
export type SpaceUse = Pick<FileSystemObservation, 'capacityBytes' | 'usedBytes'>;

/** What one node answered when replication was tested. */
export interface NodeProof {
  readonly name: string;
  readonly role: 'primary' | 'replica';
  /** Private address, as the other nodes reach it. */
  readonly address: string;
  /** `streaming` for a replica that follows, `running` for a primary, otherwise what is wrong. */
  readonly state: string;
  readonly timeline: number | null;
  /** Write position of the primary, replay position of a replica. */
  readonly lsn: string | null;
  /** Bytes of WAL that the replica has not replayed yet; null on the primary. */
  readonly lagBytes: number | null;
  /** Age of the replica's last replayed commit while it lags, seconds; null on the primary. */
  readonly lagSeconds: number | null;
  readonly replayPaused: boolean;
  /** Whether the value that this run wrote on the primary was read here. */
  readonly tokenRead: boolean;
  readonly slot: string | null;
  readonly systemIdentifier: string | null;
  /** Null where this node archives nothing. */
  readonly archiver: ArchiverObservation | null;
  /** The WAL segment that was archived for the proof; null where the cluster has no backups, and on replicas. */
  readonly archivedWal: string | null;
  /** What a rehearsal compares with its restore; null unless it was asked for, and on replicas. */
  readonly canary: Canary | null;
  /** What the verification of a rehearsal found; null on every other node. */
  readonly verification: Verification | null;
  /** Capacity and use of the data volume, in bytes; null where it was not measured. */
  readonly storage: SpaceUse | null;
  /** Why this node does not prove replication, or null when it does. */
  readonly problem: string | null;
}

/** The `state` of a node that the proof leaves out because it cannot be reached. */
export const NOT_PROVED = 'not proved: cannot be reached';

/** Returns everything that contradicts the proof; empty when replication works. */
export function findProofProblems(proof: readonly NodeProof[], nodes: readonly string[]): string[] {
  const silent = nodes.filter((name) => !proof.some((node) => node.name === name));
  const primaries = proof.filter(({ role }) => role === 'primary');
  const identifiers = new Set(proof.map(({ systemIdentifier }) => systemIdentifier));
  return [
    ...silent.map((name) => `${name}: gave no answer`),
    ...(primaries.length === 1 ? [] : [`${primaries.length} primaries, expected one`]),
    ...(identifiers.size > 1 ? ['the nodes belong to different database clusters'] : []),
    ...proof.flatMap((node) => {
      if (node.problem !== null) return [`${node.name}: ${node.problem}`];
      if (node.replayPaused) return [`${node.name}: replay is paused`];
      if (!node.tokenRead) return [`${node.name}: the value written on the primary was not read`];
      if (node.role === 'replica' && node.state !== 'streaming')
        return [`${node.name}: ${node.state}`];
      return [];
    }),
  ];
}
