/*  sampling - see sampling.h */
#include "sampling.h"

#include <stdio.h>

/*  A flag that is not given leaves what was there. */
static int sampling_take_real (const args_t *args, const char *key, double low, double high,
                               float *value, err_t *err)
{
    double number;
    if (!*args_value (args, key))
        return 0;
    if (args_real (args, key, low, high, &number, err) != 0)
        return -1;
    *value = (float) number;
    return 0;
}

static int sampling_take_number (const args_t *args, const char *key, long long low, long long high,
                                 long long *value, err_t *err)
{
    return *args_value (args, key) ? args_number (args, key, low, high, value, err) : 0;
}

int sampling_read (const args_t *args, sampling_t *s, err_t *err)
{
    long long most = (long long) s->max_tokens, seed = (long long) s->seed,
              top_k = (long long) s->filter.top_k;
    size_t stops_n;
    const char *const *stops = args_repeated (args, "--stop", &stops_n);
    if (*args_value (args, "--temperature") &&
        args_real (args, "--temperature", 0, 100, &s->temperature, err) != 0)
        return -1;
    if (sampling_take_number (args, "--max-tokens", 1, 1 << 20, &most, err) != 0 ||
        sampling_take_number (args, "--seed", 0, 1LL << 53, &seed, err) != 0 ||
        sampling_take_number (args, "--top-k", 0, 10000000, &top_k, err) != 0 ||
        sampling_take_real (args, "--top-p", 1e-6, 1, &s->filter.top_p, err) != 0 ||
        sampling_take_real (args, "--min-p", 0, 1, &s->filter.min_p, err) != 0 ||
        sampling_take_real (args, "--repetition-penalty", 0.01, 100, &s->filter.repetition, err) !=
            0)
        return -1;
    for (size_t i = 0; i < stops_n; i++)
        if (!*stops[i])
            return err_set (err, ERR_CONFIG, "--stop: an empty text would end everything");
    if (stops_n)
        s->stops = (stops_t){stops, stops_n};
    s->max_tokens = (size_t) most;
    s->seed = (uint64_t) seed;
    s->filter.top_k = (size_t) top_k;
    return 0;
}

bool sampling_given (const args_t *args)
{
    static const char *const flags[] = {"--temperature", "--top-k", "--top-p", "--min-p",
                                        "--repetition-penalty"};
    bool given = false;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        given = given || args_given (args, flags[i]);
    return given;
}

void sampling_note (const char *dir, const hf_t *hf)
{
    if (*hf_advice (hf))
        fprintf (stderr, "Note: %s/generation_config.json recommends %s, which is not followed\n",
                 dir, hf_advice (hf));
}
