/*  kernels - see kernels.h: which ones this CPU runs */
#include "kernels/kernels.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "base/buf.h"
#include "kernels/blas.h"

extern const kernels_t kernels_plain;

static const kernels_t *kernels_plain_here (void)
{
    return &kernels_plain;
}

#if defined(__x86_64__)
extern const kernels_t kernels_amx, kernels_avx512, kernels_avx512_widen, kernels_avx2;

/*  The features that -march=x86-64-v4 lets the compiler use in the *.isa.c files: a CPU that lacks
 *  one would end with an illegal instruction somewhere. */
static bool kernels_has_avx512 (void)
{
    return __builtin_cpu_supports ("avx512f") && __builtin_cpu_supports ("avx512bw") &&
           __builtin_cpu_supports ("avx512cd") && __builtin_cpu_supports ("avx512dq") &&
           __builtin_cpu_supports ("avx512vl") && __builtin_cpu_supports ("fma");
}

static const kernels_t *kernels_avx512_here (void)
{
    return kernels_has_avx512 () && __builtin_cpu_supports ("avx512bf16") ? &kernels_avx512 : NULL;
}

/*  Tile registers are 8 kB of state for every thread, so that Linux gives them to who asks alone
 *  (5.16 and on; Documentation/arch/x86/xstate.rst). CPUID leaf 7: AMX-BF16 and AMX-TILE. */
static const kernels_t *kernels_amx_here (void)
{
    static const long ask = 0x1023, tile_data = 18; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
    unsigned a, b, c, d;
    bool there = kernels_avx512_here () && __get_cpuid_count (7, 0, &a, &b, &c, &d) &&
                 (d >> 22 & 1) && (d >> 24 & 1);
    return there && syscall (SYS_arch_prctl, ask, tile_data) == 0 ? &kernels_amx : NULL;
}

static const kernels_t *kernels_avx512_widen_here (void)
{
    return kernels_has_avx512 () ? &kernels_avx512_widen : NULL;
}

/*  Likewise for x86-64-v3. */
static const kernels_t *kernels_avx2_here (void)
{
    return __builtin_cpu_supports ("avx2") && __builtin_cpu_supports ("fma") &&
                   __builtin_cpu_supports ("bmi2")
               ? &kernels_avx2
               : NULL;
}
#endif

/*  Best first. A set is asked whether it runs here only when nothing before it does: blas looks
 *  for some milliseconds. */
static const struct {
    const char *name;
    const kernels_t *(*here) (void); /* NULL: not on this CPU */
} tables[] = {
#if defined(__x86_64__)
    {"amx", kernels_amx_here},
    {"avx512", kernels_avx512_here},
    {"avx512-widen", kernels_avx512_widen_here},
    {"avx2", kernels_avx2_here},
#endif
    {"blas", blas_kernels},
    {"plain", kernels_plain_here},
};

#define TABLES (sizeof tables / sizeof *tables)

/*  "blas:0.3.21-Nehalem" names OpenBLAS's kernels for one CPU: the part before the colon finds the
 *  table, and the whole name must be the one that is used here, or results would have other
 *  bits. */
const kernels_t *kernels_named (const char *name)
{
    size_t length = strcspn (name, ":");
    for (size_t i = 0; i < TABLES; i++) {
        if (strlen (tables[i].name) != length || strncmp (tables[i].name, name, length) != 0)
            continue;
        const kernels_t *kernels = tables[i].here ();
        bool same = kernels && (!name[length] || strcmp (kernels->name, name) == 0);
        return same ? kernels : NULL;
    }
    return NULL;
}

/*  Once for the process: products of one run must not come from two sets. */
static const kernels_t *chosen;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/*  An unknown name leaves chosen NULL, which kernels_get says; falling back to another set would
 *  give other bits than whoever set the variable asked for. */
static void kernels_choose (void)
{
    const char *name = getenv ("QUINTET_ISA");
    if (name && *name) {
        chosen = kernels_named (name);
        return;
    }
    /* Ends at the latest with plain, which runs everywhere. */
    for (size_t i = 0; !chosen; i++)
        chosen = tables[i].here ();
}

const kernels_t *kernels_get (err_t *err)
{
    pthread_once (&once, kernels_choose);
    if (chosen)
        return chosen;
    /* Whoever misspelt a name sees those that would work here. */
    buf_t names = {0};
    for (size_t i = 0; i < TABLES; i++) {
        const kernels_t *kernels = tables[i].here ();
        if (kernels)
            buf_printf (&names, " %s", kernels->name);
    }
    const char *name = getenv ("QUINTET_ISA");
    err_set (err, ERR_CONFIG,
             "QUINTET_ISA names '%s', which this machine cannot run%s%s; it has:%s", name,
             strcmp (name, "blas") == 0 ? ": " : "",
             strcmp (name, "blas") == 0 ? blas_missing () : "", names.data ? names.data : "");
    buf_free (&names);
    return NULL;
}
