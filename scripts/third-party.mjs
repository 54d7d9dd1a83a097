import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The licences of the packages that modules are of, as text: who hands on a bundle hands on those, too.
 *
 * @param root where `node_modules` is
 * @param modules paths that may have `node_modules/` in them
 */
export function licencesOf(root, modules) {
  const folders = new Set(modules.flatMap((path) => {
    const [, folder] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path) ?? [];
    return folder === undefined ? [] : [folder];
  }));
  const parts = [...folders].toSorted((a, b) => (a < b ? -1 : 1)).map((folder) => {
    const place = join(root, 'node_modules', folder);
    const { name, version, license } = JSON.parse(readFileSync(join(place, 'package.json'), 'utf8'));
    const texts = readdirSync(place).filter((file) => /^(licen[cs]e|copying|notice)([.-]|$)/i.test(file)).toSorted().map((file) => readFileSync(join(place, file), 'utf8').trim());
    return [`${name} ${version}, ${license}`, ...texts].join('\n\n');
  });
  return `The bundles beside this file hold code of these packages.\n\n${parts.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}
