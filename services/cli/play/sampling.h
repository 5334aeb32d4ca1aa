/*  sampling - how completions are drawn, as the flags of generate and play say.
 *
 *      const args_option_t options[] = {SAMPLING_OPTIONS ("128", "1", "1"), {0}};
 *      sampling_t sampling = {0};
 *      sampling_read (args, &sampling, &err);
 *
 *  The formulas stand in model/sampler_filter.h.
 */
#ifndef QUINTET_CLI_SAMPLING_H
#define QUINTET_CLI_SAMPLING_H

#include "formats/hf.h"
#include "model/sampler_filter.h"
#include "svc/args.h"
#include "text/stops.h"

/*  Three fallbacks are the caller's; "" leaves what sampling_t had. */
#define SAMPLING_OPTIONS(tokens, temperature, seed)                                                \
    {"--max-tokens", "N", tokens, "longest completion"},                                           \
        {"--temperature", "T", temperature, "0: the likeliest token each time"},                   \
        {"--top-k", "K", "", "draw from the K likeliest tokens; 0: from all"},                     \
        {"--top-p", "P", "", "then from the fewest likeliest with this probability in all"},       \
        {"--min-p", "P", "", "then from those with this share of the likeliest's probability"},    \
        {"--repetition-penalty", "R", "", "of tokens that stand there already; 1: none"},          \
        {"--stop", "TEXT...", NULL, "ends a completion where it begins, such as $'\\n\\n'"},       \
    {                                                                                              \
        "--seed", "N", seed, "of the random numbers"                                               \
    }

typedef struct {
    double temperature;
    sampler_filter_t filter;
    size_t max_tokens;
    uint64_t seed;
    stops_t stops; /* borrowed from the command line */
} sampling_t;

/*  Flags that are given, or have a fallback, take the place of what was there. ERR_CONFIG names the
 *  flag and its range. */
int sampling_read (const args_t *args, sampling_t *sampling, err_t *err);
/*  Whether a flag chooses among the likely tokens. */
bool sampling_given (const args_t *args);
/*  Says to the standard error what the folder's generation_config.json recommends, if anything. */
void sampling_note (const char *dir, const hf_t *hf);

#endif
