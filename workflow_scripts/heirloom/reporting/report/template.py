"""The page of the report: structure and looks. Values are escaped where they are put in."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --ink: #1b2430; --quiet: #586472; --line: #d9dee3; --page: #fff; --shade: #f4f6f8;
  --accent: #b03a4e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaee; --quiet: #a3afbb; --line: #3a444f; --page: #14191f;
  --shade: #1d242c; --accent: #f08a9a; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 78rem; padding: 1.2rem 1rem 3rem; color: var(--ink); background: var(--page);
  font: 16px/1.55 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: .4rem 0 .6rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .5rem; padding-top: .8rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.02rem; margin: 1.6rem 0 .4rem; }
p { max-width: 46rem; margin: .5rem 0; }
a { color: inherit; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; padding: 0; margin: .8rem 0; }
nav li, .note, figcaption { font-size: .9rem; color: var(--quiet); }
.note, figcaption { max-width: 46rem; }
.question { font-style: italic; color: var(--quiet); }
.answer { font-weight: 600; border-left: 3px solid var(--accent); padding-left: .8rem; }
.scroll { overflow-x: auto; margin: .6rem 0; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-size: .86rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .5rem .7rem; font-weight: 600; }
th { text-align: left; vertical-align: bottom; min-width: 3.6rem; background: var(--shade);
  border-bottom: 1px solid var(--line); }
th, td { padding: .32rem .55rem; } td { white-space: nowrap; }
tbody tr + tr td { border-top: 1px solid var(--line); }
.number { text-align: right; } .clear td:nth-last-child(-n+2) { font-weight: 600; }
figure { margin: 1.2rem 0 1.8rem; }
.picture { overflow-x: auto; background: #fff; border: 1px solid var(--line); border-radius: 6px; padding: .4rem; }
.picture img { display: block; height: auto; width: 100%; }
.wide img { min-width: 40rem; } .sheets { display: flex; flex-wrap: wrap; gap: 0 1.6rem; align-items: flex-start; }
.sheets figure { max-width: 100%; }
.sheets figcaption { width: 0; min-width: 100%; } .narrow { width: fit-content; max-width: 100%; }
.narrow img { width: auto; max-width: 100%; max-height: 70rem; }
.tall { width: fit-content; max-width: 100%; } .tall img { width: auto; max-width: 100%; }
figcaption { margin-top: .5rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.2rem; margin: .6rem 0; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; min-width: 0; }
code, pre { font: .86rem/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
pre { background: var(--shade); padding: .7rem .9rem; overflow-x: auto; border-radius: 6px; }
@media (max-width: 36rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; }
  h1 { font-size: 1.4rem; } }
@page { size: A4; margin: 15mm; }
@media print {
  :root { color-scheme: light; --ink: #000; --quiet: #444; --line: #bbb; --page: #fff; --shade: #f2f2f2;
    --accent: #b03a4e; }
  body { font-size: 10pt; max-width: none; padding: 0; } nav { display: none; }
  h2, h3, caption, thead { break-after: avoid; } h2 { margin-top: 1.4rem; }
  figure, tr, .answer { break-inside: avoid; } .sheets { display: block; }
  .scroll { overflow: visible; border: 0; } .picture { overflow: visible; border: 0; padding: 0; }
  .picture img { min-width: 0; max-height: 225mm; max-width: 100%; object-fit: contain; object-position: left top; }
  table { font-size: 7.5pt; } th, td { padding: .15rem .4rem; white-space: normal; } .digest { word-break: break-all; }
  pre { white-space: pre-wrap; }
}
"""

