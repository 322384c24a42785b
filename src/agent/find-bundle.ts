/** Which bundle an image names, and the command line it gives. Runs nothing. */
import type { Container } from '../kube/pod.ts';

/** What stands in for an image's content on a machine without containers. */
export interface Bundle {
  /** The entrypoint, as in an image: `command` of the spec replaces it. */
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Folders put before PATH. */
  readonly pathPrepend?: readonly string[];
  /** Host folders its program lives in: seen at their own path, read-only, wherever they are. */
  readonly folders?: readonly string[];
}

/** Bundles by image name, with or without tag. */
export type BundleMap = Readonly<Record<string, Bundle>>;

/** The bundle whose name is the whole image, else the image without digest, without tag, or its last path component. */
export function findBundle(image: string, bundles: BundleMap): Bundle | undefined {
  return listNames(image)
    .filter((name) => Object.hasOwn(bundles, name))
    .map((name) => bundles[name])[0];
}

function listNames(image: string): string[] {
  const withoutDigest = image.replace(/@[^@]*$/, '');
  const withoutTag = withoutDigest.replace(/:[^:/]*$/, '');
  return [image, withoutDigest, withoutTag];
}

/** Why an image cannot run here and what would help. */
export function explainUnknownImage(image: string, bundles: BundleMap): string {
  const known = Object.keys(bundles).sort().join(', ');
  return (
    `cannot run image '${image}': this node runs pods as processes and knows only the bundles ${known || '(none)'}; ` +
    `map the image in the agent's configuration ('images'), or run this pod on a Kubernetes cluster`
  );
}

/** Docker's rule: `command` replaces the entrypoint, `args` are appended. */
export function planCommand(container: Container, bundle: Bundle): string[] {
  return [...(container.command ?? bundle.command ?? []), ...(container.args ?? [])];
}
