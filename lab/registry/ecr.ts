import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A registry of Amazon ECR in front of the lab's private one, on a single host. */
export interface Ecr {
  /** Where the host pulls, e.g. `123456789012.dkr.ecr.us-east-1.amazonaws.com`. */
  readonly host: string;
  /** Changes the instance profile of the host: its role, null without one, and whether that may log in. */
  setProfile(profile: { role: string | null; allowed: boolean }): Promise<void>;
}

const HOST = '123456789012.dkr.ecr.us-east-1.amazonaws.com';
const API = 'api.ecr.us-east-1.amazonaws.com';
const FOLDER = '/run/lab-ecr';

/**
 * Starts ECR on a host, until it reboots; `run` runs a command there as root. `registry`
 * (`host:port`) is what answers behind ECR, `login` (`user:password`) what it asks for.
 */
export async function startEcr(
  run: (command: string) => Promise<string>,
  { registry, login }: { registry: string; login: string },
): Promise<Ecr> {
  const setProfile: Ecr['setProfile'] = async ({ role, allowed }) => {
    await run(`echo '${JSON.stringify({ allowed, registry, login })}' > ${FOLDER}/state.json`);
    const change =
      "import json, sys; print(json.dumps({**json.load(sys.stdin), 'role': json.loads(sys.argv[1])}))";
    const file = '/etc/lab/metadata.json';
    await run(
      `python3 -c "${change}" '${JSON.stringify(role)}' < ${file} > ${file}.new && mv ${file}.new ${file}`,
    );
  };
  const program = readFileSync(join(import.meta.dirname, 'ecr.py')).toString('base64');
  await run(`mkdir -m 0700 ${FOLDER} && echo ${program} | base64 -d > ${FOLDER}/ecr.py`);
  await setProfile({ role: null, allowed: false });
  const certificate = [
    'openssl req -x509 -nodes -days 2 -subj /CN=lab -newkey ec -pkeyopt ec_paramgen_curve:prime256v1',
    `-addext subjectAltName=DNS:${API},DNS:${HOST} -keyout key.pem -out certificate.pem 2> /dev/null`,
  ].join(' ');
  await run(`cd ${FOLDER} && ${certificate} && cat key.pem certificate.pem > both.pem
    cp certificate.pem /usr/local/share/ca-certificates/lab-ecr.crt && update-ca-certificates > /dev/null 2>&1
    echo '127.0.0.1 ${API} ${HOST}' >> /etc/hosts
    systemd-run --quiet --unit=lab-ecr python3 ${FOLDER}/ecr.py ${FOLDER}/state.json ${FOLDER}/both.pem
    timeout 10 bash -c 'until (: < /dev/tcp/127.0.0.1/443) 2> /dev/null; do sleep 0.1; done'`);
  return { host: HOST, setProfile };
}
