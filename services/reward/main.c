/*  quintet-reward - scores finished episodes.
 *
 *  The story: a score request has a task and the histories of its episodes; they are scored on
 *  worker threads (workers.c), each with a sandbox or the user's own program (scorer.c), and joined
 *  with speed and coordination cost (lib/task/reward.c). The loop only takes requests and sends
 *  replies. What was answered is remembered for a while, and costs nothing when it is asked again.
 */
#include "service.h"

static const svc_t service = {
    .name = "reward",
    .about =
        "Scores finished episodes: runs code against hidden tests in a sandbox, checks texts,\n"
        "or asks a scorer program of yours; adds speed and coordination cost.\n"
        "\n"
        "  quintet-reward --bus tcp://10.0.0.1:5550 --workers 4\n"
        "  quintet-reward --bus tcp://10.0.0.1:5550 --command 'python3 my_scorer.py'\n",
    .credit = 256,
    .options = {{"--workers", "N", "2", "episodes scored at once"},
                {"--command", "PROGRAM", "", "the scorer program that runs may ask for"},
                {"--modules", "NAMES", "", "what programs may import besides Python's own: a,b"},
                {"--sandbox", "WALL", "landlock",
                 "what programs are locked with besides seccomp: landlock, or runsc in gVisor, "
                 "which has no Landlock"},
                {"--passages", "PATH", "",
                 "a folder of texts, or lines of JSON, in which runs may look things up"},
                {"--judge", "'URL MODEL KEY_ENV'", "",
                 "the server that runs may ask for a part of the quality, and the variable of the "
                 "environment that holds its key"}},
    .routes = {{"score", reward_on_score}},
    .open = reward_open,
    .close = reward_close,
    .on_item = reward_on_item,
    .work = reward_work,
    .status = reward_status,
};

int main (int argc, char **argv)
{
    return svc_main (&service, argc, argv);
}
