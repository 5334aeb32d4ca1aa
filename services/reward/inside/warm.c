/*  warm - see inside.h. A fork shares all its memory with the zygote, and pays for that page by
 *  page. The first look at each page of a library is a fault of its own, a hundred of them before
 *  a small program has ended.
 *
 *  A library's pages are mapped anew by every fork, unless a page of that mapping was ever written
 *  to: then the kernel copies the mapping with the fork, which costs next to nothing. So one byte
 *  of each is written, with what it was.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "inside.h"

#define WARM_LIBRARY  ((size_t) 32 << 20)
#define WARM_POPULATE 22 /* MADV_POPULATE_READ, of Linux 5.14 */

static void warm_library (unsigned long from, unsigned long to, int protection)
{
    volatile char *byte = (volatile char *) from;
    if (madvise ((void *) from, to - from, WARM_POPULATE) != 0 ||
        mprotect ((void *) from, to - from, protection | PROT_WRITE) != 0)
        return;
    *byte = *byte;
    mprotect ((void *) from, to - from, protection);
}

/*  The interpreter's own code and constants, and libc's: what every program runs through. */
void warm_begin (void)
{
    static const char *const names[] = {"/libpython", "/python", "/libc.so", "/libm.so", "/_json"};
    FILE *maps = fopen ("/proc/self/maps", "re");
    char line[512];
    while (maps && fgets (line, sizeof line, maps)) {
        unsigned long from, to;
        char rights[8];
        const char *name = strrchr (line, '/');
        bool wanted = false;
        for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
            wanted = wanted || strncmp (name, names[i], strlen (names[i])) == 0;
        if (!wanted || sscanf (line, "%lx-%lx %7s", &from, &to, rights) != 3 || rights[1] == 'w' ||
            rights[0] != 'r' || to - from > WARM_LIBRARY)
            continue;
        warm_library (from, to, PROT_READ | (rights[2] == 'x' ? PROT_EXEC : 0));
    }
    if (maps)
        fclose (maps);
}
