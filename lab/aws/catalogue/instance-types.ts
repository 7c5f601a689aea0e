/** What EC2 reports about an instance type. Memory is in MiB. */
export interface InstanceType {
  readonly name: string;
  readonly architecture: 'x86_64' | 'arm64';
  readonly vcpus: number;
  readonly memory: number;
  readonly hypervisor: 'xen' | 'nitro';
  readonly burstable: boolean;
  readonly currentGeneration: boolean;
  readonly threadsPerCore: number;
}

interface Family {
  readonly architecture: 'x86_64' | 'arm64';
  readonly hypervisor: 'xen' | 'nitro';
  /** Size to [vCPUs, memory in GiB]. */
  readonly sizes: { readonly [size: string]: readonly [number, number] };
}

type Sizes = Family['sizes'];

const T2: Sizes = {
  nano: [1, 0.5],
  micro: [1, 1],
  small: [1, 2],
  medium: [2, 4],
  large: [2, 8],
  xlarge: [4, 16],
  '2xlarge': [8, 32],
};
const T3: Sizes = { ...T2, nano: [2, 0.5], micro: [2, 1], small: [2, 2] };
const scale = (gibPerVcpu: number, smallest: readonly string[] = []): Sizes => ({
  ...(smallest.includes('medium') && { medium: [1, gibPerVcpu] }),
  large: [2, 2 * gibPerVcpu],
  xlarge: [4, 4 * gibPerVcpu],
  '2xlarge': [8, 8 * gibPerVcpu],
  '4xlarge': [16, 16 * gibPerVcpu],
  '8xlarge': [32, 32 * gibPerVcpu],
});
const C5: Sizes = { large: [2, 4], xlarge: [4, 8], '2xlarge': [8, 16], '4xlarge': [16, 32] };

const intel = (sizes: Sizes): Family => ({ architecture: 'x86_64', hypervisor: 'nitro', sizes });
const graviton = (sizes: Sizes): Family => ({ architecture: 'arm64', hypervisor: 'nitro', sizes });
const xen = (sizes: Sizes): Family => ({ architecture: 'x86_64', hypervisor: 'xen', sizes });

const FAMILIES: { readonly [family: string]: Family } = {
  t2: xen(T2),
  m4: xen({ large: [2, 8], xlarge: [4, 16], '2xlarge': [8, 32], '4xlarge': [16, 64] }),
  r4: xen({ large: [2, 15.25], xlarge: [4, 30.5], '2xlarge': [8, 61], '4xlarge': [16, 122] }),
  t3: intel(T3),
  t3a: intel(T3),
  t4g: graviton(T3),
  c5: intel(C5),
  c6i: intel(scale(2)),
  c6g: graviton(scale(2, ['medium'])),
  c7g: graviton(scale(2, ['medium'])),
  m5: intel(scale(4)),
  m5a: intel(scale(4)),
  m6i: intel(scale(4)),
  m7i: intel(scale(4)),
  m6g: graviton(scale(4, ['medium'])),
  m7g: graviton(scale(4, ['medium'])),
  r5: intel(scale(8)),
  r6i: intel(scale(8)),
  r7i: intel(scale(8)),
  r6g: graviton(scale(8, ['medium'])),
  r7g: graviton(scale(8, ['medium'])),
};

/** What EC2 reports about an instance type, or undefined if the emulator's list does not have it. */
export function findInstanceType(name: string): InstanceType | undefined {
  const [familyName = '', size = ''] = name.split('.');
  const family = Object.hasOwn(FAMILIES, familyName) ? FAMILIES[familyName] : undefined;
  const shape =
    family !== undefined && Object.hasOwn(family.sizes, size) ? family.sizes[size] : undefined;
  if (family === undefined || shape === undefined) return undefined;
  const [vcpus, memory] = shape;
  // Graviton and the small t2 sizes have one thread per core.
  const single = family.architecture === 'arm64' || familyName === 't2' || vcpus === 1;
  return {
    name,
    architecture: family.architecture,
    vcpus,
    memory: memory * 1024,
    hypervisor: family.hypervisor,
    burstable: familyName.startsWith('t'),
    currentGeneration: !['m4', 'r4'].includes(familyName),
    threadsPerCore: single ? 1 : 2,
  };
}

/** The names of all instance types in the emulator's list. */
export function listInstanceTypes(): string[] {
  return Object.entries(FAMILIES).flatMap(([name, { sizes }]) =>
    Object.keys(sizes).map((size) => `${name}.${size}`),
  );
}

/** Zones with old hardware: they offer only the listed types that run on Xen. */
const XEN_ONLY_ZONES = ['us-east-1e'];

/** Whether a zone offers the instance type. A plan does not notice if it does not; RunInstances does. */
export function isOffered(type: InstanceType, zone: string): boolean {
  return type.hypervisor === 'xen' || !XEN_ONLY_ZONES.includes(zone);
}
