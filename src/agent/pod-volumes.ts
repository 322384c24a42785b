/** The volumes of one pod as folders of the host: made before its containers start, kept fresh while they run. */
import { chmodSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hashJson } from '../base/json.ts';
import type { Container, Pod, Volume } from '../kube/pod.ts';
import { StatusError } from '../kube/status-error.ts';
import { type Payload, writeAtomicFolder } from './atomic-folder.ts';
import type { NodeFacts } from './downward.ts';
import type { AgentContext } from './options.ts';
import type { Mount } from './plan-mounts.ts';
import { gatherPayload, type TokenRequest } from './volume-payload.ts';

interface Token {
  readonly token: string;
  readonly renewAtMs: number;
}

/** A pod's volumes, from their making to their removal. */
export class PodVolumes {
  readonly #context: AgentContext;
  readonly #folder: string;
  readonly #tokens = new Map<string, Token>();
  readonly #versions = new Map<string, string>();

  constructor(context: AgentContext, folder: string) {
    this.#context = context;
    this.#folder = folder;
  }

  /** Makes every volume, or brings its files up to date. @throws StatusError naming the volume that cannot be had. */
  async prepare(pod: Pod, facts: NodeFacts): Promise<void> {
    for (const volume of pod.spec.volumes ?? []) {
      try {
        await this.#prepareVolume(volume, pod, facts);
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new StatusError('Invalid', `MountVolume.SetUp failed for volume "${volume.name}" : ${why}`, { cause });
      }
    }
  }

  /** The mounts that a container's spec asks for. @throws Invalid for a mount without volume or with a bad path. */
  listMounts(pod: Pod, container: Container): Mount[] {
    return (container.volumeMounts ?? []).map((mount) => {
      const volume = pod.spec.volumes?.find(({ name }) => name === mount.name);
      const target = mount.mountPath.replace(/\/+$/, '');
      if (volume === undefined || !/^\/[^/]/.test(target)) {
        throw new StatusError(
          'Invalid',
          `cannot mount volume ${mount.name} at '${mount.mountPath}': no such volume or path`,
        );
      }
      const source = this.#findSource(volume, mount.subPath);
      const type = statSync(source).isDirectory() ? 'folder' : 'file';
      const readOnly = mount.readOnly === true || isPayload(volume);
      return { target, source, type, readOnly };
    });
  }

  #pathOf({ name, hostPath }: Volume): string {
    return hostPath?.path ?? `${this.#folder}/${name}`;
  }

  #findSource(volume: Volume, subPath = ''): string {
    if (subPath.startsWith('/') || subPath.split('/').includes('..')) {
      throw new StatusError('Invalid', `cannot mount subPath '${subPath}': it must be relative and without '..'`);
    }
    const path = subPath === '' ? this.#pathOf(volume) : `${this.#pathOf(volume)}/${subPath}`;
    if (!existsSync(path)) mkdirSync(path, { recursive: true });
    return path;
  }

  async #prepareVolume(volume: Volume, pod: Pod, facts: NodeFacts): Promise<void> {
    if (volume.hostPath) return prepareHostPath(volume.hostPath);
    const { client } = this.#context.options;
    if (volume.emptyDir) {
      mkdirSync(this.#pathOf(volume), { recursive: true });
      chmodSync(this.#pathOf(volume), 0o777);
      return;
    }
    const getToken = (request: TokenRequest) => this.#getToken(pod, request);
    const payload = await gatherPayload(volume, { client, pod, facts, getToken });
    if (payload === undefined) {
      throw new StatusError(
        'Invalid',
        'the agent knows emptyDir, hostPath, configMap, secret and projected volumes only',
      );
    }
    const version = hashPayload(payload);
    if (this.#versions.get(volume.name) === version) return;
    const path = this.#pathOf(volume);
    if (!this.#versions.has(volume.name)) rmSync(path, { recursive: true, force: true });
    await writeAtomicFolder(path, payload, version);
    this.#versions.set(volume.name, version);
  }

  /** Kept until 80 % of its life is over, as a kubelet does. */
  async #getToken({ metadata, spec }: Pod, { audience, expirationSeconds }: TokenRequest): Promise<string> {
    const { client, clock } = this.#context.options;
    const key = `${audience ?? ''} ${expirationSeconds}`;
    const held = this.#tokens.get(key);
    if (held !== undefined && clock.nowMs() < held.renewAtMs) return held.token;
    const account = `serviceaccounts/${spec.serviceAccountName ?? 'default'}`;
    const path = `/api/v1/namespaces/${metadata.namespace ?? 'default'}/${account}/token`;
    const answer = await client.request<{ readonly status: { readonly token: string } }>('POST', path, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        ...(audience !== undefined && { audiences: [audience] }),
        expirationSeconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: metadata.name, uid: metadata.uid },
      },
    });
    const { token } = answer.status;
    this.#tokens.set(key, { token, renewAtMs: clock.nowMs() + expirationSeconds * 800 });
    return token;
  }
}

/** True for volumes whose files the agent writes; containers never may. */
function isPayload(volume: Volume): boolean {
  return (volume.configMap ?? volume.secret ?? volume.projected) !== undefined;
}

function hashPayload(payload: Payload): string {
  return hashJson([...payload].map(([path, { content, mode }]) => [path, content.toString('base64'), mode]));
}

const HOST_PATH_CHECKS: Readonly<Record<string, (path: string) => boolean>> = {
  Directory: (path) => statSync(path).isDirectory(),
  File: (path) => statSync(path).isFile(),
  Socket: (path) => statSync(path).isSocket(),
  CharDevice: (path) => statSync(path).isCharacterDevice(),
  BlockDevice: (path) => statSync(path).isBlockDevice(),
};

function prepareHostPath({ path, type = '' }: NonNullable<Volume['hostPath']>): void {
  if (type === 'DirectoryOrCreate') mkdirSync(path, { recursive: true });
  if (type === 'FileOrCreate' && !existsSync(path)) writeFileSync(path, '');
  if (!existsSync(path)) throw new StatusError('NotFound', `hostPath ${path} does not exist`);
  if (HOST_PATH_CHECKS[type]?.(path) === false) throw new StatusError('Invalid', `hostPath ${path} is not a ${type}`);
}
