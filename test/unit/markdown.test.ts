import { describe, expect, it } from 'vitest';
import { inline } from '../../workflows/procedure/markdown.ts';

describe('text from elsewhere in the details of a run', () => {
  it.each([
    ['anna_b at 2026-11-21T03:00:00.000Z: no', String.raw`anna\_b at 2026-11-21T03:00:00.000Z: no`],
    ['a\n\n# b\u2028c\u001B[2J', String.raw`a  # b c` + '\uFFFD' + String.raw`\[2J`],
    ['[look](http://x) <b> ![i](mailto:a@b)', String.raw`\[look\](http\://x) \<b\> \!\[i\](mailto\:a@b)`],
    ['**b** ~~s~~ $m$ a|b \\', String.raw`\*\*b\*\* \~\~s\~\~ \$m\$ a\|b ` + '\\\\'],
  ])('%j is one line that shows as it is', (text, line) => expect(inline(text)).toBe(line));

  it.each([
    ['send `{"by":"NAME"}`, or `runbook approve ID --by NAME`', 'send `{"by":"NAME"}`, or `runbook approve ID --by NAME`'],
    ['``[a](b)` [c](d) `e', '\\``[a](b)` \\[c\\](d) \\`e'],
  ])('what stands in back quotes stays: %j', (text, line) => expect(inline(text)).toBe(line));
});
