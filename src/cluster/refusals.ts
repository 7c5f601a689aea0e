import type { DesiredCluster } from './desired.ts';
import type { NodeObservation } from './observation.ts';
import { majorOfTag } from './spec.ts';

const isRunningPrimary = (node: NodeObservation): boolean => node.postgres?.inRecovery === false;
const isStoppedPrimary = (node: NodeObservation): boolean =>
  node.postgres === null && !node.standby && node.data === 'complete';

/**
 * The primary is a fact of the databases, not of the node's number: the one node not in recovery; if
 * none runs, the one whose data is not a replica's. Null: no node holds a cluster.
 */
export function findPrimary(observed: readonly NodeObservation[]): string | null {
  const candidates = [
    observed.filter(isRunningPrimary),
    observed.filter(isStoppedPrimary),
    observed.filter((node) => node.data === 'unrecorded' && !node.standby),
  ];
  return candidates.find((nodes) => nodes.length > 0)?.[0]?.name ?? null;
}

/** Reasons to touch nothing, each with the way out. */
export function findRefusals(
  observed: readonly NodeObservation[],
  desired: DesiredCluster,
): string[] {
  return [
    ...refuseSeveralPrimaries(observed),
    ...refuseLostPrimary(observed),
    ...refuseForeignData(observed),
    ...refuseTimelineAhead(observed),
    ...refuseMajorChange(observed, desired),
  ];
}

/** What is recorded of the data that is there; a record that outlived its data says nothing. */
const recordOf = ({ data, record }: NodeObservation) => (data === 'complete' ? record : null);
const listNames = (nodes: readonly NodeObservation[]): string =>
  nodes.map(({ name }) => name).join(' and ');

function refuseSeveralPrimaries(observed: readonly NodeObservation[]): string[] {
  const running = observed.filter(isRunningPrimary);
  if (running.length > 1) {
    return [
      `${listNames(running)} are both primary. Decide which one holds the rows you want, stop PostgreSQL on the other and move its data directory aside; the next run clones it again.`,
    ];
  }
  const stopped = observed.filter(isStoppedPrimary);
  if (running.length === 1 && stopped.length > 0) {
    return [
      `${listNames(running)} is primary, and ${listNames(stopped)}, which does not answer, holds a primary's data as well: started, it would be a second primary. Look there for rows that ${listNames(running)} lacks, then move its data directory aside; the next run clones it again.`,
    ];
  }
  if (stopped.length > 1) {
    return [
      `${listNames(stopped)} each hold the data of a primary and none is running. Start PostgreSQL on the one that was primary last and move the other's data directory aside.`,
    ];
  }
  const unrecorded = observed.filter(({ data, standby }) => data === 'unrecorded' && !standby);
  if (running.length + stopped.length === 0 && unrecorded.length > 1) {
    return [
      `${listNames(unrecorded)} each hold data without a record, so an unfinished deploy cannot be told from foreign data. Move the data directory of all but one aside.`,
    ];
  }
  return [];
}

function refuseLostPrimary(observed: readonly NodeObservation[]): string[] {
  const withData = observed.filter(({ data }) => data === 'complete' || data === 'unrecorded');
  if (withData.length === 0 || findPrimary(observed) !== null) return [];
  return [
    `No node is primary, but ${listNames(withData)} hold a replica's data, so a new cluster must not be initialised. Bring the old primary's volume back, or promote the most advanced replica.`,
  ];
}

function refuseForeignData(observed: readonly NodeObservation[]): string[] {
  const identified = observed.flatMap((node) => {
    const identifier = node.postgres?.systemIdentifier ?? recordOf(node)?.systemIdentifier;
    return identifier === undefined ? [] : [{ name: node.name, identifier }];
  });
  if (new Set(identified.map(({ identifier }) => identifier)).size <= 1) return [];
  const list = identified.map(({ name, identifier }) => `${name} ${identifier}`).join(', ');
  return [
    `The nodes belong to different database clusters (system identifiers: ${list}). Detach the volume that does not belong here, or move its data directory aside.`,
  ];
}

function refuseTimelineAhead(observed: readonly NodeObservation[]): string[] {
  const primary = observed.find(isRunningPrimary)?.postgres;
  if (!primary) return [];
  return observed
    .filter(({ postgres }) => postgres !== null && postgres.timeline > primary.timeline)
    .map(
      (node) =>
        `${node.name} is on timeline ${node.postgres?.timeline}, ahead of the primary's ${primary.timeline}: it was promoted once and may hold rows the primary lacks. Compare them before you move its data directory aside.`,
    );
}

function refuseMajorChange(
  observed: readonly NodeObservation[],
  desired: DesiredCluster,
): string[] {
  const wanted = majorOfTag(desired.image.slice(desired.image.lastIndexOf(':') + 1));
  const found = observed.map(recordOf).find((record) => record !== null)?.major;
  if (wanted === null || found === undefined || wanted === found) return [];
  return [
    `image-tag asks for PostgreSQL ${wanted}, the data is PostgreSQL ${found}'s, which ${wanted} cannot read. Stay on a ${found} image; for a major upgrade create a second cluster and move the data with logical replication or pg_dump.`,
  ];
}
