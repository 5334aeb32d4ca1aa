/*  kernels - see kernels.h: which ones this CPU runs */
#include "kernels/kernels.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#if defined(__x86_64__)
extern const kernels_t kernels_avx512, kernels_avx512_widen, kernels_avx2;
#endif
extern const kernels_t kernels_plain;

#if defined(__x86_64__)
static bool kernels_has_avx512 (void)
{
    return __builtin_cpu_supports ("avx512f") && __builtin_cpu_supports ("avx512bw") &&
           __builtin_cpu_supports ("avx512cd") && __builtin_cpu_supports ("avx512dq") &&
           __builtin_cpu_supports ("avx512vl") && __builtin_cpu_supports ("fma");
}

static bool kernels_has_avx512_bf16 (void)
{
    return kernels_has_avx512 () && __builtin_cpu_supports ("avx512bf16");
}

static bool kernels_has_avx2 (void)
{
    return __builtin_cpu_supports ("avx2") && __builtin_cpu_supports ("fma") &&
           __builtin_cpu_supports ("bmi2");
}
#endif

static bool kernels_has_plain (void)
{
    return true;
}

/* Best first. */
static const struct {
    const kernels_t *kernels;
    bool (*runs) (void);
} tables[] = {
#if defined(__x86_64__)
    {&kernels_avx512, kernels_has_avx512_bf16},
    {&kernels_avx512_widen, kernels_has_avx512},
    {&kernels_avx2, kernels_has_avx2},
#endif
    {&kernels_plain, kernels_has_plain},
};

#define TABLES (sizeof tables / sizeof *tables)

const kernels_t *kernels_named (const char *name)
{
    for (size_t i = 0; i < TABLES; i++)
        if (strcmp (tables[i].kernels->name, name) == 0)
            return tables[i].runs () ? tables[i].kernels : NULL;
    return NULL;
}

static const kernels_t *chosen;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void kernels_choose (void)
{
    const char *name = getenv ("QUINTET_ISA");
    if (name && *name) {
        chosen = kernels_named (name);
        return;
    }
    for (size_t i = 0; !chosen; i++)
        if (tables[i].runs ())
            chosen = tables[i].kernels;
}

const kernels_t *kernels_get (err_t *err)
{
    pthread_once (&once, kernels_choose);
    if (chosen)
        return chosen;
    buf_t names = {0};
    for (size_t i = 0; i < TABLES; i++)
        if (tables[i].runs ())
            buf_printf (&names, " %s", tables[i].kernels->name);
    err_set (err, ERR_CONFIG, "QUINTET_ISA names '%s', which this machine cannot run; it has:%s",
             getenv ("QUINTET_ISA"), names.data ? names.data : "");
    buf_free (&names);
    return NULL;
}
