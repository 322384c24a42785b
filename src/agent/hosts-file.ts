/** The text of a pod's /etc/hosts. Knows names and addresses only. */
import type { Pod } from '../kube/pod.ts';

export interface AddressedPod {
  readonly pod: Pod;
  readonly ip: string;
}

const HEADER = '# Written by the Athanor agent: names of this pod and of the pods that share its subdomain.';

/** Localhost, the pod itself, and every pod of its namespace with the same subdomain. */
export function formatHosts(self: AddressedPod, others: readonly AddressedPod[]): string {
  const peers = others.filter((other) => isPeer(self.pod, other.pod));
  const entries = [self, ...peers].map(({ pod, ip }) => `${ip}\t${listHostNames(pod).join(' ')}`);
  const locals = ['127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback'];
  return `${[HEADER, ...locals, ...entries].join('\n')}\n`;
}

function isPeer(self: Pod, other: Pod): boolean {
  if (self.metadata.uid === other.metadata.uid || self.spec.subdomain === undefined) return false;
  return self.metadata.namespace === other.metadata.namespace && self.spec.subdomain === other.spec.subdomain;
}

/** The pod's own host name. */
export function hostNameOf(pod: Pod): string {
  return (pod.spec.hostname ?? pod.metadata.name).slice(0, 63);
}

function listHostNames(pod: Pod): string[] {
  const host = hostNameOf(pod);
  const { subdomain } = pod.spec;
  if (subdomain === undefined) return [host];
  const inNamespace = `${host}.${subdomain}.${pod.metadata.namespace ?? 'default'}`;
  return [`${inNamespace}.svc.cluster.local`, `${inNamespace}.svc`, inNamespace, `${host}.${subdomain}`, host];
}
