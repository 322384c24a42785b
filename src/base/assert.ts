/** Programmer errors. Knows nothing of users' mistakes: those are StatusErrors of the kube room. */

/** Thrown where the program itself is wrong; it ends this request or this reconcile, never the process. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** @throws AssertionError when `condition` is false; `message` says what was believed. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Marks a branch that the types already rule out. @throws AssertionError always. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable value ${JSON.stringify(value)}`);
}
