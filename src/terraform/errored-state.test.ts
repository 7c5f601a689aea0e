import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CancelledError } from '../messages/errors.ts';
import {
  type ErroredState,
  isStateUnsaved,
  refuseErroredState,
  rescueState,
} from './errored-state.ts';

let state: ErroredState;
let file: string;
beforeEach(() => {
  const directory = mkdtempSync(join(tmpdir(), "errored state's-"));
  file = join(directory, 'errored.tfstate');
  state = { directory, keep: join(directory, 'kept', 'here'), command: 'tofu' };
  writeFileSync(file, '{"serial":2}', { mode: 0o644 });
  writeFileSync(join(directory, 'backend.tf.json'), '{}');
});
afterEach(() => rmSync(state.directory, { recursive: true, force: true }));

/** Creates a push that fails this many times. */
function createPush(failures: number) {
  const pushed: string[] = [];
  const push = async (path: string) => {
    pushed.push(readFileSync(path, 'utf8'));
    if (pushed.length <= failures) throw new Error('ExpiredToken');
  };
  return { pushed, options: { push, waits: [0, 1, 1] } };
}

test.each([0, 2])('a state is pushed after %d failures', async (failures) => {
  const { pushed, options } = createPush(failures);
  expect(await rescueState(state, options)).toMatchObject({ saved: true });
  expect(pushed).toEqual(Array.from({ length: failures + 1 }, () => '{"serial":2}'));
  expect(existsSync(file)).toBe(false);
  expect(existsSync(state.keep)).toBe(false);
  await refuseErroredState(state);
});

test('a state that cannot be pushed is copied for this user alone, with the backend file', async () => {
  const rescue = await rescueState(state, createPush(3).options);
  expect(rescue?.saved).toBe(false);
  const quoted = state.keep.replace("'", "'\\''");
  expect(rescue?.message).toContain(
    `cd '${quoted}' && tofu init && tofu state push errored.tfstate; then delete the folder.\nExpiredToken`,
  );
  const kept = join(state.keep, 'errored.tfstate');
  expect(readFileSync(kept, 'utf8')).toBe('{"serial":2}');
  expect(statSync(kept).mode & 0o777).toBe(0o600);
  expect(existsSync(join(state.keep, 'backend.tf.json'))).toBe(true);
  await expect(refuseErroredState(state)).rejects.toThrow(
    /kept\/here\/errored\.tfstate is the state/,
  );
});

test('a state that cannot be copied stays in place, and the message says so', async () => {
  writeFileSync(join(state.directory, 'kept'), '');
  const rescue = await rescueState(state, createPush(3).options);
  expect(rescue?.saved).toBe(false);
  expect(rescue?.message).toMatch(/ENOTDIR.*It is in .*errored\.tfstate\. Copy it now/);
  expect(readFileSync(file, 'utf8')).toBe('{"serial":2}');
  expect(await isStateUnsaved(state)).toBe(true);
  rmSync(join(state.directory, 'kept'));
  await rescueState(state, createPush(3).options);
  expect(await isStateUnsaved(state)).toBe(false);
});

test('files of a checkout are removed from the folder of the copy', async () => {
  const elsewhere = join(state.directory, 'elsewhere');
  mkdirSync(elsewhere);
  writeFileSync(join(elsewhere, 'evil.tf'), '');
  mkdirSync(join(state.directory, 'kept'));
  symlinkSync(elsewhere, state.keep);
  await refuseErroredState({ ...state, directory: elsewhere });
  await rescueState(state, createPush(3).options);
  expect(readdirSync(elsewhere)).toEqual(['evil.tf']);
  expect(readdirSync(state.keep).sort()).toEqual(['backend.tf.json', 'errored.tfstate']);

  rmSync(join(state.keep, 'errored.tfstate'));
  symlinkSync('nowhere', join(state.keep, 'errored.tfstate'));
  await expect(refuseErroredState(state)).rejects.toThrow(/is in the repository, delete it there/);
});

test('an unsaved state stops the next apply', async () => {
  await expect(refuseErroredState(state)).rejects.toThrow(/was not saved in the backend/);
  rmSync(file);
  await refuseErroredState(state);
  expect(await rescueState(state, createPush(0).options)).toBeNull();
});

test('a cancel copies the state and leaves it for the post step', async () => {
  const push = async () => {
    throw new CancelledError('terraform state');
  };
  await expect(rescueState(state, { push })).rejects.toThrow(CancelledError);
  const kept = join(state.keep, 'errored.tfstate');
  expect([existsSync(file), existsSync(kept)]).toEqual([true, true]);
  expect(await rescueState(state, createPush(0).options)).toMatchObject({ saved: true });
  expect([existsSync(file), existsSync(kept)]).toEqual([false, false]);
  await refuseErroredState(state);
});
