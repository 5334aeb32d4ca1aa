/*  quintet-environment - plays groups: claims them, drives their episodes, commits their results.
 *
 *  The story: a group waits in the store; it is claimed under a lease (environment.c). Its task
 *  becomes G equal episodes (group.c). Each turn, every acting role's prompts go to an agent as
 *  one request (prompt.c), with tokenizers fetched by hash (tokenizers.c); the completions are the
 *  actions; what the turn added is stored. Where a program of the user's own plays the episodes, it
 *  says before each turn who acts and sees what (steps.c, programs.c). The finished episodes are
 *  scored by the reward service, and the whole is committed once (result.c). Many groups are under
 *  way at once, none waits for another.
 */
#include "environment.h"

static const svc_t service = {
    .name = "environment",
    .about =
        "Plays episodes: claims groups from Redis, asks agents to act and the reward service to\n"
        "score, commits what came out. Start as many as you like, anywhere.\n"
        "\n"
        "  quintet-environment --bus tcp://10.0.0.1:5550 --redis tcp://10.0.0.1:6379\n"
        "  quintet-environment ... --program 'python3 my_env.py'\n",
    .redis = true,
    .options = {{"--groups", "N", "32", "groups played at once"},
                {"--program", "PROGRAM", "", "that plays the episodes of runs which ask for it"},
                {"--workers", "N", "2", "processes of it"},
                {"--act-timeout", "S", "90",
                 "seconds an agent has to answer; once it was late, as many as the run waits"}},
    .open = environment_open,
    .close = environment_close,
    .on_item = environment_on_item,
    .work = environment_work,
    .status = environment_status,
};

int main (int argc, char **argv)
{
    return svc_main (&service, argc, argv);
}
