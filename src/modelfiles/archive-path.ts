/** What is wrong with the name of an archive's entry. */

/** Undefined for a name that stays in its folder. */
export function findPathProblem(name: string): string | undefined {
  if (name === '') return 'it has no name';
  if (/^[/\\]|^[a-zA-Z]:/.test(name)) return 'its path is absolute';
  if (name.split(/[/\\]/).includes('..')) return 'its path leads out of the folder';
  return name.includes('\0') ? 'its path has a NUL' : undefined;
}
