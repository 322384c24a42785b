/** Where the files of one pod lie on the host, and what is written there about the pod itself. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readJsonFile, writeJsonFile } from './container-record.ts';

/** What outlives a crash of the agent. */
export interface PodRecord {
  readonly namespace: string;
  readonly name: string;
  readonly ip: string;
  readonly startedAtMs: number;
}

/** A pod's own folder on the node. */
export class PodFolder {
  readonly path: string;

  constructor(root: string, uid: string) {
    this.path = `${root}/pods/${uid}`;
    mkdirSync(this.path, { recursive: true, mode: 0o700 });
  }

  get volumes(): string {
    return `${this.path}/volumes`;
  }

  /** The pod's /etc/hosts; written in place, because containers have it mounted. */
  get hosts(): string {
    return `${this.path}/hosts`;
  }

  container(name: string): string {
    return `${this.path}/containers/${name}`;
  }

  /** The log of one instance of a container. */
  log(name: string, instance: number): string {
    return `${this.container(name)}/logs/${instance}.log`;
  }

  readRecord(): PodRecord | undefined {
    return readJsonFile<PodRecord>(`${this.path}/pod.json`);
  }

  writeRecord(record: PodRecord): void {
    writeJsonFile(`${this.path}/pod.json`, record);
  }

  writeHosts(text: string): void {
    // why: a write in place empties the file first, and on a full disk it would stay so
    if (!existsSync(this.hosts) || readFileSync(this.hosts, 'utf8') !== text) writeFileSync(this.hosts, text);
  }
}