TEMPLATE = """\
{% macro table(content) %}
<div class="scroll" tabindex="0" role="group" aria-label="{{ content.title }}">
<table>
<caption>{{ content.title }}</caption>
<thead><tr>
{% for name in content.head %}
<th scope="col"{% if loop.index0 >= content.texts %} class="number"{% endif %}>{{ name }}</th>
{% endfor %}
</tr></thead>
<tbody>
{% for row in content.rows %}
<tr{% if row.clear %} class="clear"{% endif %}>
{%- for cell in row.cells %}<td class="{{ 'text' if loop.index0 < content.texts else 'number' }}
{%- if content.digest == loop.index0 %} digest{% endif %}">{{ cell }}</td>{% endfor -%}
</tr>
{% endfor %}
</tbody>
</table>
</div>
{% endmacro %}
{% macro picture(figure, kind) %}
<figure id="{{ figure.name }}">
<div class="picture {{ kind }}" tabindex="0" role="group" aria-label="{{ figure.title }}"><img src="{{ figure.source }}"
 alt="{{ figure.title }}" width="{{ figure.width }}" height="{{ figure.height }}"></div>
<figcaption><strong>{{ figure.title }}.</strong> {{ figure.caption }}</figcaption>
</figure>
{% endmacro %}
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ title }}</title>
<link rel="icon" href="data:,">
<style>{{ style }}</style>
</head>
<body>
<header>
<h1>{{ title }}</h1>
<p class="note">Study <strong>{{ study }}</strong>: {{ experiments | length }} experiment
{{- '' if experiments | length == 1 else 's' }}, {{ seeds }}.</p>
<nav aria-label="Sections"><ul>
{% for experiment in experiments %}<li><a href="#{{ experiment.anchor }}">{{ experiment.name }}</a></li>
{% endfor %}
{% for anchor, name in sections %}<li><a href="#{{ anchor }}">{{ name }}</a></li>
{% endfor %}
</ul></nav>
</header>
<main>
{% for experiment in experiments %}
<section id="{{ experiment.anchor }}">
<h2>{{ experiment.name }}</h2>
<p class="question">{{ experiment.question }}</p>
<p class="answer">{{ experiment.short_answer }}</p>
{% for paragraph in experiment.answer %}<p>{{ paragraph }}</p>
{% endfor %}
{% for content in experiment.tables %}{{ table(content) }}{% endfor %}
</section>
{% else %}
<p>The study measured nothing.</p>
{% endfor %}
{% if experiments %}<p class="note">{{ note }}</p>{% endif %}

<section id="figures">
<h2>Figures</h2>
{% for figure in figures %}{{ picture(figure, "wide") }}{% endfor %}
</section>
{% if published %}
<section id="published">
<h2>Published numbers</h2>
<p>What others published, beside what this study measured. Reproduced: the 95 % interval holds the published number.
Within tolerance: it does not, but the rate is no further off than config/published.yaml allows, with its reason.</p>
{% for content in published %}{{ table(content) }}{% endfor %}
</section>
{% endif %}
{% if attention %}
<section id="attention">
<h2>Where models look</h2>
<div class="sheets">
{% for figure in attention %}{{ picture(figure, "tall") }}{% endfor %}
</div>
</section>
{% endif %}
{% if sheets %}
<section id="contact-sheets">
<h2>What the defects look like</h2>
<div class="sheets">
{% for figure in sheets %}{{ picture(figure, "narrow") }}{% endfor %}
</div>
</section>
{% endif %}
<section id="data">
<h2>Data check</h2>
<p>What each prepared data set holds. Copies are images whose stored pixels are equal; a copy of a test image among the
training images makes a test too easy.</p>
{{ table(data) }}
{% for line in licences %}<p class="note">{{ line }}</p>
{% endfor %}
</section>

<section id="provenance">
<h2>Provenance</h2>
<dl>
{% for name, value in facts %}<dt>{{ name }}</dt><dd>{{ value }}</dd>
{% endfor %}
</dl>
{{ table(models) }}
{{ table(cards) }}
<p class="note">Each model's card.json says more: body, normalisation, recipe, device, what was planted.</p>
</section>

<section id="costs">
<h2>Costs</h2>
<p>What the jobs took on the machine that ran them: the one part of this page, with the versions above, that differs
from machine to machine.</p>
{{ table(costs) }}
</section>

<section id="again">
<h2>Run it again</h2>
<pre><code>{{ command }}</code></pre>
<p class="note">The same study, seeds and code give the same numbers on a CPU. All rows with every column:
tables/summary.html and tables/summary.parquet beside this page.</p>
</section>
</main>
</body>
</html>
"""
