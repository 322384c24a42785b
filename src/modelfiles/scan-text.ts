/** Texts: JSON, YAML, templates, programs. Knows which of them are more than data. */
import { isJsonObject } from '../base/json.ts';
import type { Tell } from './finding.ts';
import type { Scan } from './scan-context.ts';

/** What a template needs to reach Python behind it (CVE-2024-34359); text of a conversation has none of these. */
const TEMPLATE_CODE =
  /__\w+__|\|\s*attr\b|\bmro\b|\bfunc_globals\b|\bgi_frame\b|\b(lipsum|cycler|joiner)\s*[.[]|\\x5f|\\u005f/;
const PROGRAM = /\.(py|pyc|ipynb|sh|bash|js|mjs|ts|rb|pl|ps1|bat|cmd|lua|r|jl|c|cc|cpp|cu|h)$/i;
const TEMPLATE = /\.(jinja2?|j2)$/i;
const VALUES_DEPTH_MAX = 64;

/** Looks at a template that renders conversations. */
export function scanTemplate(template: string, tell: Tell, where = ''): void {
  tell('chat-template', 'a Jinja template', where);
  const code = TEMPLATE_CODE.exec(template)?.[0];
  if (code !== undefined) tell('template-code', code, where);
}

/** Looks at a text; says which kind it is. */
export function scanText(text: string, { name, tell }: Scan): string {
  if (TEMPLATE.test(name)) {
    scanTemplate(text, tell);
    return 'jinja';
  }
  if (PROGRAM.test(name) || text.startsWith('#!')) {
    tell('source-code', name);
    return 'source';
  }
  const first = text.trimStart().charAt(0);
  if ((first === '{' || first === '[') && scanJson(text, tell)) return 'json';
  const tag = /!!python\/[\w/:.]*/.exec(text)?.[0];
  if (tag !== undefined) tell('yaml-code', tag);
  return /\.ya?ml$/i.test(name) ? 'yaml' : 'text';
}

function scanJson(text: string, tell: Tell): boolean {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return false;
  }
  findTemplates(value, tell, 0);
  return true;
}

/** `chat_template` is a text, or a list of named ones. */
function findTemplates(value: unknown, tell: Tell, depth: number): void {
  if (depth > VALUES_DEPTH_MAX) return;
  if (Array.isArray(value)) for (const item of value) findTemplates(item, tell, depth + 1);
  if (!isJsonObject(value)) return;
  for (const [key, item] of Object.entries(value)) {
    if (/template$/.test(key) && typeof item === 'string' && item.includes('{')) scanTemplate(item, tell, key);
    else findTemplates(item, tell, depth + 1);
  }
}
