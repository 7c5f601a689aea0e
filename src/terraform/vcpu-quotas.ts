/** A quota of EC2 for the vCPUs of running on-demand instances. */
export interface VcpuQuota {
  /** As Service Quotas names it. */
  readonly name: string;
  readonly code: string;
}

const STANDARD = [
  'L-1216C47A',
  'Standard (A, C, D, H, I, M, R, T, Z)',
  ...['a', 'c', 'd', 'h', 'i', 'im', 'is', 'm', 'r', 't', 'z'],
] as const;

/** Code, name and families of each quota ("Amazon EC2 endpoints and quotas"). A family is a type's first letters. */
const QUOTAS: readonly (readonly [string, string, ...string[]])[] = [
  STANDARD,
  ['L-6E869C2A', 'DL', 'dl'],
  ['L-74FC7D96', 'F', 'f'],
  ['L-DB2E81BA', 'G and VT', 'g', 'gr', 'vt'],
  ['L-F7808C92', 'HPC', 'hpc'],
  ['L-43DA4232', 'High Memory', 'u'],
  ['L-1945791B', 'Inf', 'inf'],
  ['L-417A185B', 'P', 'p'],
  ['L-2C3B7624', 'Trn', 'trn'],
  ['L-7295265B', 'X', 'x'],
];

/** Returns the quota that an instance type counts against, e.g. `t3.medium`; null for a family that is not known. */
export function findVcpuQuota(type: string): VcpuQuota | null {
  const family = /^[a-z]+/.exec(type)?.[0] ?? '';
  for (const [code, name, ...families] of QUOTAS) {
    if (families.includes(family)) return { name: `Running On-Demand ${name} instances`, code };
  }
  return null;
}
