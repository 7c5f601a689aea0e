import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Aws, startAws } from '../aws/main.ts';
import {
  applyValues,
  openWorkspace,
  readOutputs,
  type Values,
  type Workspace,
} from './workspace.ts';

/** Ids of subnets by the names in the test. */
export type Subnets = { readonly [name: string]: string };

/** The templates against their own AWS, in which an apply is recorded and no machine starts. */
export interface Lab {
  readonly aws: Aws;
  /** Makes and initialises a workspace of the templates; nothing is applied. */
  open(name: string): Promise<Workspace>;
  /** Applies the templates with the values in a new workspace. */
  deploy(name: string, values: Values): Promise<Workspace>;
  /** Makes a VPC with a subnet per entry (name → zone), like a team's existing network; returns the subnets' ids. */
  makeSubnets(network: string, zones: { readonly [name: string]: string }): Promise<Subnets>;
  /** Sets a region's zones, in order, e.g. `fab`; null restores its own. */
  setZones(region: string, letters: string | null): Promise<void>;
  close(): Promise<void>;
}

/** Opens the lab; `world` names its folder under `lab/.out`, which is emptied first. */
export async function openLab(world: string): Promise<Lab> {
  const directory = join(import.meta.dirname, '../.out', world);
  rmSync(directory, { recursive: true, force: true });
  const aws = await startAws({ world, instances: 'none' });
  const { reattach } = aws;
  const open = (name: string) => openWorkspace({ directory: join(directory, name), reattach });
  return {
    aws,
    open,
    async deploy(name, values) {
      const workspace = await open(name);
      await applyValues(workspace, values);
      return workspace;
    },
    async makeSubnets(network, zones) {
      const files = { 'main.tf.json': JSON.stringify(buildNetwork(zones)) };
      const workspace = await openWorkspace({
        directory: join(directory, network),
        reattach,
        files,
      });
      await applyValues(workspace, {});
      return (await readOutputs(workspace)).subnets as Subnets;
    },
    setZones: (region, letters) =>
      aws.edit(({ zones }) => {
        if (letters === null) delete zones[region];
        else zones[region] = [...letters].map((letter) => region + letter);
      }),
    async close() {
      await aws.destroyEverything();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** A configuration in Terraform's JSON: a VPC in us-east-1 with a subnet per entry (name → zone). */
function buildNetwork(zones: { readonly [name: string]: string }): object {
  const names = Object.keys(zones);
  const subnets = names.map((name, index) => [
    name,
    {
      vpc_id: `\${aws_vpc.team.id}`,
      availability_zone: zones[name],
      cidr_block: `10.60.${index}.0/24`,
    },
  ]);
  return {
    terraform: { required_providers: { aws: { source: 'hashicorp/aws' } } },
    provider: { aws: { region: 'us-east-1' } },
    resource: {
      aws_vpc: { team: { cidr_block: '10.60.0.0/16' } },
      aws_subnet: Object.fromEntries(subnets),
    },
    output: {
      subnets: {
        value: Object.fromEntries(names.map((name) => [name, `\${aws_subnet.${name}.id}`])),
      },
    },
  };
}
