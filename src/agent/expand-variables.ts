/** Kubernetes' $(NAME) expansion in env values, command and args. Knows no containers. */

/** `$(NAME)` becomes the value, `$$` a dollar sign; a name without value is left as it stands. */
export function expandVariables(text: string, values: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\$(\$|\(([^()]*)\))/g, (whole, _inner: string, name: string | undefined) => {
    if (name === undefined) return '$';
    return values.get(name) ?? whole;
  });
}
