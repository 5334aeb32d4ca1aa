/*  embed - a file of the source tree as bytes of the program.
 *
 *      EMBED (store_functions, "lib/store/functions.lua")     path from the top of the repository
 *      ... store_functions, store_functions_size () ...       a string: a 0 follows the last byte
 */
#ifndef QUINTET_BASE_EMBED_H
#define QUINTET_BASE_EMBED_H

#include <stddef.h>

#define EMBED(name, path)                                                                          \
    __asm__(".pushsection .rodata, \"a\"\n" #name ":\n.incbin \"" path "\"\n" #name                \
            "_end:\n.byte 0\n.popsection\n");                                                      \
    extern const char name[] __attribute__ ((visibility ("hidden")));                              \
    extern const char name##_end[] __attribute__ ((visibility ("hidden")));                        \
    static inline size_t name##_size (void)                                                        \
    {                                                                                              \
        return (size_t) (name##_end - name);                                                       \
    }

#endif
