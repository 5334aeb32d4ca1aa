/* with: services/reward/ */
/*  How many programs of the built-in coding set are scored in a second, by one worker.
 *
 *      sandbox.start        until a sandbox can run its first program
 *      sandbox.programs     texts as the demo team writes them, right and wrong: forked, tested
 *      sandbox.cpu          CPU time of one of them, in all processes together
 */
#include <jansson.h>
#include <signal.h>
#include <sys/resource.h>

#include "../../services/reward/sandbox.h"
#include "../unit/sandbox_wall.h"
#include "base/clock.h"
#include "base/rng.h"
#include "bench.h"
#include "task/family.h"
#include "task/task.h"

#define PROGRAMS 600

static void must (bool well, const char *what, const err_t *err)
{
    if (well)
        return;
    fprintf (stderr, "bench_sandbox: %s: %s\n", what, err->text);
    exit (1);
}

static json_t *run (void *self, const json_t *request, err_t *err)
{
    return sandbox_run (self, request, err);
}

static episode_t *play (const family_t *family, const task_set_t *set, size_t i)
{
    static const char *const seats[] = {"aux", "main"};
    err_t err = {0};
    const char *task = task_set_get (set, TASK_TRAIN, i % task_set_size (set, TASK_TRAIN));
    json_t *json = json_loads (task, 0, NULL);
    episode_limits_t limits = {.tokens = 72};
    episode_t *episode = episode_new (task, seats, 2, &limits, &err);
    must (episode, "an episode", &err);
    for (size_t seat = 0; seat < 2; seat++) {
        rng_t rng = {.key = rng_key ((uint64_t[]){i, seat}, 2)};
        buf_t text = {0};
        family->imagine (json, seats[seat], &rng, &text);
        episode_action_t action = {.text = text.data, .size = text.size, .tokens = 20};
        must (episode_act (episode, seat, &action, &err) == 0, "an action", &err);
        buf_free (&text);
    }
    must (episode_step (episode, &err) == 0, "a step", &err);
    json_decref (json);
    return episode;
}

/*  Of this process and of its children that have ended. */
static double cpu_s (void)
{
    double sum = 0;
    const int whose[] = {RUSAGE_SELF, RUSAGE_CHILDREN};
    for (size_t i = 0; i < 2; i++) {
        struct rusage used = {0};
        getrusage (whose[i], &used);
        sum += (double) (used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
               (double) (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
    }
    return sum;
}

int main (void)
{
    err_t err = {0};
    signal (SIGPIPE, SIG_IGN); /* as every service does (lib/svc) */
    const family_t *family = family_find ("coding");
    task_options_t options = {.family = "coding", .seed = 1};
    task_set_t *set = task_set_open (&options, &err);
    must (set, "the tasks", &err);
    double began = clock_s (), cpu = cpu_s ();
    sandbox_t *sandbox = sandbox_new ("", sandbox_wall (), &err);
    must (sandbox, "a sandbox", &err);
    bench_tell ("sandbox.start", (clock_s () - began) * 1e3, "ms", NAN);
    sandbox_destroy (&sandbox);
    double start_cpu = cpu_s () - cpu;
    cpu = cpu_s ();
    sandbox = sandbox_new ("", sandbox_wall (), &err);
    must (sandbox, "another sandbox", &err);
    const task_sandbox_t capability = {.self = sandbox, .run = run};
    episode_t *episodes[PROGRAMS];
    for (size_t i = 0; i < PROGRAMS; i++)
        episodes[i] = play (family, set, i);
    size_t right = 0;
    began = clock_s ();
    for (size_t i = 0; i < PROGRAMS; i++) {
        reward_score_t score;
        must (family->score (episodes[i], &(task_capabilities_t){.sandbox = &capability}, &score,
                             &err) == 0,
              "a score", &err);
        right += score.success;
    }
    bench_tell ("sandbox.programs", PROGRAMS / (clock_s () - began), "1/s", NAN);
    printf ("# %zu of %d succeed\n", right, PROGRAMS);
    for (size_t i = 0; i < PROGRAMS; i++)
        episode_destroy (&episodes[i]);
    sandbox_destroy (&sandbox);
    bench_tell ("sandbox.cpu", (cpu_s () - cpu - start_cpu) * 1e3 / PROGRAMS, "ms", NAN);
    task_set_destroy (&set);
    return 0;
}
