/*  pages - the files of page/, and Chart.js as Debian packages it (libjs-chart.js). */
#include "base/embed.h"
#include "monitor.h"

#define PAGE(name, path) EMBED (page_##name, path)

PAGE (index, "services/monitor/page/index.html")
PAGE (style, "services/monitor/page/style.css")
PAGE (icon, "services/monitor/page/icon.svg")
PAGE (main, "services/monitor/page/main.js")
PAGE (data, "services/monitor/page/data.js")
PAGE (dom, "services/monitor/page/dom.js")
PAGE (charts, "services/monitor/page/charts.js")
PAGE (overview, "services/monitor/page/overview.js")
PAGE (episodes, "services/monitor/page/episodes.js")
PAGE (episode, "services/monitor/page/episode.js")
PAGE (services, "services/monitor/page/services.js")
PAGE (compare, "services/monitor/page/compare.js")
PAGE (library, "/usr/share/javascript/chart.js/chart.min.js")

#define HTML     "text/html; charset=utf-8"
#define SCRIPT   "text/javascript; charset=utf-8"
#define OF(name) page_##name, page_##name##_end

const web_page_t pages[] = {{"/", HTML, OF (index)},
                            {"/style.css", "text/css; charset=utf-8", OF (style)},
                            {"/icon.svg", "image/svg+xml", OF (icon)},
                            {"/main.js", SCRIPT, OF (main)},
                            {"/data.js", SCRIPT, OF (data)},
                            {"/dom.js", SCRIPT, OF (dom)},
                            {"/charts.js", SCRIPT, OF (charts)},
                            {"/overview.js", SCRIPT, OF (overview)},
                            {"/episodes.js", SCRIPT, OF (episodes)},
                            {"/episode.js", SCRIPT, OF (episode)},
                            {"/services.js", SCRIPT, OF (services)},
                            {"/compare.js", SCRIPT, OF (compare)},
                            {"/chart.min.js", SCRIPT, OF (library)},
                            {0}};
