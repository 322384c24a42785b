/** Text as one word of a POSIX shell. */

/** The word in single quotes; safe for any text without NUL. */
export function shellQuote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
