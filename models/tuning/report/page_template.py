"""The page about a search, as a Jinja template. Code, not a file beside it: a change re-runs the stage that writes the page."""

TEMPLATE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ headline }}</title>
<style>
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; color: #1f2933; background: #fff;
  margin: 0 auto; max-width: 1080px; padding: 24px 20px 60px; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .4em; }
h2 { font-size: 1.15rem; margin: 2.2em 0 .3em; padding-top: .6em; border-top: 1px solid #e4e7eb; }
p { margin: .3em 0 .8em; max-width: 75ch; }
.lead { font-size: 1.15rem; }
.note { color: #52606d; }
.warning { border-left: 4px solid #d55e00; padding: .1em 0 .1em .8em; }
dl { display: flex; flex-wrap: wrap; gap: 10px 34px; margin: 1.2em 0 0; }
dt { color: #52606d; font-size: .85rem; }
dd { margin: 0; font-size: 1.1rem; font-weight: 600; }
.scroll { overflow-x: auto; }
.all { max-height: 75vh; overflow: auto; border: 1px solid #e4e7eb; }
svg { display: block; width: 100%; height: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .88rem; }
th, td { padding: 4px 10px; text-align: left; vertical-align: top; border-bottom: 1px solid #e4e7eb; white-space: nowrap; }
th { font-weight: 600; background: #f5f7fa; }
.all thead th { position: sticky; top: 0; }
td.number, th.number { text-align: right; }
td.error { white-space: normal; min-width: 24ch; overflow-wrap: anywhere; }
tr.best td, tr.best th { background: #fdeee3; }
tr.own td, tr.own th { background: #e8f2f9; }
details pre { margin: .3em 0; font-size: .8rem; white-space: pre-wrap; max-width: 60ch; }
code { font-size: .92em; }
</style>
</head>
<body>
<h1>Search for hyperparameters</h1>
<p class="lead">{{ headline }}</p>
<dl>
{% for name, value in facts %}
<div><dt>{{ name }}</dt><dd>{{ value }}</dd></div>
{% endfor %}
</dl>

<h2>Settings</h2>
<div class="scroll"><table>
<thead><tr><th scope="col">setting</th><th scope="col">the config's own</th>
{% if found %}<th scope="col">{{ found }}{{ "" if improved else ", the best other" }}</th>{% endif %}
<th scope="col">searched</th></tr></thead>
<tbody>
{% for row in settings %}
<tr><th scope="row"><code>{{ row.name }}</code></th><td>{{ row.own }}</td>
{% if found %}<td>{% if row.differs %}<strong>{{ row.found }}</strong>{% else %}{{ row.found }}{% endif %}</td>{% endif %}
<td class="note">{{ row.searched }}</td></tr>
{% endfor %}
{% for row in results %}
<tr><th scope="row">{{ row.name }}</th><td>{{ row.own }}</td>{% if found %}<td>{{ row.found }}</td>{% endif %}<td></td></tr>
{% endfor %}
</tbody></table></div>
<p class="note">A dash: not searched in that trial, as its condition is not met. Bold: unlike the config's own.</p>

{% macro figure(chart, without) %}
{% if chart %}
<div class="scroll"><div style="min-width: {{ chart.width_px * 7 // 10 }}px">{{ chart.svg }}</div></div>
{% else %}<p class="note">{{ without }}</p>{% endif %}
{% endmacro %}
<h2>Best so far</h2>
{{ figure(charts.best_so_far, "No trial has a score.") }}

<h2>What mattered</h2>
{% if charts.importance %}
<p>How much of the differences between trials each setting explains, interactions with others included, over the whole space: by
a random forest on {{ importances.num_trials }} trials. It explains {{ explained }} of the differences between trials that it
has not seen.</p>
{% if not importances.reliable %}
<p class="warning">Unreliable: that is too little to tell what mattered from chance. More trials help; or the settings hardly
matter within these ranges.</p>
{% endif %}
{% endif %}
{{ figure(charts.importance, without_importances) }}

<h2>All settings at once</h2>
{% if charts.parallel %}<p>Each line is a trial: the darker, the better. What matters most stands beside the result. Orange:
{{ found or "none" }}; blue: the config's own. A gap: not searched in this trial.
{% if num_hidden %}The {{ num_hidden }} least important settings are left out.{% endif %}</p>{% endif %}
{{ figure(charts.parallel, "No trial has a score.") }}

<h2>By epoch</h2>
{% if charts.course %}<p>{{ course_name }} after each epoch{{ "" if course_name == score_name else
  ", which is measured then and comes closest to the objective" }}.</p>{% endif %}
{{ figure(charts.course, "No trial has come through an epoch.") }}

<h2>Trials</h2>
<div class="all" tabindex="0" role="region" aria-label="All trials"><table>
<thead><tr><th scope="col" class="number">number</th><th scope="col">trial</th><th scope="col" class="number">rank</th>
<th scope="col">state</th>
{% for name in metric_names %}<th scope="col" class="number">{{ name }}</th>{% endfor %}
<th scope="col" class="number">seconds</th><th scope="col" class="number">epochs</th>
{% for row in settings %}<th scope="col">{{ row.name }}</th>{% endfor %}
<th scope="col">by epoch</th><th scope="col">remark</th></tr></thead>
<tbody>
{% for row in trials %}
<tr class="{{ row.look }}"><td class="number">{{ row.number }}</td><th scope="row">{{ row.id }}</th>
<td class="number">{{ row.rank }}</td><td>{{ row.state }}</td>
{% for value in row.metrics %}<td class="number">{{ value }}</td>{% endfor %}
<td class="number">{{ row.seconds }}</td><td class="number">{{ row.epochs }}</td>
{% for value in row.chosen %}<td>{{ value }}</td>{% endfor %}
<td>{% if row.course %}<details><summary>show</summary>{% for name, values in row.course %}<pre>{{ name }}: {{ values }}</pre>
{% endfor %}</details>{% endif %}</td><td class="error">{{ row.remark }}</td></tr>
{% endfor %}
</tbody></table></div>
<p class="note">The same as tables: trials.csv, epochs.csv. Everything for programs: tuning.json.</p>
</body>
</html>
"""
