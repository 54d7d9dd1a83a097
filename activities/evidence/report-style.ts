/** The report's style sheet: follows the reader's light or dark setting, and prints in black on white. */
export const REPORT_STYLE = `
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--soft:#5b6672;--line:#d9dee4;--card:#f6f8fa;--ok:#1a7f37;--okbg:#dafbe1;--bad:#b42318;--badbg:#ffe2df;--unsure:#8a5a00;--unsurebg:#fff1cc;--step:#2f6fdb;--gate:#e08a00}
@media (prefers-color-scheme:dark){:root{--bg:#14181d;--fg:#e6eaee;--soft:#9aa5b1;--line:#333c46;--card:#1c2229;--ok:#4cc267;--okbg:#12351d;--bad:#ff8277;--badbg:#46191a;--unsure:#f0b93a;--unsurebg:#3d2e08;--step:#5b97f5;--gate:#f0a32e}}
*{box-sizing:border-box}
body{margin:0 auto;padding:2rem 1.25rem 4rem;max-width:62rem;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2.25rem 0 .6rem;padding-bottom:.25rem;border-bottom:1px solid var(--line)}
p{margin:.35rem 0}.soft{color:var(--soft)}code,pre{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:.88em;overflow-wrap:anywhere}
.banner{border-radius:.5rem;padding:1.1rem 1.25rem;margin-bottom:1rem;border-left:.5rem solid}
.ok{color:var(--ok)}.bad{color:var(--bad)}.unsure{color:var(--unsure)}
.banner.ok{background:var(--okbg);border-color:var(--ok)}.banner.bad{background:var(--badbg);border-color:var(--bad)}.banner.unsure{background:var(--unsurebg);border-color:var(--unsure)}
.banner p{color:var(--fg)}.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:.75rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.8rem 1rem}.card b{display:block;font-size:1.35rem;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .75rem .3rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
th{color:var(--soft);font-weight:600;font-size:.85rem}.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}.word{font-weight:600;white-space:nowrap}
dl{display:grid;grid-template-columns:fit-content(14rem) minmax(0,1fr);gap:.15rem 1rem;margin:.25rem 0}dt{color:var(--soft);min-width:8rem;overflow-wrap:anywhere}
dl dl dl dl{grid-template-columns:minmax(0,1fr);gap:0}dl dl dl dl dd{margin:0 0 .2rem .75rem}dd{margin:0;min-width:0;overflow-wrap:anywhere}
ul{margin:.25rem 0;padding-left:1.2rem}dd>dl,dd>ul{margin:0}.cards+dl{margin-top:.75rem}td.number+td,th.number+th{padding-left:.5rem}svg{display:block;width:100%;height:auto}svg text{fill:var(--fg);font:12px system-ui,sans-serif}svg .axis{fill:var(--soft)}svg .grid{stroke:var(--line)}
svg .step{fill:var(--step)}svg .gate{fill:var(--gate)}svg .failed{fill:var(--bad)}svg .cancelled,svg .skipped{fill:var(--soft)}svg .waiting{fill:var(--unsure)}
.legend{white-space:nowrap;margin-left:.9em}.key{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.3em}
.timeline{overflow-x:auto}
/* A telephone: terms above their texts, rows as blocks, and the timeline scrolls by itself rather than shrink to dust. */
@media screen and (max-width:40rem){body{padding:1rem .75rem 2rem}dl{grid-template-columns:minmax(0,1fr);gap:0}dt{min-width:0}dd{margin:0 0 .4rem .75rem}.timeline svg{width:46rem}
.stack,.stack tbody{display:block}.stack tr{display:flex;flex-wrap:wrap;gap:0 .75rem;padding:.4rem 0;border-bottom:1px solid var(--line)}.stack tr:has(th){display:none}
.stack td{border:0;padding:0;text-align:left;white-space:normal;min-width:0}.stack td:empty{display:none}.stack td.long{flex-basis:100%}.stack td[data-label]::before{content:attr(data-label) " ";color:var(--soft)}}
@media print{:root{--bg:#fff;--fg:#000;--soft:#444;--line:#bbb;--card:#fff;--ok:#1a7f37;--okbg:#fff;--bad:#b42318;--badbg:#fff;--unsure:#8a5a00;--unsurebg:#fff;--step:#2f6fdb;--gate:#e08a00}
body{max-width:none;padding:0;font-size:10pt}h2{break-after:avoid}tr,.card,.banner,svg{break-inside:avoid}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
`;
