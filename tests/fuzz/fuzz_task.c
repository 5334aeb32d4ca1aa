/*  Configurations, tasks and global states. */
#include "conf/conf.h"
#include "fuzz.h"
#include "task/episode.h"
#include "task/family.h"
#include "task/reward.h"

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t size)
{
    char *data = fuzz_text (bytes, size);
    err_t err = {0};
    conf_t *conf = conf_parse (data, size, "fuzz.yml", NULL, 0, &err);
    conf_destroy (&conf);
    episode_t *episode = episode_parse (data, size, &err);
    if (episode) {
        reward_score_t score;
        reward_t reward;
        reward_weights_t weights = {1, 0.3, 0.1};
        buf_t text = {0};
        if (family_find ("writing")->score (episode, &(task_capabilities_t){0}, &score, &err) == 0)
            reward_join (episode, &weights, &score, &reward, &err);
        episode_observe (episode, 0, &text, &err);
        buf_clear (&text);
        episode_state (episode, &text, &err);
        buf_clear (&text);
        if (episode_history (episode, &text, &err) == 0) {
            episode_t *back = episode_again (episode, &err);
            if (back)
                episode_replay (back, text.data, text.size, &err);
            episode_destroy (&back);
        }
        buf_free (&text);
        episode_destroy (&episode);
    }
    free (data);
    return 0;
}

int LLVMFuzzerInitialize (int *argc, char ***argv)
{
    static const char conf[] = "run:\n  name: x\nmodel:\n  path: m\nteam:\n  roles: [aux, main]\n"
                               "task:\n  family: coding\ntrainer:\n  lr: 1e-3\n";
    static const char state[] =
        "{\"task\":{\"id\":\"w\",\"family\":\"writing\",\"brief\":\"Write about the garden in "
        "winter.\","
        "\"terms\":[\"garden\",\"winter\"]},\"roles\":[\"summary\",\"details\"],\"limits\":{"
        "\"tokens\":96,"
        "\"turns\":0},\"turns\":[{\"actions\":[{\"role\":\"summary\",\"text\":\"# Summary\\nWe see "
        "the grey "
        "light of the garden in winter. Moreover, we love it.\",\"tokens\":20,\"truncated\":false,"
        "\"tokens_read\":0},{\"role\":\"details\",\"text\":\"# Details\\nIn winter we see the "
        "colours of the "
        "garden. However, we find the old "
        "walls.\",\"tokens\":30,\"truncated\":false,\"tokens_read\":5}]}],"
        "\"artifact\":\"\",\"done\":true}";
    fuzz_seed ("configuration", conf, sizeof conf - 1);
    fuzz_seed ("state", state, sizeof state - 1);
    return fuzz_seeds (argc, argv);
}
