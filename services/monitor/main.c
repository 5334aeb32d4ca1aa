/*  quintet-monitor - a web page of what runs do, and metrics for Prometheus.
 *
 *  The story: it listens to every event of the bus, as a tap does, and looks at the folders of runs
 *  (monitor.c). A browser asks for a run's numbers and episodes, then read from the folder
 *  (api.c, runs.c), and streams what changes. Prometheus gets what services say, added up by their
 *  kind (scrape.c, tally.c). Nothing can be changed through it, and no run waits for it.
 */
#include "monitor.h"

static const svc_t service = {
    .name = "monitor",
    .about = "Shows runs and services in a browser, and as metrics for Prometheus (/metrics).\n"
             "A bus need not be there: then it shows what the runs' folders hold. One that was\n"
             "named (--bus, --keys) and does not let it in is an error.\n"
             "\n"
             "  quintet-monitor --runs runs\n"
             "  quintet-monitor --bus tcp://10.0.0.1:5550 --listen '*:8080' --token-file token\n",
    .options = {{"--runs", "DIR", "runs", "folder of runs; '': the bus alone"},
                {"--listen", "HOST:PORT", "127.0.0.1:8080",
                 "where browsers find it; '*': anywhere"},
                {"--token-file", "FILE", "",
                 "holds the token that is asked for; needed where other hosts reach the address"},
                {"--insecure", NULL, NULL,
                 "without a token: let in everybody who reaches it, from other hosts too"},
                {"--hosts", "NAMES", "",
                 "names by which browsers may call it, besides localhost and addresses"}},
    .open = monitor_open,
    .joined = monitor_joined,
    .close = monitor_close,
    .on_item = monitor_on_item,
    .work = monitor_work,
    .status = monitor_status,
    .refused = monitor_refused,
};

int main (int argc, char **argv)
{
    return svc_main (&service, argc, argv);
}
